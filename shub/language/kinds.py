"""Which action a clause asks for: by its order, and by what it speaks of."""

from config.contracts.shub_language import CommandContext
from shub.language.clause import NO_ORDERS, SOUND_VERBS, Clause
from shub.language.deleting import SMALL_WORDS, is_deletion
from shub.language.scanning import Item, Scan
from shub.language.sound.drafting import implied_effect, is_dither_alone
from shub.language.sound.frequencies import is_hertz
from shub.language.stems import has_pronoun
from shub.language.words import words_of

WHOLE_VERBS = words_of("export master normalize mix save convert analyze show")


def kind_of(clause: Clause, clauses: list[Clause], found: Scan, context: CommandContext) -> str:
    """The action that a clause asks for; "" for none."""
    orders = [verb for verb in clause.verbs if verb not in ("sound", "want", "clip", "mask")]
    first = orders[0] if orders else ""
    has_hertz = any(is_hertz(item, clause) for item in clause.numbers)
    has_sound = clause.has_content or has_hertz
    if clause.has("special", "undo") or (first == "undo" and not clause.has("file", "file")):
        return "undo"
    if is_deletion(clause, found):
        return "delete"
    if clause.has("special", "check") and not clause.has("picture") and not set(orders) - _LOOKING:
        return "analyze"
    if found.is_question and not orders and clause.has("platform") and not clause.said("want"):
        return "analyze"  # "¿está bien para Spotify?"
    is_asked = found.is_question_of_knowledge and not (clause.said("show") and clause.has("picture"))
    if is_asked and first in ("remove", "cut") and not clause.has("special", "question"):
        return "unknown"
    if clause.has("special", "question") and is_asked:
        return "analyze" if clause.own_targets and clause.has("word") and clause.said("sound") else "unknown"
    if clause.has("special", "reference") and (
        first not in ("export", "analyze", "compare", "show", "raise", "lower")
        or _comes_first(clause, "reference")
        or _points_at_reference(clause)
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
        return "visualize"
    if first == "show" and (clause.has("measure") or clause.own_targets):
        return "visualize" if clause.has("picture") or not clause.has("measure") else "analyze"
    if first in ("analyze", "compare", "tell"):
        return "analyze"
    if first == "clip" or (clause.said("clip") and found.is_question):
        return "analyze"
    if is_dither_alone(clause):
        return "apply_effects"
    if _is_export(clause, first):
        return "export"
    if (
        first == "master"
        or _orders_a_master(clause)
        or (clause.own_targets == ["master"] and _is_created(clause, ("master", "mastering", "masters")))
    ):
        return "master"
    if first == "normalize" or (clause.has("effect", "normalize") and not first):
        return "normalize"
    has_lufs = _is_loudness_of_whole(clause, first) or any(
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
    if is_with(clause, found) and any(
        item.text in _MIXES and item.before in ("una", "a", "un") for item in clause.items
    ):
        return "mix"
    if (
        clause.own_targets in (["master"], ["*"])
        and _is_created(clause, ("mezcla", "mix", "premezcla", "mixdown", "mescla", "balance"))
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
    if clause.has("special", "in_solo", "no_solo") or (first == "solo" and clause.own_targets and len(orders) == 1):
        return "set_mix"
    if implied_effect(clause) and first not in WHOLE_VERBS and all(_is_named(item) for item in clause.numbers):
        return "apply_effects"
    if cuts_time(clause) and clause.said("cut", "remove") and not has_effects(clause, "trim"):
        return "apply_effects"
    if _is_level(clause, first, has_sound):
        return "set_mix"
    if is_pan(clause, has_sound):
        return "set_mix"
    if clause.has("special", "all_effects") and clause.said("remove", "mute"):
        return "apply_effects"
    if implied_effect(clause) and first not in WHOLE_VERBS:
        return "apply_effects"
    if first == "tame" and clause.targets and not clause.numbers:
        return "apply_effects"
    if has_effects(clause) or has_sound or first in SOUND_VERBS or cuts_time(clause):
        return "apply_effects"
    if first == "remove" and clause.own_targets and clause.own_targets not in (["song"], ["*"], ["master"]):
        return "set_mix" if _is_direct_object(clause, found) else "apply_effects"
    if clause.has("effect", "resample", "dither"):
        return "export"
    if (first in ("lower", "raise", "move") or clause.has("place", "more", "less", "too", "up", "down")) and (
        clause.own_targets or context.last_targets or has_pronoun(clause)
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


def _is_loudness_of_whole(clause: Clause, first: str) -> bool:
    """ "sube el podcast a -16": where the whole is to be, not by how much it moves."""
    return (
        first in ("raise", "lower", "put", "move", "make", "")
        and clause.own_targets in (["song"], ["master"])
        and not has_effects(clause)
        and any(
            item.quantity is not None
            and item.quantity.unit == ""
            and not item.label
            and item.quantity.signed
            and -36.0 <= item.quantity.value <= -8.0
            and item.before in ("a", "to", "at", "en")
            for item in clause.numbers
        )
    )


_LOOKING = words_of("analyze tell show compare put give make")
_TOWARDS = words_of(
    "toward towards hacia closer like como match matches near nearer cerca parezca resemble resembles parecida parecido"
)


def _points_at_reference(clause: Clause) -> bool:
    """Whether the reference is where it is to go ("nudge it toward the reference"), not what is changed."""
    return bool(_TOWARDS & set(clause.words)) and not clause.has("place", "up", "down")


def _orders_a_master(clause: Clause) -> bool:
    """ "cut me a master at -9": one that is to be made."""
    return clause.verb in ("cut", "do", "add", "") and any(
        item.text.startswith("master") and item.before in ("a", "un", "another", "otro") for item in clause.items
    )


def _is_named(item: Item) -> bool:
    return bool(item.label) or (item.quantity is not None and item.quantity.unit == ":1")


def _comes_first(clause: Clause, special: str) -> bool:
    """Whether a phrase stands before every order of the clause."""
    orders = [item.at for item in clause.items if "verb" in item.tags and item["verb"] not in NO_ORDERS]
    return next(item.at for item in clause.items if item.is_a("special", special)) < min(orders, default=10**6)


def _is_direct_object(clause: Clause, found: Scan) -> bool:
    """Whether it is the target itself that is removed, and not something of it."""
    verb = next(item for item in clause.items if "verb" in item.tags)
    target = next((item for item in clause.items if "target" in item.tags and item.at >= verb.until), None)
    return target is None or all(token.text in SMALL_WORDS for token in found.tokens[verb.until : target.at])


def has_effects(clause: Clause, *besides: str) -> bool:
    """Whether it names effects (besides these) or words for a sound that make some."""
    return any(
        (
            "effect" in item.tags
            and "stem" not in item.tags
            and item["effect"] not in _NO_EFFECTS
            and item["effect"] not in besides
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


_MIXES = ("mezcla", "mix", "premezcla")
_NO_EFFECTS = ("volume", "pan", "stereo", "normalize", "resample", "dither")


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
        and not first
        and clause.has("special", "how_many")
        and (clause.has("word") or clause.has("effect"))
    ):
        return True
    if has_measure and not clause.numbers and not has_effects(clause) and first in ("", "give", "convert", "put"):
        names = {item["measure"] for item in clause.items if "measure" in item.tags and "effect" not in item.tags}
        vague = clause.has("format") or clause.has("place", "more", "less", "too")
        if names - {"levels", "width", "spectrum"} and not vague:
            return True
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
    ) or (clause.has("format") and clause.said("want")):
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
        item.quantity is not None
        and item.quantity.unit in ("db", "", "%")
        and item.label in _NO_NAMES
        and not is_hertz(item, clause)
        for item in clause.numbers
    )
    if (
        clause.has("effect", "volume")
        and first not in SOUND_VERBS
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


_NO_NAMES = ("", "max", "drive", "loudness")


def is_pan(clause: Clause, has_sound: bool) -> bool:
    if clause.said("pan") or clause.has("effect", "pan"):
        return True
    if any(item.quantity is not None and item.quantity.unit in ("pan_l", "pan_r", "pan_c") for item in clause.numbers):
        return True
    is_placed = clause.has("place", "left", "right", "center", "both_sides")
    is_spread = clause.said("widen") and not clause.has("effect", "reverb", "delay") and not clause.numbers
    return is_placed and (not has_sound or is_spread)


def cuts_time(clause: Clause) -> bool:
    if clause.own_targets not in ([], ["song"], ["master"], ["*"]) and not (
        clause.has("effect", "trim") or _EDGES & set(clause.words)
    ):
        return False
    has_time = any(item.quantity is not None and item.quantity.unit in ("s", "min") for item in clause.numbers)
    return (clause.said("cut", "remove", "put") or clause.has("effect", "trim") or clause.is_only) and (
        has_time or clause.has("effect", "trim")
    )


_EDGES = words_of(
    "primer primero primera primeros primeras first last ultimo ultima ultimos ultimas desde from inicio "
    "principio start final end beginning"
)


def is_with(clause: Clause, found: Scan) -> bool:
    """Whether the targets only tell how to mix all: "mezcla con la voz al frente"."""
    target = next(
        (item for item in clause.items if "target" in item.tags and item["target"] not in ("master", "*", "song")), None
    )
    return target is not None and bool(
        {"con", "with"} & {token.text for token in found.tokens[max(target.at - 2, 0) : target.at]}
    )
