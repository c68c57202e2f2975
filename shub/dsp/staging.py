"""A stem on its way into a mix: to its level, through its chain, and to its level again.

The first gain makes the thresholds of the chain mean something, whatever the stem was recorded at; the second gives back what the chain
took or added, so that the stem stands where it was asked to.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shub.dsp.analysis import Progress
from shub.dsp.decode import AudioReader, Block, Limits
from shub.dsp.effects.keying import Keys
from shub.dsp.effects.registry import build
from shub.dsp.meter import Meter
from shub.dsp.panning import pan_matrix
from shub.dsp.refusals import AudioRefused
from shub.dsp.scratch import Scratch
from shub.dsp.tracks import STEREO, FileTrack, ScratchTrack, Track, folded, placed, speakers_in

LARGEST_STAGING_DB = 48.0
"""A stem quieter than that below its target is mostly noise; it is raised so far and no further, with a warning."""

_HEARD = 0.3  # how far a stem with a chain is when its loudness is known

Effects = tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Send:
    """A copy of a stem, placed and at its level, to the bus of that name."""

    bus: str
    gain_db: float = 0.0


@dataclass(frozen=True)
class Stem:
    """One file of the mix. `target_lufs` is where it is staged to before `gain_db`; both are relative, the sum is levelled after."""

    path: Path
    target_lufs: float
    gain_db: float = 0.0
    pan: float = 0.0
    name: str = ""
    """How the stem is called where it is refused."""
    chain: Effects = ()
    bus: str | None = None
    """Where it goes instead of to the master."""
    sends: tuple[Send, ...] = ()
    is_muted: bool = False
    """Not heard; a side-chain may listen to it all the same."""


@dataclass(frozen=True)
class StagedStem:
    """A stem where it stands. `integrated_lufs` is its own loudness (None: silence), `gain_db` the whole gain it got beside its chain."""

    track: Track
    integrated_lufs: float | None
    gain_db: float
    is_clamped: bool
    mixed_lufs: float | None
    """What it measures where it stands."""
    fader_db: float
    """The gain that `track` still needs, which has the rest in it already."""
    applied: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def named(what: str, name: str) -> Iterator[None]:
    """Refusals say which part of the mix they are about."""
    try:
        yield
    except AudioRefused as refusal:
        raise type(refusal)(f"{what} {name!r}: {refusal.detail}") from refusal


def stage(
    stem: Stem,
    rate_hz: int,
    keys: Keys,
    new_room: Callable[[int], Scratch],
    progress: Progress,
    limits: Limits | None = None,
) -> StagedStem:
    """The stem at its level. With a chain it is rendered, into a `new_room` of so many channels.

    Raises AudioRefused, with the stem's name, for a stem that cannot be used or a chain that cannot be had on it.
    """
    with named("stem", stem.name):
        track = FileTrack(stem.path, rate_hz, limits)
        heard = _HEARD if stem.chain else 1.0
        loudness = _loudness_of_file(stem, lambda part: progress(heard * part), limits)
        first, is_clamped = _gain_to(stem.target_lufs, loudness)
        if not stem.chain:
            mixed = None if loudness is None else loudness + first + stem.gain_db
            return StagedStem(track, loudness, first + stem.gain_db, is_clamped, mixed, first + stem.gain_db)
        # Numbered from 0, so that the first effect of the stem's own chain is called the first.
        line = build(track.sound, ({"type": "gain", "gain_db": first}, *stem.chain), keys, first=0)
        room, meter = new_room(line.out.channels), _Listener(line.out.rate_hz, line.out.speakers, stem.pan)
        blocks = counted(track.blocks(), track.sound.frames, lambda part: progress(heard + (1.0 - heard) * part))
        for block in line.run(blocks):
            room.write(block)
            meter.add(block)
        reading = meter.integrated_lufs()
        second, is_off = (0.0, False) if loudness is None else _gain_to(stem.target_lufs, reading)
        mixed = None if reading is None else reading + second + stem.gain_db
        return StagedStem(
            ScratchTrack(room, line.out),
            loudness,
            first + second + stem.gain_db,
            is_clamped or is_off,
            mixed,
            second + stem.gain_db,
            line.told()[1:],
        )


def counted(blocks: Iterable[Block], frames: int | None, progress: Progress) -> Iterator[Block]:
    """The same blocks; after each one is told how much of `frames` that was."""
    done = 0
    for block in blocks:
        yield block
        done += len(block)
        progress(min(1.0, done / max(1, frames or 1)))


def _loudness_of_file(stem: Stem, progress: Progress, limits: Limits | None) -> float | None:
    with AudioReader(stem.path, limits) as reader:
        speakers = speakers_in(reader.info)
        listener = _Listener(reader.info.sample_rate_hz, speakers if len(speakers) < 3 else STEREO, stem.pan)
        for block in folded(counted(reader.blocks(), reader.info.frames, progress), speakers):
            listener.add(block)
    return listener.integrated_lufs()


class _Listener:
    """Hears a stem as it will stand: placed. What is mono keeps its power at every place, so it is measured as it is."""

    def __init__(self, rate_hz: int, speakers: tuple[str, ...], pan: float) -> None:
        self._meter = Meter(rate_hz, speakers, peaks=False)
        self._matrix: NDArray[np.float64] | None = pan_matrix(speakers, pan) if len(speakers) > 1 and pan else None

    def add(self, block: Block) -> None:
        self._meter.add(block if self._matrix is None else placed(block, self._matrix))

    def integrated_lufs(self) -> float | None:
        return self._meter.integrated_lufs()


def _gain_to(target_lufs: float, loudness: float | None) -> tuple[float, bool]:
    """The gain in dB that leads there, and whether it would have been too much."""
    wanted = 0.0 if loudness is None else target_lufs - loudness
    gain = min(LARGEST_STAGING_DB, max(-LARGEST_STAGING_DB, wanted))
    return gain, gain != wanted
