"""What madre asks when a message can be read in two ways, and what the answer to it means."""

import re
from dataclasses import dataclass
from enum import StrEnum

from config.contracts.common import Wire
from config.contracts.madre import IntentName, IntentV2, Language
from madre.core.intents.catalog import CATALOG, RISKY
from madre.core.intents.text import listed, plain, words


class Question(Wire):
    """A question that waits for its answer; kept with the session. `message` is what was unclear."""

    message: str
    language: Language
    options: list[IntentName]
    text: str


class Outcome(StrEnum):
    CHOSEN = "chosen"
    DECLINED = "declined"
    ASK_AGAIN = "ask_again"
    NEW_REQUEST = "new_request"


@dataclass(frozen=True, slots=True)
class Answer:
    """What an answer means; `name` is filled when one of the options was chosen."""

    outcome: Outcome
    name: IntentName | None = None


def ask(reading: IntentV2, message: str) -> Question:
    """The question for an unclear reading: its two best alternatives, in the person's language."""
    options = [alternative.name for alternative in reading.alternatives][:2]
    wordings = [CATALOG[name].wording(reading.language) for name in options]
    if reading.language == "es":
        choices = " o ".join(f"{place}) {wording}" for place, wording in enumerate(wordings, start=1))
        text = f"No estoy segura de haberte entendido. ¿Quieres {choices}? Responde 1 o 2, o dímelo con otras palabras."
    else:
        choices = " or ".join(f"{place}) {wording}" for place, wording in enumerate(wordings, start=1))
        text = f"I am not sure I understood you. Do you want me to {choices}? Answer 1 or 2, or tell me in other words."
    return Question(message=message, language=reading.language, options=options, text=text)


_COURTESY = listed("""
    la el lo las los the please porfa por favor gracias thanks pues mejor ok okay vale va quiero i want opcion
    option number numero one uno una creo que think it's its es that esa ese eso de do would like dale si yes yeah
    a to me
""")
_FIRST = listed("1 1a 1o 1st primera primero primer first uno one")
_SECOND = listed("2 2a 2o 2nd segunda segundo second dos two latter ultima ultimo last other otra otro")
_YES = re.compile(
    r"(?:(?:si|sip|claro|vale|ok|okay|dale|eso|esa|exacto|correcto|yes|yep|yeah|yup|sure|right|correct|exactly|that"
    r"|please|porfa|por favor)[,. ]*)+[!.]*"
)
_REFUSAL = (
    r"(?:nop?|nope|nah|nada|nothing|none(?: of (?:them|those))?|neither(?: of them)?|ningun[ao]?(?: de (?:las|los) dos)?"
    r"|cancela(?:r|lo|la)?|cancel(?: it| that)?|olvida(?:lo|la)?|deja(?:lo|la)?|forget (?:about )?(?:it|that)|never ?mind"
    r"|nvm|drop it|leave it)"
)
_SOFTENED = r"(?:gracias|thanks|thank you|please|por favor|porfa|mejor|ok|okay|vale|pues|ya|then|entonces|madre)"
_NO = re.compile(rf"(?:{_SOFTENED}[,. ]+)*{_REFUSAL}(?:[,.;! ]+(?:{_REFUSAL}|{_SOFTENED}))*[!., ]*")

_HINTS: dict[IntentName, str] = {
    IntentName.AUDIO_MIX: r"mezcl\w*|mix\w*|nivel\w*|balanc\w*|levels?|equilibr\w*",
    IntentName.AUDIO_EFFECTS: r"efect\w*|effect\w*|fx|eq|ecualiz\w*|reverb|compres\w*|cambiar el sonido|sound",
    IntentName.AUDIO_MASTER: r"master\w*|volumen final|loudness|final",
    IntentName.AUDIO_ANALYZE: r"analiz\w*|analy[sz]\w*|mid\w*|medi\w*|measur\w*",
    IntentName.AUDIO_EXPORT: r"export\w*|convert\w*|convier\w*|format\w*|render\w*",
    IntentName.AUDIO_UNDO: r"deshac\w*|deshaz\w*|undo|revert\w*|revier\w*|atras|go back",
    IntentName.RUN_PROCESS: r"ejecut\w*|run|lanz\w*|launch|corr\w*|execute|start",
    IntentName.PROCESS_STATUS: r"estado|status|progres\w*|como van?|see|verlos?|procesos?|doing",
    IntentName.KILL_PROCESS: r"par(?:a|ar|arlo|arla|alo|ala)|mat\w*|kill|stop\w*|cancel\w*|deten\w*",
    IntentName.LIST_MODELS: r"list\w*|instalad\w*|installed|ver(?:los)?",
    IntentName.SEARCH_MODELS: r"busc\w*|search\w*|find|nuevos|new",
    IntentName.DOWNLOAD_MODEL: r"descarg\w*|bajar\w*|bajal\w*|download\w*|instalal\w*|install it",
    IntentName.LIST_CLIS: r"herramient\w*|tools?|clis?|linea de comandos|command[- ]line",
    IntentName.SCAN_SYSTEM: r"escan\w*|examin\w*|scan\w*|problemas|problems",
    IntentName.FLEET_STATUS: r"salud|estado|health|status|servicios|services",
    IntentName.AUDIT_DRIFT: r"cambi\w*|drift\w*|changed|baseline|linea base",
    IntentName.REPAIR_MODULE: r"repar\w*|repair\w*|reinici\w*|restart\w*|arregl\w*|fix\w*",
    IntentName.DELETE_RESOURCE: r"borr\w*|delet\w*|elimin\w*|remov\w*|erase",
    IntentName.CODE_QUESTION: r"programa\w*|codigo|code|coding|programming",
    IntentName.GENERAL_QUESTION: r"preguntas?|responde\w*|question|answer",
    IntentName.HELP: r"ayuda\w*|help|que sabes|explic\w*|what you can",
}
_SHORT = 4  # words besides courtesies; a longer answer is a sentence of its own


def declines(message: str) -> bool:
    """Whether a message is nothing but a refusal: "no", "olvídalo", "never mind"."""
    return _NO.fullmatch(_bare(message)) is not None


def resolve_answer(question: Question, message: str) -> Answer:
    """What `message` means as an answer to `question`.

    A number or a position, the name of one option, a refusal, or a request of its own. A bare "yes" takes the first option, which was
    the likelier one, unless that one can do harm: then it is asked again.
    """
    text = _bare(message)
    if declines(message):
        return Answer(Outcome.DECLINED)
    if _YES.fullmatch(text):
        first = question.options[0] if question.options else None
        return Answer(Outcome.ASK_AGAIN) if first is None or first in RISKY else Answer(Outcome.CHOSEN, first)
    seen = words(re.sub(r"(\d)\s*[).ºª]", r"\1 ", message))
    numbers = re.findall(r"\b[12]\b", text)
    bare = [word for word in seen if word not in _COURTESY and word not in ("?", "0")]
    said = set(seen) | set(numbers)
    if len(bare) <= 1 and (place := _position(said)) is not None and (not bare or bare[0] in _FIRST | _SECOND):
        return (
            Answer(Outcome.CHOSEN, question.options[place])
            if place < len(question.options)
            else Answer(Outcome.ASK_AGAIN)
        )
    if len(bare) <= _SHORT:
        named = [name for name in question.options if re.search(rf"\b(?:{_HINTS.get(name, '(?!)')})\b", text)]
        if len(named) == 1:
            return Answer(Outcome.CHOSEN, named[0])
        if not bare or len(named) == 2:
            return Answer(Outcome.ASK_AGAIN)
    return Answer(Outcome.NEW_REQUEST)


def _bare(message: str) -> str:
    return plain(message).replace("¿", "").replace("¡", "").strip()


def _position(said: set[str]) -> int | None:
    first, second = bool(said & _FIRST), bool(said & _SECOND)
    if second and (not first or said & {"one"}):
        return 1  # "the second one"
    return 0 if first and not second else None
