"""Which effects a clause names: by their names, by words for a sound, by parts of the spectrum, by parameters, by verbs."""

import math
from collections.abc import Mapping

from shub.language.clause import FAULTS, Clause
from shub.language.descriptors import WORDS
from shub.language.scanning import Item
from shub.language.sound.choices import HIGHPASSES_HZ, bell_q, gain_of
from shub.language.sound.directions import amount_of, direction_of, verb_sign, word_direction
from shub.language.sound.draft import EQ, Draft
from shub.language.sound.frequencies import is_hertz, takes_hertz
from shub.language.vocabulary import BANDS

VERB_EFFECTS: Mapping[str, str] = {
    "compress": "compressor", "limit": "limiter", "gate": "gate", "deess": "deesser", "saturate": "saturation", "highpass": "highpass",
    "lowpass": "lowpass", "widen": "width", "narrow": "narrow", "fade": "fade", "duck": "sidechain", "reverberate": "reverb",
    "resample": "resample", "filter": "filter", "equalize": "eq", "close": "filter",
}  # fmt: skip
SHAPED = ("eq", "notch", "shelf", "low_shelf", "high_shelf")
LONG_EFFECTS = frozenset({"reverb", "delay"})


def drafts_of(clause: Clause, target: str) -> tuple[list[Draft], list[str]]:
    drafts: list[Draft] = []
    unavailable: list[str] = []
    for item in clause.items:
        if "stem" in item.tags:
            continue
        if "effect" in item.tags and not _is_other_thing(clause, item):
            draft = of_effect(clause, item, target, drafts)
            if item["effect"] == "unavailable":
                unavailable.append(item.text)
            if draft is not None:
                drafts.append(draft)
        elif "word" in item.tags and not _word_is_other_thing(clause, item):
            drafts.append(of_word(clause, item, target))
        elif "band" in item.tags:
            drafts.append(of_band(clause, item, target))
        elif item["verb"] == "narrow" and clause.has("effect", *SHAPED):
            continue
        elif item["verb"] in VERB_EFFECTS:
            draft = of_effect(clause, item, target, drafts, VERB_EFFECTS[item["verb"]])
            if draft is not None:
                drafts.append(draft)
    if (
        not drafts and not clause.numbers and clause.said("tame")
    ):  # "controla la voz" is its level, "suaviza" its harshness
        is_level = any(item.text.startswith(("control", "conten", "contien", "dom", "amans")) for item in clause.items)
        smooth = {"freq_hz": 3_200.0, "gain_db": -gain_of(amount_of(clause)), "q": 0.8}
        drafts.append(Draft("compressor", 0) if is_level else Draft("eq_peak", 0, smooth, sign=-1))
    if not drafts and (implied := implied_effect(clause)):
        drafts.append(Draft(implied, clause.items[0].at))
    has_hertz = [item for item in clause.numbers if is_hertz(item, clause)]
    if has_hertz and not any(takes_hertz(draft) for draft in drafts):
        at = clause.items[0].at
        direction = verb_sign(clause)
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


def is_dither_alone(clause: Clause) -> bool:
    """Dither as an effect of its own, "dither to 16 bit", not as a word about a file that is written."""
    if not clause.has("effect", "dither") or clause.has("format") or clause.has("platform") or clause.has("file"):
        return False
    return all(verb in ("add", "put", "make", "give", "resample") for verb in clause.verbs)


def _without_doubles(drafts: list[Draft]) -> list[Draft]:
    """A filter, a compressor, a gate that is named twice in a clause ("comprime con un compresor") is one."""
    kept: list[Draft] = []
    if any(draft.type == "gate" for draft in drafts):  # "gate the toms so the bleed goes away"
        drafts = [draft for draft in drafts if draft.type != "expander" or not draft.values]
    for draft in drafts:
        if draft.values and any((one.type, one.values) == (draft.type, draft.values) for one in kept):
            continue
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
    if value == "dither":
        return not is_dither_alone(clause)
    return value in ("volume", "pan", "normalize", "resample")


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
    if item["word"] in ("narrow", "wide") and clause.has("effect", *SHAPED):
        return True
    if clause.key:  # "que el bajo respire con el bombo" tells what a side-chain does
        return True
    if item["word"] == "dry" and clause.has("effect", "reverb"):
        return True
    return "special" in item.tags and item["special"] in ("quiet_complaint", "loud_complaint", "louder", "softer")


def of_effect(clause: Clause, item: Item, target: str, drafts: list[Draft], named: str = "") -> Draft | None:
    value = named or item["effect"]
    amount = amount_of(clause, item)
    at = item.at
    if value in FAULTS:
        return of_fault(value, at, item)
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
            return Draft("eq_shelf", at, sign=verb_sign(clause))
        case "low_shelf" | "high_shelf":
            return Draft(f"eq_{value}", at, sign=verb_sign(clause))
        case "eq":
            return Draft("eq_peak", at, sign=verb_sign(clause), is_quick=True) if clause.numbers else None
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
        case "sides" | "middle" | "mid_side" | "unavailable" | "normalize" | "stereo" | "volume" | "pan":
            return None
    return Draft(value, at)


def of_fault(value: str, at: int, item: Item) -> Draft:
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


def of_word(clause: Clause, item: Item, target: str) -> Draft:
    word = WORDS[item["word"]]
    amount = amount_of(clause, item)
    direction = word_direction(clause, item, word)
    sign = word.sign * direction
    gain = sign * gain_of(amount)
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
            return Draft("eq_peak", at, {"freq_hz": 300.0, "gain_db": -gain_of(amount), "q": 1.0}, sign=-1)
        case "reverb" | "dry":
            wet = (0.25 if sign > 0 else 0.08) if word.means == "reverb" else (0.06 if sign > 0 else 0.25)
            return Draft("reverb", at, {"wet": min(wet * (amount if wet > 0.1 else 1.0), 0.6)})
        case "width":
            return Draft("width", at, {"width": round(1 + 0.3 * amount, 3) if sign > 0 else round(1 - 0.4 * amount, 3)})
        case "gate":
            return of_fault("noise", at, item)
        case "telephone":
            return Draft("telephone", at)
    low, high = word.low_hz or 200.0, word.high_hz or 500.0
    if low >= 6_000.0:
        return Draft(
            "eq_high_shelf", at, {"freq_hz": 12_000.0 if low >= 10_000.0 else 8_000.0, "gain_db": gain}, sign=sign
        )
    centre = word.centre_hz or round(math.sqrt(low * high), 0)
    return Draft("eq_peak", at, {"freq_hz": centre, "gain_db": gain, "q": bell_q(low, high)}, sign=sign)


def of_band(clause: Clause, item: Item, target: str) -> Draft:
    name = item["band"]
    low, high = BANDS[name]
    amount = amount_of(clause, item)
    sign = direction_of(clause, item) or (-1 if clause.has("place", "too") else 1)
    gain = sign * gain_of(amount)
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
        "eq_peak",
        item.at,
        {"freq_hz": round(math.sqrt(low * high)), "gain_db": gain, "q": bell_q(low, high)},
        sign=sign,
    )
