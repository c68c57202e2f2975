"""Which of the two languages a message is written in."""

import re

from config.contracts.madre import Language
from madre.core.intents.text import clean, listed, words

_ES = listed("""
    el la los las un una unos unas de del al y que en es por para con sin se su lo le les me mi te tu nos como
    cual cuando donde esta estan este estos esto eso ellos estaba fue era son ser solo otra otro otras otros cada
    tal bien asi ni tras segun mientras antes despues cosas a o esa ese esos estas hay muy mas pero porque ya si
    no pon dame haz hazme quiero necesito puedes podrias porfa favor oye venga che ahora aqui todo todos toda
    todas algo nada cuanto cuanta quien sobre desde hasta entre ultimo ultima mezcla borra sube baja deja voz bajo
    bateria guitarra cancion pista pistas archivo modelo modelos proceso servicio ayuda hola gracias tengo tenemos
    va vas van ve ejecuta reinicia repara busca descarga muestra lista analiza exporta deshaz masteriza arranca
    lanza mata cierra quita hermano suena
""")
_EN = listed("""
    the an of to and that in is are was on for with without it its this these those my your our you i we me us
    what which when where who why how do does did can could would should will please pls now here all any some
    there have has got get be been not don't it's i'm what's but so if from by at up down off out about just run
    stop kill delete remove make give show list find look tell mix master export undo check scan fix restart help
    hi hello hey thanks models model process service everything still back let's
""")
_SPANISH_ENDINGS = re.compile(
    r"(?:cion|ciones|miento|ando|iendo|ado|ada|ados|adas|ido|ida|arlo|alo|ala|elo|ame|eme|mente|dad|illo|ito|ita|r[aeio]r|[eo]s[eo])$"
)


def detect(message: str) -> Language:
    """ "es" or "en", by the small words that carry a sentence; Spanish letters decide what is left open."""
    seen = words(message)
    spanish, english = sum(word in _ES for word in seen), sum(word in _EN for word in seen)
    if spanish != english:
        return "es" if spanish > english else "en"
    if any(_SPANISH_ENDINGS.search(word) for word in seen):
        return "es"
    return "es" if any(char in "ñ¿¡áéíóúü" for char in clean(message).lower()) else "en"
