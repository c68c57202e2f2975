"""What a clause shows of itself: whether it names effects, levels, places, times, files, measures."""

from shub.language.clause import NO_ORDERS, SOUND_VERBS, Clause
from shub.language.deleting import SMALL_WORDS
from shub.language.scanning import Item, Scan
from shub.language.sound.frequencies import is_hertz
from shub.language.words import words_of

WHOLE_VERBS = words_of("export master normalize mix save convert analyze show")


def is_loudness_of_whole(clause: Clause, first: str) -> bool:
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


_TOWARDS = words_of(
    "toward towards hacia closer like como match matches near nearer cerca parezca resemble resembles parecida parecido"
)


def has_loudness(clause: Clause) -> bool:
    """Whether a loudness stands in it, with its unit or by its name."""
    return any(
        item.quantity is not None
        and (item.quantity.unit == "lufs" or (item.label == "loudness" and item.quantity.unit in ("", "db")))
        for item in clause.numbers
    )


def points_at_reference(clause: Clause) -> bool:
    """Whether the reference is where it is to go ("nudge it toward the reference"), not what is changed."""
    return bool(_TOWARDS & set(clause.words)) and not clause.has("place", "up", "down")


def orders_a_master(clause: Clause) -> bool:
    """ "cut me a master at -9": one that is to be made."""
    return clause.verb in ("cut", "do", "add", "") and any(
        item.text.startswith("master") and not _INDEFINITE.isdisjoint(_just_before(item, clause))
        for item in clause.items
    )


_INDEFINITE = words_of("a un another otro")


def _just_before(item: Item, clause: Clause) -> list[str]:
    """The word before an item, and with an adjective those before that: "a quick master"."""
    at = item.at - clause.items[0].at
    return [item.before, *(clause.words[max(at - 2, 0) : at] if "target" in item.tags else [])]


def is_named(item: Item) -> bool:
    return bool(item.label) or (item.quantity is not None and item.quantity.unit == ":1")


def comes_first(clause: Clause, special: str) -> bool:
    """Whether a phrase stands before every order of the clause."""
    orders = [item.at for item in clause.items if "verb" in item.tags and item["verb"] not in NO_ORDERS]
    return next(item.at for item in clause.items if item.is_a("special", special)) < min(orders, default=10**6)


def is_direct_object(clause: Clause, found: Scan) -> bool:
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


MIXES = ("mezcla", "mix", "premezcla")
_NO_EFFECTS = ("volume", "pan", "stereo", "normalize", "resample", "dither")


def asks_measure(clause: Clause, found: Scan, first: str) -> bool:
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


def is_export(clause: Clause, first: str) -> bool:
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


def is_created(clause: Clause, nouns: tuple[str, ...]) -> bool:
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
    is_known = not (clause.verbs or clause.numbers) or clause.has(
        "platform"
    )  # "I heard the mix", "I need the mix to comply with R128"
    return any(item.text in nouns and not (is_known and item.before in _DEFINITE) for item in clause.items)


_DEFINITE = words_of("the this that my our la esta esa mi nuestra el este ese")


def is_level(clause: Clause, first: str, has_sound: bool) -> bool:
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
