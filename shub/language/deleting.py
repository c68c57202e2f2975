"""Orders to delete: only what is said outright, of files, stems as files, or the project."""

from shub.language.clause import Clause
from shub.language.scanning import Item, Scan
from shub.language.words import words_of

STRONG_DELETES = (
    "borr",
    "elimin",
    "delet",
    "eras",
    "suprim",
    "trash",
    "purge",
    "wipe",
    "deshazte",
    "deshacerme",
    "destroy",
)


SOFT_DELETES = ("remov", "quit", "tira", "discard", "descart")


def is_deletion(clause: Clause, found: Scan) -> bool:
    """Only an explicit order to delete files, stems as files, or the project: the verb, and right after it the thing itself.

    "borra la pista de coros" is; "borra el ruido de la pista" is not, nor is a question, nor what only turns off.
    """
    for number, item in enumerate(clause.items):
        if "verb" not in item.tags:
            continue
        is_thrown = item.is_a("special", "discard")
        is_binned = any(one.is_a("special", "discard") and one.text in _BINS for one in clause.items)
        is_strong, is_soft = item.text.startswith(STRONG_DELETES), item.text.startswith(SOFT_DELETES)
        if _is_told(item, found) or not (is_strong or is_soft or is_thrown) or found.is_question_of_knowledge:
            continue
        is_strong = is_strong or (is_soft and is_binned)
        rest = [one for one in clause.items[number + 1 :] if not one.is_a("special", "only")]
        if any(
            ("effect" in one.tags and "target" not in one.tags)
            or "band" in one.tags
            or ("word" in one.tags and "target" not in one.tags)
            for one in rest
        ):
            return False
        if any(one.quantity is not None and one.quantity.unit not in ("", "count") for one in rest):
            return False
        thing = next((one for one in rest if one.quantity is None and not one.is_a("place", "more")), None)
        if thing is None:
            return False
        gap = [token.text for token in found.tokens[item.until : thing.at]]
        if any(word not in SMALL_WORDS for word in gap if not word.isdigit()):
            return False
        after = [word for word in _rest_of_part(found, thing.until) if word not in SMALL_WORDS and not word.isdecimal()]
        after = after[1:] if after[:1] in (["in"], ["from"], ["en"]) else after
        if is_thrown:  # "throw away the pad stem": only with the file named
            is_named = thing.text.split()[-1] in _FILE_WORDS or thing.is_a("file", "file", "project")
            return is_named or ("target" in thing.tags and bool(after) and after[0] in _FILE_WORDS)
        if (
            is_strong and "file" in thing.tags and not thing.is_a("file", "file", "project")
        ):  # "el stem de cuerdas", not "la pista que sobra"
            return (
                not after or after[0] in _FILE_WORDS or any("target" in one.tags and one is not thing for one in rest)
            )
        if is_strong and thing.is_a("target", "*"):
            return not after or after[0] in _FILE_WORDS
        if is_strong:
            is_called = thing.text.split()[-1] in _FILE_WORDS or bool(after and after[0] in _FILE_WORDS)
            return "file" in thing.tags or "stem" in thing.tags or is_called
        return thing.text in _PLAIN_FILES or bool("target" in thing.tags and after and after[0] in _PLAIN_FILES)
    return False


_WHO = words_of(
    "i he she they we someone somebody who quien alguien se has have had was were been being ha he han hemos habia fue been not"
)
_MISTAKES = words_of("querer error accident accidente accidentally mistake equivocacion")
_WHEN = words_of(
    "if si before antes unless cuando when accidentally after despues without sin why how como should deberia debo puedo"
)


def _is_told(item: Item, found: Scan) -> bool:
    """Whether a deletion is only spoken of: done, supposed, asked about; "I deleted the vocal track", "si borras la pista"."""
    if item.text.endswith(("ed", "ado", "ada", "ados", "adas")) or item.at in found.past:
        return True
    if _MISTAKES & {token.text for token in found.tokens[item.until :]}:
        return True
    before: list[str] = []
    for token in reversed(found.tokens[max(item.at - 4, 0) : item.at]):
        if token.kind == "mark" and token.text not in "¿¡":
            break
        before.append(token.text)
    return (bool(before) and before[0] in _WHO) or bool(_WHEN & set(before))


def _rest_of_part(found: Scan, at: int) -> list[str]:
    words = []
    for token in found.tokens[at:]:
        if token.kind == "mark" or token.text in ("y", "and", "e", "luego", "then"):
            break
        words.append(token.text)
    return words


_BINS = ("a la papelera", "a la basura", "in the bin", "in the trash")


SMALL_WORDS = words_of(
    "unused extra duplicate temporary audio "
    "el la los las un una unos unas de del the a an of all every my mi mis tu tus this that these those este esta ese esa estos "
    "estas esos esas por favor please viejo vieja old viejos viejas whole entire entera entero completo completa me lo mismo also "
    "ya now ahora todo todos toda todas - _ . for to and y both other otro otra"
)


_PLAIN_FILES = words_of("archivo archivos fichero ficheros file files asset assets proyecto project")


_FILE_WORDS = words_of(
    "pista pistas stem stems track tracks archivo archivos fichero ficheros file files asset assets canal canales proyecto project "
    "sesion session toma tomas take takes grabacion grabaciones recording recordings"
)


def deleted(clause: Clause) -> list[str]:
    targets = [target for target in clause.own_targets if target not in ("song",)]
    if targets:
        return targets
    if clause.has("file", "project"):
        return ["*"]
    is_many = any(
        word
        in (
            "todo",
            "todos",
            "todas",
            "all",
            "every",
            "stems",
            "pistas",
            "tracks",
            "files",
            "archivos",
            "ficheros",
            "assets",
        )
        for word in clause.words
    )
    return (
        ["*"]
        if is_many
        else ["master"]
        if clause.has("target", "song", "master")
        else clause.targets
        if not clause.is_guess
        else ["*"]
    )
