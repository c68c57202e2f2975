"""The wave of every channel: peaks, RMS inside, and in red what is cut off."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from shub.dsp.clipping import ClipFinder
from shub.dsp.decode import AudioReader, Limits
from shub.dsp.kweighting import speakers_of
from shub.dsp.meter import decibels
from shub.dsp.pictures.canvas import BLUE, FAINT_INK, PALE_BLUE, RED, Canvas, length, signed, time_axis
from shub.dsp.pictures.columns import Columns

_MARKED = ((1.0, "0"), (0.5, "-6"), (0.25, "-12"), (0.0, "-∞"))
_SPARSE = ((1.0, "0"), (0.0, "-∞"))
_ROOMY_PX, _TIGHT_PX = 110, 36
_GAP_PX = 8
FEW_CUTS = 0.03
"""Share of the columns."""


def draw_waveform(source: Path, name: str, target: Path, width: int, height: int, limits: Limits | None = None) -> None:
    """A PNG at `target`. Raises AudioRefused for a file that cannot be read."""
    canvas = Canvas(width, height)
    room = canvas.panel_px()
    with AudioReader(source, limits) as reader:
        info = reader.info
        columns = Columns(room[0], info.frames, info.channels)
        clips = ClipFinder(info, 1)
        cut = np.zeros((columns.count, info.channels), bool)
        for block in reader.blocks():
            columns.add(block)
            _mark(clips.add(block), columns, cut)
        _mark(clips.finish(), columns, cut)
    count = clips.clipping().count
    peak = decibels(float(max(-columns.lows[: columns.used].min(), columns.highs[: columns.used].max())))
    mean = decibels(float(np.sqrt(np.mean(columns.rms()[: columns.used] ** 2))))
    seconds = columns.done / info.sample_rate_hz
    facts = [
        f"{info.sample_rate_hz / 1000:g} kHz",
        length(seconds),
        f"peak {signed(peak, 'dBFS')}",
        f"RMS {signed(mean, 'dBFS')}",
    ]
    canvas.head(name, [*facts, f"{count:,} clipped peak{'s' * (count > 1)}" if count else "no clipping"])
    edges, power = columns.edges_seconds(info.sample_rate_hz), columns.rms()
    names = speakers_of(info.channels, vorbis_order=info.has_vorbis_order)
    share = _GAP_PX / 2 / room[1]
    for channel in range(info.channels):
        first, last = channel / info.channels, (channel + 1) / info.channels
        axes = canvas.panel(first + (share if channel else 0.0), last - (share if channel + 1 < info.channels else 0.0))
        _draw_channel(axes, edges, columns, power, cut if count else np.zeros_like(cut), channel)
        time_axis(axes, seconds, room[0], has_labels=channel + 1 == info.channels)
        tall = room[1] / info.channels
        marked = _MARKED if tall >= _ROOMY_PX else _SPARSE if tall >= _TIGHT_PX else _SPARSE[1:]
        axes.set_yticks([*(-place for place, _ in marked[:-1]), *(place for place, _ in reversed(marked))])
        axes.set_yticklabels([*(text for _, text in marked[:-1]), *(text for _, text in reversed(marked))])
        if info.channels > 1:
            axes.text(
                0.004,
                0.96,
                names[channel],
                transform=axes.transAxes,
                color=FAINT_INK,
                fontsize=9 if tall >= _TIGHT_PX else 7,
                va="top",
                fontweight="bold",
            )
    canvas.unit("dBFS")
    canvas.save(target)


def _draw_channel(
    axes: Axes,
    edges: NDArray[np.float64],
    columns: Columns,
    power: NDArray[np.float64],
    cut: NDArray[np.bool_],
    channel: int,
) -> None:
    used = columns.used
    lows, highs, mean = columns.lows[:used, channel], columns.highs[:used, channel], power[:used, channel]
    # At least a hair, so that silence is a line.
    axes.stairs(np.maximum(highs, lows + 0.004), edges, baseline=lows, fill=True, color=BLUE, linewidth=0)
    axes.stairs(
        np.minimum(mean, highs),
        edges,
        baseline=np.maximum(-mean, lows),
        fill=True,
        color=PALE_BLUE,
        linewidth=0,
        alpha=0.75,
    )
    middles = (edges[:-1] + edges[1:])[cut[:used, channel]] / 2.0
    if middles.size:
        if middles.size <= FEW_CUTS * used:  # one must be seen from afar; many would bury the wave
            axes.vlines(middles, -1.08, 1.08, color=RED, linewidth=1.0, alpha=0.6)
        axes.plot(middles, np.full(middles.size, 1.04), "|", color=RED, markersize=6, markeredgewidth=1.4)
        axes.plot(middles, np.full(middles.size, -1.04), "|", color=RED, markersize=6, markeredgewidth=1.4)
    tallest = max(1.0, float(max(highs.max(), -lows.min())))
    axes.set_ylim(-1.09 * tallest, 1.09 * tallest)


def _mark(runs: NDArray[np.int64], columns: Columns, cut: NDArray[np.bool_]) -> None:
    for channel, start, frames, _ in runs:
        cut[columns.of(int(start)) : columns.of(int(start + frames - 1)) + 1, channel] = True
