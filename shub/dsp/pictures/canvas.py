"""The paper all pictures are drawn on: colours, header, time axis. Sizes are in pixels, so nothing overlaps at any size."""

import math
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from shub.dsp.kernel_cache import cache_dir

# Where it may write its list of fonts; without a home it would make that anew in every process.
os.environ.setdefault("MPLCONFIGDIR", str(cache_dir().parent / "matplotlib"))

import matplotlib.font_manager as fonts
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator

DOTS_PER_INCH: Final = 100
PAPER, PANEL, GRID, INK, FAINT_INK = "#12151a", "#1a1f27", "#343c49", "#e8ecf2", "#9aa5b5"
BLUE, PALE_BLUE, RED, GREEN, AMBER = "#3d8fd1", "#a9d7ff", "#ff5252", "#4cc38a", "#f0b35a"
LEFT_PX, RIGHT_PX, TOP_PX, BOTTOM_PX = 58, 26, 54, 28
_STEPS = (
    0.001,
    0.002,
    0.005,
    0.01,
    0.02,
    0.05,
    0.1,
    0.2,
    0.5,
    1,
    2,
    5,
    10,
    15,
    30,
    60,
    120,
    300,
    600,
    900,
    1800,
    3600,
    7200,
)
_LABEL_PX: Final = 85
_GAP_PX: Final = 24


class Canvas:
    """A figure of `width` x `height` pixels with a title, a line of key numbers, and room for axes below."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.figure = Figure(
            figsize=(width / DOTS_PER_INCH, height / DOTS_PER_INCH), dpi=DOTS_PER_INCH, facecolor=PAPER
        )
        self._agg: Any = FigureCanvasAgg(self.figure)

    def head(
        self, title: str, facts: Sequence[str], *, legend: Sequence[Artist] = (), right_px: int = RIGHT_PX
    ) -> None:
        """The file's name, with a legend beside it where there is room, and below as many of the facts as fit left of `right_px`."""
        self._line(_drawable(title), 24, 11.5, INK, "bold", taken_px=self._explain(legend) if legend else 0)
        shown = list(facts)
        while len(shown) > 1 and self._wide("   ·   ".join(shown), 9.0, "normal") > self.width - LEFT_PX - right_px:
            shown.pop()
        self._line("   ·   ".join(shown), 43, 9.0, FAINT_INK, "normal", taken_px=right_px - RIGHT_PX)

    def panel(self, first: float = 0.0, last: float = 1.0, *, right_px: int = RIGHT_PX) -> Axes:
        """Axes over a part of the room for them, from the top (0) to the bottom (1)."""
        room = self.height - TOP_PX - BOTTOM_PX
        bottom = BOTTOM_PX + (1.0 - last) * room
        axes = self.figure.add_axes(
            (
                LEFT_PX / self.width,
                bottom / self.height,
                (self.width - LEFT_PX - right_px) / self.width,
                (last - first) * room / self.height,
            ),
            facecolor=PANEL,
        )
        axes.tick_params(colors=FAINT_INK, labelsize=8.5, length=3, width=0.6)
        for spine in axes.spines.values():
            spine.set_color(GRID)
        axes.grid(True, color=GRID, linewidth=0.5, alpha=0.7)
        axes.set_axisbelow(True)
        return axes

    def unit(self, text: str) -> None:
        """What the vertical axis is in."""
        middle = (BOTTOM_PX + (self.height - TOP_PX - BOTTOM_PX) / 2) / self.height
        self.figure.text(
            14 / self.width, middle, text, rotation=90, color=FAINT_INK, fontsize=8.5, va="center", ha="center"
        )

    def panel_px(self, *, right_px: int = RIGHT_PX) -> tuple[int, int]:
        """Width and height of the room for axes."""
        return self.width - LEFT_PX - right_px, self.height - TOP_PX - BOTTOM_PX

    def save(self, path: Path) -> None:
        """As PNG. The file carries no time: the same picture is the same bytes."""
        self._agg.print_png(str(path), metadata={"Software": None})

    def _line(self, text: str, from_top_px: int, size: float, colour: str, weight: str, *, taken_px: float = 0) -> None:
        room = self.width - LEFT_PX - RIGHT_PX - taken_px
        if self._wide(text, size, weight) > room:
            while len(text) > 1 and self._wide(f"{text}…", size, weight) > room:
                text = text[:-1]
            text = f"{text}…"
        self.figure.text(
            LEFT_PX / self.width,
            1.0 - from_top_px / self.height,
            text,
            fontsize=size,
            color=colour,
            fontweight=weight,
            va="baseline",
            ha="left",
            parse_math=False,  # a name may hold dollars
        )

    def _explain(self, legend: Sequence[Artist]) -> float:
        """Draws the legend in the upper right corner; returns its width in pixels, 0 where it has no room."""
        drawn = self.figure.legend(
            handles=list(legend),
            loc="upper right",
            bbox_to_anchor=(1.0 - RIGHT_PX / self.width, 1.0 - 13 / self.height),
            ncols=len(legend),
            frameon=False,
            fontsize=8.5,
            labelcolor=INK,
            handlelength=1.6,
            columnspacing=1.3,
            borderpad=0.0,
            borderaxespad=0.0,
        )
        wide = float(drawn.get_window_extent(self._agg.get_renderer()).width)
        if wide > 0.65 * self.width:
            drawn.remove()
            return 0.0
        return wide + _GAP_PX

    def _wide(self, text: str, size: float, weight: str) -> float:
        found = self._agg.get_renderer().get_text_width_height_descent(
            text, fonts.FontProperties(size=size, weight=weight), ismath=False
        )
        return float(found[0])


def time_axis(axes: Axes, seconds: float, width_px: int, *, has_labels: bool = True) -> None:
    """Ticks at round times, as m:ss, or h:mm:ss from an hour on."""
    seconds = max(seconds, 1e-3)
    axes.set_xlim(0.0, seconds)
    most = max(1, width_px // _LABEL_PX)
    step = next((step for step in _STEPS if seconds / step <= most), _STEPS[-1])
    ticks = [i * step for i in range(int(seconds / step + 1e-9) + 1)]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(
        FixedFormatter([clock(tick, step) for tick in ticks] if has_labels else [""] * len(ticks))
    )


def clock(seconds: float, step: float = 1.0) -> str:
    """A time as m:ss, with as many decimals as a step needs."""
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    minutes, rest = divmod(round(seconds, decimals), 60)
    width = 2 if decimals == 0 else 3 + decimals
    shown = f"{rest:0{width}.{decimals}f}"
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02d}:{shown}" if hours else f"{minutes}:{shown}"


def signed(value: float | None, unit: str) -> str:
    """A level for the line of facts; a dash where there is none."""
    return f"— {unit}" if value is None else f"{round(value, 1) + 0.0:.1f} {unit}"  # adding 0 makes -0.0 0.0


def length(seconds: float) -> str:
    """How long a sound is, for the line of facts."""
    return clock(seconds, 1.0 if seconds >= 10.0 else 0.01)


def _drawable(text: str) -> str:
    """Characters that the font does not have become boxes with a warning each; here they become dots."""
    return "".join(char if ord(char) in _known() else "·" for char in text)


@lru_cache
def _known() -> frozenset[int]:
    return frozenset(fonts.get_font(fonts.findfont(fonts.FontProperties())).get_charmap())
