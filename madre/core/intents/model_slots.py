"""The particulars of a request about models: which one, for what, how big, in which form. Read by rule, never guessed."""

import re
from typing import Any

from config.contracts.hermes import HUB_ID
from madre.core.intents.text import clean, listed, plain

SMALL_BYTES = 1_000_000_000
"""What "a small model" is at most; sizes of models are said in powers of ten, as the hub shows them."""
TINY_BYTES = 300_000_000

_SPECIALTIES: dict[str, tuple[str, str]] = {
    "code": (r"codigo|code|coding|coder|programa(?:r|cion)|programming|software|desarrollo", "code"),
    "vision": (r"vision|image(?:s|nes)?|imagen(?:es)?|fotos?|photos?|visual|videos?|ocr", "vision"),
    "embedding": (r"embeddings?|vector(?:es|s)?|similitud|similarity|busqueda semantica|semantic search", "embedding"),
    "translation": (r"traduc\w+|translat\w+", "translation"),
    "summarization": (r"resum\w+|summar\w+", "summarization"),
    "audio": (r"audio|voz|voice|speech|habla|musica|music|transcri\w+", "audio"),
    "analysis": (r"analisis|analy\w+|razona\w*|reasoning|logica|logic|matematicas|math\w*", "reasoning"),
    "text_generation": (r"texto|text|chat|conversa\w+|escribir|writing|redac\w+|general(?:ista)?|asistente|assistant", "instruct"),
}  # fmt: skip
"""Words of people for the specialties of the registry, and what the hub is asked for."""
_SPECIALTY = re.compile("|".join(rf"(?P<{name}>\b(?:{forms})\b)" for name, (forms, _) in _SPECIALTIES.items()))
_QUANTIZATION = re.compile(
    r"(?<![\w.])((?:UD-)?I?Q\d(?:_(?:\d|K|XXS|XS|S|M|L|XL|NL)){0,3}|TQ\d_0|MXFP4|BF16|FP?16|FP?32)(?![\w.])", re.I
)
_TYPE = re.compile(r"\b(gguf|safetensors|onnx)\b")
_SOURCE = re.compile(r"\b(openrouter|hugging ?face)\b")
_BITS = r"(\d+(?:[.,]\d+)?) ?(ki?b|mi?b|gi?b|megas?|gigas?|megabytes?|gigabytes?)\b"
_AT_MOST = re.compile(
    rf"(?:menos de|como mucho|hasta|maximo(?: de)?|max\.?|no mas de|(?:que )?quepa en|under|below|less than|smaller than|at most|up to|"
    rf"no (?:more|bigger|larger) than|within|<=?) (?:de )?(?:los |the )?{_BITS}"
)
_TINY = re.compile(r"\b(?:diminuto|minusculo|tiny|super pequeno|muy pequeno|very small|pequenito)s?\b")
_SMALL = re.compile(
    r"\b(?:pequen[oa]s?|chic[oa]s?|liger[oa]s?|livian[oa]s?|compact[oa]s?|small(?:er|est)?|lightweight|light|compact|little)\b"
)
_SMALLEST = re.compile(r"\b(?:mas pequen[oa]s?|mas liger[oa]s?|smallest|lightest)\b")
_LICENSES = {
    "apache-2.0": r"apache(?:[- ]?2(?:\.0)?)?",
    "mit": r"mit",
    "bsd-3-clause": r"bsd(?:-3-clause)?",
    "gpl-3.0": r"gpl(?:-?3(?:\.0)?)?",
    "cc-by-4.0": r"cc-by(?:-4\.0)?",
    "openrail": r"openrail",
}
_LICENSE = {name: re.compile(rf"\b(?:{forms})\b") for name, forms in _LICENSES.items()}
_SORTS = {
    "downloads": re.compile(
        r"\b(?:mas (?:descargad|popular|usad)\w*|most (?:downloaded|popular|used)|popular(?:es)?)\b"
    ),
    "likes": re.compile(r"\b(?:mas likes|mas gustad\w*|most liked|likes)\b"),
    "recency": re.compile(r"\b(?:mas (?:nuev|recient)\w*|recient\w*|newest|latest|most recent|nuevos)\b"),
}
_NUMBER = re.compile(
    r"\b(?:modelo|model)s? (?:numero |number |num |n[.º°o]? ?|no |#|id |con id |with id )?#?(\d{1,9})\b(?![.\w-])"
)
_ORDINALS = (r"primer[oa]?|first", r"segund[oa]|second", r"tercer[oa]?|third", r"cuart[oa]|fourth", r"quint[oa]|fifth")
_ORDINAL = re.compile("|".join(rf"\b(?P<n{place}>{forms})\b" for place, forms in enumerate(_ORDINALS, start=1)))
_PLACE = re.compile(
    r"(?:\b(?:el|la|the|number|numero|num|opcion|option|modelo|model) |#)(?:numero |number |#)?(\d{1,2})\b(?![\w.-])"
)
_QUOTED = re.compile(r"[`\"«“']([^`\"»”'\n]{1,300})[`\"»”']")
_EMPTY_WORDS = listed(
    "busca buscame buscar encuentra encuentrame encontrar search find look looking for me a an the some any el la los las un una unos unas "
    "lo de del con para por que en y e o and or to of in on from with that can could you puedes podrias quiero necesito i want need "
    "modelo modelos model models hub descarga descargame descargar descargalo descargarlo bajame baja bajar bajalo download fetch get it "
    "install instala instalalo best mejor mejores good bueno buenos buena new nuevo nuevos nueva please porfa favor algun alguno alguna "
    "algo something one ones uno mas most top list lista dame give muestra show hay there are is es sea sean ia ai llm llms local locales "
    "menos mas hasta maximo como mucho under below less than at up gb mb license licencia licence bits and then luego despues me nos us "
    "pequeno pequena small tiny ligero my mi mis sirva sirvan run corra este esta this box equipo maquina machine here aqui libre free "
    "bajate descargate pull number numero opcion option open "
    "huggingface hugging face openrouter gguf safetensors onnx version quantization quantizado cuantizacion tamano size whose which"
)
_WORD = re.compile(r"[a-z0-9][a-z0-9.+_-]*")
MOST_WORDS = 6


def model_slots(message: str, named: list[str]) -> dict[str, Any]:
    """What a message says about the model it wants. `named` are the names of models in it, which say nothing of the rest.

    `size_max` in bytes; `query` is what the hub is asked for where no model is named; `number` is that of the registry, `place` that in
    a list that was shown, from 1.
    """
    text = clean(message)
    for name in named:
        text = text.replace(name, " ")
    text = re.sub(r"https?://\S+", " ", text)
    said = plain(text)
    found: dict[str, Any] = {}
    if hit := _QUANTIZATION.search(text):
        found["quantization"] = {"FP16": "F16", "FP32": "F32"}.get(hit[1].upper(), hit[1].upper())
    if hit := _TYPE.search(said):
        found["model_type"] = hit[1]
    if hit := _SOURCE.search(said):
        found["source"] = hit[1].replace(" ", "")
    if (size_bytes := _size(said)) is not None:
        found["size_max"] = size_bytes
    if license_name := next((name for name, form in _LICENSE.items() if form.search(said)), None):
        found["license"] = license_name
    if _SMALLEST.search(said):
        found["sort_by"] = "size"
    elif sort := next((name for name, form in _SORTS.items() if form.search(said)), None):
        found["sort_by"] = sort
    if hit := _SPECIALTY.search(said):
        found["specialty"] = hit.lastgroup
    if hit := _NUMBER.search(said):
        found["number"] = int(hit[1])
    if place := _place(said):
        found["place"] = place
    if not named and (query := _query(said, found)):
        found["query"] = query
    return found


def quoted_model(message: str) -> str | None:
    """The one name that a message has in quotes, or None."""
    names = {hit[1].strip() for hit in _QUOTED.finditer(message)}
    return names.pop() if len(names) == 1 else None


def is_hub_id(name: str) -> bool:
    """Whether a name is that of a model on the hub: `owner/name`."""
    return "/" in name and re.fullmatch(HUB_ID, name) is not None


def _size(said: str) -> int | None:
    if hit := _AT_MOST.search(said):
        value, unit = float(hit[1].replace(",", ".")), hit[2]
        base = 1024 if len(unit) > 1 and unit[1] == "i" and unit[-1] == "b" else 1000
        return int(value * base ** {"k": 1, "m": 2, "g": 3}[unit[0]])
    if _TINY.search(said):
        return TINY_BYTES
    return SMALL_BYTES if _SMALL.search(said) else None


def _place(said: str) -> int | None:
    if hit := _ORDINAL.search(said):
        return int(str(hit.lastgroup)[1:])
    return int(hit[1]) if (hit := _PLACE.search(said)) else None


def _query(said: str, found: dict[str, Any]) -> str | None:
    """What to ask the hub for: the specialty's word, or what is left of the message once all that is understood is taken out."""
    if specialty := found.get("specialty"):
        return _SPECIALTIES[specialty][1]
    rest = _AT_MOST.sub(" ", said)
    for form in (_QUANTIZATION, _SMALL, _TINY, _NUMBER, _PLACE, _ORDINAL, *_LICENSE.values(), *_SORTS.values()):
        rest = form.sub(" ", rest)
    words = [word for word in _WORD.findall(rest) if word not in _EMPTY_WORDS]
    return " ".join(words[:MOST_WORDS]) or None
