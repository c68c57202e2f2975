"""From a clause to effects: what was said with its numbers, and choices for what was not.

The choices are the usual starting points of the textbooks (B. Owsinski, The Mixing Engineer's Handbook; R. Izhaki, Mixing Audio; M. Senior,
Mixing Secrets for the Small Studio): a de-esser for a voice at 6.5 kHz, mud between 200 and 500 Hz, a voice at 3:1.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter, ValidationError

from config.contracts.effects import Effect
from shub.language.clauses import Clause
from shub.language.descriptors import DESCRIPTORS, Word
from shub.language.scanning import Item
from shub.language.vocabulary import BANDS
from shub.language.words import Token, words_of

WORDS: Mapping[str, Word] = {word.term: word for word in DESCRIPTORS}
_EFFECT: TypeAdapter[Any] = TypeAdapter(Effect)

LITTLE_DB, USUAL_DB, MUCH_DB = 1.5, 3.0, 4.5
LOWER_VERBS = words_of("lower cut remove tame duck close narrow fix limit")
RAISE_VERBS = frozenset({"raise", "boost", "add", "give"})
VERB_EFFECTS: Mapping[str, str] = {
    "compress": "compressor", "limit": "limiter", "gate": "gate", "deess": "deesser", "saturate": "saturation", "highpass": "highpass",
    "lowpass": "lowpass", "widen": "width", "narrow": "narrow", "fade": "fade", "duck": "sidechain", "reverberate": "reverb",
    "resample": "resample", "filter": "filter", "equalize": "eq", "close": "filter",
}  # fmt: skip
FAULTS = frozenset({"hum", "noise", "rumble", "plosive", "mud_room"})
LONG_EFFECTS = frozenset({"reverb", "delay"})
EQ = frozenset({"eq_peak", "eq_low_shelf", "eq_high_shelf"})

COMPRESSORS: Mapping[str, dict[str, float]] = {
    "vocal": {"threshold_db": -20.0, "ratio": 3.0, "attack_ms": 8.0, "release_ms": 100.0},
    "backing_vocal": {"threshold_db": -22.0, "ratio": 4.0, "attack_ms": 8.0, "release_ms": 120.0},
    "drums": {"threshold_db": -18.0, "ratio": 4.0, "attack_ms": 20.0, "release_ms": 120.0},
    "kick": {"threshold_db": -16.0, "ratio": 4.0, "attack_ms": 25.0, "release_ms": 100.0},
    "snare": {"threshold_db": -16.0, "ratio": 4.0, "attack_ms": 15.0, "release_ms": 100.0},
    "bass": {"threshold_db": -20.0, "ratio": 4.0, "attack_ms": 25.0, "release_ms": 150.0},
    "guitar": {"threshold_db": -18.0, "ratio": 3.0, "attack_ms": 15.0, "release_ms": 120.0},
    "master": {"threshold_db": -14.0, "ratio": 2.0, "attack_ms": 30.0, "release_ms": 200.0},
}
HIGHPASSES_HZ: Mapping[str, float] = {
    "vocal": 90.0, "backing_vocal": 150.0, "guitar": 100.0, "keys": 120.0, "piano": 60.0, "strings": 120.0, "brass": 120.0, "pad": 150.0,
    "snare": 100.0, "hats": 300.0, "percussion": 150.0, "kick": 30.0, "bass": 35.0, "drums": 40.0,
    "master": 30.0, "lead": 120.0, "fx": 150.0,
}  # fmt: skip
REVERBS: Mapping[str, dict[str, Any]] = {
    "vocal": {"kind": "plate", "decay_s": 1.6, "predelay_ms": 30.0, "wet": 0.18},
    "snare": {"kind": "plate", "decay_s": 1.2, "predelay_ms": 10.0, "wet": 0.18},
    "drums": {"kind": "room", "decay_s": 0.8, "predelay_ms": 5.0, "wet": 0.15},
    "kick": {"kind": "room", "decay_s": 0.4, "predelay_ms": 0.0, "wet": 0.08, "lowcut_hz": 250.0},
    "bass": {"kind": "room", "decay_s": 0.5, "predelay_ms": 0.0, "wet": 0.08, "lowcut_hz": 250.0},
}


@dataclass(slots=True)
class Draft:
    """An effect in the making. `said` are the keys that the speaker gave; `sign` is that of a gain without one."""

    type: str
    at: int
    values: dict[str, Any] = field(default_factory=dict)
    said: set[str] = field(default_factory=set)
    sign: int = 1
    is_quick: bool = False
    """An equalizer that stands for a frequency alone; it may still become a filter or a shelf."""


@dataclass(slots=True)
class Sound:
    """Effects, and the numbers that none of them took, by the name of what they are."""

    effects: list[dict[str, Any]] = field(default_factory=list)
    params: dict[str, Any] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)
    unavailable: list[str] = field(default_factory=list)


def amount_of(clause: Clause, near: Item | None = None) -> float:
    """How much, as a factor of the usual: by adverbs near the word, else anywhere in the clause."""
    places = [item for item in clause.items if item.is_a("place", "slightly", "strongly")]
    if near is not None:
        close = [item for item in places if 0 <= near.at - item.until <= 3 or 0 <= item.at - near.until <= 1]
        places = close or places
    if not places:
        return 1.5 if any(item.text in ("fuerte", "hard") for item in clause.items) else 1.0
    return 0.5 if places[0]["place"] == "slightly" else 1.5


def direction_of(clause: Clause, item: Item) -> int:
    """1 for more of it, -1 for less, by the nearest word before it that says so, else by the verb."""
    for other in reversed([one for one in clause.items if one.until <= item.at and item.at - one.until <= 3]):
        if other.is_a("place", "less", "too"):
            return -1
        if other.is_a("place", "more"):
            return 1
        if "word" in other.tags or "band" in other.tags or "target" in other.tags:
            break
    for other in clause.items:
        if item.until <= other.at <= item.until + 1 and other.is_a("place", "down", "behind"):
            return -1
    before = [one for one in clause.items if one.at < item.at and "verb" in one.tags]
    verbs = [one["verb"] for one in reversed(before)] or clause.verbs
    for verb in verbs:
        if verb in LOWER_VERBS:
            return -1
        if verb in RAISE_VERBS or verb in ("make", "put"):
            return 1
    if clause.has("place", "down") and not clause.has("place", "up"):
        return -1
    return 0


def sound_of(clause: Clause, tokens: list[Token]) -> Sound:
    """The effects of a clause that asks for some, and what of its numbers no effect takes."""
    target = clause.targets[0] if clause.targets else "master"
    drafts, unavailable = _drafts(clause, target)
    _edges(clause, drafts, tokens)
    sound = Sound(unavailable=unavailable)
    _give_numbers(clause, drafts, sound, tokens)
    for draft in drafts:
        _complete(draft, clause, target)
    wrapped = _in_mid_side(drafts, clause)
    for draft in wrapped:
        effect = _checked(draft, sound)
        if effect is not None:
            sound.effects.append(effect)
    return sound


# ---------------------------------------------------------------------------------------------------------------- drafts
def _drafts(clause: Clause, target: str) -> tuple[list[Draft], list[str]]:
    drafts: list[Draft] = []
    unavailable: list[str] = []
    for item in clause.items:
        if "stem" in item.tags:
            continue
        if "effect" in item.tags and not _is_other_thing(clause, item):
            draft = _of_effect(clause, item, target, drafts)
            if item["effect"] == "unavailable":
                unavailable.append(item.text)
            if draft is not None:
                drafts.append(draft)
        elif "word" in item.tags and not _word_is_other_thing(clause, item):
            drafts.append(_of_word(clause, item, target))
        elif "band" in item.tags:
            drafts.append(_of_band(clause, item, target))
        elif item["verb"] in VERB_EFFECTS:
            draft = _of_effect(clause, item, target, drafts, VERB_EFFECTS[item["verb"]])
            if draft is not None:
                drafts.append(draft)
    if (
        not drafts and not clause.numbers and clause.said("tame")
    ):  # "controla la voz" is its level, "suaviza" its harshness
        is_level = any(item.text.startswith(("control", "conten", "contien", "dom", "amans")) for item in clause.items)
        smooth = {"freq_hz": 3_200.0, "gain_db": -_gain(amount_of(clause)), "q": 0.8}
        drafts.append(Draft("compressor", 0) if is_level else Draft("eq_peak", 0, smooth, sign=-1))
    if not drafts and (implied := implied_effect(clause)):
        drafts.append(Draft(implied, clause.items[0].at))
    has_hertz = [item for item in clause.numbers if is_hertz(item, clause)]
    if has_hertz and not any(_takes_hertz(draft) for draft in drafts):
        at = clause.items[0].at
        direction = _verb_sign(clause)
        drafts = [draft for draft in drafts if draft.type not in ("filter", "eq_peak") or draft.values]
        drafts.append(Draft("eq_peak", at, sign=direction, is_quick=True))
    named = [draft for draft in drafts if draft.type in LONG_EFFECTS]
    for draft in named:  # "reverb plate" is one
        twins = [
            other
            for other in drafts
            if other is not draft and other.type == draft.type and abs(other.at - draft.at) <= 3
        ]
        for twin in twins:
            draft.values = {**draft.values, **twin.values}
            drafts = [one for one in drafts if one is not twin]
        if twins:
            break
    return _without_doubles(drafts), unavailable


_OF_PARAM = {
    "threshold": "compressor", "ratio": "compressor", "attack": "compressor", "release": "compressor", "knee": "compressor",
    "makeup": "compressor", "reduction": "compressor", "predelay": "reverb", "decay": "reverb", "feedback": "delay",
    "ceiling": "limiter", "lookahead": "limiter", "drive": "saturation",
}  # fmt: skip


def implied_effect(clause: Clause) -> str:
    """The effect that a parameter with a number speaks of where none was named: "el ratio a 6:1"; "" for none."""
    for item in clause.numbers:
        if item.label in _OF_PARAM:
            return _OF_PARAM[item.label]
        if item.quantity is not None and item.quantity.unit == ":1":
            return "compressor"
    return ""


def _without_doubles(drafts: list[Draft]) -> list[Draft]:
    """A filter, a compressor, a gate that is named twice in a clause ("comprime con un compresor") is one."""
    kept: list[Draft] = []
    for draft in drafts:
        twin = next(
            (one for one in kept if one.type == draft.type and one.type not in EQ and one.type != "notch"), None
        )
        if twin is None:
            kept.append(draft)
        else:
            twin.values = {**twin.values, **draft.values}
    bells = [draft for draft in kept if draft.type in EQ and (draft.is_quick or not draft.values)]
    placed = [draft for draft in kept if draft.type in EQ and draft.values and not draft.is_quick]
    if bells and placed:
        for bell in bells:  # "sube los agudos con un shelf": the word places it
            placed[0].type = bell.type if bell.type != "eq_peak" else placed[0].type
            kept.remove(bell)
    return kept


def _is_other_thing(clause: Clause, item: Item) -> bool:
    """An effect's name that means something else here: a room in which it was recorded, a level, a tape."""
    value = item["effect"]
    if "target" in item.tags and item["target"] not in ("lead",):
        return value not in ("compressor",)
    if value in ("room", "hall", "chamber", "plate") and not clause.has("effect", "reverb"):
        return item.text in ("sala", "habitacion", "cuarto", "placa", "camara", "room", "church", "iglesia") and not (
            clause.said("add", "give", "put", "make", "want", "move") or not clause.verbs
        )
    if value == "stereo":
        return True
    if value == "width" and item.text in ("estereo", "imagen", "ancho"):
        return not clause.said("widen", "narrow", "raise", "lower", "give", "boost", "make", "add", "cut")
    if value == "trim":
        return bool(clause.has("effect", "reverb", "delay", "fade_in", "fade_out")) or not clause.said("remove", "cut")
    if value == "fade" and clause.has("effect", "fade_in", "fade_out"):
        return True
    if value == "sidechain" and clause.said("duck") and "verb" in item.tags:
        return False
    return value in ("volume", "pan", "normalize", "resample", "dither") and True


def _word_is_other_thing(clause: Clause, item: Item) -> bool:
    """A word for a sound that means something else here: "control" the verb, "solid" the ground, what a complaint only mentions."""
    if item["verb"] in ("tame", "compress") and item["word"] in ("tight", "glued"):
        return item["word"] == "tight"
    if "param" in item.tags:
        following = [
            one
            for one in clause.items
            if one.at >= item.until and one.quantity is not None and one.at - item.until <= 3
        ]
        preceding = [one for one in clause.items if one.quantity is not None and 0 <= item.at - one.until <= 1]
        return bool(following or preceding) and (clause.has("effect") or item["param"] in ("wet", "sustain"))
    if item["word"] == "dry" and clause.has("effect", "reverb"):
        return True
    return "special" in item.tags and item["special"] in ("quiet_complaint", "loud_complaint", "louder", "softer")


def _of_effect(clause: Clause, item: Item, target: str, drafts: list[Draft], named: str = "") -> Draft | None:
    value = named or item["effect"]
    amount = amount_of(clause, item)
    at = item.at
    if value in FAULTS:
        return _of_fault(value, at, item)
    match value:
        case "compressor" | "sidechain":
            return Draft("compressor", at, {"sidechain": ""} if value == "sidechain" else {})
        case "parallel":
            return Draft("compressor", at, {"mix": 0.5})
        case "tape" | "tube":
            return Draft("saturation", at, {"kind": value})
        case "distortion":
            return Draft("saturation", at, {"kind": "soft_clip", "drive_db": 12.0 * amount})
        case "room" | "hall" | "plate" | "chamber":
            return Draft("reverb", at, {"kind": value})
        case "pingpong":
            return Draft("delay", at, {"ping_pong": True})
        case "delay" if item.text.startswith("slap"):
            return Draft("delay", at, {"time_ms": 100.0, "feedback": 0.1})
        case "shelf":
            return Draft("eq_shelf", at, sign=_verb_sign(clause))
        case "low_shelf" | "high_shelf":
            return Draft(f"eq_{value}", at, sign=_verb_sign(clause))
        case "eq":
            return Draft("eq_peak", at, sign=_verb_sign(clause), is_quick=True) if clause.numbers else None
        case "filter":
            return Draft("filter", at)
        case "lowpass" if item.text in ("filtro", "filter"):
            return Draft("filter", at)
        case "narrow":
            return Draft("width", at, {"width": 0.6})
        case "mono":
            return Draft("mono", at)
        case "fade_in" | "fade_out":
            return Draft("fade", at, {"in_seconds" if value == "fade_in" else "out_seconds": None})
        case "width":
            direction = direction_of(clause, item)
            return Draft(
                "width",
                at,
                {"width": 1 + 0.3 * amount * (direction or 1) if direction >= 0 else 0.6},
                sign=direction or 1,
            )
        case "transient":
            return Draft("transient", at, sign=direction_of(clause, item) or 1)
        case "sides" | "middle" | "mid_side" | "unavailable" | "dither" | "normalize" | "stereo" | "volume" | "pan":
            return None
    return Draft(value, at)


def _of_fault(value: str, at: int, item: Item) -> Draft:
    match value:
        case "hum":
            return Draft("notch", at, {"freq_hz": 50.0, "q": 30.0})
        case "rumble":
            return Draft("highpass", at, {"freq_hz": 60.0})
        case "plosive":
            return Draft("highpass", at, {"freq_hz": 100.0, "slope_db_oct": 24})
        case "mud_room":
            return Draft("transient", at, {"sustain_db": -6.0})
    return Draft("expander", at, {"threshold_db": -50.0, "ratio": 2.0, "range_db": 20.0})


def _of_word(clause: Clause, item: Item, target: str) -> Draft:
    word = WORDS[item["word"]]
    amount = amount_of(clause, item)
    direction = word_direction(clause, item, word)
    sign = word.sign * direction
    gain = sign * _gain(amount)
    at = item.at
    match word.means:
        case "deesser":
            return Draft(
                "deesser", at, {"freq_hz": 6_500.0 if target != "hats" else 8_000.0, "max_reduction_db": 6.0 * amount}
            )
        case "low_shelf" | "high_shelf":
            return Draft(f"eq_{word.means}", at, {"freq_hz": word.centre_hz, "gain_db": gain}, sign=sign)
        case "attack" | "sustain":
            return Draft("transient", at, {f"{word.means}_db": gain * 1.5}, sign=sign)
        case "compress":
            values = {"ratio": 2.0, "attack_ms": 30.0, "release_ms": 200.0} if word.term == "glued" else {}
            return Draft(
                "compressor" if direction > 0 else "expander",
                at,
                values if direction > 0 else {"ratio": 1.5, "threshold_db": -30.0},
            )
        case "saturate":
            if direction > 0:
                return Draft(
                    "saturation", at, {"kind": "tape" if word.term == "analog" else "tube", "drive_db": 6.0 * amount}
                )
            return Draft("eq_peak", at, {"freq_hz": 300.0, "gain_db": -_gain(amount), "q": 1.0}, sign=-1)
        case "reverb" | "dry":
            wet = (0.25 if sign > 0 else 0.08) if word.means == "reverb" else (0.06 if sign > 0 else 0.25)
            return Draft("reverb", at, {"wet": min(wet * (amount if wet > 0.1 else 1.0), 0.6)})
        case "width":
            return Draft("width", at, {"width": round(1 + 0.3 * amount, 3) if sign > 0 else round(1 - 0.4 * amount, 3)})
        case "gate":
            return _of_fault("noise", at, item)
        case "telephone":
            return Draft("telephone", at)
    low, high = word.low_hz or 200.0, word.high_hz or 500.0
    if low >= 6_000.0:
        return Draft(
            "eq_high_shelf", at, {"freq_hz": 12_000.0 if low >= 10_000.0 else 8_000.0, "gain_db": gain}, sign=sign
        )
    centre = word.centre_hz or round(math.sqrt(low * high), 0)
    return Draft("eq_peak", at, {"freq_hz": centre, "gain_db": gain, "q": _q(low, high)}, sign=sign)


def word_direction(clause: Clause, item: Item, word: Word) -> int:
    """Whether more or less of a word's sound is wanted: "más brillo" and "suena apagada" both want more of the highs."""
    near = [one for one in clause.items if one.until <= item.at and item.at - one.until <= 2]
    asked = next((one["place"] for one in reversed(near) if one.is_a("place", "more", "less", "too")), "")
    if asked:
        if asked == "more" and word.is_fault and clause.said("sound") and not _is_wish(clause):
            return -1
        return 1 if asked == "more" else -1
    orders = [
        one["verb"]
        for one in clause.items
        if "verb" in one.tags and one["verb"] not in ("sound", "want", "clip", "mask")
    ]
    lowering = [verb for verb in orders if verb in LOWER_VERBS]
    if lowering and not (word.term == "clear" or (set(orders) & {"make", "give", "add"})):
        return -1
    if word.is_fault:
        wished = set(orders) & {"make", "add", "boost", "raise"} or (_is_wish(clause) and not _is_statement(clause))
        return 1 if wished and not _is_statement(clause) else -1
    if _is_statement(clause) and any(one.is_a("place", "strongly", "slightly") for one in near):
        return -1
    if _is_statement(clause) and clause.said("sound") and word.term in _EASILY_TOO_MUCH:
        return -1
    return 1


_EASILY_TOO_MUCH = words_of("dark aggressive small narrow dry soft mellow gritty spacious crunchy bright wide")


def _is_wish(clause: Clause) -> bool:
    return any(
        item.is_a("verb", "sound") and item.text in ("suene", "suenen", "sonar", "sound") for item in clause.items
    )


def _is_statement(clause: Clause) -> bool:
    return (
        not _is_wish(clause)
        and all(verb in ("sound", "clip", "mask", "move") for verb in clause.verbs)
        and not clause.has("place", "more")
    )


def _of_band(clause: Clause, item: Item, target: str) -> Draft:
    name = item["band"]
    low, high = BANDS[name]
    amount = amount_of(clause, item)
    sign = direction_of(clause, item) or (-1 if clause.has("place", "too") else 1)
    gain = sign * _gain(amount)
    if name in ("sub", "low"):
        gone = (
            clause.said("remove", "cut", "filter")
            and sign < 0
            and amount >= 1
            and not any(i.quantity and i.quantity.unit == "db" for i in clause.items)
        )
        if gone:
            return Draft(
                "highpass", item.at, {"freq_hz": 30.0 if name == "sub" else HIGHPASSES_HZ.get(target, 100.0)}, sign=-1
            )
        return Draft("eq_low_shelf", item.at, {"freq_hz": 50.0 if name == "sub" else 100.0, "gain_db": gain}, sign=sign)
    if name == "high":
        return Draft("eq_high_shelf", item.at, {"freq_hz": 8_000.0, "gain_db": gain}, sign=sign)
    return Draft(
        "eq_peak", item.at, {"freq_hz": round(math.sqrt(low * high)), "gain_db": gain, "q": _q(low, high)}, sign=sign
    )


def _gain(amount: float) -> float:
    return LITTLE_DB if amount < 1 else MUCH_DB if amount > 1 else USUAL_DB


def _q(low: float, high: float) -> float:
    """Q of a bell between two frequencies: centre over bandwidth, kept to what is musical."""
    return round(min(max(math.sqrt(low * high) / (high - low), 0.5), 4.0), 2)


def _verb_sign(clause: Clause) -> int:
    if clause.has("place", "down") and not clause.has("place", "up") and not clause.said("raise", "boost"):
        return -1
    return -1 if any(verb in LOWER_VERBS for verb in clause.verbs[:1]) or clause.said("cut", "lower", "tame") else 1


# --------------------------------------------------------------------------------------------------------------- numbers
def hertz_of(item: Item) -> float | None:
    """A frequency in Hz."""
    quantity = item.quantity
    if quantity is None or quantity.unit not in ("hz", "khz"):
        return None
    return round(quantity.value * (1000.0 if quantity.unit == "khz" else 1.0), 6)


def is_hertz(item: Item, clause: Clause) -> bool:
    quantity = item.quantity
    if quantity is None:
        return False
    if quantity.unit in ("hz", "khz"):
        return True
    return quantity.unit == "" and abs(quantity.value) >= 20 and not quantity.signed and _wants_hertz(item, clause)


def _wants_hertz(item: Item, clause: Clause) -> bool:
    if any(one.quantity is not None and one.quantity.unit in ("s", "min") for one in clause.numbers):
        return False
    if clause.has("place", "left", "right", "center"):
        return False
    if clause.has(
        "effect", "compressor", "gate", "delay", "reverb", "saturation", "limiter", "parallel"
    ) or clause.said("compress", "gate", "pan"):
        return False
    label = item.label
    return label in ("", "freq") and (
        clause.has_content
        or clause.said(
            "move",
            "give",
            "put",
            "make",
            "cut",
            "boost",
            "lower",
            "raise",
            "remove",
            "filter",
            "add",
            "tame",
            "highpass",
            "lowpass",
            "deess",
        )
    )


def _takes_hertz(draft: Draft) -> bool:
    return draft.type in EQ or draft.type in (
        "highpass", "lowpass", "notch", "filter", "eq_shelf", "deesser", "telephone", "multiband", "mono", "width", "reverb",
        "delay", "resample",
    )  # fmt: skip


_SECONDS = {"ms": 0.001, "s": 1.0, "min": 60.0}


def _edges(clause: Clause, drafts: list[Draft], tokens: list[Token]) -> None:
    """What is said of everything below or above a frequency: filters where something is taken away, shelves where there is a gain."""
    edge = _edge(clause, tokens)
    has_db = any(item.quantity is not None and item.quantity.unit == "db" for item in clause.items)
    for draft in drafts:
        if draft.type == "mono":
            continue
        if draft.type == "filter":
            draft.type = "highpass" if edge == "below" and not clause.said("close") else "lowpass"
            if draft.type == "lowpass" and not edge and clause.has("band", "low", "sub"):
                draft.type = "highpass"
        elif draft.is_quick and edge:
            if has_db:
                draft.type = "eq_low_shelf" if edge == "below" else "eq_high_shelf"
            elif draft.sign < 0 or clause.said("filter", "remove", "cut"):
                draft.type = "highpass" if edge == "below" else "lowpass"
            else:
                draft.type = "eq_low_shelf" if edge == "below" else "eq_high_shelf"
        elif (
            draft.type in ("eq_low_shelf", "eq_high_shelf")
            and edge
            and not has_db
            and clause.said("remove", "cut", "filter")
        ):
            draft.type = "highpass" if draft.type == "eq_low_shelf" else "lowpass"
            draft.values = {}
    if any(draft.type in ("highpass", "lowpass") for draft in drafts):
        bands = [draft for draft in drafts if draft.type in ("eq_low_shelf", "eq_high_shelf") and not draft.said]
        if edge or clause.has("effect", "highpass", "lowpass"):
            for draft in bands:
                drafts.remove(draft)


def _edge(clause: Clause, tokens: list[Token]) -> str:
    """`below` or `above`, where a frequency is the edge of what is meant."""
    for number, item in enumerate(clause.items):
        if not is_hertz(item, clause):
            continue
        around = clause.items[max(number - 2, 0) : number] + clause.items[number + 1 : number + 2]
        for one in around:
            if one.is_a("place", "below", "above") and (one.at - item.until <= 2 and item.at - one.until <= 3):
                if one.at > item.at and one["place"] == "below" and "abajo" not in one.text and "below" not in one.text:
                    continue
                return one["place"]
        following = [token.text for token in tokens[item.until : item.until + 4]]
        text = " ".join(following)
        if any(word in following for word in ("abajo", "down", "downwards")) or "para abajo" in text:
            return "below"
        if any(word in following for word in ("arriba", "upwards", "up")):
            return "above"
    return ""


def _give_numbers(clause: Clause, drafts: list[Draft], sound: Sound, tokens: list[Token]) -> None:
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
            got = _key(draft, label, item, clause)
            if got is not None and got[0] not in draft.said:
                draft.values[got[0]] = got[1]
                draft.said.add(got[0])
                taken = True
                break
        if not taken and _is_pair(item, clause, drafts):
            twin = _another(drafts, item, clause)
            got = _key(twin, label, item, clause)
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


def keep(sound: Sound, label: str, item: Item) -> None:
    """Keep a number that nothing takes, by the name of what it is."""
    name, value = named(label, item)
    while name in sound.params and sound.params[name] != value:
        name = f"{name}_also"
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
            draft.values |= {"freq_hz": round(math.sqrt(low * high), 1), "q": _q(low, high)}
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
    return any(draft.type in EQ for draft in drafts) and (
        hertz_of(item) is not None or (item.quantity is not None and item.quantity.unit in ("db",))
    )


def _another(drafts: list[Draft], item: Item, clause: Clause) -> Draft:
    model = [draft for draft in drafts if draft.type in EQ][-1]
    verbs = [one["verb"] for one in clause.items if "verb" in one.tags and one.at < item.at]
    sign = -1 if verbs and verbs[-1] in LOWER_VERBS else 1 if verbs and verbs[-1] in RAISE_VERBS else model.sign
    return Draft("eq_peak", item.at, sign=sign, is_quick=True)


def _key(draft: Draft, label: str, item: Item, clause: Clause) -> tuple[str, float] | None:
    """Which key of the effect a number is for, and its value there; None where the effect has no use for it."""
    quantity = item.quantity
    assert quantity is not None
    value, unit, kind = quantity.value, quantity.unit, draft.type
    hertz = hertz_of(item)
    if hertz is None and unit == "" and is_hertz(item, clause) and label in ("", "freq"):
        hertz = value
    if hertz is not None:
        return _hertz_key(draft, label, hertz, item, clause)
    if label == "q" and unit == "" and (kind in EQ or kind in ("notch", "eq_shelf")):
        return "q", abs(value)
    if unit == "db/oct" and kind in ("highpass", "lowpass", "filter"):
        return "slope_db_oct", abs(value)
    if kind in ("highpass", "lowpass") and label == "slope":
        return "slope_db_oct", abs(value)
    if unit == "" and kind == "deesser" and 3 <= value <= 16 and label in ("", "freq"):
        return "freq_hz", value * 1000.0
    if kind in EQ or kind == "eq_shelf":
        return (
            ("gain_db", _signed(value, quantity.signed, draft.sign))
            if unit in ("db", "") and label in ("", "max", "reduction")
            else None
        )
    handler = _KEYS.get(kind)
    return handler(draft, label, value, unit) if handler else None


def _signed(value: float, signed: bool, sign: int) -> float:
    if signed and value < 0:
        return value
    return -abs(value) if sign < 0 else abs(value)


def _hertz_key(draft: Draft, label: str, hertz: float, item: Item, clause: Clause) -> tuple[str, float] | None:
    kind = draft.type
    if kind in EQ or kind in ("highpass", "lowpass", "notch", "filter", "eq_shelf", "deesser"):
        return "freq_hz", hertz
    if kind == "resample":
        return "sample_rate_hz", int(hertz)
    if kind == "reverb":
        near = {one["place"] for one in clause.items if "place" in one.tags and 0 <= item.at - one.until <= 2}
        return ("damping_hz" if "above" in near or hertz >= 2_000.0 else "lowcut_hz"), hertz
    if kind == "delay":
        return ("lowpass_hz" if hertz >= 1_500.0 else "highpass_hz"), hertz
    if kind in ("width", "mono"):
        return "mono_below_hz", hertz
    if kind == "compressor":
        return (
            ("sidechain_highpass_hz", hertz)
            if draft.values.get("sidechain") is not None or clause.has("effect", "sidechain", "highpass")
            else None
        )
    if kind == "multiband":
        crossovers = draft.values.setdefault("crossovers_hz", [])
        if hertz not in crossovers:
            crossovers.append(hertz)
        return f"crossover_{len(crossovers)}", hertz
    return None


def _ms(value: float, unit: str) -> float:
    return round(value * {"s": 1000.0, "min": 60_000.0}.get(unit, 1.0), 6)


def _share(value: float, unit: str) -> float:
    return round(value / 100.0, 6) if unit == "%" or abs(value) > 1 else value


def _compressor_key(draft: Draft, label: str, value: float, unit: str) -> tuple[str, float] | None:
    times = {"attack": "attack_ms", "release": "release_ms", "lookahead": "lookahead_ms"}
    if unit == ":1" or (label == "ratio" and unit in ("", "x")):
        return "ratio", value
    if label in times and unit in ("ms", "s", ""):
        return times[label], _ms(value, unit)
    if unit in ("ms", "s"):
        return ("release_ms" if "attack_ms" in draft.said else "attack_ms"), _ms(value, unit)
    if label == "makeup":
        return "makeup_db", value
    if label == "knee":
        return "knee_db", value
    if label == "reduction":
        return None
    if unit == "%" or label in ("mix_share", "wet"):
        return "mix", _share(value, unit)
    if label == "threshold" or (unit == "db" and value < 0):
        return "threshold_db", -abs(value)
    if unit == "" and label == "" and value < 0:
        return "threshold_db", value
    if unit == "" and label == "" and 1 < value <= 100 and "ratio" not in draft.said:
        return "ratio", value
    return None


def _gate_key(draft: Draft, label: str, value: float, unit: str) -> tuple[str, float] | None:
    times = {"attack": "attack_ms", "release": "release_ms", "hold": "hold_ms", "lookahead": "lookahead_ms"}
    if label in times and unit in ("ms", "s", "") and not (draft.type == "expander" and label in ("hold", "lookahead")):
        return times[label], _ms(value, unit)
    if label == "hysteresis" and draft.type == "gate":
        return "hysteresis_db", abs(value)
    if (unit == ":1" or label == "ratio") and draft.type == "expander":
        return "ratio", value
    if label == "reduction" and unit in ("db", ""):
        return "range_db", abs(value)
    if unit == "db" or label == "threshold" or (unit == "" and value < 0):
        return "threshold_db", -abs(value)
    if unit in ("ms", "s"):
        return ("release_ms" if "attack_ms" in draft.said else "attack_ms"), _ms(value, unit)
    return None


def _deesser_key(draft: Draft, label: str, value: float, unit: str) -> tuple[str, float] | None:
    if label == "threshold":
        return "threshold_db", -abs(value)
    if label in ("attack", "release"):
        return f"{label}_ms", _ms(value, unit)
    if unit == "db" or label in ("reduction", "max"):
        return "max_reduction_db", abs(value)
    return None


def _limiter_key(draft: Draft, label: str, value: float, unit: str) -> tuple[str, float] | None:
    if label in ("release", "lookahead"):
        return f"{label}_ms", _ms(value, unit)
    if label == "drive" and unit in ("db", ""):
        return "drive_db", value
    if unit == "dbtp" or label in ("ceiling", "max", "threshold"):
        return ("ceiling_dbtp", -abs(value)) if unit in ("dbtp", "db", "") else None
    if unit in ("db", "") and value <= 0:
        return "ceiling_dbtp", value
    if unit == "db":
        return "drive_db", value
    if unit in ("ms", "s"):
        return "release_ms", _ms(value, unit)
    return None


def _saturation_key(draft: Draft, label: str, value: float, unit: str) -> tuple[str, float] | None:
    if unit == "db" or (label == "drive" and unit == ""):
        return "drive_db", abs(value)
    if unit == "%" or label in ("mix_share", "wet"):
        return "mix", _share(value, unit)
    return None


def _transient_key(draft: Draft, label: str, value: float, unit: str) -> tuple[str, float] | None:
    if unit not in ("db", ""):
        return None
    key = "sustain_db" if label == "sustain" else "attack_db"
    if label == "" and "sustain_db" in draft.values and "attack_db" not in draft.values:
        key = "sustain_db"
    return key, _signed(value, value < 0, draft.sign)


def _delay_key(draft: Draft, label: str, value: float, unit: str) -> tuple[str, float] | None:
    if label == "feedback":
        return ("feedback", _share(value, unit)) if unit in ("%", "") else None
    if unit in ("ms", "s"):
        return "time_ms", _ms(value, unit)
    if unit == "%" or label in ("wet", "mix_share"):
        return "wet", _share(value, unit)
    return ("time_ms", value) if unit == "" and value >= 20 else None


def _reverb_key(draft: Draft, label: str, value: float, unit: str) -> tuple[str, float] | None:
    if label == "predelay":
        return ("predelay_ms", _ms(value, unit)) if unit in ("ms", "s", "") else None
    if unit == "s" or (unit == "" and label == "decay"):
        return "decay_s", value
    if unit == "ms":
        return (
            ("predelay_ms", value)
            if label != "decay" and ("decay_s" in draft.said or value <= 120)
            else ("decay_s", value / 1000.0)
        )
    if unit == "%" or label in ("wet", "mix_share"):
        return "wet", _share(value, unit)
    if unit == "" and 0 < value <= 100 and (value < 1 or value >= 5):
        return "wet", _share(value, unit)
    return None


def _width_key(draft: Draft, label: str, value: float, unit: str) -> tuple[str, float] | None:
    if unit == "%":
        share = value / 100.0
        if draft.sign < 0 and share < 1 and draft.type == "width" and "lower" in draft.said:
            return "width", 1 - share
        return "width", round(
            share
            if share >= 1 or draft.values.get("is_to")
            else (1 + share if draft.sign > 0 and share < 0.6 else share),
            6,
        )
    return ("width", value) if unit in ("", "x") and 0 <= value <= 2 else None


def _fade_key(draft: Draft, label: str, value: float, unit: str) -> tuple[str, float] | None:
    if unit not in _SECONDS:
        return None
    for key in ("in_seconds", "out_seconds"):
        if key in draft.values and key not in draft.said:
            return key, round(value * _SECONDS[unit], 6)
    return None


def _telephone_key(draft: Draft, label: str, value: float, unit: str) -> tuple[str, float] | None:
    return None


def _resample_key(draft: Draft, label: str, value: float, unit: str) -> tuple[str, float] | None:
    return ("sample_rate_hz", round(value * 1000 if value < 1000 else value)) if unit == "" else None


_KEYS = {
    "resample": _resample_key,
    "compressor": _compressor_key, "gate": _gate_key, "expander": _gate_key, "deesser": _deesser_key, "limiter": _limiter_key,
    "saturation": _saturation_key, "transient": _transient_key, "delay": _delay_key, "reverb": _reverb_key, "width": _width_key,
    "fade": _fade_key,
}  # fmt: skip


# ------------------------------------------------------------------------------------------------------------ completing
def _complete(draft: Draft, clause: Clause, target: str) -> None:
    """Choose what was not said."""
    values = draft.values
    match draft.type:
        case "eq_shelf":
            draft.type = (
                "eq_low_shelf"
                if values.get("freq_hz", 1_000.0 if draft.sign > 0 else 100.0) < 800.0
                else "eq_high_shelf"
            )
            values.setdefault("freq_hz", 8_000.0 if draft.type == "eq_high_shelf" else 100.0)
        case "mono":
            if "mono_below_hz" in values or clause.has("band", "low", "sub"):
                draft.type = "width"
                values.setdefault("mono_below_hz", 120.0)
            else:
                draft.type = "channels"
                values["to"] = "mono"
        case "filter":
            draft.type = "lowpass"
    if draft.type in EQ:
        values.setdefault("freq_hz", {"eq_low_shelf": 100.0, "eq_high_shelf": 8_000.0}.get(draft.type, 1_000.0))
        values.setdefault("gain_db", draft.sign * _gain(amount_of(clause)))
    elif draft.type == "highpass":
        values.setdefault("freq_hz", HIGHPASSES_HZ.get(target, 80.0))
    elif draft.type == "lowpass":
        values.setdefault("freq_hz", 10_000.0)
    elif draft.type == "notch":
        values.setdefault("freq_hz", 50.0)
    elif draft.type == "compressor":
        _complete_compressor(draft, clause, target)
    elif draft.type == "reverb":
        chosen = {**REVERBS.get(target, {})}
        if values.get("kind", chosen.get("kind")) != chosen.get("kind"):
            chosen = {key: value for key, value in chosen.items() if key in ("wet", "lowcut_hz")}
        amount = amount_of(clause)
        if amount != 1 and "wet" not in draft.said:
            chosen["wet"] = round(chosen.get("wet", 0.2) * (0.6 if amount < 1 else 1.6), 3)
        draft.values = {**chosen, **values}
    elif draft.type == "delay" and amount_of(clause) != 1:
        values.setdefault("wet", 0.15 if amount_of(clause) < 1 else 0.4)
    elif draft.type == "saturation":
        values.setdefault("drive_db", 6.0 * {0.5: 0.5, 1.0: 1.0}.get(amount_of(clause), 1.6))
    elif draft.type == "deesser":
        values.setdefault("freq_hz", 8_000.0 if target == "hats" else 6_500.0)
    elif draft.type == "width":
        values.pop("is_to", None)
        values.setdefault("width", 1.3 if draft.sign > 0 and "mono_below_hz" not in values else 1.0)
    elif draft.type == "transient" and not {"attack_db", "sustain_db"} & set(values):
        values["attack_db"] = draft.sign * 4.0 * amount_of(clause)
    elif draft.type == "gate":
        values.setdefault(
            "threshold_db", {"snare": -35.0, "kick": -35.0, "drums": -40.0, "percussion": -40.0}.get(target, -50.0)
        )
    elif draft.type == "fade":
        _complete_fade(draft, clause)
    elif draft.type == "multiband":
        values["crossovers_hz"] = sorted(set(values.get("crossovers_hz") or (120.0, 2_000.0)))
        for key in [key for key in values if key.startswith("crossover_")]:
            del values[key]
        values["bands"] = [{} for _ in range(len(values["crossovers_hz"]) + 1)]


def _complete_compressor(draft: Draft, clause: Clause, target: str) -> None:
    chosen = dict(COMPRESSORS.get(target, {}))
    amount = amount_of(clause)
    if amount != 1:
        chosen["ratio"] = 2.0 if amount < 1 else 6.0
    if "sidechain" in draft.values:
        key = draft.values["sidechain"] or clause.key
        if key:
            draft.values["sidechain"] = key
        else:
            del draft.values["sidechain"]
        chosen = {"threshold_db": -30.0, "ratio": 4.0, "attack_ms": 3.0, "release_ms": 150.0}
    draft.values = {**chosen, **draft.values}


def _complete_fade(draft: Draft, clause: Clause) -> None:
    values = draft.values
    if not {"in_seconds", "out_seconds"} & set(values):
        text = " ".join(item.text for item in clause.items)
        is_in = " in" in f" {text}" or "entrada" in text or "principio" in text
        values["in_seconds" if is_in else "out_seconds"] = None
        seconds = [
            item.quantity for item in clause.numbers if item.quantity is not None and item.quantity.unit in _SECONDS
        ]
        if seconds:
            values["in_seconds" if is_in else "out_seconds"] = round(seconds[0].value * _SECONDS[seconds[0].unit], 6)
            draft.said.add("fade")
    for key in ("in_seconds", "out_seconds"):
        if key in values and values[key] is None:
            values[key] = 3.0


def _in_mid_side(drafts: list[Draft], clause: Clause) -> list[Draft]:
    where = "side" if clause.has("effect", "sides") else "mid" if clause.has("effect", "middle") else ""
    inner = [draft for draft in drafts if draft.type in _INSERTS]
    if not where:
        return drafts
    if not inner:
        gains = [item.quantity for item in clause.numbers if item.quantity is not None and item.quantity.unit == "db"]
        sign = _verb_sign(clause)
        if not gains and not clause.verbs:
            return drafts
        gain = _signed(gains[0].value, gains[0].signed, sign) if gains else 2.0 * sign
        inner = [Draft("gain", 0, {"gain_db": gain})]
    effects = [{"type": draft.type, **_filled(draft.values)} for draft in inner]
    wrapper = Draft("mid_side", inner[0].at, {where: effects})
    return [wrapper, *(draft for draft in drafts if draft not in inner)]


_INSERTS = EQ | {
    "gain",
    "highpass",
    "lowpass",
    "notch",
    "compressor",
    "gate",
    "expander",
    "deesser",
    "multiband",
    "saturation",
    "transient",
}


def _filled(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _checked(draft: Draft, sound: Sound) -> dict[str, Any] | None:
    """The effect as the contract has it. What it cannot take goes to the params, and is told as unused."""
    if draft.type == "telephone":
        low, high = draft.values.get("low_hz", 300.0), draft.values.get("high_hz", draft.values.get("freq_hz", 3_400.0))
        sound.effects.append({"type": "highpass", "freq_hz": low, "slope_db_oct": 24})
        return {"type": "lowpass", "freq_hz": high, "slope_db_oct": 24}
    values = {"type": draft.type, **_filled(draft.values)}
    for _ in range(8):
        try:
            found: dict[str, Any] = _EFFECT.validate_python(values).model_dump(exclude_none=True)
        except ValidationError as refusal:
            wrong = {str(part) for error in refusal.errors() for part in error["loc"]} & (set(values) - {"type"})
            if not wrong:
                return None
            for key in wrong:
                sound.params[key] = values.pop(key)
                sound.unused.append(
                    f"{key} {sound.params[key]:g}" if isinstance(sound.params[key], int | float) else key
                )
        else:
            return found
    return None
