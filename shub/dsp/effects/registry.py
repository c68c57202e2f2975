"""Which class is which `type` of the contract, and how a chain becomes a line of them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from shub.dsp.effects import (
    deesser,
    delay,
    dynamics,
    filters,
    gates,
    levels,
    limiting,
    multiband,
    reverb,
    saturation,
    shaping,
    transient,
)
from shub.dsp.effects.keying import Keys
from shub.dsp.effects.line import Line, Placed
from shub.dsp.effects.mid_side import MidSide
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
    "compressor": dynamics.Compressor,
    "gate": gates.Gate,
    "expander": dynamics.Expander,
    "deesser": deesser.Deesser,
    "multiband": multiband.Multiband,
    "transient": transient.Transient,
    "limiter": limiting.Limiter,
    "saturation": saturation.Saturation,
    "delay": delay.Delay,
    "reverb": reverb.Reverb,
    "pan": levels.Pan,
    "width": levels.Width,
    "channels": levels.Channels,
    "mid_side": lambda sound, **values: MidSide(sound, build, **values),
    "fade": shaping.Fade,
    "trim": shaping.Trim,
    "resample": shaping.Resample,
    "dither": shaping.Dither,
}
"""By `type`; called with a Sound and the effect's values by name. `normalize` is none: it needs the whole sound (`split_at_normalize`)."""


SHAPERS: dict[str, Callable[..., Processor]] = {"trim": shaping.trim_start, "resample": shaping.Resample}
"""What moves the sound in time, for the keys that effects after it listen to."""


def build(sound: Sound, effects: Sequence[Values], keys: Keys | None = None, *, first: int = 1) -> Line:
    """The effects at work on this sound. `first` is the place in the chain, from 1, of the first of them, for refusals.

    Without `keys` the line can be asked for `out`, and run where nothing listens. Raises AudioRefused, with the effect's place and type,
    where an effect cannot be had on this sound (FrequencyAboveNyquist, StereoNeeded, EmptyAudio), and KeyError for a key that is not
    among `keys`.
    """
    placed: list[Placed] = []
    here = sound
    for number, effect in enumerate(effects, start=first):
        kind = effect["type"]
        values = {name: value for name, value in effect.items() if name != "type"}
        with _named(number, kind):
            processor = PROCESSORS[kind](here, **values)
        shaper = partial(SHAPERS[kind], **values) if kind in SHAPERS else None
        placed.append(Placed(kind, processor, values.get("sidechain"), shaper))
        here = processor.out
    line = Line(sound, placed)
    if keys is not None:
        line.listen_to(keys)
    return line


def split_at_normalize(effects: Sequence[Values]) -> list[tuple[tuple[Values, ...], Values | None]]:
    """The chain as lines, each with the `normalize` that follows it; after the last one, which may be empty, there is none."""
    found: list[tuple[tuple[Values, ...], Values | None]] = []
    run: list[Values] = []
    for effect in effects:
        if effect["type"] == "normalize":
            found.append((tuple(run), effect))
            run = []
        else:
            run.append(effect)
    return [*found, (tuple(run), None)]


@contextmanager
def _named(number: int, kind: str) -> Iterator[None]:
    """Refusals say which effect they are about."""
    try:
        yield
    except AudioRefused as refusal:
        raise type(refusal)(f"effect {number} ({kind}): {refusal.detail}") from refusal
