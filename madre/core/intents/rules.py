"""The few wordings that need no statistics: each reads the whole message and means one thing."""

import re

from config.contracts.madre import IntentName
from madre.core.intents.text import plain

_HELLO = r"(?:(?:hey|hi|hello|hola|oye|madre|please|porfa|por favor|ok|vale),? )*"
_TRACKS = r"(?:stems?|pistas?|tracks?|multitrack)"
_THESE = r"(?:(?:estos|estas|esos|esas|los|las|mis|todos los|todas las|these|those|the|my|all|all the) )?(?:\d+ |\w+ )?"
_LAST = r"(?:that|it|eso|lo ultimo|the last (?:change|one|effect|step)|el ultimo (?:cambio|efecto|paso))"
_MODEL = r"(?:[\w.+-]+ ){0,4}?(?:models?|modelos?)\b"
_FETCH = r"(?:descargame|descarga|bajame|bajate|baja|download|fetch)"
_FETCH_IT = (
    r"(?:(?:descarg|baj|instal)a(?:me|te)?l[oa]s?|(?:me |te )?l[oa]s? (?:descargas|bajas|instalas)|"
    + _FETCH
    + r"(?: (?:it|them|one|me"
    r"|(?:the|el|la) (?:best|first|smallest|mejor|primero|primera|mas pequeno)(?: one)?))?|(?:install|get) (?:it|them))"
)
_RULES: tuple[tuple[str, IntentName], ...] = (
    (rf"(?:mezcla(?:me)?|mezclar|mix) {_THESE}{_TRACKS}\b(?!.*\?).*", IntentName.AUDIO_MIX),
    (r"(?:mezcla(?:l[oa]s?)?|mix)(?: (?:esto|eso|this|these|it|them|todo|everything))?[!. ]*", IntentName.AUDIO_MIX),
    (
        r"master(?:iza|izame|ea)? (?:this|the|my|esta|este|la|el|mi) (?:song|track|mix|cancion|tema|mezcla)"
        r"(?: (?:to|at|for|a|para) [^?]{1,40})?",
        IntentName.AUDIO_MASTER,
    ),
    (  # an order with nothing in its quotes: it names nothing to run, so all that comes of it is a question
        r"(?:run|execute|launch|ejecuta(?:me)?|ejecutar|corre|lanza)(?: (?:the |a |el |un )?(?:command|comando))?:? ?"
        r"(?:` *`|``` *```|\" *\"|' *'|« *»|“ *”|‘ *')[!. ]*",
        IntentName.RUN_PROCESS,
    ),
    (r"/?(?:help|ayuda)[!?. ]*", IntentName.HELP),
    (r"(?:what can you do|que (?:sabes|puedes) hacer)(?: for me| por mi)?[?]*", IntentName.HELP),
    (  # "busca un modelo pequeño de código y descárgalo": what is wanted in the end is the model, and that asks first
        rf"(?:busca(?:me)?|encuentra(?:me)?|search(?: for)?|find(?: me)?|look for) {_MODEL}[^?]{{0,100}}?,? (?:y|and)"
        rf"(?: (?:then|luego|despues|please|porfa|por favor))? {_FETCH_IT}[!. ]*",
        IntentName.DOWNLOAD_MODEL,
    ),
    (
        rf"{_FETCH} (?:me )?(?:the |a |el |un )?(?:best|mejor|smallest|mas pequeno|small|good|buen) {_MODEL}[^?]{{0,60}}",
        IntentName.DOWNLOAD_MODEL,
    ),
    (rf"(?:undo|deshaz|deshacer|ctrl[+-]?z)(?: {_LAST})?[!. ]*", IntentName.AUDIO_UNDO),
    (r"list (?:the |my |all |all the )?(?:installed |local )?models", IntentName.LIST_MODELS),
    (r"lista (?:los |mis )?modelos(?: instalados| locales)?", IntentName.LIST_MODELS),
    (r"(?:fleet|system|services?) (?:status|health)", IntentName.FLEET_STATUS),
    (r"(?:estado|salud) (?:de la flota|de los servicios|del sistema)", IntentName.FLEET_STATUS),
)
_COMPILED = tuple((re.compile(rf"{_HELLO}(?:{pattern})", re.S), name) for pattern, name in _RULES)
_LONGEST = 160  # a longer message tells a story, which is not for a pattern to read


def by_rule(message: str) -> IntentName | None:
    """The intent of a message that is worded like a command, or None."""
    text = " ".join(plain(message).replace("¿", "").replace("¡", "").split())
    if len(text) > _LONGEST:
        return None
    return next((name for pattern, name in _COMPILED if pattern.fullmatch(text)), None)
