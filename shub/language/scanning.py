"""What of a command stands for what: every known phrase with all that it may mean, every quantity, and where the parts of it end."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise

from shub.language import vocabulary as known
from shub.language.descriptors import DESCRIPTORS
from shub.language.quantities import Quantity, quantities
from shub.language.words import Token, singular, tokens_of, words_of


@dataclass(slots=True)
class Item:
    """Words that are known: `tags` by kind (`verb`, `target`, `effect`, `word`, `band`, `param`, …). A quantity has no tags."""

    at: int
    """Number of its first token."""
    until: int
    text: str
    tags: dict[str, str] = field(default_factory=dict)
    quantity: Quantity | None = None
    before: str = ""
    """The word right before it."""
    label: str = ""
    """Of a quantity: the parameter whose name stands by it."""

    def __getitem__(self, kind: str) -> str:
        return self.tags.get(kind, "")

    def is_a(self, kind: str, *values: str) -> bool:
        found = self.tags.get(kind)
        return found is not None and (not values or found in values)


@dataclass(slots=True)
class Scan:
    """A command taken apart: its parts (what stands between two separators) and the words that nothing is known of."""

    parts: list[list[Item]]
    unknown: list[str]
    tokens: list[Token]
    is_question: bool
    openers: list[str] = field(default_factory=list)
    """The separator before each part."""
    starts: list[int] = field(default_factory=list)
    """The first token of each part."""
    past: frozenset[int] = frozenset()
    """Tokens that are verbs of what was done, by their accent: "borré"."""

    @property
    def is_question_of_knowledge(self) -> bool:
        """ "¿qué es un compresor?", "how do I delete a file?": it asks to be told, not that something be done."""
        first = next((item for part in self.parts for item in part), None)
        words = [token.text for token in self.tokens if token.kind == "word"][:2]
        if self.is_question and words[:1] in (["como"], ["how"]) and words[-1].endswith(("o", "to", "do")):
            return True  # "¿cómo borro una pista?"
        return first is not None and first.is_a("special", "question") and first.at <= 2


_SEPARATING_WORDS = words_of(
    "y e and luego then despues pero but ademas tambien also plus mientras while afterwards finally finalmente primero first "
    "segundo tercero once & asi sino aunque entonces"
)
_SEPARATING_MARKS = frozenset(',;.?!()\n:—¿¡"')
MOST_UNKNOWN = 16
"""A text with more words than this that nothing is known of is no misspelt command: looking further costs 0.3 ms a word."""
_JOINED = (("m", "s"), ("mid", "side"), ("drum", "bass"), ("radio", "tv"))
STOP = words_of(
    "hmm mmm umm uhh erm ehh pff che wey guey boludo parce compa maje jefe boss maestro crack buenas "
    "unused duplicate temporary "
    "entero entera completo completa old viejo vieja finish gusta molesta convence puedas tuyo alta calidad nueva nuevo new gente "
    "nada nothing inicial initial leading trailing together juntos juntas vuelve volver hiciste hizo acabas vuelta tone timbre tonal color "
    "a al ante con de del desde el ella ello en es esa ese eso esas esos esta este esto estas estos estos ha han hasta la las le "
    "les lo los me mi mis muy nos o os para pa por porfa porfavor favor que quedo se si sobre su sus te tu tus un una uno unas unos "
    "va van ve ya yo hay he habia como cuando donde cual cada mismo misma tambien asi aqui ahi alli ahora luego hoy oye mira bueno "
    "vale venga anda pues por gracias the a an of to in on at for with by as is are was were be been it its it's this that these "
    "those my your his her our their them they he she we you i i'm i'd me us so if then than please pls thanks thank okay ok hey "
    "well right now just can could would should will shall let's lets let and or but do does did have has had get got go going "
    "gonna there here which who what how when where why too also really quite very up out off into onto from about over under again "
    "while until still yet kind sort thing things stuff feel feels seems seem look looks sounds sound going bit lot whole every "
    "each both little maybe perhaps think know esten este sea sean fuera ser estar esta estan estaba parece parecen creo pienso "
    "siento tiene tienen tengo hemos puedes podrias podes puede podria quieres quieras favor hola tio colega bro man dude mate "
    "nomas tantito momento rato segundo vez veces rollo tipo forma manera modo plan cosa cosas algo alguna algun alguno toda parte "
    "lado final principio inicio medio hacia entre contra segun durante mediante esto aquello lista listo ready done finish "
    "finished start starting over everything nothing ahi tal cual aun todavia siempre nunca otra otro otros otras demas cuanto "
    "cuanta tanto tanta poco e y u ni oh ah eh uy ay we're you're they're that's there's don't i've i'll you'd he's she's what's "
    "who's isn't aren't haven't one ones version final bonito bonita queda quede queden quedar quedo acaba deberia debe deben "
    "tendria tendrian hacen haciendo hecho vamos voy vas iba somos son soy eres era eran fue resto bien mal guay mas mucho ultimo "
    "ultima ultimos ultimas last cambio cambios change changes primer primera primeros primeras first nada nothing inicial initial "
    "leading trailing together juntos juntas vuelve volver hiciste hizo acabas vuelta tone timbre tonal color ready tan my gotta "
    "wanna needs need like would'nt anywhere somewhere somehow any some enough keep leave feeling real actually basically literally "
    "obviously probablemente quiza quizas acaso talvez entonces entra entrar entre salga sale salir ir viene venga cuidado vez ojo "
    "hora tema"
)


@lru_cache(maxsize=1)
def _index() -> dict[str, list[tuple[tuple[str, ...], dict[str, str]]]]:
    """Phrases by their first word, longest first, each with everything that it may mean."""
    tables = {**known.TABLES, "word": {word.term: word.words for word in DESCRIPTORS}}
    meanings: dict[tuple[str, ...], dict[str, str]] = {}
    for kind, rows in tables.items():
        for value, phrases in rows.items():
            for phrase in known.expanded(phrases):
                meanings.setdefault(known.key_of(phrase), {}).setdefault(kind, value)
    by_first: dict[str, list[tuple[tuple[str, ...], dict[str, str]]]] = {}
    for key, tags in meanings.items():
        if key:
            by_first.setdefault(key[0], []).append((key, tags))
    for rows_of in by_first.values():
        rows_of.sort(key=lambda row: -len(row[0]))
    return by_first


def scan(said: str, stems: Sequence[tuple[str, tuple[str, ...]]] = ()) -> Scan:
    """The parts of a folded command. `stems` are names of stems with the words that they consist of."""
    tokens = tokens_of(said)
    named = _stem_names(tokens, stems)
    for at, (_, until) in named.items():
        for index in range(at, until):  # a number in a name is no quantity
            token = tokens[index]
            tokens[index] = Token(
                "word", token.text if token.kind == "word" else "#", token.start, token.end, token.glued
            )
    found, owner = quantities(tokens)
    texts = [_base_of(_owner_of(token.text)) if token.kind == "word" else token.text for token in tokens]
    parts: list[list[Item]] = [[]]
    openers, starts, unknown = [""], [0], list[str]()
    at = 0
    while at < len(tokens):
        token = tokens[at]
        if at in named:
            name, until = named[at]
            parts[-1].append(Item(at, until, token.text, {"target": name, "stem": name}, before=_before(tokens, at)))
        elif (length := _beat(tokens, at)) is not None:
            until = at + 3
            parts[-1].append(Item(at, until, "1/" + tokens[at + 2].text, {"beat": length}, before=_before(tokens, at)))
        elif _numbered(tokens, owner, found, at):
            until = at + 2
            name = f"{token.text} {tokens[at + 1].text}"
            parts[-1].append(Item(at, until, name, {"target": name, "stem": name}, before=_before(tokens, at)))
        elif owner[at] >= 0:
            until = at
            while until < len(tokens) and owner[until] == owner[at]:
                until += 1
            quantity = found[owner[at]]
            parts[-1].append(Item(at, until, said[quantity.start : quantity.end], {}, quantity, _before(tokens, at)))
        elif token.text == "but" and at and tokens[at - 1].text in ("everything", "all", "everyone", "anything"):
            parts[-1].append(Item(at, at + 1, "all but", {"special": "except"}, before=tokens[at - 1].text))
            until = at + 1
        elif (match := _phrase(texts, tokens, owner, at, may_correct=len(unknown) < MOST_UNKNOWN)) is not None:
            tags, until = match
            text = " ".join(one.text for one in tokens[at:until])
            parts[-1].append(Item(at, until, text, tags, before=_before(tokens, at)))
        elif _separates(tokens, owner, at, found):
            if parts[-1]:
                parts.append([])
                openers.append(token.text)
                starts.append(at + 1)
            else:
                starts[-1] = at + 1
                openers[-1] = openers[-1] if token.text in _SEPARATING_MARKS else token.text
            until = at + 1
        else:
            if token.kind == "word" and token.text not in STOP and len(token.text) > 2:
                unknown.append(token.text)
            until = at + 1
        at = until
    if not parts[-1]:
        parts.pop()
        openers.pop()
        starts.pop()
    for part in parts:
        _tell_bands(part, tokens)
    _tell_middle(parts)
    _tell_sections(parts)
    is_question = "?" in said or "¿" in said
    return Scan(parts, unknown, tokens, is_question, openers, starts)


_AT = words_of("at @ a en in around on sobre")
MOST_BELL_DB = 18.0
LEAST_BARE_HZ = 20.0


def _tell_bands(part: list[Item], tokens: list[Token]) -> None:
    """ "-4 @ 350", "más 2 en 5k": a bare number at another is a gain at a frequency."""
    if any(item.is_a("format") or item.is_a("param", "bits") or "place" in item.tags for item in part):
        return
    for one, other in pairwise(part):
        gain, hertz = one.quantity, other.quantity
        if gain is None or hertz is None or gain.unit not in ("", "db") or hertz.unit not in ("", "hz", "khz"):
            continue
        between = [token.text for token in tokens[one.until : other.at]]
        is_gain = abs(gain.value) <= MOST_BELL_DB and (gain.signed or gain.unit == "db")
        is_bare_hertz = not hertz.unit and not hertz.signed and hertz.value >= LEAST_BARE_HZ
        if len(between) != 1 or between[0] not in _AT or not is_gain or (not hertz.unit and not is_bare_hertz):
            continue
        one.quantity, other.quantity = replace(gain, unit="db"), replace(hertz, unit=hertz.unit or "hz")
        one.tags["pair"] = other.tags["pair"] = "band"


_SECTION_MARKS = words_of("the this that each every last first second final el los este ese cada ultimo primer segundo")


def _tell_sections(parts: list[list[Item]]) -> None:
    """ "in the chorus" is a place in the song, not an effect."""
    for part in parts:
        for item in part:
            if item.text in ("chorus", "choruses") and item.before in _SECTION_MARKS:
                item.tags = {"special": "audio"}


_MIDDLES = words_of("mid medio centro middle center centre")
_SIDES = words_of("side sides lado lados lateral laterales")


def _tell_middle(parts: list[list[Item]]) -> None:
    """Where a command is about mid and side, these words are the two channels."""
    items = [item for part in parts for item in part]
    if not any(item.is_a("effect", "mid_side") for item in items):
        return
    for item in items:
        if item.text in _MIDDLES:
            item.tags = {"effect": "middle"}
        elif item.text in _SIDES:
            item.tags = {"effect": "sides"}


_NUMBERED = words_of("track pista stem canal channel")
MOST_TRACKS = 99


def _numbered(tokens: list[Token], owner: list[int], found: list[Quantity], at: int) -> bool:
    """Whether a track is called by its number here: "track 3"."""
    if tokens[at].text not in _NUMBERED or at + 1 >= len(tokens) or owner[at + 1] < 0:
        return False
    quantity = found[owner[at + 1]]
    is_alone = at + 2 >= len(tokens) or owner[at + 2] != owner[at + 1]
    is_count = quantity.unit == "" and not quantity.signed and quantity.value.is_integer()
    return is_alone and is_count and 1 <= quantity.value <= MOST_TRACKS


@lru_cache(maxsize=8192)
def _base_of(word: str) -> str:
    """The singular as the tables have it: "compresores" is "compresor", "files" is "file"."""
    one = singular(word)
    if one in _known_words() or known.verb_of(word):
        return one
    if word.endswith("es") and word[:-2] in _known_words():
        return word[:-2]
    return _plain(one) or one


_AUGMENTED = ("isimo", "isima", "ecito", "ecita", "cito", "cita", "ito", "ita", "illo", "illa", "azo", "aza")


def _plain(word: str) -> str | None:
    """The known word that a Spanish superlative or diminutive is made of: "enterradisima", "guitarrita", "vocecita"."""
    for ending in _AUGMENTED:
        stem = word.removesuffix(ending)
        if stem != word and len(stem) >= 3:
            bases = (stem + ending[-1], stem + "o", stem + "a", stem + "e", stem, stem[:-1] + "z")
            return next((base for base in bases if base in _known_words() and base not in STOP), None)
    return None


_NOT_OWNERS = words_of("what that it who there here he she let how where")


def _owner_of(word: str) -> str:
    """ "vocal's" is "vocal", where the word itself stands in no table ("what's")."""
    bare = word.removesuffix("'s")
    is_own = bare == word or bare in _NOT_OWNERS or word in _known_words()
    return word if is_own or singular(bare) not in _known_words() else bare


@lru_cache(maxsize=1)
def _known_words() -> frozenset[str]:
    return frozenset(word for rows in _index().values() for key, _ in rows for word in key)


def _beat(tokens: list[Token], at: int) -> str | None:
    """The length of a note written as a fraction, 1/8."""
    texts = [token.text for token in tokens[at : at + 3]]
    return known.BEATS_BY_TEXT.get("".join(texts)) if texts[1:2] == ["/"] else None


def _before(tokens: list[Token], at: int) -> str:
    return tokens[at - 1].text if at else ""


def _separates(tokens: list[Token], owner: list[int], at: int, found: list[Quantity]) -> bool:
    token = tokens[at]
    if token.kind == "mark":
        is_slash = token.text == "/" and not token.glued and not tokens[min(at + 1, len(tokens) - 1)].glued
        return is_slash or token.text in _SEPARATING_MARKS or token.text == "&"
    if token.text not in _SEPARATING_WORDS:
        return False
    before, after = (tokens[at - 1].text if at else ""), (tokens[at + 1].text if at + 1 < len(tokens) else "")
    if (before, after) in _JOINED:
        return False
    following = owner[at + 1] if at + 1 < len(tokens) else -1
    if token.text in ("segundo", "primero"):
        return following < 0
    return not (token.text in ("y", "and", "e") and following >= 0 and found[following].is_range_end)


def _stem_names(tokens: list[Token], stems: Sequence[tuple[str, tuple[str, ...]]]) -> dict[int, tuple[str, int]]:
    """Where a stem's own name is said: first token to name and the token after; the longer name wins."""
    found: dict[int, tuple[str, int]] = {}
    taken: set[int] = set()
    said = [(index, token.text) for index, token in enumerate(tokens) if token.text not in "_-."]
    for name, words in sorted(stems, key=lambda stem: -len(stem[1])):
        size = len(words)
        for start in range(len(said) - size + 1):
            span = said[start : start + size]
            if tuple(text for _, text in span) != words:
                continue
            first, last = span[0][0], span[-1][0]
            if taken.isdisjoint(range(first, last + 1)):
                found[first] = (name, last + 1)
                taken.update(range(first, last + 1))
    return found


def _phrase(
    texts: list[str], tokens: list[Token], owner: list[int], at: int, *, may_correct: bool
) -> tuple[dict[str, str], int] | None:
    """The longest known phrase that begins here, with its meanings; a single word may be a verb as well."""
    word = texts[at]
    if tokens[at].kind != "word":
        return None
    if at and tokens[at - 1].text in _SPEAKERS and (past := _past(tokens[at].text)):
        return {"verb": past}, at + 1
    is_glued = at + 1 < len(tokens) and tokens[at + 1].glued
    for key, tags in _index().get(word, ()):
        until = _matches(texts, owner, at, key, is_glued=is_glued)
        if until:
            verb = known.verb_of(tokens[at].text) if len(key) == 1 else None
            return ({**tags, "verb": verb} if verb else dict(tags)), until
    verb = known.verb_of(tokens[at].text)
    if verb:
        return {"verb": verb}, at + 1
    other = corrected(tokens[at].text) if may_correct else None
    if other is None:
        return None
    for key, tags in _index().get(singular(other), ()):
        if len(key) == 1:
            verb = known.verb_of(other)
            return ({**tags, "verb": verb} if verb else dict(tags)), at + 1
    verb = known.verb_of(other)
    return ({"verb": verb}, at + 1) if verb else None


_SPEAKERS = words_of("we you i they")


def _past(word: str) -> str | None:
    """The order in a past form, "what if we compressed the bass"."""
    return (known.verb_of(word[:-2]) or known.verb_of(word[:-1])) if word.endswith("ed") else None


def _matches(texts: list[str], owner: list[int], at: int, key: tuple[str, ...], *, is_glued: bool) -> int:
    """The token after a phrase that stands here, hyphens and slashes aside; 0 where it does not."""
    index = at
    for number, word in enumerate(key):
        if number:
            while index < len(texts) and texts[index] in ("-", "/", "_", "&", "+"):
                index += 1
        if index >= len(texts) or texts[index] != word:
            return 0
        if owner[index] >= 0 and not word.isdecimal():
            return 0
        if number == 1 and word.isdecimal() and key[0] in STOP and index == at + 1 and not is_glued:
            return 0  # an LA-2A is a compressor, "la 2 a la derecha" is none
        index += 1
    return index


_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@lru_cache(maxsize=1)
def _correctable() -> frozenset[str]:
    """Words that a misspelt one may stand for: single words of six letters and more."""
    words = {key[0] for rows in _index().values() for key, tags in rows if len(key) == 1 and set(tags) & _CORRECTED}
    verbs = (
        "master masteriza masterizar normaliza normalizar normalize comprime comprimir compress analiza analizar analyze exporta exportar "
        "export mezcla mezclar quita elimina silencia ensancha satura limita ecualiza raise lower boost turn aumenta anade agrega reduce "
        "remove mute widen narrow panea deshaz undo bounce renderiza convierte centra sube baja dale ponle quitale"
    )
    return frozenset({word for word in words if len(word) >= 5} | set(verbs.split()))


_CORRECTED = {"target", "effect", "word", "band", "param", "place", "platform", "picture", "measure"}


@lru_cache(maxsize=4096)
def corrected(word: str) -> str | None:
    """The known word that this one is a slip of the keys away from: two letters swapped, one left out, one too many, one other."""
    if not 4 <= len(word) <= 16 or word in STOP or word in NOT_MISSPELT or not word.isascii():
        return None
    good = _correctable()
    if (one := singular(word)) in good:
        return one
    for index in range(len(word) - 1):
        swapped = word[:index] + word[index + 1] + word[index] + word[index + 2 :]
        if swapped in good or singular(swapped) in good:
            return swapped
    if len(word) < 5:
        return None
    for index in range(1, len(word) + 1):
        for letter in _LETTERS:
            if (one := word[:index] + letter + word[index:]) in good or singular(one) in good:
                return one
    if len(word) < 6:
        return None
    for index in range(1, len(word)):
        if (left_out := word[:index] + word[index + 1 :]) in good:
            return left_out
        for letter in _LETTERS:
            if (one := word[:index] + letter + word[index + 1 :]) in good:
                return one
    return None


NOT_MISSPELT = words_of(
    "compra comprar compro espera esperar esperas esperate tarde tardes parada parado vaca vocablo casar compre local clave clase "
    "cliente clientes client clients "
    "plane plazo planta carta casa cosas costa punta punto cuenta prueba primer primero servidor browser server docker version "
    "people person correo mundo mercado trabajo tiempo tempo luces puerto puertos parto place planes plants salsa mesa masa pollo "
    "tomate cocina receta libro libros texto codigo python script branch commit email mail weather tomorrow manana noche viernes "
    "lunes medico coche water coffee music ready report banana brand bread breath cuadro cuarta miedo bomba carpa playa campo "
    "medir stage start state status story store paper power poder panel pared plant broken bring frame phase press price prize "
    "letter better butter matter center canter poster faster mister muster minter verdad verano verbo verse"
)  # fmt: skip
