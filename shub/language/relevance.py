"""Whether a command is about sound at all."""

from config.contracts.shub_language import CommandContext
from shub.language.clause import Clause
from shub.language.scanning import Item, Scan
from shub.language.vocabulary import FOREIGN
from shub.language.words import words_of

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


LEAST_SCORE = 0.5


def is_about_audio(found: Scan, clauses: list[Clause], context: CommandContext) -> bool:
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
        unknown <= 1
        and not foreign
        and any("verb" in item.tags or item.is_a("special", "better") or "place" in item.tags for item in items)
    )
    points = any(
        item["verb"] in ("make", "give", "put", "fix") and item.text.endswith(("lo", "la", "le", "les", "los", "las"))
        for item in items
    )
    points = points or any(token.text == "it" for token in found.tokens)
    is_vague = is_vague or (points and unknown <= 2 and not foreign and any("verb" in item.tags for item in items))
    return (
        score - 0.4 * unknown >= LEAST_SCORE
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
