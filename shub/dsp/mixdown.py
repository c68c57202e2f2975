"""Stems to one stereo mix: each staged to its loudness, placed, summed over buses, and the sum brought to its target."""

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Any

from shub.dsp.ahead import ahead
from shub.dsp.analysis import Progress, analyze
from shub.dsp.console import BusTrack, Feed, factor, summed
from shub.dsp.decode import Limits, probe
from shub.dsp.effects.keying import KeyStream
from shub.dsp.effects.processor import Sound
from shub.dsp.effects.registry import build
from shub.dsp.encode import BitDepth, Dither
from shub.dsp.excerpts import Excerpt, Part, loudest_start, part_in
from shub.dsp.formats import LOSSY, Format, rate_for
from shub.dsp.lossy import Correction, Fitting
from shub.dsp.loudness_target import Levelled, Leveller, Write, shortfall_lu
from shub.dsp.meter import Loudness, Meter
from shub.dsp.part_writer import FileForm, PartWriter
from shub.dsp.refusals import EmptyAudio
from shub.dsp.scratch import Scratch
from shub.dsp.staging import Effects, Send, StagedStem, Stem, counted, named, stage
from shub.dsp.tracks import STEREO, ScratchTrack, Track, TrackKey

__all__ = ["Bus", "Mix", "MixOrder", "Send", "Stem", "mix_down"]

_EXACT = FileForm("wav", 32)
_STAGED, _SUMMED = 0.4, 0.6  # how far the work is by then


@dataclass(frozen=True)
class Bus:
    """A sum of stems and sends with a chain of its own."""

    name: str
    gain_db: float = 0.0
    chain: Effects = ()


@dataclass(frozen=True)
class MixOrder:
    """What to make. `rate_hz` None: the highest rate among the stems (or the highest that the format holds)."""

    stems: tuple[Stem, ...]
    target_lufs: float
    ceiling_dbtp: float
    container: Format
    bits: BitDepth
    rate_hz: int | None = None
    dither: Dither = "auto"
    bitrate_kbps: int | None = None
    buses: tuple[Bus, ...] = ()
    chain: Effects = ()
    """On the sum, before it is levelled."""
    keys: Mapping[str, int] = field(default_factory=dict)
    """Who is meant by the names that side-chains call: the number of a stem, or the number of stems and then that of a bus."""
    turns: tuple[int, ...] = ()
    """Those numbers, each after all that it listens to or is fed by; as they are counted, where nobody listens to anybody."""
    excerpt: Excerpt | None = None
    """Write only this part of it, which sounds as it does in the whole."""
    with_stems: bool = False
    """Write every stem that is heard, and every bus, to a file of its own."""


@dataclass(frozen=True)
class Mix:
    """What came out. `levelled` is of the whole; `loudness` was measured at the output: of the excerpt where there is one, after decoding
    where coding loses something. `files` are those of stems and buses, by the numbers of `MixOrder.keys`."""

    stems: tuple[StagedStem, ...]
    levelled: Levelled
    loudness: Loudness
    rate_hz: int
    frames: int
    applied: list[dict[str, Any]]
    bus_applied: list[list[dict[str, Any]]]
    part: Part | None
    files: dict[int, Path]


def mix_down(order: MixOrder, target: Path, scratch: Path, progress: Progress, limits: Limits | None = None) -> Mix:
    """Write the mix to `target`, its stems and buses (`with_stems`) beside it. `scratch` is how the files on the way are called, and more:
    12 bytes a frame of the sum, 8 of each stereo stem that has a chain; gone again when done.

    The same order gives the same bits, however many threads take part. Raises AudioRefused, with the name of the stem or the bus, for
    what cannot be used, and OSError when the disk is full.
    """
    with ExitStack() as stack:
        total = Scratch(scratch, len(STEREO))
        stack.callback(total.remove)
        threads = stack.enter_context(ThreadPoolExecutor(os.cpu_count() or 1))
        return _Mixing(order, target, total, progress, limits, stack, threads).run()


class _Mixing:
    """One mix while it is made."""

    def __init__(
        self,
        order: MixOrder,
        target: Path,
        total: Scratch,
        progress: Progress,
        limits: Limits | None,
        stack: ExitStack,
        threads: ThreadPoolExecutor,
    ) -> None:
        self._order, self._target, self._total, self._progress, self._limits = order, target, total, progress, limits
        self._stack, self._threads, self._rooms = stack, threads, count()
        self._rate = order.rate_hz or rate_for(order.container, max(self._rate_of(stem) for stem in order.stems))
        self._staged: dict[int, Future[StagedStem]] = {}
        self._kept: dict[int, Future[Track]] = {}
        self._buses: dict[int, BusTrack] = {}

    def run(self) -> Mix:
        order = self._order
        stems = self._stage()
        loudness, start_seconds, applied = self._sum()
        part = part_in(order.excerpt, start_seconds, self._total.frames, self._rate) if order.excerpt else None
        files = self._write_each(part) if order.with_stems else {}
        levelled, heard = self._level(loudness, part)
        self._progress(1.0)
        buses = [self._buses[number].applied() for number in self._bus_numbers()]
        frames = part.frames if part else self._total.frames
        return Mix(tuple(stems), levelled, heard, self._rate, frames, applied, buses, part, files)

    @property
    def names(self) -> Mapping[str, int]:
        return self._order.keys

    def _rate_of(self, stem: Stem) -> int:
        with named("stem", stem.name):
            return probe(stem.path, self._limits).sample_rate_hz

    def _bus_numbers(self) -> range:
        stems = len(self._order.stems)
        return range(stems, stems + len(self._order.buses))

    def _new_room(self, channels: int) -> Scratch:
        room = Scratch(self._total.path.with_name(f"{self._total.path.name}.{next(self._rooms)}"), channels)
        self._stack.callback(room.remove)
        return room

    def _stage(self) -> list[StagedStem]:
        """Every stem where it stands, and the buses that are heard more than once. Each has its turn in a thread; whom it listens to had
        one before, so nobody waits for ever."""
        order, keys, stems = self._order, _KeysOf(self), len(self._order.stems)
        often = set(self._bus_numbers()) if order.with_stems else set(order.keys.values()) & set(self._bus_numbers())
        parts, turn = dict.fromkeys((*range(stems), *often), 0.0), Lock()

        def tell(number: int, part: float) -> None:
            with turn:  # or one could be told after the next
                parts[number] = part
                self._progress(_STAGED * sum(parts.values()) / len(parts))

        for number in order.turns or range(stems + len(order.buses)):
            if number < stems:
                stem, room = order.stems[number], self._new_room
                work = partial(stage, stem, self._rate, keys, room, partial(tell, number), self._limits)
                self._staged[number] = self._threads.submit(work)
            elif number in often:
                self._kept[number] = self._threads.submit(self._keep, number, partial(tell, number))
        found = [self._staged[number].result() for number in range(stems)]
        for number in self._bus_numbers():
            if number in self._kept:
                self._kept[number].result()
            else:
                self._buses[number] = self._bus(number)
        return found

    def _keep(self, number: int, progress: Progress) -> Track:
        self._buses[number] = bus = self._bus(number)
        room = self._new_room(bus.sound.channels)
        for block in counted(bus.blocks(), bus.sound.frames, progress):
            room.write(block)
        return ScratchTrack(room, bus.sound)

    def _bus(self, number: int) -> BusTrack:
        bus = self._order.buses[number - len(self._order.stems)]
        feeds: list[Feed] = []
        for stem_number, stem in enumerate(self._order.stems):
            gains = [0.0] if stem.bus == bus.name else []
            gains += [send.gain_db for send in stem.sends if send.bus == bus.name]
            if gains and not stem.is_muted:  # whoever does not feed it may still be waiting for it
                feeds += [self._feed(stem_number).at(gain_db) for gain_db in gains]
        return BusTrack(bus.name, feeds, bus.chain, self._rate, _KeysOf(self))

    def _feed(self, number: int) -> Feed:
        """A stem or a bus where it stands."""
        if number < len(self._order.stems):
            staged = self._staged[number].result()
            return Feed.of(staged.track, self._order.stems[number].pan, staged.fader_db)
        bus = self._order.buses[number - len(self._order.stems)]
        track = self._kept[number].result() if number in self._kept else self._buses[number]
        return Feed.of(track, 0.0, bus.gain_db)

    def key(self, name: str) -> KeyStream:
        """What is meant by a name, after its chain and at its level; waits until it is there."""
        number = self._order.keys[name]
        if number < len(self._order.stems):
            staged = self._staged[number].result()
            return TrackKey(staged.track, factor(staged.fader_db))
        bus = self._order.buses[number - len(self._order.stems)]
        return TrackKey(self._kept[number].result(), factor(bus.gain_db))

    def _sum(self) -> tuple[Loudness, float, list[dict[str, Any]]]:
        """Write the sum after its chain; its reading, where it is loudest (0 where nobody asks), and what the chain did."""
        stems = self._order.stems
        direct = [number for number, stem in enumerate(stems) if not stem.is_muted and stem.bus is None]
        feeds = [self._feed(number) for number in (*self._bus_numbers(), *direct)]  # a bus is the longer work: first
        expected = max((feed.track.sound.frames or 0 for feed in feeds), default=0)
        with named("chain", "master"):
            line = build(Sound(self._rate, STEREO, expected), self._order.chain, _KeysOf(self))
        meter = Meter(self._rate, STEREO)
        for block in ahead(line.run(summed(feeds, self._threads))):
            self._total.write(block)
            meter.add(block)
            self._progress(_STAGED + (_SUMMED - _STAGED) * min(1.0, self._total.frames / max(1, expected)))
        if not self._total.frames:
            raise EmptyAudio("the mix has not one sample: all that is heard was cut away")
        asked = self._order.excerpt
        return meter.read(), loudest_start(meter.series(), asked.duration_seconds) if asked else 0.0, line.told()

    def _write_each(self, part: Part | None) -> dict[int, Path]:
        """Every stem that is heard and every bus as they stand in the mix, all as long as it is."""
        heard = [number for number, stem in enumerate(self._order.stems) if not stem.is_muted]
        numbers = [*heard, *self._bus_numbers()]
        paths = {number: self._target.with_name(f"{self._target.name}.{number}") for number in numbers}

        def write(number: int) -> None:
            with PartWriter(paths[number], _EXACT, self._rate, self._total.frames, part) as output:
                for block in summed([self._feed(number)]):
                    output.write(block)
                output.fill_up()

        list(self._threads.map(write, numbers))
        return paths

    def _level(self, loudness: Loudness, part: Part | None) -> tuple[Levelled, Loudness]:
        """Bring the sum to its loudness, into the target. An encoder that loses something moves peaks and takes highs: it is given what
        comes out of it as it was asked for."""
        order, fitting = self._order, Fitting(self._order.ceiling_dbtp)
        if order.container not in LOSSY:
            return self._level_to(loudness, part, Correction(), lambda done: done)
        while True:
            levelled, _ = self._level_to(loudness, part, fitting.correction, fitting.progress)
            heard = analyze(self._target, lambda _part: None).loudness
            if fitting.fits(heard, None if part or levelled.shortfall_lu else order.target_lufs):
                break
        if part is None:
            levelled = replace(levelled, shortfall_lu=shortfall_lu(order.target_lufs, heard))
        return levelled, heard

    def _level_to(
        self, loudness: Loudness, part: Part | None, aim: Correction, progress: Callable[[float], float]
    ) -> tuple[Levelled, Loudness]:
        order, outputs = self._order, list[PartWriter]()
        form = FileForm(order.container, order.bits, order.dither, order.bitrate_kbps)
        leveller = Leveller(
            self._total,
            self._rate,
            STEREO,
            loudness,
            target_lufs=order.target_lufs + aim.louder_lu,
            ceiling_dbtp=order.ceiling_dbtp - aim.lower_db,
            progress=lambda done: self._progress(_SUMMED + (1.0 - _SUMMED) * progress(done)),
        )
        with ExitStack() as stack:

            def start_writing() -> Write:
                stack.close()  # the file that was not good enough
                output = PartWriter(self._target, form, self._rate, self._total.frames, part)
                outputs.append(stack.enter_context(output))
                return output.write

            levelled = leveller.render(start_writing)
        return levelled, outputs[-1].read() or levelled.loudness


class _KeysOf(Mapping[str, KeyStream]):
    """Side-chains of a mix by the names that they are called; each look gives a new stream."""

    def __init__(self, mixing: _Mixing) -> None:
        self._mixing = mixing

    def __getitem__(self, name: str) -> KeyStream:
        return self._mixing.key(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._mixing.names)

    def __len__(self) -> int:
        return len(self._mixing.names)
