"""Filters and gain: each is a cascade of sections, so that neighbors in a chain become one.

What the equalizer does to the magnitude is the digital transfer function of the cookbook (`sections.response`), to the rounding of
float32: near half the sample rate that is narrower than an analog bell.
"""

from shub.dsp.effects import sections
from shub.dsp.effects.cascade import Cascade
from shub.dsp.effects.processor import Sound
from shub.dsp.effects.sections import NONE, below_nyquist


def gain(sound: Sound, *, gain_db: float) -> Cascade:
    return Cascade(sound, gain=10.0 ** (gain_db / 20.0))


def eq_peak(sound: Sound, *, freq_hz: float, gain_db: float, q: float) -> Cascade:
    hz = below_nyquist(sound, "freq_hz", freq_hz)
    return Cascade(sound, sections.peak(sound.rate_hz, hz, gain_db, q) if gain_db else NONE)


def eq_low_shelf(sound: Sound, *, freq_hz: float, gain_db: float, q: float) -> Cascade:
    hz = below_nyquist(sound, "freq_hz", freq_hz)
    return Cascade(sound, sections.low_shelf(sound.rate_hz, hz, gain_db, q) if gain_db else NONE)


def eq_high_shelf(sound: Sound, *, freq_hz: float, gain_db: float, q: float) -> Cascade:
    hz = below_nyquist(sound, "freq_hz", freq_hz)
    return Cascade(sound, sections.high_shelf(sound.rate_hz, hz, gain_db, q) if gain_db else NONE)


def highpass(sound: Sound, *, freq_hz: float, slope_db_oct: int) -> Cascade:
    hz = below_nyquist(sound, "freq_hz", freq_hz)
    return Cascade(sound, sections.highpass(sound.rate_hz, hz, slope_db_oct // 6))


def lowpass(sound: Sound, *, freq_hz: float, slope_db_oct: int) -> Cascade:
    hz = below_nyquist(sound, "freq_hz", freq_hz)
    return Cascade(sound, sections.lowpass(sound.rate_hz, hz, slope_db_oct // 6))


def notch(sound: Sound, *, freq_hz: float, q: float) -> Cascade:
    hz = below_nyquist(sound, "freq_hz", freq_hz)
    return Cascade(sound, sections.notch(sound.rate_hz, hz, q))
