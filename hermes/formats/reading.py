"""What is known of a model from its own files, when they have all come."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from config.gguf import GgufBroken, read_gguf
from hermes.errors import HubFileWrong
from hermes.formats.onnx import OnnxBroken, read_onnx
from hermes.formats.safetensors import SafetensorsBroken, read_safetensors
from hermes.versions import format_of

LARGEST_CONFIG_BYTES = 1024 * 1024


def facts_of(folder: Path, weights: Sequence[str]) -> dict[str, Any]:
    """Architecture, parameters, context length, quantisation and chat template, as far as the files tell. Every weights file is looked at.

    Raises HubFileWrong for a file that is not what its name says: it is as the hub lists it, and still no model.
    """
    facts: dict[str, Any] = {}
    parameters = 0
    for path in weights:
        try:
            found = _of_file(folder / path)
        except (GgufBroken, SafetensorsBroken, OnnxBroken) as exc:
            raise HubFileWrong(
                f"{path} is as the hub lists it, and no {format_of(path)} file: {exc}. Nothing was kept"
            ) from exc
        parameters += found.pop("parameters", 0)
        facts = found | facts  # the first part of a split file tells most
    if parameters:
        facts["parameters"] = parameters
    return _of_config(folder / "config.json") | facts


def _of_file(path: Path) -> dict[str, Any]:
    kind = format_of(path.name)
    if kind == "gguf":
        return read_gguf(path).metadata
    if kind == "safetensors":
        tensors = read_safetensors(path)
        return {"parameters": tensors.parameters, "tensors": tensors.tensors, "dtypes": list(tensors.dtypes[:8])}
    if path.name.endswith(".onnx"):
        model = read_onnx(path)
        return {"onnx_ir_version": model.ir_version} | ({"producer": model.producer} if model.producer else {})
    return {}  # the data beside an ONNX file has no form of its own


def _of_config(path: Path) -> dict[str, Any]:
    """What a transformers-style config.json adds; one that cannot be read adds nothing."""
    try:
        with path.open("rb") as file:
            config = json.loads(file.read(LARGEST_CONFIG_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(config, dict):
        return {}
    architecture, context = config.get("model_type"), config.get("max_position_embeddings")
    found: dict[str, Any] = {}
    if isinstance(architecture, str) and 0 < len(architecture) <= 100:
        found["architecture"] = architecture
    if type(context) is int and 0 < context < 2**63:
        found["context_length"] = context
    return found
