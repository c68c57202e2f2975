"""From float to the integers of a file."""

import numpy as np
from numpy.typing import NDArray

from shub.dsp.compiled import compiled
from shub.dsp.decode import Block

DITHERED_BITS = 16
"""Up to this many bits a reduction is dithered; at 24 the rounding error lies at -146 dBFS, under any converter's noise."""


def to_integers(
    block: Block, bits: int, first_frame: int, seed: int, *, dithered: bool | None = None
) -> NDArray[np.int32]:
    """The block in `bits` bits, left-aligned in int32, clipped at full scale.

    With TPDF dither of 2 LSB width; where it is not said (None), up to 16 bits.

    The dither of a sample depends only on its place and the seed: a render can be repeated bit for bit, in blocks of any size.
    Source: Lipshitz, Wannamaker, Vanderkooy, "Quantization and Dither: A Theoretical Survey", JAES 40 (1992): triangular
    dither makes mean and variance of the error independent of the signal.
    """
    made = np.empty(block.shape, np.int32)
    _quantize(
        block,
        bits,
        bits <= DITHERED_BITS if dithered is None else dithered,
        first_frame * block.shape[1],
        np.uint64(seed),
        made,
    )
    return made


@compiled
def _noise(counter: np.uint64) -> np.uint64:
    """Source: splitmix64 (Steele, Lea, Flood, 2014): every counter gives an independent 64-bit number."""
    mixed = counter * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


@compiled
def _quantize(
    block: Block, bits: int, dithered: bool, first_sample: int, seed: np.uint64, made: NDArray[np.int32]
) -> None:
    full = np.float64(1 << (bits - 1))
    step = np.int64(1) << (32 - bits)
    frames, channels = block.shape
    for i in range(frames):
        for channel in range(channels):
            value = np.float64(block[i, channel]) * full
            if dithered:
                number = _noise(seed + np.uint64(first_sample + i * channels + channel) + np.uint64(1))
                high, low = number >> np.uint64(32), number & np.uint64(0xFFFFFFFF)
                value += (np.float64(high) - np.float64(low)) / 4294967296.0
            rounded = np.floor(value + 0.5)
            rounded = min(max(rounded, -full), full - 1.0)
            made[i, channel] = np.int32(np.int64(rounded) * step)
