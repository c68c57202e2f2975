"""To a loudness, under a ceiling: measure, gain, limit, measure again, correct."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from shub.dsp.ahead import ahead
from shub.dsp.analysis import Progress
from shub.dsp.decode import Block
from shub.dsp.limiter import CEILING_MARGIN_DB, GainRider
from shub.dsp.meter import Loudness, Meter
from shub.dsp.scratch import Scratch

TOLERANCE_LU = 0.03
MET_WITHIN_LU = 0.1
LARGEST_REDUCTION_DB = 24.0
LARGEST_EXTRA_GAIN_DB = 12.0
"""Beyond these a limiter only destroys; what is missing to the target is reported instead."""
_MOST_PASSES, _MOST_RECHECKS = 8, 3

Write = Callable[[Block], None]


@dataclass(frozen=True)
class Levelled:
    """What came out, measured at the output."""

    loudness: Loudness
    gain_db: float
    max_reduction_db: float
    shortfall_lu: float
    """By how much the target was missed because the ceiling wins; 0 when it was met."""


@dataclass(frozen=True)
class _Setting:
    gain_db: float
    ceiling_dbtp: float


class Leveller:
    """Brings a sound to its target. `source` is what it reads, `measured` its reading."""

    def __init__(
        self,
        source: Scratch,
        rate_hz: int,
        speakers: tuple[str, ...],
        measured: Loudness,
        *,
        target_lufs: float,
        ceiling_dbtp: float,
        progress: Progress,
    ) -> None:
        self._source, self._rate, self._speakers, self._measured = source, rate_hz, speakers, measured
        self._target, self._ceiling, self._progress = target_lufs, ceiling_dbtp, progress
        self._passes = 0

    def render(self, start_writing: Callable[[], Write]) -> Levelled:
        """Find the gain, then write the result; `start_writing` is called again in the rare case that a peak was still too high."""
        setting = self._find_setting()
        for _ in range(_MOST_RECHECKS):
            levelled = self._render(setting, start_writing())
            peak = levelled.loudness.true_peak_dbtp
            if peak is None or peak <= self._ceiling:
                break
            setting = replace(setting, ceiling_dbtp=setting.ceiling_dbtp - (peak - self._ceiling) - 0.02)
        self._progress(1.0)
        return levelled

    def _find_setting(self) -> _Setting:
        """Louder in front of a limiter is ever less loud behind it, so the gain is found by the secant method, a pass for each try.

        What has no loudness (silence, or less than 0.4 s) gets no gain; the ceiling holds for it too.
        """
        aim = self._ceiling - CEILING_MARGIN_DB
        loudness, peak = self._measured.integrated_lufs, self._measured.true_peak_dbtp
        if peak is None:
            return _Setting(0.0, aim)
        gain = 0.0 if loudness is None else self._target - loudness
        most = min(aim - peak + LARGEST_REDUCTION_DB, gain + LARGEST_EXTRA_GAIN_DB)
        best = _Setting(min(gain, most), aim)
        if peak + gain < aim - 1.0:
            return best  # a decibel below the ceiling a limiter finds nothing to do, whatever it looks with
        for done in self._source.find_heights(floor=10.0 ** ((aim - most) / 20.0)):
            self._tell(done)
        self._passes += 1
        tried: list[tuple[float, float]] = []
        smallest_error = float("inf")
        for _ in range(_MOST_PASSES):
            gain = min(gain, most)
            reading = self._loudness_at(_Setting(gain, aim))
            if reading is None:
                break
            error = self._target - reading
            if abs(error) < smallest_error:
                best, smallest_error = _Setting(gain, aim), abs(error)
            if abs(error) <= TOLERANCE_LU or (gain >= most and error > 0.0):
                break
            tried.append((gain, reading))
            gain += error / _slope(tried)
        return best

    def _loudness_at(self, setting: _Setting) -> float | None:
        meter = Meter(self._rate, self._speakers, peaks=False)
        for block in ahead(self._limited(self._rider(setting))):
            meter.add(block)
        return meter.integrated_lufs()

    def _render(self, setting: _Setting, write: Write) -> Levelled:
        rider, meter = self._rider(setting), Meter(self._rate, self._speakers)
        for block in ahead(self._limited(rider)):
            meter.add(block)
            write(block)
        loudness = meter.read()
        return Levelled(loudness, setting.gain_db, rider.max_reduction_db, shortfall_lu(self._target, loudness))

    def _rider(self, setting: _Setting) -> GainRider:
        return GainRider(self._rate, len(self._speakers), setting.ceiling_dbtp, setting.gain_db)

    def _limited(self, rider: GainRider) -> Iterator[Block]:
        done = 0
        for block, heights in self._source.blocks_with_heights():
            made = rider.process(block, heights)
            done += len(block)
            self._tell(done)
            if len(made):
                yield made
        self._passes += 1
        yield rider.flush()

    def _tell(self, frames: int) -> None:
        """How many passes it takes is not known before: each one takes a third of what is left."""
        left = (2 / 3) ** self._passes
        self._progress(1.0 - left * (1.0 - frames / self._source.frames / 3.0))


def shortfall_lu(target_lufs: float, heard: Loudness) -> float:
    """By how much it is too soft; 0 within the tenth of an LU that nobody counts, and for what has no loudness."""
    missing = 0.0 if heard.integrated_lufs is None else target_lufs - heard.integrated_lufs
    return missing if missing > MET_WITHIN_LU else 0.0


def _slope(tried: list[tuple[float, float]]) -> float:
    """LU gained per dB of gain between the last two tries, kept between a tenth and one: the limiter only takes away."""
    if len(tried) < 2 or tried[-1][0] == tried[-2][0]:
        return 0.7
    (gain_before, reading_before), (gain, reading) = tried[-2:]
    return min(1.0, max(0.1, (reading - reading_before) / (gain - gain_before)))
