"""Which files of a model a download takes. Pure: the hub's list in, the choice or a refusal out."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from posixpath import basename, dirname
from typing import Any

from config.contracts.hermes import HubFile
from hermes.errors import FileNotOnHub, FileRefused, FilesNotChosen, HubBroken, ModelTooLarge
from hermes.versions import TEXT, WEIGHTS, Version, format_of, is_pickle, is_safe, versions_of

_PART = re.compile(r"^(?P<stem>.*)[-.](?P<number>\d{5})-of-(?P<count>\d{5})(?P<rest>\.[^/]*)$")
_LABEL = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Choice:
    """What is fetched: all files, and which of them hold the weights. `label` tells this version from others of the same commit."""

    files: tuple[HubFile, ...]
    weights: tuple[HubFile, ...]
    label: str
    quantization: str | None

    @property
    def model_type(self) -> str:
        return min((file.format or TEXT for file in self.weights), key=WEIGHTS.index)

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes or 0 for file in self.files)


def choose(
    model_id: str, files: Sequence[HubFile], names: Sequence[str] | None, quantization: str | None, *, limit_bytes: int
) -> Choice:
    """The files that were asked for, or the only version there is.

    Raises FileRefused, FileNotOnHub, FilesNotChosen (with what there is to choose from), ModelTooLarge, and HubBroken for a list that
    cannot be.
    """
    chosen = _named(model_id, files, names) if names is not None else _version(model_id, files, quantization)
    unsized = [file.path for file in chosen.files if file.size_bytes is None]
    if unsized:
        raise HubBroken(
            f"the hub does not say how large {', '.join(unsized[:3])} of {model_id} is; nothing is fetched blindly"
        )
    _refuse_overlapping(chosen.files)
    if chosen.size_bytes > limit_bytes:
        raise ModelTooLarge(
            f"{model_id} ({chosen.label}) has {chosen.size_bytes} bytes and one download may have {limit_bytes}: "
            "choose a smaller version, or raise VX11_HERMES_DOWNLOAD_LIMIT_BYTES"
        )
    return chosen


def why_refused(path: str) -> str | None:
    """Why a file is never fetched, or None for one that is."""
    if not is_safe(path):
        return f"{path!r} is not a name that is safe to write"
    if is_pickle(path):
        return f"{path} may carry a pickle: reading it can run any code. Ask for the safetensors, GGUF or ONNX version"
    if format_of(path) is None:
        return f"{path} is none of GGUF, safetensors, ONNX, and their json, text, tokenizer and licence files"
    return None


def _named(model_id: str, files: Sequence[HubFile], names: Sequence[str]) -> Choice:
    known = {file.path: file for file in files}
    for name in names:
        if (reason := why_refused(name)) is not None:
            raise FileRefused(reason)
        if name not in known:
            raise FileNotOnHub(f"{model_id} has no file {name!r} in this revision")
    wanted = tuple(known[name] for name in sorted(set(names)))
    weights = tuple(file for file in wanted if file.format in WEIGHTS)
    if not weights:
        raise FilesNotChosen(f"none of these files holds weights: a model needs one. {_told(versions_of(files))}")
    digest = hashlib.sha256("\n".join(file.path for file in wanted).encode()).hexdigest()
    quantizations = {file.quantization for file in weights}
    return Choice(wanted, weights, f"files-{digest[:8]}", quantizations.pop() if len(quantizations) == 1 else None)


def _version(model_id: str, files: Sequence[HubFile], quantization: str | None) -> Choice:
    there = versions_of(files)
    if not there:
        refused = next((why_refused(file.path) for file in files if is_pickle(file.path)), None)
        raise FileRefused(
            f"{model_id} has no version that is taken: {refused or 'it has no GGUF, safetensors or ONNX file'}"
        )
    fitting = there
    if quantization is not None:
        asked = quantization.upper()
        asked = {"FP16": "F16", "FP32": "F32"}.get(asked, asked)
        fitting = [one for one in there if asked in (one.quantization, one.format.upper())]
    if len(fitting) != 1:
        why = "offers several versions" if fitting else f"has no version {quantization!r}"
        raise FilesNotChosen(
            f"{model_id} {why}: send `quantization`, or the names in `files`. {_told(fitting or there)}",
            choices=[_choice(one) for one in (fitting or there)],
        )
    one = fitting[0]
    _require_whole(model_id, one)
    folders = {"", *(dirname(file.path) for file in one.files)}
    beside = tuple(file for file in files if file.format == TEXT and dirname(file.path) in folders)
    parts = (
        [one.quantization or one.format] if one.format == "gguf" else [one.format, *filter(None, [one.quantization])]
    )
    weights = tuple(sorted(one.files, key=lambda file: file.path))
    return Choice((*weights, *beside), weights, _LABEL.sub("-", "-".join(parts)), one.quantization)


def _require_whole(model_id: str, version: Version) -> None:
    """Raises HubBroken when a part of a split file is missing."""
    for file in version.files:
        if (part := _PART.match(file.path)) is None:
            continue
        there = sum(1 for other in version.files if (its := _PART.match(other.path)) and its["stem"] == part["stem"])
        if there != int(part["count"]):
            raise HubBroken(f"{model_id} has {there} of the {int(part['count'])} parts of {basename(part['stem'])}")


def _refuse_overlapping(files: Iterable[HubFile]) -> None:
    """Raises FileRefused where one file's name is another's folder, or where a folder is hidden."""
    names = {file.path for file in files}
    folders = {path[:at] for path in names for at, char in enumerate(path) if char == "/"}
    if both := sorted(names & folders):
        raise FileRefused(f"{both[0]} is the name of a file and of a folder")
    if hidden := sorted(folder for folder in folders if basename(folder).startswith(".")):
        raise FileRefused(f"{hidden[0]} is a hidden folder: one of that name may be ours")


def _choice(version: Version) -> dict[str, Any]:
    return {
        "quantization": version.quantization,
        "format": version.format,
        "size_bytes": version.size_bytes,
        "files": [file.path for file in version.files][:20],
    }


def _told(versions: Iterable[Version]) -> str:
    told = [f"{one.quantization or one.format} ({one.size_bytes} bytes: {one.files[0].path})" for one in versions]
    return f"There is {', '.join(told[:20])}" if told else "There is none"
