"""The chains that come with the house: starting points that can be read, sent as they are, or taken over and changed."""

from typing import Any

from config.contracts.shub import ChainSpec, NamedChain
from config.errors import NotFound


class ChainNotFound(NotFound):
    """There is no chain by that name, or not in that version."""

    code, status, title = "chain_not_found", 404, "There is no such chain"


def _chain(name: str, purpose: str, *effects: dict[str, Any], version: int = 1) -> NamedChain:
    return NamedChain.model_validate({"name": name, "version": version, "purpose": purpose, "effects": list(effects)})


CHAINS: tuple[NamedChain, ...] = (
    _chain(
        "vocal",
        "A lead voice to the front: rumble and mud out, presence and air in, levels evened, sibilance held",
        {"type": "highpass", "freq_hz": 80.0, "slope_db_oct": 18},
        {"type": "eq_peak", "freq_hz": 300.0, "gain_db": -2.5, "q": 1.2},
        {"type": "compressor", "threshold_db": -22.0, "ratio": 3.5, "attack_ms": 6.0, "release_ms": 90.0},
        {"type": "deesser", "freq_hz": 6_500.0, "threshold_db": -32.0, "max_reduction_db": 6.0},
        {"type": "eq_peak", "freq_hz": 3_500.0, "gain_db": 2.0, "q": 0.9},
        {"type": "eq_high_shelf", "freq_hz": 10_000.0, "gain_db": 2.0},
    ),
    _chain(
        "speech",
        "A spoken voice for podcasts and broadcast: clean, even, at -16 LUFS",
        {"type": "highpass", "freq_hz": 80.0, "slope_db_oct": 24},
        {"type": "gate", "threshold_db": -55.0, "range_db": 12.0, "hold_ms": 150.0, "release_ms": 250.0},
        {"type": "eq_peak", "freq_hz": 250.0, "gain_db": -2.0, "q": 1.0},
        {"type": "compressor", "threshold_db": -24.0, "ratio": 3.0, "attack_ms": 8.0, "release_ms": 150.0},
        {"type": "deesser", "freq_hz": 6_000.0, "threshold_db": -32.0, "max_reduction_db": 5.0},
        {"type": "normalize", "target_lufs": -16.0, "ceiling_dbtp": -1.0},
    ),
    _chain(
        "drum_bus",
        "Drums glued together: slow attack for the punch, a little tape",
        {"type": "highpass", "freq_hz": 30.0},
        {"type": "compressor", "threshold_db": -18.0, "ratio": 4.0, "attack_ms": 30.0, "release_ms": 120.0},
        {"type": "transient", "attack_db": 2.0, "sustain_db": -1.0},
        {"type": "saturation", "kind": "tape", "drive_db": 4.0, "mix": 0.5},
    ),
    _chain(
        "bass",
        "A bass that stays where it is: even, without mud, heard on small speakers",
        {"type": "highpass", "freq_hz": 35.0},
        {"type": "eq_peak", "freq_hz": 250.0, "gain_db": -3.0, "q": 1.2},
        {"type": "compressor", "threshold_db": -20.0, "ratio": 4.0, "attack_ms": 15.0, "release_ms": 120.0},
        {"type": "saturation", "kind": "tube", "drive_db": 6.0, "mix": 0.4},
    ),
    _chain(
        "room",
        "A small room around something that was recorded too dry",
        {"type": "reverb", "kind": "room", "decay_s": 0.7, "predelay_ms": 8.0, "wet": 0.15},
    ),
    _chain(
        "glue",
        "The last two decibels of a mix: a slow, soft compressor and a ceiling",
        {"type": "compressor", "threshold_db": -16.0, "ratio": 2.0, "attack_ms": 30.0, "release_ms": 250.0},
        {"type": "limiter", "ceiling_dbtp": -1.0},
    ),
)
"""Corner frequencies and times are the middle of what mixing texts give for each source (R. Izhaki, Mixing Audio; B. Owsinski, The Mixing
Engineer's Handbook). A chain that changes gets a new version, so a provenance keeps its meaning."""


def chain_called(name: str) -> ChainSpec:
    """The chain by its name, or by name and version as `vocal@1`. Raises ChainNotFound."""
    wanted, _, version = name.partition("@")
    for chain in CHAINS:
        if chain.name == wanted and version in ("", str(chain.version)):
            return ChainSpec(name=chain.name, version=chain.version, effects=chain.effects)
    known = ", ".join(f"{chain.name}@{chain.version}" for chain in CHAINS)
    raise ChainNotFound(f"no chain {name!r}; there are {known}")
