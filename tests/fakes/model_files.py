"""Small model files that are really what they say: GGUF, safetensors, ONNX, and a pickle that must never be loaded."""

import json
import pickle
import random
import struct
from collections.abc import Mapping
from typing import Any

# GGUF: types of values, and of tensors as (id, weights per block, bytes per block). The numbers are those of ggml's gguf.h and ggml.h.
U32, F32, BOOL, STRING, ARRAY, U64 = 4, 6, 7, 8, 9, 10
TENSOR_TYPES = {"F32": (0, 1, 4), "F16": (1, 1, 2), "Q4_0": (2, 32, 18), "Q8_0": (8, 32, 34), "Q4_K_M": (12, 256, 144)}
FILE_TYPES = {"F32": 0, "F16": 1, "Q4_0": 2, "Q8_0": 7, "Q4_K_M": 15}
"""`general.file_type` of a whole model."""
ALIGNMENT = 32
TEMPLATE = "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}"


def gguf(
    *,
    architecture: str = "llama",
    name: str = "Tiny",
    quantization: str = "Q4_K_M",
    parameters: int = 4096,
    context_length: int = 2048,
    chat_template: str | None = TEMPLATE,
    more: Mapping[str, str | int | float | bool | list[str]] | None = None,
    version: int = 3,
    seed: int = 0,
) -> bytes:
    """A GGUF file with two tensors that hold `parameters` weights between them (a multiple of 512), random but the same each time."""
    facts: dict[str, Any] = {
        "general.architecture": architecture,
        "general.name": name,
        "general.file_type": FILE_TYPES[quantization],
        f"{architecture}.context_length": context_length,
        f"{architecture}.block_count": 1,
        "tokenizer.ggml.tokens": ["<s>", "</s>", "é"],
        **({"tokenizer.chat_template": chat_template} if chat_template is not None else {}),
        **(more or {}),
    }
    kind, weights, block_bytes = TENSOR_TYPES[quantization]
    half = parameters // 2
    assert half % weights == 0, f"{parameters} weights do not fill two tensors of {quantization}"
    tensor_bytes = _padded(half // weights * block_bytes)
    head = b"GGUF" + struct.pack("<IQQ", version, 2, len(facts))
    head += b"".join(_text(key) + _value(value) for key, value in facts.items())
    for number, tensor in enumerate(("token_embd.weight", "output.weight")):
        head += _text(tensor) + struct.pack("<IQIQ", 1, half, kind, number * tensor_bytes)
    head += bytes(_padded(len(head)) - len(head))
    return head + random.Random(seed).randbytes(2 * tensor_bytes)


def safetensors(*, parameters: int = 1024, metadata: Mapping[str, str] | None = None, seed: int = 0) -> bytes:
    """One F32 tensor with that many weights."""
    header: dict[str, Any] = {"__metadata__": dict(metadata or {"format": "pt"})}
    header["model.embed.weight"] = {"dtype": "F32", "shape": [parameters], "data_offsets": [0, parameters * 4]}
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    return struct.pack("<Q", len(head)) + head + random.Random(seed).randbytes(parameters * 4)


def onnx(*, producer: str = "pytorch", opset: int = 17) -> bytes:
    """The smallest ModelProto: ir_version, producer_name, a graph with a name, and one operator set."""
    graph = b"\x12" + _short(b"tiny")
    return (
        b"\x08\x08"
        + b"\x12"
        + _short(producer.encode())
        + b"\x3a"
        + _short(graph)
        + b"\x42"
        + _short(b"\x10" + bytes([opset]))
    )


class _Trap:
    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("a pickle was loaded",))


def pickled() -> bytes:
    """What `pytorch_model.bin` holds: loading it would run code."""
    return pickle.dumps(_Trap())


def _short(data: bytes) -> bytes:
    assert len(data) < 128
    return bytes([len(data)]) + data


def _padded(size: int) -> int:
    return size + (-size % ALIGNMENT)


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value(value: Any) -> bytes:
    if isinstance(value, bool):
        return struct.pack("<I?", BOOL, value)
    if isinstance(value, int):
        return struct.pack("<II", U32, value) if value < 2**32 else struct.pack("<IQ", U64, value)
    if isinstance(value, float):
        return struct.pack("<If", F32, value)
    if isinstance(value, str):
        return struct.pack("<I", STRING) + _text(value)
    return struct.pack("<IIQ", ARRAY, STRING, len(value)) + b"".join(_text(one) for one in value)
