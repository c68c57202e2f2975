"""A command as actions: which of them each clause asks for, on what, with which effects and parameters. Pure, by rules alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from config.contracts.shub_language import CommandAction, CommandContext, Descriptor, KnownStem
from shub.language.clauses import NO_ORDERS, Clause, clauses_of
from shub.language.files import output_params, trim_of
from shub.language.scanning import Item, Scan, scan
from shub.language.sound import WORDS, Sound, amount_of, implied_effect, is_hertz, keep, named, sound_of, word_direction
from shub.language.vocabulary import BANDS, FOREIGN
from shub.language.words import composed, folded, tokens_of, words_of
from shub.roles import role_of

Language = Literal["es", "en"]

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
WHOLE_VERBS = words_of("export master normalize mix save convert analyze show")
LEVEL_VERBS = frozenset({"raise", "lower", "move", "boost", "cut"})
SOUND_VERBS = words_of(
    "compress limit gate deess saturate equalize filter highpass lowpass widen narrow duck fade reverberate resample close"
)


@dataclass(slots=True)
class Reading:
    """What the rules made of a command; `doubts` lower the confidence, and each is a question's code."""

    actions: list[CommandAction] = field(default_factory=list)
    descriptors: list[Descriptor] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    unavailable: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    numbers: list[Item] = field(default_factory=list)
    """Every quantity that was said."""
    language: Language = "es"
    confidence: float = 0.0


def read(command: str, context: CommandContext) -> Reading:
    """The actions of a command, by the rules."""
    text = composed(command)
    said = folded(text)
    stems = [stem if isinstance(stem, KnownStem) else KnownStem(name=stem) for stem in context.stems]
    found = scan(said, _own_names(stems))
    reading = Reading(language=language_of(text, said))
    clauses = clauses_of(found)
    for clause in clauses:
        first, last = min(item.at for item in clause.items), max(item.until for item in clause.items)
        clause.words = [token.text for token in found.tokens[first:last]]
        _give_roles(clause, found)
    _carry_targets(clauses, context, stems)
    if not _is_about_audio(found, clauses, context):
        reading.actions = [CommandAction(action="not_audio")]
        reading.confidence = 0.9
        return reading
    for clause in clauses:
        reading.descriptors += _descriptors(clause, text, found)
        reading.actions += _actions(clause, clauses, found, reading, context, stems)
    reading.actions = _merged(reading.actions)
    if not reading.actions:
        is_denied = bool(found.parts) and any(
            item.is_a("special", "neg", "keep") for part in found.parts for item in part
        )
        reading.actions = [CommandAction(action="unknown")]
        reading.doubts.append("nothing_asked" if is_denied else "unclear")
    reading.numbers = [item for part in found.parts for item in part if item.quantity is not None]
    keep_all_numbers(reading)
    reading.confidence = _confidence(reading, found)
    return reading


# --------------------------------------------------------------------------------------------------------------- context
def _own_names(stems: Sequence[KnownStem]) -> list[tuple[str, tuple[str, ...]]]:
    """Names of stems that say more than a role: as the words they consist of."""
    names = []
    for stem in stems:
        base = (
            stem.name.rsplit(".", 1)[0]
            if stem.name.lower().endswith((".wav", ".flac", ".mp3", ".ogg", ".aif", ".aiff"))
            else stem.name
        )
        words = tuple(token.text for token in tokens_of(folded(composed(base))) if token.text not in "_-.")
        if words and any(len(word) > 1 for word in words) and not (len(words) == 1 and _is_common(words[0])):
            names.append((stem.name, words))
    return names


def _is_common(word: str) -> bool:
    """A name that is a word of the vocabulary (or of everyday language): it is read as that."""
    parts = scan(word)
    return bool(parts.parts) or not parts.unknown


def _roles(stems: Sequence[KnownStem]) -> list[tuple[str, str]]:
    return [(stem.name, stem.role or role_of(None, stem.name)[0].value) for stem in stems]


def role_in(context: CommandContext, target: str) -> str:
    """The role of a target: of a stem by its name, else the target itself."""
    for stem in context.stems:
        one = stem if isinstance(stem, KnownStem) else KnownStem(name=stem)
        if one.name == target:
            return one.role or role_of(None, one.name)[0].value
    return target


_KEY_MARKS = words_of("con with to cuando when from by using triggered keyed desde against every vez al")


def _give_roles(clause: Clause, found: Scan) -> None:
    """Who ducks whom, where a clause is about a side-chain: "duck the pads with the kick", "que el bombo agache el bajo"."""
    if not (clause.said("duck") or clause.has("effect", "sidechain")) or len(clause.own_targets) < 2:
        return
    named_at = [item for item in clause.items if "target" in item.tags]
    duck = next((item for item in clause.items if item.is_a("verb", "duck")), None)
    key = next(
        (
            item
            for item in named_at[1:]
            if _KEY_MARKS & {token.text for token in found.tokens[max(item.at - 3, 0) : item.at]}
        ),
        None,
    )
    if key is None and duck is not None and named_at[0].at < duck.at:
        key = named_at[0]
    if key is None:
        key = next((item for item in named_at if item["target"] == "kick"), named_at[-1])
    clause.key = key["target"]
    clause.own_targets = [one for one in clause.own_targets if one != clause.key]


def _carry_targets(clauses: list[Clause], context: CommandContext, stems: Sequence[KnownStem]) -> None:
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
            clause.said("master", "mix", "export", "save", "convert") or not _has_pronoun(clause)
        ):
            continue
        if before:
            clause.targets = list(before)
            continue
        later = next(
            (other.own_targets for other in clauses[number + 1 :] if other.own_targets and not _stands_alone(other)), []
        )
        if later and not _has_pronoun(clause):
            clause.targets = ["master" if one == "song" else one for one in later]
        elif context.last_targets:
            clause.targets = list(context.last_targets)
        elif len(stems) == 1:
            clause.targets = [_roles(stems)[0][1] if _is_common(folded(stems[0].name)) else stems[0].name]
        else:
            clause.targets, clause.is_guess = ["master"], True


_PRONOUNS = ("lo", "la", "los", "las")


def _has_pronoun(clause: Clause) -> bool:
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


# ----------------------------------------------------------------------------------------------------------------- audio
_WEAK = words_of(
    "caja cajas plato platos cuerda cuerdas metal metales viento vientos viola kit hat hats host ride palma palmas tom horn horns "
    "string keys key pad crash solo beat everything rest song archivo fichero file files todo toda all resto sonido audio track "
    "sala room camara cinta tape placa plate gate puerta filtro filter retraso drive pan intro width fuerte loud "
    "nivel level volumen volume corte cut ruido noise medio medios mid top high low bottom alto altos banda band "
    "bands tubo tube clip imagen picture master host single album ep demo narrador canto record organ salida voice voices dialogo "
    "dialog church iglesia tv television tele cd apple amazon youtube online redes streaming grafica plot graph eco echo rate tail "
    "entrada limite mix mezcla hp reel valve color take toma recording project proyecto session"
)
_AUDIO_VERBS = words_of(
    "compress deess saturate equalize pan master normalize mute unmute solo resample highpass lowpass gate limit export duck "
    "reverberate clip undo"
)
_LIGHT_VERBS = words_of("mix fade raise lower boost widen narrow filter center balance analyze")


def _is_about_audio(found: Scan, clauses: list[Clause], context: CommandContext) -> bool:
    """Whether enough of the words speak of sound, against those that nothing is known of."""
    score = 0.5 if context.stems else 0.0
    items = [item for part in found.parts for item in part]
    for item in items:
        score += max((_weight(item, kind) for kind in item.tags), default=0.0)
        if item.quantity is not None and item.quantity.unit in (
            "db",
            "dbtp",
            "lufs",
            "hz",
            "khz",
            "bit",
            ":1",
            "db/oct",
            "bpm",
            "kbps",
            "ms",
        ):
            score += 2.0
        elif item.quantity is not None and item.quantity.unit == "s":
            score += 0.7
    foreign = {token.text for token in found.tokens if token.text in FOREIGN}
    unknown = len(set(found.unknown) - foreign)
    score -= 1.2 * len(foreign) if not any("platform" in item.tags for item in items) else 0.0
    if not items and not unknown:
        return False
    is_vague = (
        unknown == 0
        and not foreign
        and any("verb" in item.tags or item.is_a("special", "better") or "place" in item.tags for item in items)
    )
    return (
        score - 0.4 * unknown >= 0.7
        or (is_vague and score >= 0)
        or (bool(context.last_targets) and unknown <= 1 and bool(items))
    )


def _weight(item: Item, kind: str) -> float:
    is_weak = item.text in _WEAK
    match kind:
        case "stem":
            return 3.0
        case "target" | "effect" | "format":
            return 0.5 if is_weak else 2.0
        case "band" | "picture" | "measure":
            return 0.5 if is_weak else 1.5
        case "platform":
            return 0.8 if is_weak or item["platform"] in ("cd", "podcast", "streaming", "ebu_r128") else 1.5
        case "file":
            return 0.6 if item["file"] in ("project", "file") else 0.0
        case "word" | "param":
            return 0.6 if is_weak or len(item.text) < 5 else 0.8
        case "verb":
            return 1.2 if item["verb"] in _AUDIO_VERBS else 0.5 if item["verb"] in _LIGHT_VERBS else 0.0
        case "special":
            value = item["special"]
            if value in ("undo", "reference"):
                return 2.0
            if value in (
                "undo",
                "quiet_complaint",
                "loud_complaint",
                "reference",
                "audio",
                "last_dither_no",
                "in_solo",
                "all_effects",
            ):
                return 1.0
            return 0.8 if value in ("louder", "softer") else 0.0
    return 0.0


# --------------------------------------------------------------------------------------------------------------- actions
def _actions(
    clause: Clause,
    clauses: list[Clause],
    found: Scan,
    reading: Reading,
    context: CommandContext,
    stems: Sequence[KnownStem],
) -> list[CommandAction]:
    """What one clause asks for."""
    action = _kind_of(clause, clauses, found, context)
    match action:
        case "":
            return []
        case "undo":
            return [_undo(clause, reading)]
        case "delete":
            return [CommandAction(action="delete", targets=_deleted(clause), params=_counted(clause, reading))]
        case "export" | "master" | "normalize" | "match_reference" | "mix":
            return _whole(action, clause, found, reading, stems)
        case "analyze":
            measures = list(dict.fromkeys(item["measure"] for item in clause.items if "measure" in item.tags))
            params: dict[str, Any] = {"measures": measures} if measures else {}
            platform = next((item["platform"] for item in clause.items if "platform" in item.tags), None)
            return [
                CommandAction(
                    action="analyze",
                    targets=_whole_targets(clause),
                    params=params | ({"target": platform} if platform else {}) | _counted(clause, reading),
                )
            ]
        case "visualize":
            pictures = list(
                dict.fromkeys(
                    item["picture"] for item in clause.items if item.is_a("picture") and item["picture"] != "picture"
                )
            )
            return [
                CommandAction(
                    action="visualize",
                    targets=_whole_targets(clause),
                    params=({"pictures": pictures} if pictures else {}) | _counted(clause, reading),
                )
            ]
        case "set_mix":
            return _set_mix(clause, reading, context, stems)
        case "apply_effects":
            return _apply(clause, found, reading, context, stems, len(clauses) > 1)
    reading.doubts.append("unclear")
    return [CommandAction(action="unknown", params=_counted(clause, reading))]


def _kind_of(clause: Clause, clauses: list[Clause], found: Scan, context: CommandContext) -> str:
    """The action that a clause asks for; "" for none."""
    orders = [verb for verb in clause.verbs if verb not in ("sound", "want", "clip", "mask")]
    first = orders[0] if orders else ""
    has_hertz = any(is_hertz(item, clause) for item in clause.numbers)
    has_sound = clause.has_content or has_hertz
    if clause.has("special", "undo") or (first == "undo" and not clause.has("file", "file")):
        return "undo"
    if is_deletion(clause, found):
        return "delete"
    if clause.has("special", "question") and found.is_question_of_knowledge:
        return "analyze" if clause.own_targets and clause.has("word") and clause.said("sound") else "unknown"
    if clause.has("special", "reference") and (
        first not in ("export", "analyze", "compare", "show", "raise", "lower") or _comes_first(clause, "reference")
    ):
        return "match_reference"
    if first == "match" and (clause.has("special", "reference") or clause.own_targets in (["song"], ["master"])):
        return "match_reference"
    if first == "match" and len(clause.own_targets) > 1:
        return "set_mix"
    if _asks_measure(clause, found, first):
        return "analyze"
    if (
        clause.has("picture")
        and (
            clause.said("show", "put", "give", "make", "want", "export", "save", "add", "tell", "move", "remove")
            or not clause.verbs
        )
        and not has_effects(clause)
    ):
        return "visualize" if clause.said("show") or not clause.has("picture", "spectrum") or not first else "visualize"
    if first == "show" and (clause.has("measure") or clause.own_targets):
        return "visualize" if clause.has("picture") or not clause.has("measure") else "analyze"
    if first in ("analyze", "compare", "tell"):
        return "analyze"
    if first == "clip" or (clause.said("clip") and found.is_question):
        return "analyze"
    if _is_export(clause, first):
        return "export"
    if first == "master" or (
        clause.own_targets == ["master"] and _is_created(clause, ("master", "mastering", "masters"))
    ):
        return "master"
    if first == "normalize" or (clause.has("effect", "normalize") and not first):
        return "normalize"
    has_lufs = any(
        item.quantity is not None
        and (item.quantity.unit == "lufs" or (item.label == "loudness" and item.quantity.unit in ("", "db")))
        for item in clause.numbers
    )
    if has_lufs and first not in SOUND_VERBS and first not in ("mix", "balance"):
        return "normalize" if not clause.has("platform") or clause.has("platform", "ebu_r128", "atsc_a85") else "master"
    if first in ("mix", "balance") and not (has_sound and clause.own_targets not in ([], ["*"], ["song"])):
        if first == "balance" and clause.own_targets not in ([], ["*"], ["song"], ["master"]):
            return "set_mix"
        if (
            first == "mix"
            and clause.own_targets
            and clause.own_targets not in (["*"], ["song"], ["master"])
            and has_effects(clause)
        ):
            return "apply_effects"
        return "mix"
    if (
        clause.own_targets in (["master"], ["*"])
        and _is_created(clause, ("mezcla", "mix", "premezcla", "mixdown", "mescla"))
        and not has_sound
    ):
        return "mix"
    if (
        clause.has("platform")
        and not has_sound
        and (first in ("make", "put", "give", "save", "want", "move", "") or clause.said("want"))
    ):
        return "master"
    if first in ("pan", "center", "mute", "unmute") and not (first == "mute" and has_effects(clause)):
        return "set_mix"
    is_alone = clause.is_only and clause.own_targets and not clause.numbers and not has_sound
    if is_alone and (clause.has("special", "listen") or first in ("put", "", "want") or orders == ["give"]):
        return "set_mix"
    if clause.has("special", "in_solo") or (first == "solo" and clause.own_targets and len(orders) == 1):
        return "set_mix"
    if _is_level(clause, first, has_sound):
        return "set_mix"
    if _is_pan(clause, has_sound):
        return "set_mix"
    if clause.has("special", "all_effects") and clause.said("remove", "mute"):
        return "apply_effects"
    if implied_effect(clause) and first not in WHOLE_VERBS:
        return "apply_effects"
    if has_effects(clause) or has_sound or first in SOUND_VERBS or _cuts_time(clause):
        return "apply_effects"
    if first == "remove" and clause.own_targets and clause.own_targets not in (["song"], ["*"], ["master"]):
        return "set_mix" if _is_direct_object(clause, found) else "apply_effects"
    if clause.has("effect", "resample", "dither"):
        return "export"
    if (first in ("lower", "raise", "move") or clause.has("place", "more", "less", "up", "down")) and (
        clause.own_targets or context.last_targets or _has_pronoun(clause)
    ):
        return "set_mix"
    if clause.has("place", "front", "behind") and clause.own_targets:
        return "set_mix"
    if clause.said("mask") and clause.own_targets:
        return "set_mix"
    if clause.has("special", "back_in") and clause.own_targets:
        return "set_mix"
    if (
        len(clauses) > 1
        and (not orders or first in ("make", "put", "give", "keep", "touch", "do"))
        and not clause.own_targets
    ):
        return ""
    if len(clauses) > 1 and clause.is_only_targets:
        return ""
    if len(clauses) > 1 and not clause.verbs and not clause.numbers:
        return ""
    return "unknown"


def _comes_first(clause: Clause, special: str) -> bool:
    """Whether a phrase stands before every order of the clause."""
    orders = [item.at for item in clause.items if "verb" in item.tags and item["verb"] not in NO_ORDERS]
    return next(item.at for item in clause.items if item.is_a("special", special)) < min(orders, default=10**6)


def _is_direct_object(clause: Clause, found: Scan) -> bool:
    """Whether it is the target itself that is removed, and not something of it."""
    verb = next(item for item in clause.items if "verb" in item.tags)
    target = next((item for item in clause.items if "target" in item.tags and item.at >= verb.until), None)
    return target is None or all(token.text in _SMALL for token in found.tokens[verb.until : target.at])


def has_effects(clause: Clause) -> bool:
    """Whether it names effects or words for a sound that make some."""
    return any(
        (
            "effect" in item.tags
            and "stem" not in item.tags
            and item["effect"] not in _NO_EFFECTS
            and not (item.is_a("effect", "trim") and not clause.said("remove", "cut"))
        )
        or "band" in item.tags
        or (
            "word" in item.tags
            and item["special"] not in ("quiet_complaint", "loud_complaint", "louder", "softer")
            and "target" not in item.tags
        )
        for item in clause.items
    )


_NO_EFFECTS = ("volume", "pan", "stereo", "normalize", "resample", "dither")


def is_deletion(clause: Clause, found: Scan) -> bool:
    """Only an explicit order to delete files, stems as files, or the project: the verb, and right after it the thing itself.

    "borra la pista de coros" is; "borra el ruido de la pista" is not, nor is a question, nor what only turns off.
    """
    for number, item in enumerate(clause.items):
        if "verb" not in item.tags:
            continue
        is_strong, is_soft = item.text.startswith(STRONG_DELETES), item.text.startswith(SOFT_DELETES)
        if not (is_strong or is_soft) or found.is_question_of_knowledge:
            continue
        rest = [one for one in clause.items[number + 1 :] if not one.is_a("special", "only")]
        if any(
            "effect" in one.tags
            and "target" not in one.tags
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
        if any(word not in _SMALL for word in gap if not word.isdigit()):
            return False
        after = [word for word in _rest_of_part(found, thing.until) if word not in _SMALL and not word.isdecimal()]
        if (
            is_strong and "file" in thing.tags and not thing.is_a("file", "file", "project")
        ):  # "el stem de cuerdas", not "la pista que sobra"
            return (
                not after or after[0] in _FILE_WORDS or any("target" in one.tags and one is not thing for one in rest)
            )
        if is_strong and thing.is_a("target", "*"):
            return not after or after[0] in _FILE_WORDS
        if is_strong:
            return "file" in thing.tags or "stem" in thing.tags or bool(after and after[0] in _FILE_WORDS)
        return thing.text in _PLAIN_FILES or bool("target" in thing.tags and after and after[0] in _PLAIN_FILES)
    return False


def _rest_of_part(found: Scan, at: int) -> list[str]:
    words = []
    for token in found.tokens[at:]:
        if token.kind == "mark" or token.text in ("y", "and", "e", "luego", "then"):
            break
        words.append(token.text)
    return words


_SMALL = words_of(
    "el la los las un una unos unas de del the a an of all every my mi mis tu tus this that these those este esta ese esa estos "
    "estas esos esas por favor please viejo vieja old viejos viejas whole entire entera entero completo completa me lo mismo also "
    "ya now ahora todo todos toda todas - _ . for to and y both other otro otra"
)
_PLAIN_FILES = words_of("archivo archivos fichero ficheros file files asset assets proyecto project")
_FILE_WORDS = words_of(
    "pista pistas stem stems track tracks archivo archivos fichero ficheros file files asset assets canal canales proyecto project "
    "sesion session toma tomas take takes grabacion grabaciones recording recordings"
)


def _deleted(clause: Clause) -> list[str]:
    targets = [target for target in clause.own_targets if target not in ("song",)]
    if clause.has("file", "project"):
        return ["*"]
    if targets:
        return targets
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


def _asks_measure(clause: Clause, found: Scan, first: str) -> bool:
    has_measure = clause.has("measure")
    if first in ("show", "tell", "analyze", "compare") and has_measure and not clause.has("picture"):
        return True
    if (
        clause.has("measure", "report")
        and not clause.numbers
        and (not first or first in ("give", "make", "show", "tell", "put", "convert", "remove"))
    ):
        return True
    if first in ("show", "tell") and clause.has("special", "how_many"):
        return True
    if any(
        item.quantity is not None and item.quantity.unit in ("db", "lufs", "hz", "khz", "dbtp")
        for item in clause.numbers
    ):
        return False
    if (
        found.is_question
        and has_measure
        and first
        not in ("raise", "lower", "export", "add", "put", "compress", "master", "normalize", "make", "remove", "give")
    ):
        return True
    if (
        clause.has("special", "how_many")
        and has_measure
        and first in ("", "sound", "clip", "want", "put", "compare", "show", "give")
    ):
        starts = clause.items[0]
        return found.is_question or starts.is_a("special", "how_many") or starts.is_a("measure") or first == ""
    return False


def _is_export(clause: Clause, first: str) -> bool:
    if first == "export":
        return True
    if clause.has("effect", "reverb", "delay", "compressor") or (has_effects(clause) and not clause.has("format")):
        return False
    if (
        clause.has("format")
        and first
        in (
            "",
            "save",
            "convert",
            "give",
            "make",
            "put",
            "want",
            "move",
            "remove",
            "add",
            "mix",
            "master",
            "tell",
            "trim",
            "cut",
            "lower",
            "keep",
        )
        or (clause.has("format") and clause.said("want"))
    ):
        return first not in ("master",) and not (first == "mix" and not clause.has("format"))
    if first in ("save", "convert") and not has_effects(clause):
        return not (first == "convert" and clause.has("effect", "mono", "width")) and (
            clause.has("target")
            or clause.has("format")
            or bool(clause.numbers)
            or clause.has("special", "stems_out")
            or clause.has("file")
        )
    has_bits = any(item.quantity is not None and item.quantity.unit == "bit" for item in clause.numbers)
    return has_bits and first not in SOUND_VERBS - {"resample"} and first != "master"


def _is_created(clause: Clause, nouns: tuple[str, ...]) -> bool:
    """ "haz una mezcla", "I need a master": the thing is to be made, not changed."""
    if not (clause.said("make", "want", "give", "put", "remove", "do", "show") or not clause.verbs):
        return False
    if (
        clause.has_content
        or clause.has("special", "louder", "softer", "loud_complaint", "quiet_complaint")
        or clause.has("place", "left", "right", "up", "down")
    ):
        return False
    if any(item.quantity is not None and item.quantity.unit == "db" for item in clause.numbers) and not clause.has(
        "param", "ceiling"
    ):
        return False
    return any(item.text in nouns for item in clause.items)


def _is_level(clause: Clause, first: str, has_sound: bool) -> bool:
    if clause.has("special", "louder", "softer") and not has_effects(clause):
        return True
    if (
        clause.has("special", "quiet_complaint", "loud_complaint")
        and not has_effects(clause)
        and first not in SOUND_VERBS
    ):
        return True
    has_level_number = any(
        item.quantity is not None and item.quantity.unit in ("db", "", "%") and not is_hertz(item, clause)
        for item in clause.numbers
    )
    if (
        clause.has("effect", "volume")
        and first not in SOUND_VERBS
        and not has_effects(clause)
        and (clause.verbs or clause.numbers or clause.has("place", "more", "less", "up", "down"))
    ):
        return True
    if has_sound or first in SOUND_VERBS:
        return False
    if (
        has_level_number
        and not clause.has("place", "left", "right", "center", "hard")
        and first
        in ("raise", "lower", "move", "give", "add", "put", "boost", "cut", "remove", "make", "want", "tame", "")
    ):
        return bool(clause.own_targets or clause.targets)
    return first in ("raise", "lower", "boost") or (
        first == "move" and clause.has("place", "up", "down", "front", "behind", "more")
    )


def _is_pan(clause: Clause, has_sound: bool) -> bool:
    if clause.said("pan") or clause.has("effect", "pan"):
        return True
    if any(item.quantity is not None and item.quantity.unit in ("pan_l", "pan_r", "pan_c") for item in clause.numbers):
        return True
    return clause.has("place", "left", "right", "center", "both_sides") and not has_sound


def _cuts_time(clause: Clause) -> bool:
    if clause.own_targets not in ([], ["song"], ["master"], ["*"]) and not (
        clause.has("effect", "trim") or _EDGES & set(clause.words)
    ):
        return False
    has_time = any(item.quantity is not None and item.quantity.unit in ("s", "min") for item in clause.numbers)
    return (clause.said("cut", "remove", "put") or clause.has("effect", "trim")) and (
        has_time or clause.has("effect", "trim")
    )


_EDGES = words_of(
    "primer primero primera primeros primeras first last ultimo ultima ultimos ultimas desde from inicio principio start final end beginning"
)


# -------------------------------------------------------------------------------------------------------- single actions
def _undo(clause: Clause, reading: Reading) -> CommandAction:
    counts = [item.quantity.value for item in clause.numbers if item.quantity is not None]
    steps = {"dos": 2, "two": 2, "tres": 3, "three": 3}
    said = next((steps[word] for word in clause.words if word in steps), None)
    count = int(counts[0]) if counts else said
    return CommandAction(action="undo", params={"steps": count} if count else {})


def _counted(clause: Clause, reading: Reading) -> dict[str, Any]:
    """Numbers that an action has no use for, kept."""
    sound = Sound()
    for item in clause.numbers:
        if item.quantity is not None and item.quantity.unit == "count":
            sound.params["stem_count"] = int(item.quantity.value)
        else:
            keep(sound, item.label, item)
    reading.unused += sound.unused
    return sound.params


def _whole_targets(clause: Clause, default: str = "master") -> list[str]:
    own = ["master" if one == "song" else one for one in clause.own_targets]
    return own or [one for one in clause.targets if not clause.is_guess] or [default]


def _whole(
    action: str, clause: Clause, found: Scan, reading: Reading, stems: Sequence[KnownStem]
) -> list[CommandAction]:
    """What is done to the whole, or is written to a file; with effects that were asked for in the same breath."""
    output = output_params(clause)
    params = output.params
    if action == "mix":
        count = params.pop("stem_count", None)
        params = ({"stem_count": count} if count else {}) | params
        is_all = clause.own_targets in ([], ["song"], ["master"]) or "*" in clause.own_targets or bool(count)
        is_all = is_all or _is_with(clause, found)
        targets = ["*"] if is_all else clause.own_targets
        if clause.excepted:
            params["except"] = clause.excepted
    elif action == "export":
        targets = _whole_targets(clause)
        if clause.has("special", "stems_out") or targets == ["*"]:
            params["stems_out"], targets = True, ["*"] if targets == ["master"] else targets
        if params.get("bit_depth") == 16 and "dither" not in params:
            params["dither"] = "tpdf"
        params.pop("target", None) if action == "export" and not clause.has("platform") else None
    else:
        targets = _whole_targets(clause)
    effects: list[dict[str, Any]] = []
    unused = output.unused
    if action == "normalize":
        effects, params = _normalize(clause, params)
    elif has_effects(clause) and action in ("master", "mix") and not clause.has("special", "auto"):
        clause.targets = targets
        wanted = sound_of(_without_output_numbers(clause, params), found.tokens)
        effects = wanted.effects if action == "master" or clause.own_targets else []
        reading.unavailable += wanted.unavailable
    reading.unused += unused
    return [CommandAction(action=action, targets=targets, effects=effects, params=params)]


def _is_with(clause: Clause, found: Scan) -> bool:
    """Whether the targets only tell how to mix all: "mezcla con la voz al frente"."""
    target = next(
        (item for item in clause.items if "target" in item.tags and item["target"] not in ("master", "*", "song")), None
    )
    return target is not None and bool(
        {"con", "with"} & {token.text for token in found.tokens[max(target.at - 2, 0) : target.at]}
    )


def _without_output_numbers(clause: Clause, params: dict[str, Any]) -> Clause:
    taken = {value for value in params.values() if isinstance(value, int | float)}
    kept = [
        item
        for item in clause.items
        if item.quantity is None or not {item.quantity.value, -item.quantity.value} & taken
    ]
    return Clause(
        items=kept, verbs=clause.verbs, own_targets=clause.own_targets, targets=clause.targets, words=clause.words
    )


def _normalize(clause: Clause, params: dict[str, Any]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """To a loudness, or, where only decibels of a peak were said, to that peak."""
    says_peak = clause.has("param", "ceiling") or clause.has("measure", "true_peak")
    if "target_lufs" not in params and "ceiling_dbtp" in params:
        peak = params["ceiling_dbtp"]
        return [{"type": "normalize", "peak_dbtp": peak, "ceiling_dbtp": -1.0}], {**params, "peak_dbtp": peak}
    if says_peak and "target_lufs" not in params:
        return [{"type": "normalize", "peak_dbtp": -1.0, "ceiling_dbtp": -1.0}], params
    from_target = {"spotify": -14.0, "ebu_r128": -23.0, "atsc_a85": -24.0, "apple_music": -16.0, "podcast": -16.0}.get(
        params.get("target", ""), -14.0
    )
    loudness = params.get("target_lufs", from_target)
    if not -60.0 <= loudness <= -1.0:
        return [], params
    effect = {
        "type": "normalize",
        "target_lufs": loudness,
        "ceiling_dbtp": max(params.get("ceiling_dbtp", -1.0), -24.0),
    }
    return [effect], {**params, "target_lufs": loudness}


def _mix_targets(clause: Clause, stems: Sequence[KnownStem]) -> tuple[list[str], dict[str, Any]]:
    """Everybody but those who were excepted, by name where the stems are known."""
    targets = ["master" if one == "song" else one for one in clause.targets]
    if not clause.excepted:
        return targets, {}
    roles = _roles(stems)
    if targets == ["*"] and roles:
        out = set(clause.excepted)
        kept = [(name, role) for name, role in roles if name not in out and role not in out]
        return [
            name if not _is_common(folded(name)) else (role if role != "other" else name) for name, role in kept
        ], {}
    return targets, {"except": clause.excepted}


def _set_mix(
    clause: Clause, reading: Reading, context: CommandContext, stems: Sequence[KnownStem]
) -> list[CommandAction]:
    """Levels, places, and who is heard at all."""
    targets, params = _mix_targets(clause, stems)
    sound = Sound()
    clause.items = [item for item in clause.items if not _is_index(item, clause)]
    sides = [item["place"] for item in clause.items if item.is_a("place", "left", "right")]
    if clause.has("place", "both_sides"):
        sides = ["left", "right"]
    first = next((verb for verb in clause.verbs if verb not in ("sound", "want", "clip")), "")
    if _is_pan(clause, False) or first == "center":
        pan = _pan(clause, sides, sound)
        params["pan"] = pan
        if isinstance(pan, list) and len(targets) == 2 and pan[0] > pan[1]:
            params["pan"] = [pan[0], pan[1]]
    elif first == "mute" or (
        first == "remove" and not any(item.quantity and item.quantity.unit in ("db", "") for item in clause.numbers)
    ):
        params["is_muted"] = True
        if first == "remove":
            reading.doubts.append("mute_or_delete")
    elif first == "unmute":
        params["is_muted"] = False
    elif clause.has("special", "back_in"):
        params["is_muted"] = False
    elif (
        clause.has("special", "in_solo")
        or first == "solo"
        or (clause.is_only and first in ("put", "", "give") and not clause.numbers)
    ):
        params["solo"] = True
    elif first == "mask" or (
        len(targets) > 1 and (clause.said("mask") or any(item.text.startswith("se come") for item in clause.items))
    ):
        targets, params = targets[:1], {"gain_db": -2.0}
    elif first == "balance" or first == "match":
        params["balance"] = True
    else:
        params["gain_db"] = _level(clause, first, sound)
    for item in clause.numbers:
        if item.text not in sound.unused and item.quantity is not None:
            keep(sound, item.label, item)
            sound.unused.pop() if sound.unused and item.text in sound.unused[
                -1:
            ] and item.quantity.unit == "count" else None
    sound.params.pop("_", None)
    params |= {key: value for key, value in sound.params.items() if key not in params}
    reading.unused += [one for one in sound.unused if one not in _taken(clause, params)]
    if clause.is_guess:
        reading.doubts.append("which_target")
    return [
        CommandAction(
            action="set_mix", targets=targets, params={key: value for key, value in params.items() if value is not None}
        )
    ]


def _is_index(item: Item, clause: Clause) -> bool:
    """A number that counts instruments: "guitarra 2 a la derecha"."""
    quantity = item.quantity
    if quantity is None or quantity.unit or quantity.signed or quantity.value not in (1, 2, 3, 4, 5, 6, 7, 8, 9):
        return False
    follows = any("target" in one.tags and one.until == item.at for one in clause.items)
    return follows and (
        clause.has("place", "left", "right", "center") or any(one is not item for one in clause.numbers)
    )


def _taken(clause: Clause, params: dict[str, Any]) -> set[str]:
    """Texts of the numbers that stand in the params already."""
    values = {
        abs(one)
        for value in params.values()
        for one in (value if isinstance(value, list) else [value])
        if isinstance(one, int | float)
    }
    return {
        item.text
        for item in clause.numbers
        if item.quantity is not None and {abs(item.quantity.value), abs(item.quantity.value) / 100} & values
    }


def _level(clause: Clause, first: str, sound: Sound) -> float:
    sign = 1
    if clause.has("special", "softer", "loud_complaint") or clause.has("place", "down", "behind"):
        sign = -1
    if clause.has("special", "louder", "quiet_complaint") or clause.has("place", "front"):
        sign = 1
    if first in ("lower", "cut", "remove", "tame"):
        sign = -1
    elif first in ("raise", "boost") and not clause.has("place", "down"):
        sign = 1
    elif (
        first in ("move", "put", "give", "make", "add", "want", "")
        and clause.has("place", "down")
        and not clause.has("special", "louder")
    ):
        sign = -1
    if clause.has("place", "less") and first not in ("lower", "cut", "raise") and not clause.has("special", "louder"):
        sign = -1
    if clause.has("place", "too") and first in ("", "move"):
        sign = -1
    for item in clause.numbers:
        quantity = item.quantity
        if quantity is None or quantity.unit not in ("db", ""):
            continue
        sound.unused.append(item.text)
        value = quantity.value
        if quantity.signed:
            return -abs(value) if sign < 0 and first in ("lower", "cut", "remove") else value
        return sign * abs(value)
    amount = amount_of(clause)
    return sign * (1.0 if amount < 1 else 4.0 if amount > 1 else 2.0)


def _pan(clause: Clause, sides: list[str], sound: Sound) -> float | list[float]:
    values: list[float] = []
    unit_sides: list[str] = []
    signed = False
    for item in clause.numbers:
        quantity = item.quantity
        if quantity is None or quantity.unit not in ("", "%", "pan_l", "pan_r", "pan_c", "deg"):
            continue
        sound.unused.append(item.text)
        signed = signed or (quantity.signed and quantity.value < 0)
        scale = 90.0 if quantity.unit == "deg" else 100.0
        values.append(quantity.value if abs(quantity.value) <= 1 and quantity.unit == "" else quantity.value / scale)
        if quantity.unit == "pan_l":
            unit_sides.append("left")
        elif quantity.unit == "pan_r":
            unit_sides.append("right")
    sides = unit_sides + sides
    if not values:
        if clause.has("place", "center") and not sides:
            return 0.0
        if clause.said("center"):
            return 0.0
        default = 1.0 if clause.has("place", "hard") else 0.5
        if clause.has("place", "slightly"):
            default = 0.2
        elif clause.has("place", "strongly"):
            default = 0.8
        values = [default]
    if "left" in sides and "right" in sides:
        pair = (values * 2)[:2] if len(values) == 1 else values[:2]
        ordered = sorted(dict.fromkeys(sides), key=sides.index)
        return [
            round((-1 if side == "left" else 1) * abs(value), 4) for side, value in zip(ordered, pair, strict=False)
        ]
    if not sides:
        return round(max(-1.0, min(values[0], 1.0)), 4)
    sign = -1 if sides[0] == "left" else 1
    return round(sign * min(abs(values[0]), 1.0), 4)


def _apply(
    clause: Clause,
    found: Scan,
    reading: Reading,
    context: CommandContext,
    stems: Sequence[KnownStem],
    is_one_of_many: bool,
) -> list[CommandAction]:
    targets, params = _mix_targets(clause, stems)
    role = role_in(context, targets[0]) if targets else "master"
    shown = clause.targets
    clause.targets = [role]
    removed = _removed_effects(clause)
    if removed:
        params["remove"] = removed
        sound = Sound()
        for item in clause.numbers:
            keep(sound, item.label, item)
    elif _cuts_time(clause) and not has_effects(clause):
        sound = Sound()
        trim = trim_of(clause, sound)
        if trim:
            sound.effects.append(trim)
        elif trim is None:
            sound.effects.append({"type": "trim", "start_seconds": 0.0})
            reading.doubts.append("which_part")
    else:
        sound = sound_of(clause, found.tokens)
    clause.targets = shown
    if not (sound.effects or removed or sound.unavailable or clause.numbers) and is_one_of_many:
        return []
    reading.unused += sound.unused
    reading.unavailable += sound.unavailable
    if clause.is_guess:
        reading.doubts.append("assumed_master")
    if not sound.effects and not removed and not sound.unavailable:
        reading.doubts.append("which_effect")
    actions = []
    gain = _level_beside(clause, sound)
    if gain is not None:
        actions.append(CommandAction(action="set_mix", targets=targets, params={"gain_db": gain}))
        sound.params.pop("gain_db", None)
    actions.append(
        CommandAction(action="apply_effects", targets=targets, effects=sound.effects, params=params | sound.params)
    )
    return actions


def _level_beside(clause: Clause, sound: Sound) -> float | None:
    """A gain that no effect took, in a clause that raises or lowers as well: it is the level that is meant."""
    gain = sound.params.get("gain_db")
    if gain is None or not clause.said("raise", "lower"):
        return None
    sound.unused = [one for one in sound.unused if "db" not in one]
    return -abs(gain) if clause.said("lower") else float(gain)


def _removed_effects(clause: Clause) -> list[str]:
    """Effects that are to be taken off: "quita la reverb"."""
    if not clause.said("remove", "mute") or clause.said("add", "give", "put"):
        return []
    if clause.has("band") or clause.has("word") or clause.numbers:
        return []
    if clause.has("special", "all_effects"):
        return ["*"]
    removable = {
        "compressor",
        "parallel",
        "limiter",
        "gate",
        "deesser",
        "multiband",
        "saturation",
        "tape",
        "tube",
        "distortion",
        "delay",
        "pingpong",
        "reverb",
        "hall",
        "plate",
        "chamber",
        "eq",
        "highpass",
        "lowpass",
        "expander",
        "sidechain",
    }
    named_here = [
        item
        for item in clause.items
        if item["effect"] in removable and "verb" not in item.tags or item["effect"] in ("eq", "delay", "reverb")
    ]
    if any(item.is_a("place", "slightly", "less") for item in clause.items):
        return []
    return list(dict.fromkeys(item["effect"] for item in named_here if item["effect"]))


# ---------------------------------------------------------------------------------------------------------------- the end
def _descriptors(clause: Clause, text: str, found: Scan) -> list[Descriptor]:
    told = []
    for item in clause.items:
        quote = text[found.tokens[item.at].start : found.tokens[item.until - 1].end]
        if "word" in item.tags and item["special"] not in ("quiet_complaint", "loud_complaint", "louder", "softer"):
            word = WORDS[item["word"]]
            direction = word_direction(clause, item, word)
            told.append(
                Descriptor(
                    term=word.term,
                    said=quote,
                    direction="more" if direction > 0 else "less",
                    low_hz=word.low_hz,
                    high_hz=word.high_hz,
                )
            )
        elif "band" in item.tags:
            low, high = BANDS[item["band"]]
            direction = -1 if clause.said("cut", "remove", "lower", "tame") or clause.has("place", "less", "too") else 1
            told.append(
                Descriptor(
                    term=item["band"],
                    said=quote,
                    direction="more" if direction > 0 else "less",
                    low_hz=low,
                    high_hz=high,
                )
            )
    return told


def _merged(actions: list[CommandAction]) -> list[CommandAction]:
    """Neighbours that do the same to the same are one: "comprime la voz y ponle reverb"."""
    merged: list[CommandAction] = []
    for action in actions:
        last = merged[-1] if merged else None
        same = last is not None and last.action == action.action and last.targets == action.targets
        if same and last is not None and action.action in ("analyze", "visualize"):
            merged[-1] = last.model_copy(update={"params": _joined(last.params, action.params)})
            continue
        if same and last is not None and not (set(last.params) & set(action.params)):
            merged[-1] = last.model_copy(
                update={"effects": last.effects + action.effects, "params": last.params | action.params}
            )
        elif action not in merged:
            merged.append(action)
    known = [action for action in merged if action.action != "unknown"]
    return known or merged[:1]


def _joined(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Both, with their lists one after the other."""
    lists = {
        key: [*one[key], *(item for item in value if item not in one[key])]
        for key, value in other.items()
        if isinstance(one.get(key), list)
    }
    return {**one, **other, **lists}


def keep_all_numbers(reading: Reading) -> None:
    """Whatever number was said and stands nowhere yet is kept with the last action."""
    present = set(_numbers([[action.effects, action.params] for action in reading.actions]))
    for item in reading.numbers:
        quantity = item.quantity
        if quantity is None or not reading.actions:
            continue
        name, value = named("", item)
        said = abs(quantity.value)
        if {round(one, 6) for one in (said, abs(value), said / 100, said * 1000, said / 1000)} & present:
            continue
        last = reading.actions[-1]
        while name in last.params:
            name = f"{name}_also"
        reading.actions[-1] = last.model_copy(update={"params": last.params | {name: value}})
        present.add(round(abs(value), 6))
        if quantity.unit:
            reading.unused.append(item.text)


def _numbers(value: Any) -> list[float]:
    if isinstance(value, bool) or value is None:
        return []
    if isinstance(value, int | float):
        return [round(abs(float(value)), 6)]
    if isinstance(value, dict):
        return [one for inner in value.values() for one in _numbers(inner)]
    if isinstance(value, list):
        return [one for inner in value for one in _numbers(inner)]
    return []


COSTS = {
    "unclear": 0.7, "nothing_asked": 0.45, "which_target": 0.4, "assumed_master": 0.15, "which_effect": 0.4, "mute_or_delete": 0.25, "which_part": 0.4,
}  # fmt: skip


def _confidence(reading: Reading, found: Scan) -> float:
    """How sure the rules are: less for every doubt, and for words that nothing is known of."""
    cost = sum(COSTS[doubt] for doubt in dict.fromkeys(reading.doubts))
    cost += min(0.04 * len(set(found.unknown)), 0.25)
    cost += 0.1 if reading.unused else 0.0
    cost += 0.1 if reading.unavailable else 0.0
    return round(max(0.97 - cost, 0.05), 2)


# --------------------------------------------------------------------------------------------------------------- language
_SPANISH = words_of(
    "el la los las un una unos unas de del que para por con sin y en al es pon sube baja quita mezcla masteriza exporta esta este "
    "mi como cual quiero haz lo le se mas menos muy poco no si hasta desde voz bajo bateria guitarra ponle dale a todo tema cancion "
    "hazlo pero"
)
_ENGLISH = words_of(
    "the a an of to for with without and on at is my this that what how should make add remove put export mix boost cut does it in "
    "up down by more less too give me some can you please be them all out from but don't vocal vocals drums undo master turn"
)


def language_of(text: str, said: str) -> Language:
    """The language whose small words are more; Spanish where neither has any."""
    words = [word.strip(".,;:!?()\"'") for word in said.split()[:200]]
    marks = sum(2 for letter in text[:1000] if letter in "ñ¿¡áéíóú")
    spanish = sum(word in _SPANISH for word in words) + marks
    english = sum(word in _ENGLISH for word in words)
    return "en" if english > spanish else "es"
