"""What is chosen where nothing was said: the usual starting points of the textbooks, as tables.

B. Owsinski, The Mixing Engineer's Handbook; R. Izhaki, Mixing Audio; M. Senior, Mixing Secrets for the Small Studio: a de-esser for a voice
at 6.5 kHz, mud between 200 and 500 Hz, a voice at 3:1. Gains are the steps by which an engineer moves: a little, as usual, much.
"""

import math
from collections.abc import Mapping
from typing import Any

LITTLE_DB, USUAL_DB, MUCH_DB = 1.5, 3.0, 4.5

COMPRESSORS: Mapping[str, dict[str, float]] = {
    "vocal": {"threshold_db": -20.0, "ratio": 3.0, "attack_ms": 8.0, "release_ms": 100.0},
    "backing_vocal": {"threshold_db": -22.0, "ratio": 4.0, "attack_ms": 8.0, "release_ms": 120.0},
    "drums": {"threshold_db": -18.0, "ratio": 4.0, "attack_ms": 20.0, "release_ms": 120.0},
    "kick": {"threshold_db": -16.0, "ratio": 4.0, "attack_ms": 25.0, "release_ms": 100.0},
    "snare": {"threshold_db": -16.0, "ratio": 4.0, "attack_ms": 15.0, "release_ms": 100.0},
    "bass": {"threshold_db": -20.0, "ratio": 4.0, "attack_ms": 25.0, "release_ms": 150.0},
    "guitar": {"threshold_db": -18.0, "ratio": 3.0, "attack_ms": 15.0, "release_ms": 120.0},
    "master": {"threshold_db": -14.0, "ratio": 2.0, "attack_ms": 30.0, "release_ms": 200.0},
}
HIGHPASSES_HZ: Mapping[str, float] = {
    "vocal": 90.0, "backing_vocal": 150.0, "guitar": 100.0, "keys": 120.0, "piano": 60.0, "strings": 120.0, "brass": 120.0, "pad": 150.0,
    "snare": 100.0, "hats": 300.0, "percussion": 150.0, "kick": 30.0, "bass": 35.0, "drums": 40.0,
    "master": 30.0, "lead": 120.0, "fx": 150.0,
}  # fmt: skip
REVERBS: Mapping[str, dict[str, Any]] = {
    "vocal": {"kind": "plate", "decay_s": 1.6, "predelay_ms": 30.0, "wet": 0.18},
    "snare": {"kind": "plate", "decay_s": 1.2, "predelay_ms": 10.0, "wet": 0.18},
    "drums": {"kind": "room", "decay_s": 0.8, "predelay_ms": 5.0, "wet": 0.15},
    "kick": {"kind": "room", "decay_s": 0.4, "predelay_ms": 0.0, "wet": 0.08, "lowcut_hz": 250.0},
    "bass": {"kind": "room", "decay_s": 0.5, "predelay_ms": 0.0, "wet": 0.08, "lowcut_hz": 250.0},
}


def gain_of(amount: float) -> float:
    return LITTLE_DB if amount < 1 else MUCH_DB if amount > 1 else USUAL_DB


def bell_q(low: float, high: float) -> float:
    """Q of a bell between two frequencies: centre over bandwidth, kept to what is musical."""
    return round(min(max(math.sqrt(low * high) / (high - low), 0.5), 4.0), 2)
