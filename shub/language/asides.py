"""What is said beside an order and is none: why it is given, what for, and what the speaker does meanwhile.

"nuke the low mids, they're eating everything", "silencia los coros que quiero oír la voz", "mute it while I check the beat".
It must come after an order: said alone or first ("the vocal is harsh, tame it") it is what the order is about.
"""

from collections.abc import Iterator

from shub.language.scanning import Item, Scan
from shub.language.words import Token, words_of

_NO_ORDERS = words_of("sound clip mask want")
_MEANWHILE = words_of("while mientras meanwhile whilst")
_SPEAKERS = words_of("i i'm im we we're you you're he she they i'll we'll")
_SUBJECTS = words_of(
    "they're it's he's she's that's they it he she esta estan esto eso ese esos this that those these i'm i i've we're se me nos"
)
_BEING = words_of(
    "is are was were be been keeps keep sounds feels seems looks gets just really kinda always still too esta estan es son suena suenan "
    "come comen pierde pierden tapa tapan queda quedan siente oye oyen hace hacen parece parecen wanna want need can can't cannot don't "
    "doesn't won't eat eats eating am have has had hear estaba estoy resulta resultan gusta molesta"
)
_EATING = words_of("come comen comiendo comiendose")
_CLITICS = words_of("se lo la los las me")
_GOING_ON = ("ando", "iendo", "ing")
_CONTENT = ("effect", "band", "word", "place")


def said_in(scan: Scan) -> Iterator[tuple[list[Item], str]]:
    """The parts of a command with what opens each, without what is only said beside."""
    has_order = has_whole = False
    ends = [*scan.starts[1:], len(scan.tokens)][: len(scan.parts)]
    for part, opener, start, end in zip(scan.parts, scan.openers, scan.starts, ends, strict=True):
        if has_order and _is_beside(part, opener, scan.tokens[start:end], has_whole):
            continue
        kept = _before_aside(part, has_order)
        if kept:
            yield kept, opener
        has_order = has_order or any(_is_order(item) for item in kept)
        has_whole = has_whole or (has_order and any("target" in item.tags for item in kept))


def _is_order(item: Item) -> bool:
    if item.text in _EATING and item.before in _CLITICS:
        return False  # "se la come"
    return ("verb" in item.tags and item["verb"] not in _NO_ORDERS) or item.is_a("special", "louder", "softer")


def _is_beside(part: list[Item], opener: str, tokens: list[Token], has_whole: bool) -> bool:
    """Whether a whole part is one: what the speaker does meanwhile, or how the things are that an order was given about."""
    words = [token.text for token in tokens if token.kind == "word"]
    if opener in _MEANWHILE and words:
        return words[0] in _SPEAKERS or (opener == "mientras" and (words[0] == "yo" or words[0].endswith("o")))
    if not has_whole or any(item.quantity is not None for item in part):
        return False
    if any(_is_order(item) for item in part):
        return False
    is_told = (
        len(words) > 1
        and words[0] in _SUBJECTS
        and (words[1] in _BEING or words[1].endswith(_GOING_ON) or "'" in words[0])
    )
    is_told = is_told or _is_of_masking(part, words)
    return is_told and not any(item.is_a("special", "keep", "only", "except", "undo") for item in part)


def _is_of_masking(part: list[Item], words: list[str]) -> bool:
    """Who covers whom, where one of the two is what the order was about: "tapa la voz", "the guitars are covering it"."""
    is_masking = any(item.is_a("verb", "mask") for item in part) or bool(_EATING & set(words))
    named = [item for item in part if "target" in item.tags]
    return is_masking and (len(named) == 1 or (bool(part) and part[0].is_a("verb", "mask")))


def _before_aside(part: list[Item], has_order: bool) -> list[Item]:
    """A part up to where a reason or a purpose begins."""
    for number, item in enumerate(part):
        if item.is_a("special", "aside") and (has_order or any(_is_order(one) for one in part[:number])):
            return part[:number]
    return part
