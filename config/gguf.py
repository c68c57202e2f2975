"""What a GGUF file says of itself in its header; written by whoever made the file, so nothing in it is believed to be sane.

Source of the format: the GGUF specification of ggml (versions 2 and 3), and llama.cpp's `llama_ftype` for the names of quantisations.
"""

import math
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAGIC = b"GGUF"
VERSIONS = (2, 3)
MOST_ENTRIES = 100_000
"""Key-value pairs, and tensors; the largest models have a few thousand."""
MOST_ITEMS = 4_000_000
"""Strings and inner lists of all lists together: vocabularies have some hundred thousand."""
LONGEST_KEY, LONGEST_TEXT = 65_535, 1024 * 1024  # bytes
LONGEST_TEMPLATE, LONGEST_ARCHITECTURE = 8_000, 100  # characters
DEEPEST_LIST = 4
MOST_DIMENSIONS = 8

_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRUCTS = {kind: struct.Struct(f"<{code}") for kind, code in _NUMBERS.items()}
_STRING, _LIST = 8, 9
_TOLD = frozenset(
    {
        *("general.architecture", "general.type", "general.file_type", "general.name", "general.license"),
        "tokenizer.chat_template",
    }
)
_CONTEXT = ".context_length"
_SHAPE = (
    *(_CONTEXT, ".block_count", ".embedding_length", ".attention.head_count", ".attention.head_count_kv"),
    *(".attention.key_length", ".attention.value_length", ".pooling_type"),
)
_U32, _U64 = _STRUCTS[4], _STRUCTS[10]
_QUANTIZATIONS = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M", 13: "Q3_K_L",
    14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS", 21: "Q2_K_S", 22: "IQ3_XS",
    23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16",
    36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4",
}  # fmt: skip


class GgufBroken(ValueError):
    """The file is no GGUF file, or its header contradicts itself or the file's size; the text says how."""


@dataclass(frozen=True)
class GgufFacts:
    """What the header tells. Texts are as its maker wrote them: a chat template is a program that nobody has looked at."""

    version: int
    tensors: int
    parameters: int
    """Elements of all tensors together: counted, not what the file claims."""
    architecture: str | None
    name: str | None
    license: str | None
    context_length: int | None
    quantization: str | None
    chat_template: str | None
    kind: str | None = None
    """`model`, `adapter`, `mmproj` and the like; most files do not say."""
    pooling_type: int | None = None
    """How an embedding model makes one vector of many; models that write text have none."""
    layers: int | None = None
    embedding_length: int | None = None
    heads: int | None = None
    kv_heads: int | None = None
    """Heads whose keys and values are kept; None also where it differs from layer to layer."""
    key_length: int | None = None
    value_length: int | None = None

    @property
    def metadata(self) -> dict[str, Any]:
        """What a registry keeps of it, without what is not known and without a chat template that is longer than `LONGEST_TEMPLATE`."""
        template = self.chat_template
        known = {
            "architecture": self.architecture[:LONGEST_ARCHITECTURE] if self.architecture is not None else None,
            "parameters": self.parameters,
            "context_length": self.context_length,
            "quantization": self.quantization,
            "gguf_version": self.version,
            "tensors": self.tensors,
            "chat_template": template if template is None or len(template) <= LONGEST_TEMPLATE else None,
        }
        return {name: value for name, value in known.items() if value is not None}


def read_gguf(path: Path) -> GgufFacts:
    """The facts in the header of a file; reads no more of it than that. Raises GgufBroken, and OSError."""
    with path.open("rb") as file:
        if file.read(4) != MAGIC:
            raise GgufBroken("it does not begin with GGUF")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _Header(content).facts()


class _Header:
    """Reads from the start on; every length is checked before it is believed."""

    def __init__(self, content: mmap.mmap) -> None:
        self._content, self._size = content, len(content)
        self._at, self._items = len(MAGIC), 0

    def facts(self) -> GgufFacts:
        version: int = self._number(_U32)
        if version not in VERSIONS:
            raise GgufBroken(f"its version {version} is none of {VERSIONS}")
        tensors = self._count("tensors")
        entries = self._count("entries")
        told = dict[str, Any]()
        for _ in range(entries):
            key = self._text(LONGEST_KEY)
            value = self._value(self._number(_U32), depth=0)
            if value is not None and (key in _TOLD or (key.endswith(_SHAPE) and isinstance(value, int))):
                told[key] = value  # nothing else: what is not asked for may have as many bytes as the file
        parameters = sum(self._tensor() for _ in range(tensors))
        architecture, file_type = _text_in(told, "general.architecture"), _count_in(told, "general.file_type")
        return GgufFacts(
            version=version,
            tensors=tensors,
            parameters=parameters,
            architecture=architecture,
            name=_text_in(told, "general.name"),
            license=_text_in(told, "general.license"),
            context_length=_count_in(told, f"{architecture}{_CONTEXT}"),
            quantization=None if file_type is None else _QUANTIZATIONS.get(file_type),
            chat_template=_text_in(told, "tokenizer.chat_template"),
            kind=_text_in(told, "general.type"),
            pooling_type=_count_in(told, f"{architecture}.pooling_type"),
            layers=_count_in(told, f"{architecture}.block_count"),
            embedding_length=_count_in(told, f"{architecture}.embedding_length"),
            heads=_count_in(told, f"{architecture}.attention.head_count"),
            kv_heads=_count_in(told, f"{architecture}.attention.head_count_kv"),
            key_length=_count_in(told, f"{architecture}.attention.key_length"),
            value_length=_count_in(told, f"{architecture}.attention.value_length"),
        )

    def _count(self, what: str) -> int:
        count: int = self._number(_U64)
        if count > MOST_ENTRIES:
            raise GgufBroken(f"it claims {count} {what}")
        return count

    def _tensor(self) -> int:
        """Steps over what is said of one tensor; returns its number of elements."""
        name = self._text(LONGEST_KEY)
        dimensions = self._number(_U32)
        if dimensions > MOST_DIMENSIONS:
            raise GgufBroken(f"its tensor {name[:80]!r} claims {dimensions} dimensions")
        elements: int = math.prod(self._number(_U64) for _ in range(dimensions))
        self._step(_U32.size)  # how it is quantised
        if self._number(_U64) > self._size or elements > self._size * 16:  # a bit per element would be a record
            raise GgufBroken(f"its tensor {name[:80]!r} lies beyond the end of the file")
        return elements

    def _value(self, kind: int, *, depth: int) -> int | float | bool | str | None:
        """A number or text; a list is stepped over and told as None."""
        if (number := _STRUCTS.get(kind)) is not None:
            value: int | float | bool = self._number(number)
            return value
        if kind == _STRING:
            return self._text(LONGEST_TEXT)
        if kind == _LIST and depth < DEEPEST_LIST:
            self._skip_list(depth)
            return None
        raise GgufBroken(f"it holds a value of the kind {kind} at byte {self._at}")

    def _skip_list(self, depth: int) -> None:
        kind, length = self._number(_U32), self._number(_U64)
        if (number := _STRUCTS.get(kind)) is not None:
            self._step(number.size * length)
            return
        self._items += length
        if self._items > MOST_ITEMS:
            raise GgufBroken(f"its lists claim {self._items} items")
        for _ in range(length):
            if kind == _STRING:
                self._step(self._number(_U64))
            else:
                self._value(kind, depth=depth + 1)

    def _number(self, number: struct.Struct) -> Any:
        start = self._at
        self._step(number.size)
        return number.unpack_from(self._content, start)[0]

    def _text(self, longest: int) -> str:
        length = self._number(_U64)
        if length > longest:
            raise GgufBroken(f"it holds a text of {length} bytes at byte {self._at}")
        start = self._at
        self._step(length)
        return self._content[start : start + length].decode(errors="replace").replace("\x00", "")

    def _step(self, size: int) -> None:
        self._at += size
        if self._at > self._size:
            raise GgufBroken("its header ends before it is complete")


def _text_in(told: dict[str, Any], key: str) -> str | None:
    value = told.get(key)
    return value if isinstance(value, str) and value else None


def _count_in(told: dict[str, Any], key: str) -> int | None:
    value = told.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
