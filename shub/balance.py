"""What an assistant proposes for a mix: places for the stems, and room for those that others cover. Pure: measurements in, proposal out.

The worker's process asks it too, so it knows roles by their names and effects as they are on the wire.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

PRIORITY: Final[Mapping[str, int]] = {
    "vocal": 0,
    "lead": 1,
    "snare": 2,
    "kick": 2,
    "bass": 3,
    "drums": 3,
    "guitar": 4,
    "piano": 4,
    "brass": 5,
    "keys": 5,
    "backing_vocal": 5,
    "strings": 6,
    "percussion": 6,
    "hats": 6,
    "other": 6,
    "pad": 7,
    "fx": 8,
}
"""Who gives way to whom: a larger number to a smaller one."""

IMPORTANT_HZ: Final[Mapping[str, tuple[tuple[float, float], ...]]] = {
    "vocal": ((1_000.0, 4_000.0), (200.0, 500.0)),
    "lead": ((800.0, 4_000.0),),
    "snare": ((160.0, 315.0), (2_000.0, 5_000.0)),
    "kick": ((50.0, 100.0), (2_500.0, 5_000.0)),
    "bass": ((63.0, 160.0), (630.0, 1_250.0)),
    "drums": ((50.0, 100.0), (2_500.0, 6_300.0)),
    "guitar": ((1_600.0, 4_000.0),),
    "piano": ((1_000.0, 3_150.0),),
}
"""Where each is told from the others: speech is understood between 1 and 4 kHz (ANSI S3.5, the bands of most importance); the rest is what
mixing texts give for body and for attack (R. Izhaki, Mixing Audio, "Equalizers")."""

LOW_CUT_HZ: Final[Mapping[str, float]] = {
    "vocal": 80.0,
    "backing_vocal": 100.0,
    "lead": 100.0,
    "guitar": 80.0,
    "keys": 80.0,
    "piano": 80.0,
    "strings": 80.0,
    "brass": 100.0,
    "snare": 100.0,
    "percussion": 100.0,
    "pad": 120.0,
    "fx": 100.0,
    "hats": 120.0,
}
LOW_END: Final = ("bass", "kick", "drums")
MOST_LOW_SHARE: Final = 0.25
"""What has more than this part of its energy under its low cut lives there, and keeps it."""

LARGEST_CUT_DB: Final = 4.0
SMALLEST_CUT_DB: Final = 1.0
ROOM_DB: Final = 3.0
"""A stem is covered where another is not at least so much softer in the same band."""
MOST_CUTS: Final = 3
MOST_PROPOSED: Final = MOST_CUTS + 1
"""Effects of one stem: its low cut too."""
CUT_Q: Final = 1.0
NARROWEST_OCTAVES: Final = 1.0
"""Cuts of one stem that lie nearer to each other than this are one."""

IN_THE_MIDDLE: Final = ("vocal", "lead", "kick", "snare", "bass", "drums")
WIDTHS: Final[Mapping[str, float]] = {
    "guitar": 0.6,
    "keys": 0.4,
    "piano": 0.35,
    "hats": 0.3,
    "percussion": 0.45,
    "backing_vocal": 0.5,
    "strings": 0.45,
    "brass": 0.4,
    "pad": 0.5,
    "fx": 0.6,
    "other": 0.3,
}
STEREO_SHARE: Final = 0.5
"""What is stereo has a width of its own: it is moved half as far."""


@dataclass(frozen=True)
class HeardStem:
    """A stem as it was asked for and measured. `thirds_db` are its levels by third octave (their centres in Hz), as it was recorded."""

    name: str
    role: str
    level_lufs: float
    """Where it will stand, with its `gain_db`."""
    integrated_lufs: float | None
    thirds_db: Mapping[float, float]
    centroid_hz: float | None
    is_stereo: bool = False
    is_placed: bool = False
    """The request says where."""
    has_low_cut: bool = False
    is_muted: bool = False


@dataclass(frozen=True)
class Reason:
    stem: str
    code: str
    text: str


@dataclass(frozen=True)
class Change:
    """What is proposed for one stem: its place (None: as it is), and effects to stand before those that it has."""

    pan: float | None
    effects: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Balance:
    """A change for each stem, in their order."""

    changes: tuple[Change, ...]
    reasons: tuple[Reason, ...]


def propose(stems: Sequence[HeardStem], *, pan: bool, masking: bool) -> Balance:
    """Places (`pan`) and room (`masking`) for the stems."""
    reasons: list[Reason] = []
    places = _places(stems, reasons) if pan else {}
    effects = _room(stems, reasons) if masking else {}
    changes = tuple(Change(places.get(number), tuple(effects.get(number, ()))) for number in range(len(stems)))
    return Balance(changes, tuple(reasons))


def _places(stems: Sequence[HeardStem], reasons: list[Reason]) -> dict[int, float]:
    """The foundation in the middle; the others in pairs of one role, then by turns, from dark to bright, so that both sides have both."""
    places: dict[int, float] = {}
    free = [number for number, stem in enumerate(stems) if not stem.is_placed and not stem.is_muted]
    for number in free:
        stem = stems[number]
        if stem.role in IN_THE_MIDDLE:
            places[number] = 0.0
            reasons.append(Reason(stem.name, "pan_center", f"{stem.role} carries the song: it stays in the middle"))
    rest = sorted(
        (number for number in free if number not in places),
        key=lambda number: (stems[number].role, stems[number].centroid_hz or 0.0, number),
    )
    singles: list[int] = []
    for _, group in groupby(rest, key=lambda number: stems[number].role):
        members = list(group)
        for pair in range(len(members) // 2):
            left, right = members[2 * pair], members[2 * pair + 1]
            reach = 0.75**pair  # the second pair of one role stands inside of the first
            for number, other, side in ((left, right, -1.0), (right, left, 1.0)):
                places[number] = _place(stems[number], side * reach)
                text = f"opposite to {stems[other].name}, the other {stems[number].role}"
                reasons.append(Reason(stems[number].name, "pan_pair", text))
        singles += members[2 * (len(members) // 2) :]
    singles.sort(key=lambda number: (stems[number].centroid_hz or 0.0, number))
    for turn, number in enumerate(singles):
        places[number] = _place(stems[number], 1.0 if turn % 2 else -1.0)
        where = "right" if places[number] > 0.0 else "left"
        text = f"{stems[number].role} leaves the middle to the voice and the rhythm; {where}, so that both sides weigh the same"
        reasons.append(Reason(stems[number].name, "pan_side", text))
    return places


def _place(stem: HeardStem, side: float) -> float:
    return round(side * WIDTHS.get(stem.role, WIDTHS["other"]) * (STEREO_SHARE if stem.is_stereo else 1.0), 2)


def _room(stems: Sequence[HeardStem], reasons: list[Reason]) -> dict[int, list[dict[str, Any]]]:
    effects: dict[int, list[dict[str, Any]]] = {}
    heard = [number for number, stem in enumerate(stems) if stem.integrated_lufs is not None and not stem.is_muted]
    has_low_end = any(stems[number].role in LOW_END for number in heard)
    for number in heard:
        stem = stems[number]
        if has_low_end and (low_cut := _low_cut(stem)) is not None:
            effects[number] = [{"type": "highpass", "freq_hz": low_cut, "slope_db_oct": 12}]
            text = f"below {low_cut:g} Hz {stem.role} only takes room from the low end"
            reasons.append(Reason(stem.name, "low_cut", text))
        cuts = list(_cuts(stem, [stems[other] for other in heard if _gives_way(stem, stems[other])]))
        for hertz, gain, covered in sorted(cuts):
            effects.setdefault(number, []).append({"type": "eq_peak", "freq_hz": hertz, "gain_db": -gain, "q": CUT_Q})
            text = f"it covers {covered} around {_hertz(hertz)}: {gain:g} dB less there"
            reasons.append(Reason(stem.name, "masking_cut", text))
    return effects


def _gives_way(stem: HeardStem, other: HeardStem) -> bool:
    return PRIORITY.get(stem.role, PRIORITY["other"]) > PRIORITY.get(other.role, PRIORITY["other"])


def _low_cut(stem: HeardStem) -> float | None:
    hertz = LOW_CUT_HZ.get(stem.role)
    if hertz is None or stem.has_low_cut:
        return None
    powers = {centre: 10.0 ** (level / 10.0) for centre, level in stem.thirds_db.items()}
    below = sum(power for centre, power in powers.items() if centre < hertz)
    return hertz if powers and below <= MOST_LOW_SHARE * sum(powers.values()) else None


def _cuts(stem: HeardStem, others: Sequence[HeardStem]) -> Iterator[tuple[float, float, str]]:
    """Frequency, decibels to take, and whom it is for: the deepest first, no two close together."""
    found = [cut for other in others for cut in _covered(stem, other)]
    taken: list[float] = []
    for hertz, gain, name in sorted(found, key=lambda cut: (-cut[1], cut[0], cut[2])):
        if all(abs(math.log2(hertz / near)) >= NARROWEST_OCTAVES for near in taken) and len(taken) < MOST_CUTS:
            taken.append(hertz)
            yield hertz, gain, name


def _covered(stem: HeardStem, other: HeardStem) -> Iterator[tuple[float, float, str]]:
    """Where `stem` covers what matters of `other`, both standing at their levels."""
    ours, theirs = _levels_in_the_mix(stem), _levels_in_the_mix(other)
    for low, high in IMPORTANT_HZ.get(other.role, ()):
        bands = [centre for centre in theirs if low <= centre <= high and centre in ours]
        theirs_power = sum(10.0 ** (theirs[centre] / 10.0) for centre in bands)
        if not bands or theirs_power < 0.01 * sum(10.0 ** (level / 10.0) for level in theirs.values()):
            continue  # it has next to nothing there itself
        ours_power = sum(10.0 ** (ours[centre] / 10.0) for centre in bands)
        if ours_power <= 0.0:
            continue
        excess = 10.0 * math.log10(ours_power / theirs_power) + ROOM_DB
        gain = min(LARGEST_CUT_DB, round(excess / 2.0, 1))
        if gain >= SMALLEST_CUT_DB:
            overlap = {centre: 10.0 ** (min(ours[centre], theirs[centre]) / 20.0) for centre in bands}
            middle = sum(math.log2(centre) * weight for centre, weight in overlap.items()) / sum(overlap.values())
            yield min(bands, key=lambda centre: abs(math.log2(centre) - middle)), gain, other.name


def _levels_in_the_mix(stem: HeardStem) -> dict[float, float]:
    offset = stem.level_lufs - (stem.integrated_lufs or 0.0)
    return {centre: level + offset for centre, level in stem.thirds_db.items()}


def _hertz(hertz: float) -> str:
    return f"{hertz / 1_000.0:g} kHz" if hertz >= 1_000.0 else f"{hertz:g} Hz"
