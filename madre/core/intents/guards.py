"""The second opinion on dangerous readings: an order must have the form of an order, about something.

A guard never makes a reading; it only refuses one. What it refuses is asked about.
"""

import re
from dataclasses import dataclass

from config.contracts.madre import IntentName
from madre.core.intents.catalog import RISKY
from madre.core.intents.lexicon import concepts_of
from madre.core.intents.text import listed, masked, plain


@dataclass(frozen=True, slots=True)
class Orders:
    """The verbs a deed is ordered with, and what it is done to.

    Spanish verbs by stem (-ar, -er/-ir): imperative, infinitive and subjunctive; a past ("se borró") is no order. `weak` verbs
    ("drop", "saca") mean many things and count only where the message names a thing of these `kinds`.
    """

    ar: str
    er: str
    es: str
    en: str
    weak: str
    kinds: str

    def pattern(self) -> re.Pattern[str]:
        first = "|".join(listed(self.ar))
        second = "|".join(listed(self.er))
        whole = "|".join(re.escape(word) for word in sorted(listed(self.es)))
        english = "|".join(re.escape(word) for word in sorted(listed(self.en)))
        spanish = rf"(?:(?:{first})(?:a|ad|ar|as|e|es|en|emos)|(?:{second})(?:e|ed|id|er|ir|es|a|as|an)|{whole})"
        return re.compile(rf"{spanish}(?:me|te|se|nos)?(?:lo|la|los|las|le|les)?|{english}")


_ORDERS = {
    IntentName.DELETE_RESOURCE: Orders(
        ar="borr elimin purg purgu quit limpi vaci tir bot desinstal carg cargu sac saqu esfum fulmin liquid desech "
        "descart despej",
        er="suprim barr destruy pul",
        es="deshaz deshacer deshagas vuela volar destruir",
        en="delete remove erase wipe purge clear clean trash uninstall drop empty shred bin junk nuke dump ditch toss "
        "scrap destroy discard rid rm chuck throw unlink lose axe zap kill free prune expunge obliterate annihilate",
        weak="quita quitar quite quites limpia limpiar limpie tira tirar saca sacar saque carga pule clear clean drop "
        "empty bin dump toss rid throw lose axe zap kill free chuck quitale quitalo sacale sacalo limpiale limpialo "
        "tirale",
        kinds="FILE MODEL",
    ),
    IntentName.RUN_PROCESS: Orders(
        ar="ejecut lanz lanc arranc arranqu inici compil dispar tir ech levant prueb prob mand invoc despleg desplieg "
        "desplegu activ pas program relanz abr",
        er="corr construy met abr",
        es="pon poner ponga pongas dale darle haz hacer construir",
        en="run rerun re-run execute launch start kick fire spawn trigger build compile invoke deploy do make give set "
        "get put let go try use queue schedule begin spin type reindex",
        weak="tira tirar echa echar echale levanta mete prueba probar manda pasa pasar pasale pasame pon poner ponga "
        "pongas ponme ponle dale darle haz hazme hacer abre do make give set get put let go try use begin type build "
        "start kick fire",
        kinds="PROCESS CLI",
    ),
    IntentName.KILL_PROCESS: Orders(
        ar="mat par cancel abort termin cort fren tumb carg cargu cierr cerr apag apagu liquid fulmin acab dej mand quit "
        "sac saqu anul finaliz baj tir desactiv congel",
        er="interrump suspend",
        es="deten detener detenga detengas siga",
        en="kill stop halt cancel abort terminate end quit interrupt ctrl-c ctrl+c sigkill sigterm nuke murder axe shut "
        "pull force drop scrap cut put call get take make pkill killall finish zap knock scratch close switch stopea",
        weak="corta cortar frena carga cierra cerrar apaga acaba deja dejar manda quita saca baja bajar bajale tira "
        "termina terminar para parar end quit pull force drop scrap cut put call get take make finish knock scratch "
        "close switch shut axe zap",
        kinds="PROCESS CLI",
    ),
    IntentName.REPAIR_MODULE: Orders(
        ar="repar arregl reinici restaur restablezc restablec reconstruy levant resucit san sane recuper reanim cur "
        "desatasc desatasqu desbloque resete relanz rearranc rearranqu solucion peg enderez remiend parche arranc "
        "arranqu tumb dej",
        er="reviv corrig correg met vuelv volv compon restablec reconstru reconstruy",
        es="pon poner ponga pongas haz dale darle reset componer",
        en="repair fix restart reboot heal recover revive resurrect restore reset bounce unstick correct patch mend "
        "rebuild reload bring get give make put sort kick cycle turn power cure resuscitate unjam relaunch nurse "
        "rectify recreate reconnect clear fetch",
        weak="arregla arreglar arregle arreglame arreglalo repara repare componlo cura solucionalo corrige fix repair mend "
        "correct patch sort restore restaura recupera deja dejar pon poner haz dale darle mete tumba vuelve bounce "
        "bring get give make put kick cycle turn power clear fetch heal reset",
        kinds="SERVICE",
    ),
}
_FORMS = {name: orders.pattern() for name, orders in _ORDERS.items()}

_CLAUSE_OPENERS = listed("y que ok okay vale ya porfa favor please pls venga hey oye madre ahora no")
_POLITE = re.compile(
    r"\b(?:can|could|would|will|wouldn't) (?:you|u|ya|someone|we)\b|\bmind \w+ing\b|\b(?:please|pls|plz)\b|\bpor ?fa(?:vor|s)?\b"
    r"|\b(?:puedes|podes|podrias|podria|pueden|podeis|podemos|podriamos)\b|\bte importa(?:ria)?\b"
    r"|\b(?:quiero|necesito|quisiera|hay|toca|tienes|me urge|ocupo)\b"
    r"|\b(?:i want|i need|i'd like|i would like|let's|lets|go ahead|go and|you should|you can|time to|need to)\b"
)
_ASKING = re.compile(
    "|".join(
        (
            r"\bhow (?:do|can|to|would|should|could|does|did|come|many|much|long|far|is|are|was|often|bad|risky|about)\b",
            r"\bwhat(?:'s| is| are| does| do| did| would| will| happens| if)\b|\bif (?:i|you|we)\b|\bwould (?:it|that|this)\b",
            r"\b(?:is|are|was|were|did|does|do|has|have|should|shall|may) "
            r"(?:it|i|we|they|there|you|the|my|that|this|he|she|someone|any\w*|all|every\w*)\b",
            r"\b(?:can|could) i\b|\bwhy\b|\bwho\b|\bwhen did\b|\bdifference\b|\bexplain\b|\bmeaning\b|\bsyntax\b",
            r"\bwrite (?:me )?an?\b|\bescrib\w+ un\w*\b|\bwondering\b|\bcurious\b|\bcuriosidad\b|\bexplica\w*\b",
            r"\bcomo (?:\w+ )?(?:se|hago|puedo|le|lo|elimino|borro|mato|paro|ejecuto|lanzo|corro|reinicio|arreglo|reparo|cancelo)\b",
            r"\bcomo (?:\w+ )?(?:detengo|quito|desinstalo|arranco|va|van)\b|\bsi (?:borro|mato|elimino|paro|ejecuto|corro|reinicio)\b",
            r"\bque (?:hace|pasa|pasaria|significa|es|son|implica|ocurre)\b|\bpor ?que\b|\bquien\b|\bdiferencia\b|\bpara que sirve\b",
            r"\b(?:es|seria) (?:seguro|peligroso|buena|mala|malo|recomendable|posible)\b|\bdeberia\b|\b(?:se puede|puedo)\b|\bcuando se\b",
        )
    )
)
_INJECTED = re.compile(
    r"\$\(|<script|;\s*--|--\s*$|\bdrop (?:table|database)\b|\bdelete from\b|\bunion select\b|\bor '?1'?\s*=|[;&|]\s*(?:sudo )?rm\b"
    r"|\b(?:ignore|disregard|forget)\b.{0,40}\b(?:instructions|rules|prompt)\b|\b(?:ignora|olvida)\b.{0,40}\b(?:instrucciones|reglas)\b"
    r"|\bsystem prompt\b|\byou are now\b|\b(?:ahora eres|actua como)\b"
)
"""Text made for a machine to stumble over. A person may mean it, and is asked."""
_NEGATION = listed(
    "no not don't dont never nunca jamas sin without tampoco ni won't can't cannot didn't shouldn't mustn't doesn't avoid "
    "evita"
)
_WORD_OR_BREAK = re.compile(r"[a-z0-9]+(?:['\-.+_][a-z0-9]+)*|[?,;:.!\n]")
_BREAKS = frozenset("?,;:.!\n")
_NAMED = listed("xaudio xscript xfile xpath xcode xweights pid")
_COMMANDS = listed(
    "pytest npm npx docker docker-compose cargo bash sh zsh python python3 make node ls df du git pip pip3 curl wget ffmpeg ffprobe rsync "
    "go ruby perl java cmake tox ruff mypy uname htop systemctl xscript xcode xpath"
)
_UNDER_NEGATION = 3
"""Words after a "no" that it reaches."""
_EMPTY = listed(
    "please pls plz porfa porfavor por favor ya now ahora the el la los las al a an un una me te it's hey oye ok okay vale venga "
    "just solo and y ponme can could you puedes podrias quiero i want to que de of up with con rapido asap gracias thanks for"
)


def permits(name: IntentName, message: str) -> bool:
    """Whether a message may be read as this intent. Harmless intents always may; a risky one needs an order form and an object.

    A question that only speaks of the deed, a hypothesis, and an order under a "no" are refused.
    """
    if name not in RISKY:
        return True
    if _INJECTED.search(plain(message)):
        return False
    seen = _WORD_OR_BREAK.findall(masked(message))
    given = [place for place in _orders(name, seen) if not _is_negated(seen, place)]
    if not given:
        return False
    asks = _ASKING.search(" ".join(seen)) or ("?" in seen and not _POLITE.search(masked(message)))
    if asks and _opening(seen) not in given:
        return False
    return any(_has_object(seen, place) for place in given)


def _orders(name: IntentName, seen: list[str]) -> list[int]:
    """Places of the words that order this deed."""
    kinds, weak = listed(_ORDERS[name].kinds), listed(_ORDERS[name].weak)
    names_a_kind = any(kinds & set(concepts_of(word)) for word in seen) or any(
        word in _NAMED or word in _COMMANDS for word in seen
    )
    forms = [place for place, word in enumerate(seen) if _FORMS[name].fullmatch(word) and _opens_clause(seen, place)]
    orders = [place for place in forms if names_a_kind or seen[place] not in weak]
    opening = _opening(seen)
    if name is IntentName.RUN_PROCESS and len(seen) > opening and seen[opening] in _COMMANDS:
        orders.append(opening)  # "pytest -q tests/": a command line typed as it is
    return orders


def _opens_clause(seen: list[str], place: int) -> bool:
    """Spanish "para" is "stop" only where a sentence or a clause opens; elsewhere it is "for"."""
    return seen[place] != "para" or place == 0 or seen[place - 1] in _CLAUSE_OPENERS or seen[place - 1] in _BREAKS


def _is_negated(seen: list[str], place: int) -> bool:
    """Whether a "no" of the same clause reaches the word."""
    for word in reversed(seen[max(0, place - _UNDER_NEGATION) : place]):
        if word in _BREAKS:
            return False
        if word in _NEGATION:
            return True
    return False


def _opening(seen: list[str]) -> int:
    """Place of the first word that is no courtesy: "porfa, madre, **borra** esto"."""
    return next(
        (place for place, word in enumerate(seen) if word not in _EMPTY and word not in _BREAKS and word != "madre"), 0
    )


def _has_object(seen: list[str], place: int) -> bool:
    """Whether anything besides the order and courtesies is named: a thing, a pronoun at the verb, or "it"."""
    if re.search(r"[aeir](?:me|te|nos)?(?:lo|la|los|las)$", seen[place]) and len(seen[place]) > 4:
        return True
    return any(word not in _EMPTY and word not in _BREAKS for at, word in enumerate(seen) if at != place)
