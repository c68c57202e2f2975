"""Every number of a clause to the effect that it is for; what none of them takes is kept by the name of what it is."""

import math
from typing import Any

from shub.language.clause import Clause
from shub.language.scanning import Item
from shub.language.sound.choices import bell_q
from shub.language.sound.directions import LOWER_VERBS, RAISE_VERBS
from shub.language.sound.draft import EQ, Draft, Sound
from shub.language.sound.frequencies import hertz_of
from shub.language.sound.keys import key_of
from shub.language.words import Token


def give_numbers(clause: Clause, drafts: list[Draft], sound: Sound, tokens: list[Token]) -> None:
    ranges: list[Item] = []
    for item in clause.numbers:
        quantity = item.quantity
        assert quantity is not None
        if quantity.unit in ("hz", "khz") and _range_mate(item, clause):
            ranges.append(item)
            continue
        label = item.label
        ordered = sorted(drafts, key=lambda draft: (draft.at > item.at, -draft.at if draft.at <= item.at else draft.at))
        taken = False
        for draft in ordered:
            got = key_of(draft, label, item, clause)
            if got is not None and got[0] not in draft.said:
                draft.values[got[0]] = got[1]
                draft.said.add(got[0])
                taken = True
                break
        if not taken and _is_pair(item, clause, drafts):
            twin = _another(drafts, item, clause)
            got = key_of(twin, label, item, clause)
            if got is not None:
                twin.values[got[0]] = got[1]
                twin.said.add(got[0])
                drafts.append(twin)
                taken = True
        if not taken:
            keep(sound, label, item)
    if ranges:
        _give_range(ranges, drafts, sound)
    _give_beats(clause, drafts, sound)


def free_name(name: str, value: float, params: dict[str, Any]) -> str:
    """The name, or where another value has it the next one: `value`, `value_2`, `value_3`."""
    free, number = name, 2
    while free in params and params[free] != value:
        free, number = f"{name}_{number}", number + 1
    return free


def keep(sound: Sound, label: str, item: Item) -> None:
    """Keep a number that nothing takes, by the name of what it is."""
    name, value = named(label, item)
    name = free_name(name, value, sound.params)
    sound.params[name] = value
    if name not in ("tempo_bpm", "stem_count"):
        sound.unused.append(item.text)


def named(label: str, item: Item) -> tuple[str, float]:
    """A number by the name and in the unit that this service would give it."""
    quantity = item.quantity
    assert quantity is not None
    value, unit = quantity.value, quantity.unit
    units = {
        "db": ("gain_db", 1.0), "dbtp": ("ceiling_dbtp", 1.0), "lufs": ("target_lufs", 1.0), "lu": ("loudness_lu", 1.0),
        "hz": ("freq_hz", 1.0),
        "khz": ("freq_hz", 1000.0), "ms": ("time_ms", 1.0), "s": ("seconds", 1.0), "min": ("seconds", 60.0), "%": ("percent", 1.0),
        "bit": ("bit_depth", 1.0), "bpm": ("tempo_bpm", 1.0), "kbps": ("bitrate_kbps", 1.0), ":1": ("ratio", 1.0), "st": ("semitones", 1.0),
        "cent": ("cents", 1.0), "oct": ("octaves", 1.0), "deg": ("degrees", 1.0), "count": ("count", 1.0), "db/oct": ("slope_db_oct", 1.0),
        "beat": ("bars", 1.0), "x": ("factor", 1.0), "pan_l": ("pan", -0.01), "pan_r": ("pan", 0.01), "pan_c": ("pan", 0.0),
    }  # fmt: skip
    labels = {
        "tempo": "tempo_bpm",
        "quality": "bitrate_kbps",
        "bits": "bit_depth",
        "q": "q",
        "loudness": "target_lufs",
        "ceiling": "ceiling_dbtp",
    }
    if unit == "" and label in labels:
        return labels[label], value
    if label in ("threshold", "makeup", "reduction", "sustain", "drive") and unit in ("db", ""):
        return {"reduction": "gain_reduction_db"}.get(label, f"{label}_db"), value
    if label in ("attack", "release", "hold", "lookahead", "predelay") and unit in ("ms", "s", ""):
        return f"{label}_ms", value * (1000.0 if unit == "s" else 1.0)
    name, factor = units.get(unit, (label or "value", 1.0))
    return name, round(value * factor, 9)


def _range_mate(item: Item, clause: Clause) -> bool:
    """Whether a frequency is one end of a range."""
    items = clause.numbers
    index = items.index(item)
    quantity = item.quantity
    if quantity is not None and quantity.is_range_end:
        return True
    following = items[index + 1].quantity if index + 1 < len(items) else None
    return following is not None and following.is_range_end and items[index + 1].at - item.until <= 2


def _give_range(ends: list[Item], drafts: list[Draft], sound: Sound) -> None:
    found = sorted(value for item in ends if (value := hertz_of(item)) is not None)
    low, high = found[0], found[-1]
    sound.params |= {"low_hz": low, "high_hz": high}
    if high <= low or low <= 0:
        return
    for draft in drafts:
        if draft.type in EQ and "freq_hz" not in draft.said:
            draft.type = "eq_peak"
            draft.values |= {"freq_hz": round(math.sqrt(low * high), 1), "q": bell_q(low, high)}
            draft.is_quick = False
            return
        if draft.type == "telephone":
            draft.values |= {"low_hz": low, "high_hz": high}
            return
        if draft.type == "multiband" and "crossovers_hz" not in draft.values:
            draft.values["crossovers_hz"] = [low, high]
            return


def _give_beats(clause: Clause, drafts: list[Draft], sound: Sound) -> None:
    """A delay of a note's length at a tempo."""
    beats = [float(item["beat"]) for item in clause.items if "beat" in item.tags]
    tempo = sound.params.get("tempo_bpm")
    for draft in drafts:
        if draft.type == "delay" and "time_ms" not in draft.said and tempo:
            draft.values["time_ms"] = round(60_000.0 / tempo * (beats[0] if beats else 1.0), 3)
            draft.said.add("time_ms")
        elif draft.type == "delay" and beats and "time_ms" not in draft.said:
            sound.params["note_beats"] = beats[0]


def _is_pair(item: Item, clause: Clause, drafts: list[Draft]) -> bool:
    """A second frequency or gain in the same breath: another band of the same equalizer."""
    return "pair" in item.tags or (
        any(draft.type in EQ for draft in drafts)
        and (hertz_of(item) is not None or (item.quantity is not None and item.quantity.unit in ("db",)))
    )


def _another(drafts: list[Draft], item: Item, clause: Clause) -> Draft:
    bells = [draft for draft in drafts if draft.type in EQ]
    verbs = [one["verb"] for one in clause.items if "verb" in one.tags and one.at < item.at]
    usual = bells[-1].sign if bells else 1
    sign = -1 if verbs and verbs[-1] in LOWER_VERBS else 1 if verbs and verbs[-1] in RAISE_VERBS else usual
    return Draft("eq_peak", item.at, sign=sign, is_quick=True)
