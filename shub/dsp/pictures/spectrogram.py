"""What sounds when, and how high: power over time and frequency."""

from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator
from numpy.typing import NDArray

from shub.dsp.decode import AudioReader, Limits
from shub.dsp.framing import Framing
from shub.dsp.pictures.canvas import FAINT_INK, GRID, INK, RIGHT_PX, Canvas, length, time_axis

LOWEST_HZ, HIGHEST_HZ = 20.0, 20_000.0
RANGE_DB: Final = 90.0
LOWEST_DB: Final = -140.0
"""What arithmetic in 32 bit may leave of silence."""
_SMALLEST, _LARGEST = 2_048, 8_192
_BAR_PX: Final = 84
_MARKED = (20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000)


def draw_spectrogram(
    source: Path, name: str, target: Path, width: int, height: int, limits: Limits | None = None
) -> None:
    """A PNG at `target`. A level is that of a sine of so many dBFS. Raises AudioRefused for a file that cannot be read."""
    canvas = Canvas(width, height)
    room = canvas.panel_px(right_px=_BAR_PX)
    with AudioReader(source, limits) as reader:
        info = reader.info
        picture = _Image(room[0], room[1], info.sample_rate_hz, info.frames, info.channels)
        for block in reader.blocks():
            picture.add(block)
        levels = picture.levels()
    seconds = picture.done / info.sample_rate_hz
    loudest = float(levels.max())
    top = min(0.0, 5.0 * np.ceil(loudest / 5.0)) if loudest > LOWEST_DB else 0.0
    channels = {1: "mono", 2: "both channels"}.get(info.channels, f"{info.channels} channels")
    window = f"window {picture.size} samples ({1000 * picture.size / info.sample_rate_hz:.0f} ms)"
    canvas.head(
        name,
        [
            f"{info.sample_rate_hz / 1000:g} kHz",
            length(seconds),
            channels,
            f"loudest {loudest:.0f} dBFS" if loudest > LOWEST_DB else "silence",
            window,
        ],
        right_px=_BAR_PX,
    )
    axes = canvas.panel(right_px=_BAR_PX)
    axes.grid(False)
    low, high = np.log2(picture.hertz[0]), np.log2(picture.hertz[-1])
    image = axes.imshow(
        levels,
        aspect="auto",
        origin="lower",
        extent=(0.0, seconds, low, high),
        cmap="magma",
        vmin=top - RANGE_DB,
        vmax=top,
        interpolation="nearest",
    )
    time_axis(axes, seconds, room[0])
    marked = [hertz for hertz in _MARKED if low - 1e-6 <= np.log2(hertz) <= high + 1e-6]
    axes.yaxis.set_major_locator(FixedLocator([float(np.log2(hertz)) for hertz in marked]))
    axes.yaxis.set_major_formatter(
        FixedFormatter([f"{hertz // 1000}k" if hertz >= 1000 else str(hertz) for hertz in marked])
    )
    axes.yaxis.set_minor_locator(NullLocator())
    for hertz in marked:
        axes.axhline(float(np.log2(hertz)), color=INK, linewidth=0.4, alpha=0.18)
    canvas.unit("Hz")
    box = axes.get_position()
    bar = canvas.figure.add_axes(((width - _BAR_PX + RIGHT_PX) / width, box.y0, 10 / width, box.height))
    scale = canvas.figure.colorbar(image, cax=bar)
    ticks = [int(top) - step for step in range(0, int(RANGE_DB) + 1, 15 if room[1] < 400 else 10)]
    scale.set_ticks(ticks, labels=[str(tick) for tick in ticks])
    bar.tick_params(colors=FAINT_INK, labelsize=8.5, length=3, width=0.6)
    bar.set_title("dBFS", color=FAINT_INK, fontsize=8.5, pad=5)
    for spine in bar.spines.values():
        spine.set_color(GRID)
    canvas.save(target)


class _Image:
    """Rows of frequencies by columns of time, gathered block by block."""

    def __init__(self, columns: int, rows: int, rate_hz: int, frames: int, channels: int) -> None:
        self._columns, self._frames, self._channels = max(1, min(columns, frames)), frames, channels
        per_column = frames / self._columns
        scale = rate_hz / 48_000
        wanted = np.clip(4 * per_column, _SMALLEST * scale, _LARGEST * scale)
        self.size = 1 << int(np.ceil(np.log2(wanted)))
        self._hop = max(1, int(min(self.size // 2, max(1.0, per_column))))
        self._framing = Framing(channels, self.size, self._hop)
        window = np.hanning(self.size + 1)[:-1]
        self._window = (window * 2.0 / window.sum()).astype(np.float32)
        self.hertz = np.geomspace(LOWEST_HZ, min(HIGHEST_HZ, rate_hz / 2), rows)
        self._places = self.hertz * self.size / rate_hz
        edges = np.sqrt(self._places[1:] * self._places[:-1])
        self._starts = np.ceil(np.concatenate((self._places[:1], edges))).astype(int)
        self._is_wide = np.append(np.diff(self._starts) >= 1, False)
        self._power = np.zeros((rows, self._columns), np.float32)
        self._counts = np.zeros(self._columns, np.int64)
        self._taken, self.done = 0, 0

    def add(self, block: NDArray[np.float32]) -> None:
        self.done += len(block)
        self._take(self._framing.add(block))

    def levels(self) -> NDArray[np.float32]:
        """In dB, of the columns that the sound reached; where a column has no window of its own, that of its neighbour."""
        self._take(self._framing.flush())
        known = np.flatnonzero(self._counts)
        used = min(self._columns, max(1, round(self.done * self._columns / self._frames)))
        nearest = known[np.clip(np.searchsorted(known, np.arange(used), side="right") - 1, 0, None)]
        power = self._power[:, nearest] / self._counts[nearest]
        return np.asarray(10.0 * np.log10(power + 1e-16), np.float32)

    def _take(self, frames: NDArray[np.float32]) -> None:
        for frame in frames:
            centre = self._taken * self._hop
            self._taken += 1
            if centre >= self.done:
                continue
            spectrum = np.fft.rfft(frame * self._window, axis=1)
            power = (spectrum.real**2 + spectrum.imag**2).sum(axis=0) / self._channels
            column = min(self._columns - 1, centre * self._columns // self._frames)
            self._power[:, column] += self._rows(power)
            self._counts[column] += 1

    def _rows(self, power: NDArray[np.float32]) -> NDArray[np.float32]:
        """The largest bin of a row that holds one; between bins, a line."""
        between = np.interp(self._places, np.arange(power.size), power)
        largest = np.maximum.reduceat(power, np.minimum(self._starts, power.size - 1))
        return np.where(self._is_wide, np.maximum(largest, between), between).astype(np.float32)
