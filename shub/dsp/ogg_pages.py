"""Pages of an Ogg stream. Source: RFC 3533, section 6."""

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from shub.dsp.compiled import compiled

_HEADER_BYTES, _SERIAL, _CHECKSUM = 27, 14, 22
_POLYNOMIAL = 0x04C11DB7


def set_serial_number(path: Path, serial: int) -> None:
    """Give every page of the file this serial number, which encoders draw at random, and its checksum anew.

    For files with one logical stream. The file is changed in place, page by page.
    """
    with path.open("rb+") as file:
        while len(header := file.read(_HEADER_BYTES)) == _HEADER_BYTES:
            lacing = file.read(header[26])
            body = file.read(sum(lacing))
            page = bytearray(header + lacing + body)
            page[_SERIAL : _SERIAL + 4] = struct.pack("<I", serial)
            page[_CHECKSUM : _CHECKSUM + 4] = bytes(4)
            page[_CHECKSUM : _CHECKSUM + 4] = struct.pack("<I", _crc(np.frombuffer(page, np.uint8), _TABLE))
            file.seek(-len(page), 1)
            file.write(page)


def _table() -> NDArray[np.uint32]:
    made = np.empty(256, np.uint32)
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1 ^ (_POLYNOMIAL if value & 0x80000000 else 0)) & 0xFFFFFFFF
        made[byte] = value
    return made


_TABLE = _table()


@compiled
def _crc(page: NDArray[np.uint8], table: NDArray[np.uint32]) -> np.uint32:
    """CRC-32 as Ogg has it: most significant bit first, from 0, nothing inverted."""
    value = np.uint32(0)
    for byte in page:
        value = np.uint32(value << np.uint32(8)) ^ table[np.uint32(value >> np.uint32(24)) ^ np.uint32(byte)]
    return value
