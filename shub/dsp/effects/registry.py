"""Which class is which `type` of the contract, and how a chain becomes a line of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from shub.dsp.effects import filters
from shub.dsp.effects.line import Keys, Line, Placed
from shub.dsp.effects.processor import Processor, Sound
from shub.dsp.refusals import AudioRefused

Values = Mapping[str, Any]
"""An effect as it is on the wire, with every default filled in: `type`, and what it is set to."""

PROCESSORS: dict[str, Callable[..., Processor]] = {
    "gain": filters.gain,
    "eq_peak": filters.eq_peak,
    "eq_low_shelf": filters.eq_low_shelf,
    "eq_high_shelf": filters.eq_high_shelf,
    "highpass": filters.highpass,
    "lowpass": filters.lowpass,
    "notch": filters.notch,
}
"""By `type`; called with a Sound and the effect's values by name. `normalize` is none: it needs the whole sound (`stretches`)."""


def build(sound: Sound, effects: Sequence[Values], keys: Keys | None = None, *, first: int = 1) -> Line:
    """The effects at work on this sound. `first` is the place in the chain, from 1, of the first of them, for refusals.

    Without `keys` it can be checked and asked for `out`, and run when nothing listens. Raises AudioRefused, with the effect's place and
    type, where an effect cannot be had on this sound (FrequencyAboveNyquist, StereoNeeded, EmptyAudio), and KeyError for a key that is
    not among `keys`.
    """
    placed: list[Placed] = []
    here, skipped = sound, Fraction(0)
    for number, values in enumerate(effects, start=first):
        kind = values["type"]
        with _named(number, kind):
            processor = PROCESSORS[kind](here, **{name: value for name, value in values.items() if name != "type"})
        placed.append(Placed(processor, values.get("sidechain"), skipped))
        if kind == "trim":
            skipped += Fraction(round(values["start_seconds"] * here.rate_hz), here.rate_hz)
        here = processor.out
    line = Line(sound, placed)
    if keys is not None:
        line.listen(keys)
    return line


@dataclass(frozen=True)
class Stretch:
    """Effects that run in one go. `first` is the place of the first of them in the chain, from 1; `normalize` is the effect that ends the
    stretch, for which its whole sound is needed (None: the end of the chain)."""

    first: int
    effects: tuple[Values, ...]
    normalize: Values | None


def stretches(effects: Sequence[Values]) -> list[Stretch]:
    """The chain, cut at its normalizations; the last stretch has none and may be empty."""
    found: list[Stretch] = []
    first, run = 1, list[Values]()
    for number, values in enumerate(effects, start=1):
        if values["type"] == "normalize":
            found.append(Stretch(first, tuple(run), values))
            first, run = number + 1, []
        else:
            run.append(values)
    return [*found, Stretch(first, tuple(run), None)]


@contextmanager
def _named(number: int, kind: str) -> Iterator[None]:
    """Refusals say which effect they are about."""
    try:
        yield
    except AudioRefused as refusal:
        raise type(refusal)(f"effect {number} ({kind}): {refusal.detail}") from refusal
