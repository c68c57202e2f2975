"""The outermost fields of an ONNX file: enough to know that it is one.

Source of the format: onnx.proto (ModelProto: ir_version 1, producer_name 2, graph 7, opset_import 8) and the protobuf wire format.
"""

import mmap
from dataclasses import dataclass
from pathlib import Path

MOST_FIELDS = 100_000
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_IR_VERSION, _PRODUCER, _GRAPH = 1, 2, 7
LONGEST_PRODUCER = 200


class OnnxBroken(ValueError):
    """The file is no ONNX model; the text says why."""


@dataclass(frozen=True)
class OnnxFacts:
    ir_version: int
    producer: str | None


def read_onnx(path: Path) -> OnnxFacts:
    """The facts of a file; steps over its graph. Raises OnnxBroken, and OSError."""
    if path.stat().st_size == 0:
        raise OnnxBroken("it is empty")
    ir_version, producer, has_graph = None, None, False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        at = 0
        for _ in range(MOST_FIELDS):
            if at == len(content):
                break
            key, at = _varint(content, at)
            field, kind = key >> 3, key & 7
            if kind == _VARINT:
                value, at = _varint(content, at)
                ir_version = value if field == _IR_VERSION else ir_version
                continue
            length, at = _varint(content, at) if kind == _BYTES else ({_FIXED64: 8, _FIXED32: 4}.get(kind, -1), at)
            if length < 0 or field == 0 or at + length > len(content):
                raise OnnxBroken(f"its field {field} lies beyond the end of the file")
            if field == _PRODUCER and kind == _BYTES:
                producer = content[at : at + min(length, LONGEST_PRODUCER)].decode(errors="replace")
            has_graph = has_graph or (field == _GRAPH and kind == _BYTES)
            at += length
        else:
            raise OnnxBroken("it has too many fields")
    if ir_version is None or not has_graph:
        raise OnnxBroken("it holds no graph of ONNX")
    return OnnxFacts(ir_version, producer)


def _varint(content: mmap.mmap, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(content):
            raise OnnxBroken("it ends in the middle of a number")
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise OnnxBroken("it holds a number without end")
