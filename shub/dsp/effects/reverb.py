"""Rooms: a network of eight delay lines that feed each other, after J.-M. Jot and A. Chaigne.

Source: "Digital delay networks for designing artificial reverberators", AES 90th Convention (1991). What comes out of the lines is mixed by
a Hadamard matrix, which loses nothing and makes every line an echo of all of them, and goes in again. Each line loses what it must by its
own length for the whole to fall by 60 dB in `decay_s`, and a one-pole low-pass in it makes high sounds fall sooner.
"""

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shub.dsp.compiled import compiled
from shub.dsp.decode import Block
from shub.dsp.effects.cascade import SILENCE, Cascade
from shub.dsp.effects.processor import Sound
from shub.dsp.effects.sections import below_nyquist, highpass

LINES: Final = 8
_TILE: Final = 64
TAIL: Final = 1.5
"""Of `decay_s`: by then the room has fallen by 90 dB."""
LEAST_DECAY_SECONDS: Final = 0.8
"""A room that decays in less is made smaller: some rounds through the lines must fit into its decay, or there is no even decay."""
LOWEST_HZ, HIGHEST_HZ = 100.0, 10_000.0
CHANNEL_SPREAD: Final = 0.083
"""How much later the early reflections come on every further channel, as a part of their time: no two channels have the same."""


@dataclass(frozen=True)
class Room:
    """The shape of a kind of room: the lengths of its lines, and its first reflections (ms, and gain of the first of equal power), which
    have `early` of the room's power."""

    lines_ms: tuple[float, ...]
    early_ms: tuple[float, ...]
    early: float


ROOMS: Final[dict[str, Room]] = {
    "room": Room((11.3, 13.7, 16.1, 18.9, 21.7, 24.3, 27.1, 30.7), (2.9, 5.3, 8.7, 11.9, 16.3, 21.1), 0.35),
    "chamber": Room((16.9, 19.3, 22.7, 26.3, 29.9, 33.7, 37.3, 41.9), (4.3, 7.9, 12.7, 17.1, 23.3, 29.9), 0.25),
    "hall": Room((29.3, 34.7, 39.1, 45.7, 51.1, 58.9, 65.3, 72.7), (11.3, 17.9, 24.1, 33.7, 43.9, 57.1), 0.2),
    "plate": Room((9.1, 11.9, 14.3, 17.9, 20.3, 23.9, 27.7, 31.3), (), 0.0),
}
"""Lengths without common divisors, from about the longest way through such a room to a third of it. A plate has no walls to reflect
early."""


class Reverb:
    """The sound times 1 - `wet` and its room times `wet`, each channel with a room of its own; the LFE has none and passes.

    `damping_hz` is where the decay takes half of `decay_s`; above the sound's own highest frequency it means no damping. Pink noise
    keeps its power in the room alone. The tail lasts until -90 dB.
    """

    def __init__(
        self,
        sound: Sound,
        *,
        kind: str,
        decay_s: float,
        predelay_ms: float,
        wet: float,
        damping_hz: float,
        lowcut_hz: float,
    ) -> None:
        rate, room = sound.rate_hz, ROOMS[kind]
        self._cut = Cascade(sound, highpass(rate, below_nyquist(sound, "lowcut_hz", lowcut_hz), 2))
        self._heard = np.array([place for place, speaker in enumerate(sound.speakers) if speaker != "LFE"], np.int64)
        self._wet = wet if len(self._heard) else 0.0
        size = min(1.0, decay_s / LEAST_DECAY_SECONDS)
        self._lengths = _primes([size * length / 1000.0 * rate for length in room.lines_ms])
        gains = np.asarray(10.0 ** (-3.0 * self._lengths / (rate * decay_s)), np.float64)
        poles = _poles(gains, 2 * math.pi * min(damping_hz / rate, 0.49))
        self._loss = np.stack([gains * (1.0 - poles) / math.sqrt(LINES), poles], axis=1)
        predelay = round(predelay_ms / 1000.0 * rate)
        self._delays, early = _early(room, size, len(self._heard), predelay, rate)
        self._history = int(self._delays.max())
        late = math.sqrt((1.0 - room.early) / _power(gains, poles, rate) * LINES / max(1, len(self._heard)))
        self._levels = np.array([late, early])
        self._past = np.zeros((len(self._heard), self._history), np.float32)
        self.rings = np.zeros((LINES, int(self._lengths.max())))
        self._places = np.zeros(LINES, np.int64)
        self.state = np.zeros(LINES)
        self._done = 0
        self._tail = predelay + round(TAIL * decay_s * rate) if self._wet else 0
        self.out = replace(sound, frames=None if sound.frames is None else sound.frames + self._tail)

    def process(self, block: Block, key: Block | None = None) -> Block:
        if self._wet == 0.0:
            return block
        heard = np.concatenate((self._past, self._cut.process(block)[:, self._heard].T), axis=1)
        made = block.copy()
        _reverberate(
            heard, made, self._heard, self._delays, self._levels, self._wet, self._lengths, self._loss, self.rings,
            self._places, self.state, self._done,
        )  # fmt: skip
        self._done = (self._done + len(block)) % _TILE
        self._past = heard[:, heard.shape[1] - self._history :].copy()
        return made

    def flush(self) -> Block:
        return self.process(np.zeros((self._tail, self.out.channels), np.float32))

    def told(self) -> dict[str, float]:
        return {"tail_seconds": self._tail / self.out.rate_hz}


def _poles(gains: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """Of one-pole low-passes that lose as much again at that angle as the gains take everywhere: there the decay takes half the time."""
    least = 1.0 - gains**2
    middle = 1.0 - gains**2 * math.cos(angle)
    return np.asarray(least / (middle + np.sqrt(middle**2 - least**2)))


def _power(gains: NDArray[np.float64], poles: NDArray[np.float64], rate_hz: int) -> float:
    """What the lines hold of pink noise of power 1 that goes on: each round is lessened alike, so all of them are a geometric series."""
    angles = 2.0 * math.pi * np.geomspace(LOWEST_HZ, min(HIGHEST_HZ, 0.45 * rate_hz), 64)[:, None] / rate_hz
    kept = ((gains * (1.0 - poles)) ** 2 / (1.0 - 2.0 * poles * np.cos(angles) + poles**2)).mean(axis=1)
    return float((kept / (1.0 - kept)).mean())


def _early(room: Room, size: float, channels: int, predelay: int, rate_hz: int) -> tuple[NDArray[np.int64], float]:
    """A row per channel: the delays, in frames, of the lines' input and of the reflections; and the reflections' gain."""
    times = np.array([0.0, *room.early_ms]) * size / 1000.0 * rate_hz
    spread = 1.0 + CHANNEL_SPREAD * np.arange(channels)
    delays = predelay + np.rint(np.outer(spread, times)).astype(np.int64)
    return delays.reshape(channels, -1), math.sqrt(room.early / max(1, len(room.early_ms)))


def _primes(at_least: list[float]) -> NDArray[np.int64]:
    """Different primes, each the next one from its length on, so that no two lines share a rhythm."""
    found: list[int] = []
    for length in at_least:
        number = max(_TILE, round(length), found[-1] + 1 if found else 0)
        while any(number % divisor == 0 for divisor in range(2, math.isqrt(number) + 1)):
            number += 1
        found.append(number)
    return np.array(found, np.int64)


@compiled
def _reverberate(
    heard: NDArray[np.float32],
    made: Block,
    speakers: NDArray[np.int64],
    delays: NDArray[np.int64],
    levels: NDArray[np.float64],
    wet: float,
    lengths: NDArray[np.int64],
    loss: NDArray[np.float64],
    rings: NDArray[np.float64],
    places: NDArray[np.int64],
    state: NDArray[np.float64],
    done: int,
) -> None:
    """`heard` has a row per channel: as many frames of the past as the longest delay has, then the block."""
    frames, channels = made.shape[0], heard.shape[0]
    history = heard.shape[1] - frames
    out = np.empty((LINES, _TILE))
    around = np.empty(_TILE)
    start = 0
    while start < frames:
        width = min(_TILE - (done + start) % _TILE, frames - start)
        for line in range(LINES):
            width = min(width, lengths[line] - places[line])
        _take(rings, places, loss, state, width, out)
        _mix(out, width)
        if (
            done + start + width
        ) % _TILE == 0:  # counted from the start of the sound: the cut into blocks leaves no trace
            for line in range(LINES):
                if abs(state[line]) < SILENCE:
                    state[line] = 0.0
        for line in range(LINES):
            channel = line % channels
            weight = 1.0 / np.sqrt(np.float64((LINES - 1 - channel) // channels + 1))
            weight = weight if line & 2 else -weight
            fed = heard[channel, history + start - delays[channel, 0] :]
            place, mixed = places[line], out[line]
            ring = rings[line, place:]  # cut out first: an index that may be negative is no vector code
            for i in range(width):
                value = mixed[i] + weight * np.float64(fed[i])
                ring[i] = value if abs(value) > SILENCE else 0.0
            places[line] = place + width if place + width < lengths[line] else 0
        for channel in range(channels):
            mixed = out[channel + 1]
            for i in range(width):
                around[i] = levels[0] * mixed[i]
            for tap in range(1, delays.shape[1]):
                # Every second reflection comes from the other side.
                source = (channel + tap) % channels
                level = levels[1] if tap & 2 else -levels[1]
                reflected = heard[source, history + start - delays[channel, tap] :]
                for i in range(width):
                    around[i] += level * np.float64(reflected[i])
            sound = made[start:, speakers[channel]]
            for i in range(width):
                sound[i] = np.float32((1.0 - wet) * np.float64(sound[i]) + wet * around[i])
        start += width


@compiled
def _take(
    rings: NDArray[np.float64],
    places: NDArray[np.int64],
    loss: NDArray[np.float64],
    state: NDArray[np.float64],
    width: int,
    out: NDArray[np.float64],
) -> None:
    """What comes out of the lines, lessened and dulled."""
    for half in range(0, LINES, 4):  # four at once: one alone would wait for its own last sample
        r0, r1, r2, r3 = (
            rings[half, places[half] :],
            rings[half + 1, places[half + 1] :],
            rings[half + 2, places[half + 2] :],
            rings[half + 3, places[half + 3] :],
        )
        k0, k1, k2, k3 = loss[half, 0], loss[half + 1, 0], loss[half + 2, 0], loss[half + 3, 0]
        p0, p1, p2, p3 = loss[half, 1], loss[half + 1, 1], loss[half + 2, 1], loss[half + 3, 1]
        s0, s1, s2, s3 = state[half], state[half + 1], state[half + 2], state[half + 3]
        for i in range(width):
            s0, s1 = k0 * r0[i] + p0 * s0, k1 * r1[i] + p1 * s1
            s2, s3 = k2 * r2[i] + p2 * s2, k3 * r3[i] + p3 * s3
            out[half, i], out[half + 1, i], out[half + 2, i], out[half + 3, i] = s0, s1, s2, s3
        state[half], state[half + 1], state[half + 2], state[half + 3] = s0, s1, s2, s3


@compiled
def _mix(out: NDArray[np.float64], width: int) -> None:
    """Times the Hadamard matrix of 8 (its scale is in the losses), by three rounds of sums and differences."""
    for i in range(width):
        a, b, c, d = out[0, i], out[1, i], out[2, i], out[3, i]
        e, f, g, h = out[4, i], out[5, i], out[6, i], out[7, i]
        a, b, c, d, e, f, g, h = a + e, b + f, c + g, d + h, a - e, b - f, c - g, d - h
        a, b, c, d, e, f, g, h = a + c, b + d, a - c, b - d, e + g, f + h, e - g, f - h
        out[0, i], out[1, i], out[2, i], out[3, i] = a + b, a - b, c + d, c - d
        out[4, i], out[5, i], out[6, i], out[7, i] = e + f, e - f, g + h, g - h
