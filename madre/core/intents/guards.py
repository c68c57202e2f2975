"""The second opinion on dangerous readings: an order must have the form of an order, about something.

A guard never makes a reading; it only refuses one. What it refuses is asked about.
"""

import re
from dataclasses import dataclass

from config.contracts.madre import IntentName
from madre.core.intents.catalog import RISKY
from madre.core.intents.text import listed, masked, plain, words


@dataclass(frozen=True, slots=True)
class Orders:
    """The verbs a deed is ordered with. Spanish ones by stem: imperative, infinitive and subjunctive; a past ("se borró") is no order."""

    ar: str
    er: str
    es: str
    en: str

    def pattern(self) -> re.Pattern[str]:
        first = "|".join(listed(self.ar))
        second = "|".join(listed(self.er))
        whole = "|".join(re.escape(word) for word in sorted(listed(self.es)))
        english = "|".join(re.escape(word) for word in sorted(listed(self.en)))
        spanish = rf"(?:(?:{first})(?:a|ad|ar|as|e|es|en|emos)|(?:{second})(?:e|ed|id|er|ir|es|a|as|an)|{whole})"
        return re.compile(rf"{spanish}(?:me|te|se|nos)?(?:lo|la|los|las|le|les)?|{english}")


_ORDERS = {
    IntentName.DELETE_RESOURCE: Orders(
        ar="borr elimin purg purgu quit limpi vaci tir bot desinstal carg cargu sac saqu esfum fulmin liquid desech descart",
        er="suprim barr destruy pul",
        es="deshaz deshacer deshagas vuela volar destruir",
        en="delete remove erase wipe purge clear clean trash uninstall drop empty shred bin junk nuke dump ditch toss scrap destroy "
        "discard rid rm chuck throw unlink lose axe zap kill free prune expunge obliterate annihilate",
    ),
    IntentName.RUN_PROCESS: Orders(
        ar="ejecut lanz lanc arranc arranqu inici compil dispar tir ech levant prueb prob mand invoc despleg desplieg desplegu activ "
        "pas program relanz",
        er="corr construy met",
        es="pon poner ponga pongas dale darle haz hacer construir",
        en="run rerun re-run execute launch start kick fire spawn trigger build compile invoke deploy do make give set get put let go "
        "try use queue schedule begin",
    ),
    IntentName.KILL_PROCESS: Orders(
        ar="mat par cancel abort termin cort fren tumb carg cargu cierr cerr apag apagu liquid fulmin acab dej mand quit sac saqu "
        "anul finaliz baj tir desactiv congel",
        er="interrump suspend",
        es="deten detener detenga detengas siga",
        en="kill stop halt cancel abort terminate end quit interrupt ctrl-c ctrl+c sigkill sigterm nuke murder axe shut pull force drop "
        "scrap cut put call get take make pkill killall finish zap knock scratch",
    ),
    IntentName.REPAIR_MODULE: Orders(
        ar="repar arregl reinici restaur levant resucit san sane recuper reanim cur desatasc desatasqu desbloque resete relanz rearranc "
        "rearranqu solucion peg enderez remiend parche arranc arranqu tumb dej",
        er="reviv corrig correg met vuelv volv compon",
        es="pon poner ponga pongas haz dale darle reset componer",
        en="repair fix restart reboot heal recover revive resurrect restore reset bounce unstick correct patch mend rebuild reload bring "
        "get give make put sort kick cycle turn power cure resuscitate unjam relaunch nurse",
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
    "no not don't dont never nunca jamas sin without tampoco ni nobody nadie won't can't cannot didn't shouldn't mustn't doesn't avoid "
    "evita"
)
_UNDER_NEGATION = 3
"""Words after a "no" that it reaches."""
_EMPTY = listed(
    "please pls plz porfa porfavor por favor ya now ahora the el la los las al a an un una me te it's hey oye madre ok okay vale venga "
    "just solo and y can could you puedes podrias quiero i want to que de of up with con rapido asap gracias thanks for"
)


def permits(name: IntentName, message: str) -> bool:
    """Whether a message may be read as this intent. Harmless intents always may; a risky one needs an order form and an object.

    A question that only speaks of the deed, a hypothesis, and an order under a "no" are refused.
    """
    if name not in RISKY:
        return True
    if _INJECTED.search(plain(message)):
        return False
    seen = words(message)
    orders = [place for place, word in enumerate(seen) if _FORMS[name].fullmatch(word) and _opens_clause(seen, place)]
    given = [place for place in orders if not _is_negated(seen, place)]
    if not given:
        return False
    asks = _ASKING.search(" ".join(seen)) or ("?" in seen and not _POLITE.search(masked(message)))
    if asks and not _is_ordered_first(seen, given):
        return False
    return any(_has_object(seen, place) for place in given)


def _opens_clause(seen: list[str], place: int) -> bool:
    """Spanish "para" is "stop" only where a sentence or a clause opens; elsewhere it is "for"."""
    return seen[place] != "para" or place == 0 or seen[place - 1] in _CLAUSE_OPENERS


def _is_negated(seen: list[str], place: int) -> bool:
    return any(word in _NEGATION for word in seen[max(0, place - _UNDER_NEGATION) : place])


def _is_ordered_first(seen: list[str], given: list[int]) -> bool:
    """Whether the message opens with its order, courtesies aside: "borra esto, ¿vale?"."""
    opening = next((place for place, word in enumerate(seen) if word not in _EMPTY), 0)
    return opening in given


def _has_object(seen: list[str], place: int) -> bool:
    """Whether anything besides the order and courtesies is named: a thing, a pronoun at the verb, or "it"."""
    if re.search(r"[aeir](?:me|te|nos)?(?:lo|la|los|las)$", seen[place]) and len(seen[place]) > 4:
        return True
    return any(word not in _EMPTY and word != "?" for at, word in enumerate(seen) if at != place)
