"""The plain words of a message: what every other part of the reader looks at."""

import re
import unicodedata

READ_LIMIT = 2_000
"""Characters of a message that are read; the rest of a 64 KiB paste says nothing more about what is wanted."""

_INVISIBLE = re.compile(r"[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\x00-\x08\x0b-\x1f]")
_FENCED = re.compile(r"```.*?(?:```|$)|`[^`\n]{1,300}`", re.S)
_URL = re.compile(r"https?://\S+")
_AUDIO_FILE = re.compile(r"\b[\w\-.]+\.(?:wav|flac|mp3|ogg|aiff?|m4a|opus)\b")
_CODE_FILE = re.compile(r"\b[\w\-./]+\.(?:py|sh|js|ts|ipynb|rb|pl|bash|mk|jar|exe|go|rs|c|cpp)\b")
_MODEL_FILE = re.compile(r"\b[\w\-.]+\.(?:gguf|safetensors|onnx|bin|pt)\b")
_OTHER_FILE = re.compile(
    r"\b[\w\-./]+\.(?:json|ya?ml|toml|csv|txt|log|db|sqlite|zip|tar|gz|md|env|sql|conf|ini|html|pdf)\b"
)
_PATH = re.compile(r"(?<![\w<])~?(?:\.{0,2}/[\w.\-]+){1,}/?|\b[\w\-]+/(?=\s|$)")
_NUMBER = re.compile(r"(?<![a-z\d])[-+−]?\d+(?:[.,:]\d+)*")
_STRETCHED = re.compile(r"([a-z])\1{2,}")
_LONGEST_WORD = 40
_WORD = re.compile(r"[a-z0-9]+(?:['\-.+_][a-z0-9]+)*|\?")


def clean(message: str) -> str:
    """The message without invisible characters, in one Unicode form, at most `READ_LIMIT` characters."""
    return unicodedata.normalize("NFKC", _INVISIBLE.sub("", message[: 2 * READ_LIMIT]))[:READ_LIMIT]


def plain(message: str) -> str:
    """Lower case, without accents, long vowels shortened ("sooo" → "soo"): the form the word lists are written in."""
    text = unicodedata.normalize("NFD", clean(message).lower().replace("’", "'").replace("`", "`"))
    text = "".join(char for char in text if not unicodedata.combining(char))
    return _STRETCHED.sub(r"\1\1", text)


def masked(message: str) -> str:
    """Plain text in which names that say only what kind of thing they are (files, paths, numbers) are one word each."""
    text = plain(message).replace("¿", " ").replace("¡", " ")
    text = _FENCED.sub(" xcode ", text)
    text = _URL.sub(" xurl ", text)
    text = _AUDIO_FILE.sub(lambda hit: f" xaudio x{hit[0].rsplit('.', 1)[1]} ", text)
    text = _CODE_FILE.sub(" xscript ", text)
    text = _MODEL_FILE.sub(" xweights ", text)
    text = _OTHER_FILE.sub(" xfile ", text)
    text = _PATH.sub(" xpath ", text)
    return _NUMBER.sub(" 0 ", text)


def words(message: str) -> list[str]:
    """The masked words in order, question marks as words of their own; a word has at most 40 characters."""
    return [word[:_LONGEST_WORD] for word in _WORD.findall(masked(message))]


def listed(text: str) -> frozenset[str]:
    """The words of a list written in one string."""
    return frozenset(text.split())
