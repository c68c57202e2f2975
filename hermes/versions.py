"""What the name of a file on the hub tells, and which versions of a model its files make. Pure.

Names come from whoever uploaded the model: one that is not safe to make a path of is never offered.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from posixpath import basename, dirname, splitext

from config.contracts.hermes import HubFile

LONGEST_NAME_BYTES = 255
"""Of one part of a path: what file systems take."""
WEIGHTS = ("gguf", "safetensors", "onnx")
"""Formats that hold data alone, best first: where a model has several, the first is the one this box runs."""
TEXT = "text"
PREFERRED = ("Q4_K_M", "Q5_K_M", "Q4_K_S", "Q4_0", "Q6_K", "Q8_0")

_TEXT_SUFFIXES = frozenset({".json", ".txt", ".md", ".jinja", ".tiktoken"})
_TEXT_NAMES = frozenset({"license", "licence", "notice", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model"})
_PICKLES = frozenset({".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz"})
_QUANTIZATION = re.compile(
    r"(?:^|[-._ ])((?:UD-)?I?Q\d(?:_\d){1,3}|(?:UD-)?I?Q\d_(?:K_)?(?:XXS|XS|S|M|L|XL|NL|K)|TQ\d_0|MXFP4|BF16|FP?16|FP?32)(?=$|[-._ ])",
    re.IGNORECASE,
)
_VARIANT = re.compile(r"(?:^|[-._])(q4f16|q4|q8|u?int8|bnb4|quantized|bf16|fp?16|fp?32)(?=$|[-._])", re.IGNORECASE)
_SHARD = re.compile(r"[-.](\d{5})-of-(\d{5})$")
_BESIDE = re.compile(r"(?:^|[-._])(?:mmproj|imatrix)(?=$|[-._])", re.IGNORECASE)
"""GGUF files that are no version of the model: the projector of its eyes, and what a quantiser measured."""


@dataclass(frozen=True)
class Version:
    """Files that make one usable model: one quantisation of a GGUF (all its parts), or all weights of another format."""

    format: str
    quantization: str | None
    files: tuple[HubFile, ...]

    @property
    def size_bytes(self) -> int | None:
        """Of its weights; None where the hub does not say."""
        sizes = [file.size_bytes for file in self.files]
        return None if any(size is None for size in sizes) else sum(size or 0 for size in sizes)


def is_safe(path: str) -> bool:
    """Whether a file of that name may be made below a folder of ours.

    No absolute path, no `.` or `..`, nothing empty, no backslash, no character that is invisible or turns the text round.
    """
    if not path or len(path) > 1000 or "\\" in path:
        return False
    if any(unicodedata.category(char)[0] == "C" or unicodedata.category(char) in ("Zl", "Zp") for char in path):
        return False
    return all(
        part not in ("", ".", "..") and part == part.strip() and len(part.encode()) <= LONGEST_NAME_BYTES
        for part in path.split("/")
    )


def format_of(path: str) -> str | None:
    """`gguf`, `safetensors`, `onnx`, `text`, or None for what is never downloaded."""
    name = basename(path).lower()
    suffix = splitext(name)[1]
    if suffix in (".gguf", ".safetensors", ".onnx"):
        return suffix[1:]
    if re.search(r"\.onnx[._]data(_\d+)?$", name):
        return "onnx"
    is_text = suffix in _TEXT_SUFFIXES or name in _TEXT_NAMES
    return TEXT if is_text and not name.startswith(".") else None


def is_pickle(path: str) -> bool:
    """Whether the file is of a kind whose reading can run code."""
    return splitext(path.lower())[1] in _PICKLES


def quantization_of(path: str) -> str | None:
    """How the weights are stored, as the name says it (`Q4_K_M`, `F16`); None where it does not, and for other files."""
    kind = format_of(path)
    if kind not in WEIGHTS or _BESIDE.search(basename(path)):
        return None
    pattern = _QUANTIZATION if kind == "gguf" else _VARIANT
    for text in (_stem(path), basename(dirname(path))):
        if found := pattern.findall(text):
            told: str = found[-1].upper()
            return {"FP16": "F16", "FP32": "F32"}.get(told, told)
    return None


def versions_of(files: Iterable[HubFile]) -> list[Version]:
    """The versions that can be downloaded: best format first, then the smallest."""
    groups: dict[tuple[str, str, str | None], list[HubFile]] = {}
    for file in files:
        if file.format not in WEIGHTS or _BESIDE.search(basename(file.path)):
            continue
        of_one = _SHARD.sub("", splitext(file.path)[0]).lower() if file.format == "gguf" else ""
        groups.setdefault((file.format, of_one, file.quantization), []).append(file)
    found = [Version(kind, quantization, tuple(group)) for (kind, _, quantization), group in groups.items()]
    largest = 2**63
    found.sort(key=lambda one: (WEIGHTS.index(one.format), largest if one.size_bytes is None else one.size_bytes))
    return found


def preferred(versions: Sequence[Version]) -> Version:
    """The one to take where nobody chose: the best known balance of size and quality that there is, else the smallest.

    Source: llama.cpp's own tables of perplexity by quantisation, where Q4_K_M is the recommended one. Raises IndexError without any.
    """
    by_name = {one.quantization: one for one in versions}
    return next((by_name[name] for name in PREFERRED if name in by_name), versions[0])


def _stem(path: str) -> str:
    return _SHARD.sub("", basename(path).partition(".onnx")[0] if ".onnx" in path else splitext(basename(path))[0])
