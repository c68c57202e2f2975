"""The JSON header of a safetensors file.

Source of the format: the safetensors README: 8 bytes of length (little-endian), that many bytes of JSON, then the tensors' bytes.
"""

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LARGEST_HEADER_BYTES = 16_000_000
"""The reference implementation takes 100 MB; those of real models have some hundred kilobytes, and JSON takes twenty times its length."""
MOST_TENSORS = 1_000_000


class SafetensorsBroken(ValueError):
    """The file is no safetensors file, or its header contradicts itself or the file's size; the text says how."""


@dataclass(frozen=True)
class SafetensorsFacts:
    tensors: int
    parameters: int
    dtypes: tuple[str, ...]
    """The kinds of numbers, the one with most bytes first."""


def read_safetensors(path: Path) -> SafetensorsFacts:
    """The facts in the header of a file. Raises SafetensorsBroken, and OSError."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        if not 2 <= length <= min(LARGEST_HEADER_BYTES, size - 8):
            raise SafetensorsBroken(f"it claims a header of {length} bytes in a file of {size}")
        try:
            header = json.loads(file.read(length))
        except (ValueError, RecursionError) as exc:
            raise SafetensorsBroken("its header is not JSON") from exc
    if not isinstance(header, dict) or len(header) > MOST_TENSORS:
        raise SafetensorsBroken("its header is not a list of tensors")
    header.pop("__metadata__", None)
    bytes_of: dict[str, int] = {}
    parameters, end = 0, 0
    for name, tensor in header.items():
        dtype, elements, start, stop = _tensor(name, tensor)
        if stop > size - 8 - length or start > stop:
            raise SafetensorsBroken(f"its tensor {name[:80]!r} lies beyond the end of the file")
        bytes_of[dtype] = bytes_of.get(dtype, 0) + stop - start
        parameters, end = parameters + elements, max(end, stop)
    if end != size - 8 - length:
        raise SafetensorsBroken(f"its tensors end at byte {end} of {size - 8 - length}")
    return SafetensorsFacts(len(header), parameters, tuple(sorted(bytes_of, key=lambda one: -bytes_of[one])))


def _tensor(name: str, tensor: Any) -> tuple[str, int, int, int]:
    """Kind, number of elements, first and last byte."""
    try:
        dtype, shape, (start, stop) = tensor["dtype"], tensor["shape"], tensor["data_offsets"]
    except (TypeError, KeyError, ValueError) as exc:
        raise SafetensorsBroken(f"its tensor {name[:80]!r} is not described") from exc
    numbers = [*shape, start, stop] if isinstance(shape, list) else [None]
    if (
        not isinstance(dtype, str)
        or len(shape) > 16
        or not all(type(one) is int and 0 <= one < 2**63 for one in numbers)
    ):
        raise SafetensorsBroken(f"its tensor {name[:80]!r} is not described with whole numbers")
    return dtype[:16], math.prod(shape), start, stop
