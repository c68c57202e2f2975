"""Whether a part of a command is an order of its own or more of the one before, and what it takes over from there."""

from shub.language.clause import FAULTS, MOST_ITEMS, NO_ORDERS, SOUND_VERBS, Clause
from shub.language.scanning import Item, Scan
from shub.language.words import words_of


def join(clauses: list[Clause], clause: Clause, scan: Scan) -> None:
    """Add a part to the clauses before it: as one of its own, or as more of the last one."""
    last = clauses[-1] if clauses else None
    if last is None or not last.items or len(last.items) >= MOST_ITEMS:
        clauses.append(clause)
        return
    _name_other_fade(last, clause, scan)
    _name_reduction(last, clause)
    _name_mix_share(last, clause)
    orders = [verb for verb in clause.verbs if verb not in NO_ORDERS]
    if last.excepted and clause.own_targets and not orders and not clause.has_content:
        last.excepted += clause.own_targets  # "menos el bajo y el bombo a 100 Hz"
        last.items += [item for item in clause.items if "target" not in item.tags]
    elif _is_more(last, clause, orders):
        _merge(last, clause)
    elif _is_more_values(last, clause):  # "... y subele el makeup a 3 dB"
        last.items += [item for item in clause.items if "verb" not in item.tags]
    elif orders or (clause.verbs and not last.is_only_targets):
        _append_order(clauses, clause, orders)
    elif clause.is_statement and not clause.has("place", "more", "less") and clause.own_targets:
        clauses.append(clause)
    elif _continues(last, clause):
        _merge(last, clause)
    else:
        clause.verbs, clause.carried = _carried(last, clause), True
        clauses.append(clause)


def _merge(last: Clause, clause: Clause) -> None:
    last.items += clause.items
    last.verbs = last.verbs or list(clause.verbs)
    last.own_targets = list(dict.fromkeys([*last.own_targets, *clause.own_targets]))


def _is_more(last: Clause, clause: Clause, orders: list[str]) -> bool:
    """Whether a part goes on with the last clause, whatever verb it has."""
    if last.is_heading and not (last.own_targets and clause.own_targets):
        has_tool = clause.has("effect") or clause.has("word")
        if orders and not (last.own_targets and has_tool):  # "eq: corta ..."
            return True
        if clause.numbers and not has_tool and not clause.verbs:  # "low shelf, minus 2 dB at 100 on the piano"
            return True
    if (
        clause.has("effect", "sidechain")
        and not clause.own_targets
        and len(last.own_targets) > 1
        and not last.has("effect")
    ):
        return True  # "que el bajo respire con el bombo, un sidechain suave"
    if last.has("special", "check") and not orders and not clause.said("show") and not clause.is_only_targets:
        return True  # "fijate si el bajo y el bombo se cancelan"
    if clause.is_only_targets and (clause.own_targets in (["master"], ["*"]) or not last.has("special", "reference")):
        return True
    if (
        not last.verbs
        and last.is_only_targets
        and (not clause.own_targets or (clause.said("mask", "sound") and not orders))
    ):
        return True  # "the bass and the kick are fighting"
    if (
        not clause.verbs
        and clause.own_targets
        and not last.own_targets
        and last.has_content
        and _is_only_values(clause)
    ):
        return True
    return not orders and bool(clause.own_targets) and _shares_number(last, clause)


def _is_more_values(last: Clause, clause: Clause) -> bool:
    tempo = [item for item in clause.numbers if item.quantity is not None and item.quantity.unit == "bpm"]
    if tempo and last.has("effect", "delay") and not clause.has_content:
        clause.items = [item for item in clause.items if "target" not in item.tags]  # "the song's at 100 bpm"
        return True
    return (
        (last.has_content or last.said(*SOUND_VERBS))
        and not clause.own_targets
        and not clause.has_content
        and _is_only_values(clause)
        and not _is_global(last)
    )


def _append_order(clauses: list[Clause], clause: Clause, orders: list[str]) -> None:
    """An order of its own; after a complaint it is about what that was about: "la voz esta turbia, limpiala"."""
    last = clauses[-1]
    is_among = last.said("mask") and set(clause.own_targets) < set(last.own_targets)
    if last.is_statement and (not clause.own_targets or is_among):
        clause.own_targets = clause.own_targets or last.own_targets[: 1 if last.said("mask") else None]
        complaint = [item for item in last.items if _is_complaint(item, last)]
        is_plain = not clause.has_content and not clause.said("raise", "lower", "pan", "mute", "solo")
        is_of_hertz = not clause.has_content and any(_is_hertz(item) for item in complaint)
        if complaint and (is_plain or is_of_hertz):
            clause.items = complaint + clause.items
        if clause.has_content and not any(_is_hertz(item) for item in clause.numbers):
            clause.items = [item for item in last.items if _is_hertz(item)] + clause.items
        if orders:
            clauses.pop()
    clauses.append(clause)


def _is_complaint(item: Item, clause: Clause) -> bool:
    is_word = "word" in item.tags and "special" not in item.tags
    return (
        is_word
        or item.is_a("effect", *FAULTS)
        or _is_hertz(item)
        or (clause.has("special", "dislike") and "effect" in item.tags)
    )


def _is_hertz(item: Item) -> bool:
    return item.quantity is not None and item.quantity.unit in ("hz", "khz")


def _continues(last: Clause, clause: Clause) -> bool:
    """Whether a part without an order goes on with the last clause."""
    if not clause.own_targets and not clause.has_content:
        return True
    if _is_global(last) and (not clause.own_targets or not (clause.has_content or clause.verbs)):
        return True
    return (
        not clause.own_targets
        and clause.has("band")
        and not clause.has("effect", "reverb", "delay")
        and not last.said("pan", "mute")
        and not last.has_content
        and not last.said(*_ORDERS_OF_SOUND)
    )


_REDUCING = ("compressor", "parallel", "limiter", "deesser", "multiband")


def _name_reduction(last: Clause, clause: Clause) -> None:
    """How far an effect turns down: "un compresor a la voz, que baje unos 4 dB"."""
    if not clause.items:
        return
    first = clause.items[0]
    is_wish = first["verb"] in ("lower", "remove", "cut") and first.before in ("que", "it", "to", "and")
    is_reducing = last.has("effect", *_REDUCING) or last.said("compress", "limit", "deess")
    if is_wish and is_reducing and not clause.own_targets and not clause.has_content and len(clause.numbers) == 1:
        clause.items, clause.verbs = clause.numbers, []
        clause.numbers[0].label = "reduction"


_FADE_OUT = words_of("out salida final end fin exit cierre")
_FADE_IN = words_of("in entrada inicio principio start beginning comienzo apertura")


def _name_other_fade(last: Clause, clause: Clause, scan: Scan) -> None:
    """The other fade of two, which is told by its end alone: "fade in over 2 seconds and out over 12"."""
    if not last.has("effect", "fade_in", "fade_out") or clause.has_content or not clause.numbers:
        return
    first, until = last.items[-1].until, clause.numbers[-1].until
    words = [token.text for token in scan.tokens[first : until + 3]]
    value = "fade_out" if _FADE_OUT & set(words) else "fade_in" if _FADE_IN & set(words) else ""
    if value and not last.has("effect", value):
        at = clause.numbers[0].at
        clause.items = [Item(at, at, value, {"effect": value}), *clause.numbers]
        clause.verbs, clause.own_targets = [], []
        _merge(last, clause)
        clause.items = []


def _name_mix_share(last: Clause, clause: Clause) -> None:
    """How much of an effect is heard: "compresión paralela en la caja, mezcla al 40 %"."""
    shares = [item.quantity for item in clause.numbers if item.quantity is not None and not item.label]
    is_share = len(shares) == len(clause.numbers) == 1 and shares[0].unit == "%"
    names = [item for item in clause.items if item.quantity is None]
    has_effect = last.has("effect") or last.said(*SOUND_VERBS)
    if is_share and has_effect and len(names) == 1 and names[0].text in ("mezcla", "mix"):
        clause.numbers[0].label = "wet" if last.has("effect", "reverb", "delay") else "mix_share"
        clause.items, clause.verbs, clause.own_targets = clause.numbers, [], []


def _is_only_values(clause: Clause) -> bool:
    """More values for the effect before: "… y release 150 ms en la caja"."""
    return not clause.has_content and bool(clause.numbers) and all(item.label for item in clause.numbers)


def _shares_number(last: Clause, clause: Clause) -> bool:
    """ "sube la voz y el bajo 2 dB": the number that comes last is for both."""
    return (
        bool(last.own_targets)
        and last.said("raise", "lower", "move", "pan", "center", "compress", "widen", "boost")
        and not last.numbers
        and not last.has_content
        and not last.has("place", "left", "right", "slightly", "strongly")
        and not clause.has_content
        and not clause.verbs
        and bool(clause.numbers or clause.has("place", "left", "right"))
    )


_ORDERS_OF_SOUND = words_of("raise lower boost cut add remove compress limit equalize filter highpass lowpass")


def _carried(last: Clause, clause: Clause) -> list[str]:
    """The verb that a clause without one goes on with."""
    if clause.has("effect") and last.verb in ("raise", "lower", "move", "pan", "mute", "compress", "equalize", "widen"):
        return ["add"]
    if clause.has("word") and last.verb in ("raise", "lower", "move", "pan", "mute", "compress"):
        return ["make"]
    return list(last.verbs)


def _is_global(clause: Clause) -> bool:
    return (
        clause.said("export", "save", "convert", "master", "undo")
        or clause.has("format")
        or (clause.said("normalize", "analyze", "mix") and not clause.has_content)
    )
