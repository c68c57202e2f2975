"""A command as clauses: one order each, with what it is about; verbs and targets that are not repeated are carried over.

"sube la voz 3 dB y el bajo 2" are two orders with one verb; "comprime la voz y el bajo" is one with two targets; "la voz no se entiende:
súbela" is one, whose target stands in what was said before it. What is denied ("no toques el bajo", "sin reverb") is no order.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from shub.language.scanning import Item, Scan
from shub.language.words import words_of

DETERMINERS = words_of(
    "old new rough previous viejo vieja nuevo nueva whole "
    "la el los las un una unos unas the an my mi mis tu su your this that these those este esta ese esa estos estas de del of al in "
    "en on for with con sobre lo same mismo misma whole our nuestra nuestro final entire toda todo complete full otra otro another"
)
GENERIC = words_of("put give make want move tell sound touch clip mask do keep")
CONTENT = ("effect", "band", "word")
NOUN_OR_VERB = frozenset({"mix", "master"})
SOUND_VERBS = words_of(
    "compress limit gate deess saturate equalize filter highpass lowpass widen narrow duck fade reverberate resample close"
)
NO_ORDERS = words_of("sound clip mask want touch show")
CREATING = words_of("make put want give show add export save remove")


@dataclass(slots=True)
class Clause:
    """One order. `own_targets` are those said in it; `targets` those that it is about in the end."""

    items: list[Item] = field(default_factory=list)
    verbs: list[str] = field(default_factory=list)
    own_targets: list[str] = field(default_factory=list)
    excepted: list[str] = field(default_factory=list)
    targets: list[str] = field(default_factory=list)
    carried: bool = False
    """Its verb is that of the clause before."""
    refused: list[Item] = field(default_factory=list)
    """What was denied in it."""
    words: list[str] = field(default_factory=list)
    """All that was said from its first to its last item, the unknown too."""
    is_only: bool = False
    """Only this was said to be meant: "deja solo la voz"."""
    key: str = ""
    """Whose level ducks the targets."""
    is_guess: bool = False
    """Nobody said what it is about."""

    @property
    def verb(self) -> str:
        return self.verbs[0] if self.verbs else ""

    def has(self, kind: str, *values: str) -> bool:
        return any(item.is_a(kind, *values) for item in self.items)

    def all_of(self, kind: str) -> list[Item]:
        return [item for item in self.items if kind in item.tags]

    def said(self, *verbs: str) -> bool:
        return any(verb in verbs for verb in self.verbs)

    @property
    def numbers(self) -> list[Item]:
        return [item for item in self.items if item.quantity is not None]

    @property
    def has_content(self) -> bool:
        return any(
            kind in item.tags and not (kind == "effect" and item["effect"] in ("volume", "pan", "stereo"))
            for item in self.items
            for kind in CONTENT
        )

    @property
    def is_only_targets(self) -> bool:
        return (
            bool(self.own_targets)
            and all("target" in item.tags or item.is_a("special", "only") for item in self.items)
            and not self.verbs
            and not any(item.is_a("effect") and not item.is_a("target") for item in self.items)
        )

    @property
    def is_heading(self) -> bool:
        """The name of a tool alone, before what is to be done with it."""
        return bool(self.items) and all(item.is_a("effect", "eq", "mid_side", "multiband") for item in self.items)

    @property
    def is_statement(self) -> bool:
        """A complaint or a description, not an order."""
        return not [verb for verb in self.verbs if verb not in NO_ORDERS] and (
            self.has("word")
            or self.said("mask")
            or self.has("special", "quiet_complaint", "loud_complaint", "better", "dislike")
            or (self.has("place", "left", "right") and self.has("place", "strongly", "too", "slightly"))
        )


def clauses_of(scan: Scan) -> list[Clause]:
    """The orders in a command, in their order, with their targets where they say them."""
    clauses: list[Clause] = []
    denied = False
    for part, opener in _pieces(scan):
        clause, is_denied = _clause(part, scan)
        if not clause.items:
            denied = is_denied or denied
            if clauses and clause.refused and clause.refused[0].at:
                clauses[-1].refused += clause.refused
            elif clause.refused:
                clauses.append(clause)
            if clause.excepted and clauses:
                clauses[-1].excepted += clause.excepted
            continue
        if denied and opener in ("ni", "o", "or", "nor", ",", "y", "and", "e") and clause.is_only_targets:
            continue
        if (
            clauses
            and opener in ("y", "and", ",", "e")
            and clause.is_only_targets
            and clauses[-1].excepted
            and clauses[-1].has("special", "except")
        ):
            clauses[-1].excepted += clause.own_targets
            continue
        denied = is_denied
        _join(clauses, clause)
    for before, after in pairwise(clauses):  # "sin reverb en la voz, solo …": what was denied tells what is spoken of
        if not before.items:
            after.refused = before.refused + after.refused
    return [clause for clause in clauses if clause.items]


def _pieces(scan: Scan) -> Iterator[tuple[list[Item], str]]:
    """The parts with what opens them; "voz +1 bajo -2 caja +3" is three."""
    for part, opener in zip(scan.parts, scan.openers, strict=True):
        cuts = [
            number
            for number in range(1, len(part))
            if "target" in part[number].tags and part[number - 1].quantity is not None
        ]
        targets = sum("target" in item.tags for item in part)
        numbers = sum(item.quantity is not None and item.quantity.unit in ("db", "") for item in part)
        has_more = any(kind in item.tags for item in part for kind in (*CONTENT, "param"))
        if not cuts or targets < 2 or numbers != targets or has_more:
            yield part, opener
            continue
        for start, end in pairwise([0, *cuts, len(part)]):
            yield part[start:end], opener if start == 0 else ","


def _clause(part: list[Item], scan: Scan) -> tuple[Clause, bool]:
    """A part as a clause, without what is denied in it; and whether its end is denied."""
    clause = Clause()
    denied, excepting = False, False
    has_all = any(item.is_a("target", "*") for item in part)
    for number, item in enumerate(part):
        if item.is_a("special", "affirmed"):
            continue
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
        if item.is_a("special", "discard"):
            item.tags["verb"] = "remove"
        if item.is_a("target", "lead") and item.is_a("special", "only"):
            item.tags.pop("target")
        if item.text in ("bajo", "bajos") and _next_is_hertz(items, number) and item.before not in ("el", "del", "al"):
            item.tags.pop("target", None)
            item.tags["place"] = "below"
    _settle_bands(clause, scan)
    _forget_comparisons(items, scan)
    _name_numbers(items, scan)
    clause.verbs = [item["verb"] for item in items if "verb" in item.tags]
    clause.own_targets = _targets(items)


_BENEFICIARY = words_of("for para than que so como like under against without debajo")


def _forget_comparisons(items: list[Item], scan: Scan) -> None:
    """Who is only what another is measured by or makes room for is no target: "above the guitar", "to make room for the vocal"."""
    first = next((item for item in items if "target" in item.tags), None)
    for number, item in enumerate(items):
        if "target" not in item.tags or item is first:
            continue
        before = items[number - 1]
        is_measure = before.is_a("place", "above", "below") and item.at - before.until <= 1
        words = {token.text for token in scan.tokens[max(item.at - 2, 0) : item.at]}
        if is_measure or words & _BENEFICIARY:
            del item.tags["target"]


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
        if after is not None and after["param"] == "max":
            after = None
        if before is not None and before["param"] == "max" and after is not None:
            before = None
        chosen = (before or after) if before_wins else (after or before)
        if chosen is not None:
            item.label = chosen["param"]
            if item.label in ("drive", "decay", "sustain", "ceiling", "wet", "reduction", "attack"):
                for kind in ("effect", "verb", "word", "measure"):
                    chosen.tags.pop(kind, None)


_AROUND = words_of(
    "unos unas alrededor cerca aproximadamente approx maximo max maxima about roughly objetivo target mas o menos"
)


def _next_is_hertz(items: list[Item], number: int) -> bool:
    following = items[number + 1] if number + 1 < len(items) else None
    return following is not None and following.quantity is not None and following.quantity.unit in ("hz", "khz")


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


def _join(clauses: list[Clause], clause: Clause) -> None:
    """Add a part to the clauses before it: as one of its own, or as more of the last one."""
    last = clauses[-1] if clauses else None
    if last is None or not last.items:
        clauses.append(clause)
        return
    orders = [verb for verb in clause.verbs if verb not in NO_ORDERS]
    if (
        last.excepted and clause.own_targets and not orders and not clause.has_content
    ):  # "menos el bajo y el bombo a 100 Hz"
        last.excepted += clause.own_targets
        last.items += [item for item in clause.items if "target" not in item.tags]
        return
    if last.is_heading and orders:  # "eq: corta …"
        last.items += clause.items
        last.verbs, last.own_targets = list(clause.verbs), list(clause.own_targets)
        return
    if clause.is_only_targets and (clause.own_targets in (["master"], ["*"]) or not last.has("special", "reference")):
        last.items += clause.items
        last.own_targets = list(dict.fromkeys([*last.own_targets, *clause.own_targets]))
        return
    if not last.verbs and last.is_only_targets and not clause.own_targets:
        last.items += clause.items
        last.verbs = list(clause.verbs)
        return
    if (
        not clause.verbs
        and clause.own_targets
        and not last.own_targets
        and last.has_content
        and _is_only_values(clause)
    ):
        last.items += clause.items
        last.own_targets = clause.own_targets
        return
    if not orders and clause.own_targets and _shares_number(last, clause):
        last.items += clause.items
        last.own_targets = list(dict.fromkeys([*last.own_targets, *clause.own_targets]))
        return
    if (
        (last.has_content or last.said(*SOUND_VERBS))
        and not clause.own_targets
        and not clause.has_content
        and _is_only_values(clause)
        and not _is_global(last)
    ):
        last.items += [item for item in clause.items if "verb" not in item.tags]  # "… y súbele el makeup a 3 dB"
        return
    if orders or (clause.verbs and not last.is_only_targets):
        if last.is_statement and not clause.own_targets:
            clause.own_targets = last.own_targets[:1] if last.said("mask") else list(last.own_targets)
            words = [
                item
                for item in last.items
                if ("word" in item.tags and "special" not in item.tags)
                or (last.has("special", "dislike") and "effect" in item.tags)
            ]
            if not clause.has_content and not clause.said("raise", "lower", "pan", "mute", "solo") and words:
                clause.items = words + clause.items
            if orders:
                clauses.pop()
        clauses.append(clause)
        return
    if clause.is_statement and not clause.has("place", "more", "less") and clause.own_targets:
        clauses.append(clause)
        return
    if not clause.own_targets and not clause.has_content:
        last.items += clause.items
        return
    if _is_global(last) and (not clause.own_targets or not (clause.has_content or clause.verbs)):
        last.items += clause.items
        last.own_targets = list(dict.fromkeys([*last.own_targets, *clause.own_targets]))
        return
    if (
        not clause.own_targets
        and clause.has("band")
        and not clause.has("effect", "reverb", "delay")
        and last.said("pan", "mute") is False
        and not last.has_content
        and not _has_order_of_sound(last)
    ):
        last.items += clause.items
        return
    clause.verbs, clause.carried = _carried(last, clause), True
    clauses.append(clause)


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


def _has_order_of_sound(clause: Clause) -> bool:
    return clause.said(
        "raise",
        "lower",
        "boost",
        "cut",
        "add",
        "remove",
        "compress",
        "limit",
        "equalize",
        "filter",
        "highpass",
        "lowpass",
    )


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
