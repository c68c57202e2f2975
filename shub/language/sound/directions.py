"""How much, and whether more or less, of a sound a clause asks for."""

from shub.language.clause import Clause
from shub.language.descriptors import Word
from shub.language.scanning import Item
from shub.language.words import words_of

LOWER_VERBS = words_of("lower cut remove tame duck close narrow fix limit")
RAISE_VERBS = frozenset({"raise", "boost", "add", "give"})


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


def word_direction(clause: Clause, item: Item, word: Word) -> int:
    """Whether more or less of a word's sound is wanted: "más brillo" and "suena apagada" both want more of the highs."""
    near = [one for one in clause.items if one.until <= item.at and item.at - one.until <= 2]
    asked = next((one["place"] for one in reversed(near) if one.is_a("place", "more", "less", "too")), "")
    if asked:
        if asked == "more" and word.is_fault and clause.said("sound") and not is_wish(clause):
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
        wished = set(orders) & {"make", "add", "boost", "raise"} or (is_wish(clause) and not is_statement(clause))
        return 1 if wished and not is_statement(clause) else -1
    if is_statement(clause) and any(one.is_a("place", "strongly", "slightly") for one in near):
        return -1
    if is_statement(clause) and clause.said("sound") and word.term in _EASILY_TOO_MUCH:
        return -1
    return 1


_EASILY_TOO_MUCH = words_of("dark aggressive small narrow dry soft mellow gritty spacious crunchy bright wide")


def is_wish(clause: Clause) -> bool:
    return any(
        item.is_a("verb", "sound") and item.text in ("suene", "suenen", "sonar", "sound") for item in clause.items
    )


def is_statement(clause: Clause) -> bool:
    return (
        not is_wish(clause)
        and all(verb in ("sound", "clip", "mask", "move") for verb in clause.verbs)
        and not clause.has("place", "more")
    )


def verb_sign(clause: Clause) -> int:
    """1 where the order of a clause is for more, -1 where it is for less."""
    if clause.has("special", "make_room"):
        return -1
    if clause.has("place", "down") and not clause.has("place", "up") and not clause.said("raise", "boost"):
        return -1
    return -1 if any(verb in LOWER_VERBS for verb in clause.verbs[:1]) or clause.said("cut", "lower", "tame") else 1
