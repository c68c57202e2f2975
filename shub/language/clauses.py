"""A command as clauses: one order each, with what it is about; verbs and targets that are not repeated are carried over.

"sube la voz 3 dB y el bajo 2" are two orders with one verb; "comprime la voz y el bajo" is one with two targets; "la voz no se entiende:
súbela" is one, whose target stands in what was said before it. What is denied ("no toques el bajo", "sin reverb") is no order.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from shub.language.asides import said_in
from shub.language.clause import CONTENT, INDEX, MOST_ITEMS, Clause
from shub.language.joining import join
from shub.language.quantities import Quantity
from shub.language.scanning import LEAST_BARE_HZ, Item, Scan
from shub.language.words import words_of

DETERMINERS = words_of(
    "old new rough previous viejo vieja nuevo nueva whole "
    "la el los las un una unos unas the an my mi mis tu su your this that these those este esta ese esa estos estas de del of al in "
    "en on for with con sobre lo same mismo misma whole our nuestra nuestro final entire toda todo complete full otra otro another"
)


NOUN_OR_VERB = frozenset({"mix", "master"})


_AND_NOT = words_of("ni o or nor , y and e")


def clauses_of(scan: Scan) -> list[Clause]:
    """The orders in a command, in their order, with their targets where they say them."""
    clauses: list[Clause] = []
    denied, refused = False, list[Item]()
    for part, opener in _pieces(scan):
        clause, is_denied = _clause(part, scan)
        refused = clause.refused or refused
        if not clause.items:
            denied = is_denied or denied
            _note_denied(clauses, clause)
        elif denied and not clause.is_only and opener in _AND_NOT and clause.is_only_targets:
            continue  # "no toques el bajo ni la voz"
        elif opener in _AND_NOT and clauses and clauses[-1].excepted and _is_excepted_too(clauses[-1], clause):
            clauses[-1].excepted += clause.own_targets
        else:
            denied = is_denied
            _inherit(clause, refused)
            join(clauses, clause, scan)
    for before, after in pairwise(clauses):  # "sin reverb en la voz, solo …": what was denied tells what is spoken of
        if not before.items:
            after.refused = before.refused + after.refused
    return [clause for clause in clauses if clause.items]


def _note_denied(clauses: list[Clause], clause: Clause) -> None:
    """A part of which nothing is left: what was denied in it belongs to the clause before."""
    if clauses and clause.refused and clause.refused[0].at:
        clauses[-1].refused += clause.refused
    elif clause.refused:
        clauses.append(clause)
    if clause.excepted and clauses:
        clauses[-1].excepted += clause.excepted


def _is_excepted_too(last: Clause, clause: Clause) -> bool:
    return clause.is_only_targets and last.has("special", "except")


def _inherit(clause: Clause, refused: list[Item]) -> None:
    """What was denied of one is for the other: "don't compress the bass, only the drums", "no al bajo sino a la voz"."""
    if not clause.is_only or not clause.own_targets or clause.has_content or clause.verbs:
        return
    wanted = [item for item in refused if "target" not in item.tags]
    if any("verb" in item.tags or "effect" in item.tags for item in wanted):
        clause.items = wanted + clause.items
        clause.verbs = [item["verb"] for item in wanted if "verb" in item.tags]
        clause.is_only = False


def _pieces(scan: Scan) -> Iterator[tuple[list[Item], str]]:
    """The parts with what opens them; "voz +1 bajo -2 caja +3" is three."""
    for part, opener in said_in(scan):
        cuts = _levels_in_a_row(part) or list(range(MOST_ITEMS, len(part), MOST_ITEMS))
        for start, end in pairwise([0, *cuts, len(part)]):
            yield part[start:end], opener if start == 0 else ","


def _levels_in_a_row(part: list[Item]) -> list[int]:
    """Where each of several targets with its own level begins, after the first; empty where it is no such row."""
    cuts = [
        number
        for number in range(1, len(part))
        if "target" in part[number].tags and part[number - 1].quantity is not None
    ]
    targets = sum("target" in item.tags for item in part)
    numbers = sum(item.quantity is not None and item.quantity.unit in ("db", "") for item in part)
    has_more = any(kind in item.tags for item in part for kind in (*CONTENT, "param"))
    return [] if targets < 2 or numbers != targets or has_more else cuts


def _clause(part: list[Item], scan: Scan) -> tuple[Clause, bool]:
    """A part as a clause, without what is denied in it; and whether its end is denied."""
    clause = Clause()
    denied, excepting = False, False
    has_all = False
    for number, item in enumerate(part):
        if item.is_a("special", "affirmed"):
            continue
        has_all = has_all or item.is_a("target", "*")
        if item.is_a("special", "except") and (has_all or item.text not in ("menos", "bar", "but not")):
            following = part[number + 1 : number + 3]
            if any("target" in one.tags for one in following):
                excepting = True
                clause.items.append(item)
                continue
        if item.is_a("special", "neg") and "place" not in item.tags:
            if len(part) == 1:
                break
            if item.text == "stop" and number == 0 and len(part) == 1:
                break
            denied = True
            continue
        if (denied and item.is_a("special", "only") and item.text not in ("but",)) or (
            denied and item.is_a("special", "only")
        ):
            denied = False
            continue
        if denied and item.is_a("format") and item.before in ("as", "in", "en", "to", "a", "como"):
            denied = False  # "without vocals as wav"
        if denied:
            clause.refused.append(item)
        elif excepting and "target" in item.tags:
            clause.excepted.append(item["target"])
        else:
            clause.items.append(item)
    if clause.items and any(
        item.is_a("special", "keep") and item.text not in ("stay", "stays") for item in clause.items
    ):
        has_numbers = any(item.quantity for item in clause.items)
        if not has_numbers and not any(
            item["verb"] in ("raise", "lower", "compress", "cut", "boost") for item in clause.items
        ):
            clause.refused += clause.items
            clause.items = []
            return clause, True
    is_topic = bool(clause.items) and all("target" in item.tags and "verb" not in item.tags for item in clause.items)
    if denied and is_topic and any("verb" in item.tags for item in clause.refused):  # "la voz ni la toques"
        clause.refused, clause.items = clause.items + clause.refused, []
        return clause, True
    clause.is_only = any(item.is_a("special", "only") and item.text != "but" for item in clause.items)
    clause.items = [item for item in clause.items if not _is_filler(item, clause.items)]
    _settle(clause, scan)
    return clause, denied


def _is_filler(item: Item, items: list[Item]) -> bool:
    return (
        item.is_a("special", "only")
        and (set(item.tags) <= {"special", "verb", "target"})
        and (any(other is not item and ("verb" in other.tags or other.is_a("effect")) for other in items))
        and item.text != "in solo"
    )


def _settle(clause: Clause, scan: Scan) -> None:
    """Decide what words mean that may be several things, by what stands around them; fill in verbs and targets."""
    items = clause.items
    for number, item in enumerate(items):
        verb = item["verb"]
        is_noun = item.before in DETERMINERS and not _is_pronoun(item, scan)
        is_noun = is_noun or (verb in NOUN_OR_VERB and _follows_adjective(item, scan))
        if verb and "param" in item.tags and _stands_by_number(items, number):
            del item.tags["verb"]
            continue
        if verb and _is_pronoun(item, scan):
            for kind in ("band", "word"):
                item.tags.pop(kind, None)
        if verb in NOUN_OR_VERB and "target" in item.tags:
            if (
                is_noun
                or (item.before in _AFTER_NOUNS)
                or (verb == "mix" and number and items[number - 1].quantity is not None)
            ):
                del item.tags["verb"]
            else:
                del item.tags["target"]
        elif (
            verb
            and len(item.tags) > 1
            and is_noun
            and item.before not in ("lo", "la", "los", "las", "me")
            and verb not in ("compress",)
        ):
            del item.tags["verb"]
        _settle_idioms(items, number, scan, is_noun=is_noun)
    _settle_numbers(clause)
    items = clause.items
    _settle_bands(clause, scan)
    _forget_comparisons(items, scan)
    _name_numbers(items, scan)
    clause.verbs = [item["verb"] for item in items if "verb" in item.tags]
    clause.own_targets = _targets(items)


def _settle_idioms(items: list[Item], number: int, scan: Scan, *, is_noun: bool) -> None:
    """Words that mean something else in the company of others."""
    item = items[number]
    after: set[str] = set()
    if item.text in _TAKING | _KNOCKING | _TURNING:
        after = {token.text for token in scan.tokens[item.until : items[-1].until + 2]}
    if item.is_a("effect", "trim") and item.text in ("cola", "tail") and _is_of_instrument(items):
        item.tags = {"word": "sustained"}  # "a la caja le sobra cola"
    if item.is_a("special", "make_room") and not any("verb" in one.tags for one in items):
        item.tags["verb"] = "cut"
    if item.text in _TAKING and "out" in after:
        item.tags["verb"] = "remove"  # "take 2 dB out at 400"
    has_numbers = any(one.quantity is not None for one in items)
    if item.text in _TURNING and "off" in after and not has_numbers:
        item.tags = {"verb": "mute"}  # "turn the bass off", "switch off the reverb"
    is_counted = any(one.quantity is not None and one.quantity.unit in ("", "db") for one in items)
    if item.text in _KNOCKING and is_counted and "off" in after:
        item.tags = {"verb": "lower"}  # "knock 3 off the toms"
    if item.is_a("verb", "mute") and is_noun:
        _settle_mute(items, number, scan)
    if item.text == "cut off" and not is_noun:
        item.tags = {"verb": "cut"}  # "cut off the first two seconds", not "the cut off"
    if item.text in _DUTIES and number + 1 < len(items) and "verb" in items[number + 1].tags:
        item.tags.pop("verb", None)  # "toca subir el bajo"
    is_half = item.text in ("medio", "half") and number and item is items[-1]
    if is_half and items[number - 1].is_a("place", "up", "down", "more", "less"):
        item.tags, item.quantity = {}, Quantity(0.5, "db", 0, 0)  # "abajo medio": half a decibel
    if item.text == "like" and item.before not in _WISHERS:
        item.tags.pop("verb", None)
    if item.is_a("special", "discard"):
        item.tags["verb"] = "remove"
    if item.is_a("target", "lead") and item.is_a("special", "only"):
        item.tags.pop("target")
    if item.text in ("bajo", "bajos") and _next_is_hertz(items, number) and item.before not in ("el", "del", "al"):
        item.tags.pop("target", None)
        item.tags["place"] = "below"


def _settle_mute(items: list[Item], number: int, scan: Scan) -> None:
    """ "quita el mute", "take the mute off": a mute that is taken off."""
    item, before = items[number], next((one for one in reversed(items[:number]) if "verb" in one.tags), None)
    if before is None:
        return
    around = {token.text for token in scan.tokens[before.at : item.until + 1]}
    if before["verb"] in ("remove", "mute") or (
        "off" in around and before["verb"] in ("move", "lower", "close", "put")
    ):
        before.tags.pop("verb")
        item.tags = {"verb": "unmute"}


_INDEFINITE = words_of("a an un una another otra")
_MOST_ADJECTIVES = 2


def _follows_adjective(item: Item, scan: Scan) -> bool:
    """ "a balanced mix", "una muy buena mezcla": an article stands before what stands before it."""
    before = scan.tokens[max(item.at - 1 - _MOST_ADJECTIVES, 0) : item.at]
    near = [number for number, token in enumerate(before) if token.text in _INDEFINITE]
    return bool(near) and all(token.kind == "word" and token.text not in _AND for token in before[near[-1] + 1 :])


_AND = words_of("y and e then luego to bit poco")
_BENEFICIARY = words_of("for para than que so como like under against without debajo")


def _forget_comparisons(items: list[Item], scan: Scan) -> None:
    """Who is only what another is measured by or makes room for is no target: "above the guitar", "to make room for the vocal"."""
    for number, item in enumerate(items):  # "everything above 10k", "roll all of it off under 35"
        edge = next((one for one in items[number + 1 : number + 3] if one.is_a("place", "below", "above")), None)
        between = {token.text for token in scan.tokens[item.until : edge.at]} if edge is not None else set()
        if edge is not None and item.is_a("target", "*") and between <= _OF_EDGES:
            del item.tags["target"]
    named = [item for item in items if "target" in item.tags]
    compared = [item for item in named if _is_measure(item, items, scan)]
    makes_room = any(item.is_a("special", "make_room") for item in items)
    for item in compared:
        if item is not named[0] or (makes_room and len(compared) < len(named)):
            del item.tags["target"]


def _is_measure(item: Item, items: list[Item], scan: Scan) -> bool:
    before = next((one for one in reversed(items) if one.until <= item.at), None)
    if before is not None and before.is_a("place", "above", "below") and item.at - before.until <= 1:
        return True
    words = [token.text for token in scan.tokens[before.until : item.at]] if before is not None else []
    if before is not None and before.is_a("place", "front", "behind") and set(words) <= _BESIDE:
        return bool(words) or before.text == "behind"
    near = [token.text for token in scan.tokens[max(item.at - 4, 0) : item.at]]
    return bool(_BENEFICIARY & set(near[-2:]) or _COMPARED & set(near))


def _is_of_instrument(items: list[Item]) -> bool:
    return any("target" in item.tags and item["target"] not in ("master", "song", "*") for item in items) and not any(
        item.is_a("effect", "reverb", "delay") or item.quantity is not None for item in items
    )


_COMPARED = words_of("respecto comparado comparada compared relative relacion versus vs eating swallowing covering")
_BESIDE = words_of("the of del de la el los las")
_OF_EDGES = words_of(
    "lo que este esta off that that's is which sits hay haya queda quede the stuff of it out down sobra"
)
_TAKING = words_of("take takes taking")
_TURNING = words_of("turn turning switch switching shut")
_KNOCKING = words_of("knock knocking take taking pull drop")
_DUTIES = words_of("toca tocaria tocara")
_WISHERS = words_of("i i'd id we we'd would you'd you")
_AFTER_NOUNS = words_of("stereo estereo rough lead")


_PRONOUNS = words_of("me te se nos os le les")


def _is_pronoun(item: Item, scan: Scan) -> bool:
    """Whether the article before a word is a pronoun: "me las bajas"."""
    return item.at > 1 and item.before in ("lo", "la", "los", "las") and scan.tokens[item.at - 2].text in _PRONOUNS


def _stands_by_number(items: list[Item], number: int) -> bool:
    before = items[number - 1] if number else None
    after = items[number + 1] if number + 1 < len(items) else None
    return (before is not None and before.quantity is not None and items[number].at == before.until) or (
        number > 0 and after is not None and after.quantity is not None and after.at - items[number].until <= 1
    )


_LABEL_BEFORE = words_of("de of a en at to = : is del al in por unos like como set la el the y and around about")
_LABEL_AFTER = frozenset({"de", "of", "del", "-"})


def _name_numbers(items: list[Item], scan: Scan) -> None:
    """Give each number the parameter named by it: before it ("ataque de 5 ms") or after it ("5 ms de ataque"), as the part has it."""
    labelled = [
        item for item in items if ("param" in item.tags and "stem" not in item.tags) or item.quantity is not None
    ]
    named_first = next(
        (item for item in labelled if item.quantity is None or item.quantity.unit in ("db", "ms", "s", "%", "")), None
    )
    ends_in_number = (
        bool(labelled) and labelled[-1].quantity is not None and any(item.quantity is None for item in labelled)
    )
    before_wins = named_first is None or named_first.quantity is None or ends_in_number
    for number, item in enumerate(labelled):
        if item.quantity is None:
            continue
        before = (
            labelled[number - 1]
            if number and "param" in labelled[number - 1].tags and labelled[number - 1].quantity is None
            else None
        )
        after = labelled[number + 1] if number + 1 < len(labelled) and labelled[number + 1].quantity is None else None
        if (
            before is not None
            and not {token.text for token in scan.tokens[before.until : item.at]} <= _LABEL_BEFORE | _AROUND
        ):
            before = None
        if after is not None and not {token.text for token in scan.tokens[item.until : after.at]} <= _LABEL_AFTER:
            after = None
        if before is not None and before["param"] == "max" and number > 1 and "param" in labelled[number - 2].tags:
            before = labelled[number - 2]  # "true peak no higher than -1.5"
        if after is not None and after["param"] == "max":
            after = None
        if before is not None and before["param"] == "max" and after is not None:
            before = None
        chosen = (before or after) if before_wins else (after or before)
        if chosen is not None and chosen.text in _RINGING and item.quantity.value >= LEAST_BARE_HZ:
            continue  # "la resonancia en 400"
        if chosen is not None:
            item.label = chosen["param"]
            if item.label in ("drive", "decay", "sustain", "ceiling", "wet", "reduction", "attack"):
                for kind in ("effect", "verb", "word", "measure"):
                    chosen.tags.pop(kind, None)


_RINGING = ("resonancia", "resonance")
_AROUND = words_of(
    "unos unas alrededor cerca aproximadamente approx maximo max maxima about roughly objetivo target mas o menos"
)


def _next_is_hertz(items: list[Item], number: int) -> bool:
    following = items[number + 1] if number + 1 < len(items) else None
    return following is not None and following.quantity is not None and following.quantity.unit in ("hz", "khz")


_OF_HERTZ = ("around", "too", "more", "less")
_TIMED = ("delay", "reverb", "compressor", "gate", "limiter", "multiband", "pan")


def _settle_numbers(clause: Clause) -> None:
    """Bare numbers by what stands around them: "fighting around 80" is a frequency, "la 2 a la derecha" the second of two."""
    kept = list[Item]()
    for number, item in enumerate(clause.items):
        quantity = item.quantity
        if quantity is not None and not quantity.unit and not quantity.signed:
            before = clause.items[number - 1] if number else None
            after = clause.items[number + 1] if number + 1 < len(clause.items) else None
            is_around = before is not None and before.is_a("place", *_OF_HERTZ) and before.until == item.at
            if is_around and quantity.value >= 2 * LEAST_BARE_HZ and not clause.has("effect", *_TIMED):
                item.quantity = replace(quantity, unit="hz")
            sided = after is not None and after.is_a("place", "left", "right", "center")
            if sided and quantity.value in range(1, 10) and item.before in ("la", "el", "number", "numero", "#"):
                item.label = INDEX
                continue
        kept.append(item)
    clause.items = kept


def _settle_bands(clause: Clause, scan: Scan) -> None:
    """ "bass" is the instrument, unless it is that of something else: "boost the bass on the guitar"."""
    items = clause.items
    targets = [item for item in items if "target" in item.tags]
    for number, item in enumerate(targets[:-1]):
        if item.text != "bass" or "stem" in item.tags:
            continue
        other = targets[number + 1]
        between = [token.text for token in scan.tokens[item.until : other.at]]
        if {"on", "of", "in", "from", "to"} & set(between) and any(
            one["verb"] in ("boost", "cut", "add", "remove", "raise", "lower", "tame", "give") for one in items
        ):
            del item.tags["target"]
            item.tags["band"] = "low"


def _targets(items: list[Item]) -> list[str]:
    """What the items speak of: instruments before the song, the song before nothing."""
    said = [item["target"] for item in items if "target" in item.tags]
    said = ["master" if one == "song" and any(item.is_a("target", "master") for item in items) else one for one in said]
    instruments = [one for one in said if one not in ("master", "song", "*")]
    if instruments and "*" in said and any(item.is_a("special", "except") for item in items):
        return ["*"]
    if instruments:
        return list(dict.fromkeys(instruments))
    for whole in ("*", "master", "song"):
        if whole in said:
            return [whole]
    return []
