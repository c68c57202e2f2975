"""Which numbers are frequencies, and what is said of everything below or above one."""

from shub.language.clause import Clause
from shub.language.scanning import Item
from shub.language.sound.draft import EQ, Draft
from shub.language.words import Token


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


def takes_hertz(draft: Draft) -> bool:
    return draft.type in EQ or draft.type in (
        "highpass", "lowpass", "notch", "filter", "eq_shelf", "deesser", "telephone", "multiband", "mono", "width", "reverb",
        "delay", "resample",
    )  # fmt: skip


def place_edges(clause: Clause, drafts: list[Draft], tokens: list[Token]) -> None:
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
