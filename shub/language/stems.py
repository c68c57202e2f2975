"""Who is spoken of: stems by their names and roles, and targets that are carried from clause to clause."""

from collections.abc import Sequence

from config.contracts.shub_language import CommandContext, KnownStem
from shub.language.clause import SOUND_VERBS, Clause
from shub.language.scanning import Item, Scan, scan
from shub.language.words import composed, folded, tokens_of, words_of
from shub.roles import role_of


def role_in(context: CommandContext, target: str) -> str:
    """The role of a target: of a stem by its name, else the target itself."""
    for stem in context.stems:
        one = stem if isinstance(stem, KnownStem) else KnownStem(name=stem)
        if one.name == target:
            return one.role or role_of(None, one.name)[0].value
    return target


def own_names(stems: Sequence[KnownStem]) -> list[tuple[str, tuple[str, ...]]]:
    """Names of stems that say more than a role: as the words they consist of."""
    names, roles = [], [role for _, role in roles_of(stems)]
    for stem in stems:
        base = (
            stem.name.rsplit(".", 1)[0]
            if stem.name.lower().endswith((".wav", ".flac", ".mp3", ".ogg", ".aif", ".aiff"))
            else stem.name
        )
        words = tuple(token.text for token in tokens_of(folded(composed(base))) if token.text not in "_-.")
        is_one_of_many = roles.count(stem.role or role_of(None, stem.name)[0].value) > 1
        is_role = len(words) == 1 and is_common(words[0]) and not is_one_of_many
        if words and any(len(word) > 1 for word in words) and not is_role:
            names.append((stem.name, words))
    return names


def is_common(word: str) -> bool:
    """A name that is a word of the vocabulary (or of everyday language): it is read as that."""
    parts = scan(word)
    return bool(parts.parts) or not parts.unknown


def roles_of(stems: Sequence[KnownStem]) -> list[tuple[str, str]]:
    return [(stem.name, stem.role or role_of(None, stem.name)[0].value) for stem in stems]


_KEY_MARKS = words_of("con with cuando when whenever by using triggered keyed against vez time under debajo")
_FROM = words_of("from off desde del de")
_TO = words_of("to al a on in into en sobre onto")
_ASIDE_MARKS = words_of("cuando when whenever vez time")


def give_roles(clause: Clause, found: Scan) -> None:
    """Who ducks whom, where a clause is about a side-chain: "duck the pads with the kick", "que el bombo agache el bajo"."""
    if not (clause.said("duck") or clause.has("effect", "sidechain")) or len(clause.own_targets) < 2:
        return
    key = _key_of_sidechain(clause, found)
    clause.key = key["target"]
    clause.own_targets = [one for one in clause.own_targets if one != clause.key]
    if _ASIDE_MARKS & set(
        _words_before(key, clause, found)
    ):  # "cada vez que pega el bombo": what it does then is no order
        clause.items = [item for item in clause.items if "word" not in item.tags]


def _key_of_sidechain(clause: Clause, found: Scan) -> Item:
    named = [item for item in clause.items if "target" in item.tags]
    marks = {item.at: _words_before(item, clause, found) for item in named}
    other_to = [item for item in named if _TO & set(marks[item.at][-2:])]
    by_source = [item for item in named if _FROM & set(marks[item.at][-2:])]
    if clause.has("effect", "sidechain") and by_source and other_to and by_source[0] is not other_to[-1]:
        return by_source[0]  # "sidechain del bombo al pad"
    marked = next((item for item in named[1:] if _KEY_MARKS & set(marks[item.at])), None)
    if marked is not None:
        return marked
    duck = next((item for item in clause.items if item.is_a("verb", "duck")), None)
    if duck is not None and named[0].at < duck.at and duck.before != "se":
        return named[0]
    if other_to and other_to[-1] is not named[0] and "sidechain" in clause.words[:2]:
        return other_to[-1]  # "sidechain the bass to the kick"
    return next((item for item in named if item["target"] == "kick"), named[-1])


def _words_before(item: Item, clause: Clause, found: Scan) -> list[str]:
    """The last words before a target, after the target before it."""
    start = max((one.until for one in clause.items if "target" in one.tags and one.until <= item.at), default=0)
    return [token.text for token in found.tokens[max(item.at - 4, start) : item.at]]


def carry_targets(clauses: list[Clause], context: CommandContext, stems: Sequence[KnownStem]) -> None:
    """Give every clause what it is about: its own targets, those before it, those after it, those of the last command, the whole."""
    before: list[str] = []
    for number, clause in enumerate(clauses):
        own = clause.own_targets
        if not before and any("effect" in item.tags or item["verb"] in SOUND_VERBS for item in clause.refused):
            before = [item["target"] for item in clause.refused if "target" in item.tags]
        if own == ["song"]:
            own = ["master"]
        if own:
            clause.targets = own
            before = own if own != ["*"] or not clause.excepted else before
            continue
        if _stands_alone(clause) and (
            clause.said("master", "mix", "export", "save", "convert") or not has_pronoun(clause)
        ):
            continue
        if before:
            clause.targets = list(before)
            continue
        later = next(
            (other.own_targets for other in clauses[number + 1 :] if other.own_targets and not _stands_alone(other)), []
        )
        if later and not has_pronoun(clause):
            clause.targets = ["master" if one == "song" else one for one in later]
        elif context.last_targets:
            clause.targets = list(context.last_targets)
        elif len(stems) == 1:
            clause.targets = [roles_of(stems)[0][1] if is_common(folded(stems[0].name)) else stems[0].name]
        else:
            clause.targets, clause.is_guess = ["master"], True


_PRONOUNS = ("lo", "la", "los", "las")


def has_pronoun(clause: Clause) -> bool:
    """Whether an order points back at what was spoken of: "súbela", "pan them"."""
    if any(word in ("it", "them", "him", "her", "ella", "ellos", "ellas") for word in clause.words):
        return True
    return any("verb" in item.tags and len(item.text) > 5 and item.text.endswith(_PRONOUNS) for item in clause.items)


def _stands_alone(clause: Clause) -> bool:
    """An order about the whole: it has no target of its own to miss."""
    return (
        clause.said(
            "export", "save", "convert", "master", "undo", "mix", "normalize", "analyze", "show", "match", "compare"
        )
        or clause.has("format")
        or (clause.has("special", "undo", "reference") or clause.has("picture"))
    )
