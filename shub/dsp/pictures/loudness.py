"""Loudness over time, against a target."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from shub.dsp.decode import AudioReader, Limits
from shub.dsp.kweighting import speakers_of
from shub.dsp.meter import MOMENTARY_HOPS, SHORT_TERM_HOPS, Meter
from shub.dsp.pictures.canvas import (
    AMBER,
    BLUE,
    FAINT_INK,
    GREEN,
    GRID,
    PALE_BLUE,
    RED,
    Canvas,
    length,
    signed,
    time_axis,
)
from shub.dsp.pictures.columns import Columns

QUIETEST_LUFS = -60.0


@dataclass(frozen=True)
class Aim:
    """What the sound is made for; `target_lufs` is None where no loudness is asked for."""

    name: str
    target_lufs: float | None
    tolerance_lu: float
    ceiling_dbtp: float


def draw_loudness(
    source: Path, name: str, aim: Aim, target: Path, width: int, height: int, limits: Limits | None = None
) -> None:
    """A PNG at `target`. Raises AudioRefused for a file that cannot be read."""
    canvas = Canvas(width, height)
    room = canvas.panel_px()
    with AudioReader(source, limits) as reader:
        info = reader.info
        meter = Meter(info.sample_rate_hz, speakers_of(info.channels, vorbis_order=info.has_vorbis_order))
        columns = Columns(room[0] // 2, info.frames, info.channels)
        for block in reader.blocks():
            meter.add(block)
            columns.add(block)
    found, series, seconds = meter.read(), meter.series(), meter.frames / info.sample_rate_hz
    facts = [
        signed(found.integrated_lufs, "LUFS"),
        f"range {signed(found.loudness_range_lu, 'LU')}",
        f"true peak {signed(found.true_peak_dbtp, 'dBTP')}",
        f"loudest 3 s {signed(found.max_short_term_lufs, 'LUFS')}",
        length(seconds),
        f"for {aim.name}",
    ]
    canvas.head(name, facts, legend=_legend(aim))
    axes = canvas.panel()
    momentary = _known(series.momentary_lufs)
    bottom = _bottom(momentary, found.integrated_lufs, aim)
    peaks = np.maximum(columns.highs, -columns.lows)[: columns.used].max(axis=1)
    edges = columns.edges_seconds(info.sample_rate_hz)
    levels = 20.0 * np.log10(np.maximum(peaks, 1e-9))
    axes.stairs(np.maximum(levels, bottom), edges, baseline=bottom, fill=True, color=GRID, linewidth=0, alpha=0.75)
    above = np.maximum(levels, aim.ceiling_dbtp)
    axes.stairs(above, edges, baseline=aim.ceiling_dbtp, fill=True, color=RED, linewidth=0)
    if aim.target_lufs is not None:
        axes.axhspan(
            aim.target_lufs - aim.tolerance_lu, aim.target_lufs + aim.tolerance_lu, color=GREEN, alpha=0.28, linewidth=0
        )
    axes.axhline(aim.ceiling_dbtp, color=RED, linewidth=1.0, linestyle=(0, (4, 3)))
    _trace(axes, momentary, MOMENTARY_HOPS / 100.0, series.step_seconds, room[0], bottom, BLUE, 1.0, 1.0)
    _trace(
        axes,
        _known(series.short_term_lufs),
        SHORT_TERM_HOPS / 100.0,
        series.step_seconds,
        room[0],
        bottom,
        PALE_BLUE,
        1.8,
        1.0,
    )
    if found.integrated_lufs is not None:
        axes.axhline(found.integrated_lufs, color=AMBER, linewidth=1.3, linestyle=(0, (6, 3)))
    else:
        axes.text(
            0.5,
            0.5,
            "nothing to hear",
            transform=axes.transAxes,
            color=FAINT_INK,
            ha="center",
            va="center",
            fontsize=11,
        )
    top = max(1.0, (found.true_peak_dbtp or 0.0) + 1.0)
    axes.set_ylim(bottom, top)
    step = 6 if (top - bottom) / 6 * 22 <= room[1] else 12
    ticks = np.arange(0, bottom - 0.01, -step)
    axes.set_yticks(ticks, labels=[f"{tick:.0f}".replace("-0", "0") for tick in ticks])
    time_axis(axes, seconds, room[0])
    canvas.unit("LUFS, dBFS")
    canvas.save(target)


def _trace(
    axes: Axes,
    values: NDArray[np.float64],
    first: float,
    step: float,
    width_px: int,
    bottom: float,
    colour: str,
    line: float,
    alpha: float,
) -> None:
    """A line; where several values fall on a pixel, what they reach, and their mean."""
    many = max(1, values.size // width_px)
    whole = values[: values.size // many * many].reshape(-1, many)
    times = first + step * many * np.arange(len(whole))
    whole = np.where(np.isnan(whole), np.nan, np.maximum(whole, bottom - 3.0))
    heard = ~np.isnan(whole).all(axis=1)
    lows, middles, highs = (np.full(len(whole), np.nan) for _ in range(3))
    lows[heard], highs[heard] = np.nanmin(whole[heard], axis=1), np.nanmax(whole[heard], axis=1)
    middles[heard] = np.nanmean(whole[heard], axis=1)
    if many > 1:
        axes.fill_between(times, lows, highs, color=colour, alpha=0.35, linewidth=0)
    axes.plot(times, middles, color=colour, linewidth=line, alpha=alpha, solid_joinstyle="round")


def _legend(aim: Aim) -> list[Artist]:
    entries: list[Artist] = [
        Line2D([], [], color=BLUE, linewidth=1.2, label="momentary (0.4 s)"),
        Line2D([], [], color=PALE_BLUE, linewidth=2.0, label="short-term (3 s)"),
        Line2D([], [], color=AMBER, linewidth=1.4, linestyle=(0, (4, 2)), label="integrated"),
    ]
    if aim.target_lufs is not None:
        entries.append(
            Patch(color=GREEN, alpha=0.4, linewidth=0, label=f"target {aim.target_lufs:g} ± {aim.tolerance_lu:g}")
        )
    entries.append(
        Line2D([], [], color=RED, linewidth=1.2, linestyle=(0, (3, 2)), label=f"ceiling {aim.ceiling_dbtp:g}")
    )
    entries.append(Patch(color=GRID, linewidth=0, label="sample peaks"))
    return entries


def _known(values: list[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _bottom(momentary: NDArray[np.float64], integrated: float | None, aim: Aim) -> float:
    """Low enough for nearly all of the sound, and for the target; not for the silence around it."""
    heard = momentary[~np.isnan(momentary)]
    wanted = [value for value in (aim.target_lufs, integrated) if value is not None]
    if heard.size:
        wanted.append(float(np.quantile(heard, 0.05)))
    return max(QUIETEST_LUFS, 6.0 * math.floor((min(wanted, default=-30.0) - 6.0) / 6.0))
