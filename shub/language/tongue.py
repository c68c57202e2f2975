"""In which of the two languages a command is."""

from shub.language.outcome import Language
from shub.language.words import words_of

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
