"""One file through a chain of effects into a new file."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from shub.dsp.ahead import ahead
from shub.dsp.analysis import Progress, analyze
from shub.dsp.decode import AudioInfo, AudioReader, Block, Limits
from shub.dsp.effects.processor import Sound
from shub.dsp.effects.registry import build, split_at_normalize
from shub.dsp.encode import AudioWriter, BitDepth, Dither
from shub.dsp.excerpts import Excerpt, Part, part_of
from shub.dsp.formats import LOSSY, Format, rate_for
from shub.dsp.keys import FileKey
from shub.dsp.kweighting import speakers_of
from shub.dsp.loudness_target import Leveller, Write
from shub.dsp.meter import Loudness, Meter
from shub.dsp.refusals import EmptyAudio
from shub.dsp.scratch import Scratch

Effect = Mapping[str, Any]
_HOLD_THE_PEAK = ("limiter", "normalize", "dither")
_BITS = {"PCM_U8": 8, "PCM_S8": 8, "PCM_16": 16, "PCM_24": 24}
LARGEST_PEAK_GAIN_DB = 144.0
"""The range of 24 bits: what lies lower is no sound that could be brought to a peak."""
_UNKNOWN_FRAMES = 4 * 3600 * 192_000


@dataclass(frozen=True)
class Output:
    """Into what kind of file. `rate_hz` None: the rate that comes out of the chain, where the format holds it."""

    container: Format
    bits: BitDepth
    dither: Dither = "auto"
    rate_hz: int | None = None
    bitrate_kbps: int | None = None


@dataclass(frozen=True)
class Rendering:
    """What to make. `keys` are the files whose level moves a gain, by the name that effects call them."""

    source: Path
    effects: tuple[Effect, ...]
    output: Output
    keys: Mapping[str, Path]
    excerpt: Excerpt | None = None


@dataclass(frozen=True)
class Rendered:
    """What came out, measured in the file that was written. `applied` tells what each effect did, `clipped_db` how far the highest sample
    stood above what the file holds: so much was cut off."""

    loudness: Loudness
    applied: list[dict[str, Any]]
    rate_hz: int
    channels: int
    frames: int
    clipped_db: float = 0.0


@dataclass(frozen=True)
class _Stream:
    """Sound on its way; `loudness` where it was measured already."""

    sound: Sound
    blocks: Iterator[Block]
    loudness: Loudness | None = None


def render(order: Rendering, target: Path, scratch: Path, progress: Progress, limits: Limits | None = None) -> Rendered:
    """Write the result to `target`. `scratch` is room for what `normalize` must hear whole, 9 bytes a sample, gone again when done.

    The source is read forward in blocks and never changed. Raises AudioRefused for a file or a chain that cannot be, OSError when the
    disk is full.
    """
    part = part_of(order.source, order.excerpt, limits) if order.excerpt else None
    with AudioReader(order.source, limits) as reader, ExitStack() as stack:
        info = reader.info
        effects = with_output_rate(order.effects, info.sample_rate_hz, order.output)
        parts = split_at_normalize(effects)
        steps = _Steps(progress, 1 + 2 * (len(parts) - 1))
        stream, applied, first = _read(reader, part), list[dict[str, Any]](), 1
        for inserts, normalize in parts:
            start = part.start_seconds if part else 0.0
            keys = {name: stack.enter_context(FileKey(path, start, limits)) for name, path in order.keys.items()}
            line = build(stream.sound, inserts, keys, first=first)
            stream = _Stream(line.out, line.run(stream.blocks), None if inserts else stream.loudness)
            first += len(inserts) + 1
            if normalize is None:
                rendered = _write(stream, order.output, info, target, steps, is_untouched=not effects)
                applied += line.told()
            else:
                room = scratch.with_name(f"{scratch.name}.{first}")
                stream, did = _normalized(stream, normalize, room, steps, stack)
                applied += [*line.told(), {"type": "normalize", **did}]
    if (
        order.output.container in LOSSY or rendered.clipped_db
    ):  # what listeners get is not what was given to the encoder
        rendered = replace(rendered, loudness=analyze(target, lambda _part: None).loudness)
    progress(1.0)
    return replace(rendered, applied=applied)


def with_output_rate(effects: tuple[Effect, ...], rate_hz: int, output: Output) -> tuple[Effect, ...]:
    """The chain with the conversion to the file's rate in it: before what holds the peaks at its end, for a conversion moves them."""
    for effect in effects:
        rate_hz = effect["sample_rate_hz"] if effect["type"] == "resample" else rate_hz
    wanted = output.rate_hz or rate_for(output.container, rate_hz)
    if wanted == rate_hz:
        return effects
    end = len(effects)
    while end and effects[end - 1]["type"] in _HOLD_THE_PEAK:
        end -= 1
    return (*effects[:end], {"type": "resample", "sample_rate_hz": wanted}, *effects[end:])


def _read(reader: AudioReader, part: Part | None) -> _Stream:
    info = reader.info
    speakers = speakers_of(info.channels, vorbis_order=info.has_vorbis_order)
    blocks = (block.copy() for block in reader.blocks())  # the reader uses its memory again, and we run ahead
    if part is None:
        return _Stream(Sound(info.sample_rate_hz, speakers, info.frames), blocks)
    return _Stream(Sound(info.sample_rate_hz, speakers, part.frames), part.cut(blocks))


def _normalized(
    stream: _Stream, normalize: Effect, room: Path, steps: "_Steps", stack: ExitStack
) -> tuple[_Stream, dict[str, float]]:
    """The stream at its target, and what that took. It has to be heard whole before."""
    sound = stream.sound
    whole = _room(room, sound, stack)
    measured = _keep(stream, whole, steps.next(sound.frames))
    if normalize["target_lufs"] is None:
        peak = measured.true_peak_dbtp
        gain_db = 0.0 if peak is None else min(LARGEST_PEAK_GAIN_DB, normalize["peak_dbtp"] - peak)
        factor = np.float32(10.0 ** (gain_db / 20.0))
        steps.next(None)
        return _Stream(sound, (block * factor for block in whole.blocks())), {"gain_db": gain_db}
    leveller = Leveller(
        whole,
        sound.rate_hz,
        sound.speakers,
        measured,
        target_lufs=normalize["target_lufs"],
        ceiling_dbtp=normalize["ceiling_dbtp"],
        progress=steps.next(None).tell,
    )
    made: list[Scratch] = []

    def start_writing() -> Write:
        for unwanted in made:
            unwanted.remove()
        made.append(_room(room.with_name(f"{room.name}.levelled.{len(made)}"), sound, stack))
        return made[-1].write

    levelled = leveller.render(start_writing)
    whole.remove()
    did = {
        "gain_db": levelled.gain_db,
        "max_reduction_db": levelled.max_reduction_db,
        "shortfall_lu": levelled.shortfall_lu,
    }
    return _Stream(replace(sound, frames=whole.frames), made[-1].blocks(), levelled.loudness), did


def _room(path: Path, sound: Sound, stack: ExitStack) -> Scratch:
    scratch = Scratch(path, sound.channels)
    stack.callback(scratch.remove)
    return scratch


def _keep(stream: _Stream, whole: Scratch, step: "_Step") -> Loudness:
    meter = Meter(stream.sound.rate_hz, stream.sound.speakers)
    for block in ahead(stream.blocks):
        whole.write(block)
        meter.add(block)
        step.done(whole.frames)
    _refuse_nothing(whole.frames)
    return meter.read()


def _write(
    stream: _Stream, output: Output, source: AudioInfo, target: Path, steps: "_Steps", *, is_untouched: bool
) -> Rendered:
    sound, step, frames = stream.sound, steps.next(stream.sound.frames), 0
    meter = Meter(sound.rate_hz, sound.speakers) if stream.loudness is None else None
    # What is not touched and keeps its bits has nothing to be rounded: it comes out as it went in.
    is_exact = is_untouched and _BITS.get(source.subtype, 64) <= output.bits
    with AudioWriter(
        target,
        output.container,
        sound.rate_hz,
        sound.channels,
        output.bits,
        frames=sound.frames or _UNKNOWN_FRAMES,
        dither="none" if output.dither == "auto" and is_exact else output.dither,
        bitrate_kbps=output.bitrate_kbps,
    ) as writer:
        for block in ahead(stream.blocks):
            if meter is not None:
                meter.add(block)
            writer.write(block)
            frames += len(block)
            step.done(frames)
    _refuse_nothing(frames)
    loudness = stream.loudness if meter is None else meter.read()
    assert loudness is not None
    holds_more = output.container == "wav" and output.bits == 32
    clipped_db = 0.0 if holds_more else max(0.0, loudness.sample_peak_dbfs or 0.0)
    return Rendered(loudness, [], sound.rate_hz, sound.channels, frames, clipped_db)


def _refuse_nothing(frames: int) -> None:
    if frames == 0:
        raise EmptyAudio("the chain leaves not one sample of it")


class _Steps:
    """Progress over several passes, each as long as the others."""

    def __init__(self, progress: Progress, count: int) -> None:
        self._progress, self._count, self._begun = progress, count, 0

    def next(self, frames: int | None) -> "_Step":
        self._begun += 1
        return _Step(self._progress, (self._begun - 1) / self._count, 1.0 / self._count, frames)


@dataclass(frozen=True)
class _Step:
    progress: Progress
    start: float
    share: float
    frames: int | None

    def tell(self, part: float) -> None:
        self.progress(self.start + self.share * min(1.0, part))

    def done(self, frames: int) -> None:
        if self.frames:
            self.tell(frames / self.frames)
