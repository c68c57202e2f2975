"""From measurements to the chain of a master, with reasons. Pure; effects as they are on the wire."""

from dataclasses import dataclass
from typing import Any, Final

from shub.dsp.limiter import CEILING_MARGIN_DB

LARGEST_WIDENING, LARGEST_NARROWING = 1.5, 0.5
LEAST_WIDTH_CHANGE: Final = 0.05
MONO_BELOW_HZ: Final = 120.0
NEARLY_MONO_DB: Final = -40.0
"""Softer sides than that hold no image that could be widened."""
MUCH_LIMITING_DB: Final = 6.0
"""More than that from a limiter alone is heard; a compressor shares the work then."""
GLUE_BELOW_DB: Final = 3.0
LOUDEST_LUFS, SOFTEST_LUFS = -5.0, -40.0
LOUDEST_NORMALIZED_LUFS, LOWEST_CEILING_DBTP = -1.0, -24.0
"""As far as a `normalize` goes."""


@dataclass(frozen=True)
class Sound:
    """What was measured, before the master's own effects; None: silence, or no stereo."""

    integrated_lufs: float | None
    max_short_term_lufs: float | None
    true_peak_dbtp: float | None
    side_db: float | None
    channels: int


@dataclass(frozen=True)
class Aim:
    """`target_lufs` None: only the peak counts. `follows_reference`: as loud as the reference is."""

    target_lufs: float | None
    ceiling_dbtp: float
    match: float = 0.7
    follows_reference: bool = False


@dataclass(frozen=True)
class Plan:
    effects: tuple[dict[str, Any], ...]
    target_lufs: float | None
    reasons: tuple[tuple[str, str], ...]
    """Code and words."""


def plan(ours: Sound, aim: Aim, reference: Sound | None = None, bands: tuple[dict[str, Any], ...] = ()) -> Plan:
    """The effects of a master after those that were asked for: the bands of a match, width, glue, level."""
    reasons: list[tuple[str, str]] = []
    effects: list[dict[str, Any]] = list(bands)
    if bands:
        largest = max(bands, key=lambda band: abs(band["gain_db"]))
        text = f"{len(bands)} bands towards the balance of the reference; most at {largest['freq_hz']:g} Hz: {largest['gain_db']:+g} dB"
        reasons.append(("reference_balance", text))
    if reference is not None and (width := _width(ours, reference, aim.match)) is not None:
        widens = width > 1.0
        effects.append({"type": "width", "width": width, "mono_below_hz": MONO_BELOW_HZ if widens else None})
        text = f"sides {'up' if widens else 'down'} to {width:g} of what they were, towards the width of the reference"
        reasons.append(("reference_width", text))
    target = _target(aim, reference)
    if target is None:
        effects.append(_normalize(None, aim.ceiling_dbtp))
        text = f"no loudness is asked for there: the highest peak goes just under {aim.ceiling_dbtp:g} dBTP, and nothing is limited"
        reasons.append(("peak_normalized", text))
        return Plan(tuple(effects), None, tuple(reasons))
    if (glue := _glue(ours, target, aim.ceiling_dbtp)) is not None:
        effects.append(glue)
        text = (
            f"its peaks stand {_crest(ours):.1f} dB above its loudness: a slow compressor leaves the limiter less to do"
        )
        reasons.append(("glue", text))
    effects.append(_normalize(target, aim.ceiling_dbtp))
    follows = aim.follows_reference and reference is not None and reference.integrated_lufs is not None
    where = "as loud as the reference" if follows else "what is wanted there"
    reasons.append(("loudness", f"{target:g} LUFS under {aim.ceiling_dbtp:g} dBTP: {where}"))
    return Plan(tuple(effects), target, tuple(reasons))


def _target(aim: Aim, reference: Sound | None) -> float | None:
    if aim.follows_reference and reference is not None and reference.integrated_lufs is not None:
        return round(min(LOUDEST_LUFS, max(SOFTEST_LUFS, reference.integrated_lufs)), 1)
    return aim.target_lufs


def _width(ours: Sound, reference: Sound, match: float) -> float | None:
    """The factor of the sides that goes `match` of the way to the reference; None where there is nothing to do."""
    if ours.channels != 2 or ours.side_db is None or reference.side_db is None or ours.side_db < NEARLY_MONO_DB:
        return None
    factor = 10.0 ** (match * (reference.side_db - ours.side_db) / 20.0)
    width = round(min(LARGEST_WIDENING, max(LARGEST_NARROWING, factor)), 2)
    return width if abs(width - 1.0) >= LEAST_WIDTH_CHANGE else None


def _crest(ours: Sound) -> float:
    return (ours.true_peak_dbtp or 0.0) - (ours.integrated_lufs or 0.0)


def _glue(ours: Sound, target: float, ceiling: float) -> dict[str, Any] | None:
    if ours.integrated_lufs is None or ours.true_peak_dbtp is None or ours.max_short_term_lufs is None:
        return None
    if ours.true_peak_dbtp + target - ours.integrated_lufs - ceiling <= MUCH_LIMITING_DB:
        return None
    threshold = max(-96.0, min(0.0, round(ours.max_short_term_lufs - GLUE_BELOW_DB, 1)))
    return {
        "type": "compressor",
        "threshold_db": threshold,
        "ratio": 2.0,
        "attack_ms": 30.0,
        "release_ms": 250.0,
        "knee_db": 6.0,
        "makeup_db": 0.0,
        "lookahead_ms": 0.0,
        "detector": "rms",
        "sidechain": None,
        "sidechain_highpass_hz": 90.0,
        "mix": 1.0,
    }


def _normalize(target: float | None, ceiling: float) -> dict[str, Any]:
    peak = round(ceiling - CEILING_MARGIN_DB, 2) if target is None else None
    return {
        "type": "normalize",
        "target_lufs": target,
        "ceiling_dbtp": ceiling if target is not None else -1.0,
        "peak_dbtp": peak,
    }


def corrected(effects: tuple[dict[str, Any], ...], lower_db: float, louder_lu: float) -> tuple[dict[str, Any], ...]:
    """The same with the level at its end so much further from the ceiling, and so much louder."""
    last = effects[-1]
    if last["target_lufs"] is None:
        return (*effects[:-1], last | {"peak_dbtp": round(last["peak_dbtp"] - lower_db, 2)})
    target = round(min(LOUDEST_NORMALIZED_LUFS, last["target_lufs"] + louder_lu), 2)
    ceiling = round(max(LOWEST_CEILING_DBTP, last["ceiling_dbtp"] - lower_db), 2)
    return (*effects[:-1], last | {"target_lufs": target, "ceiling_dbtp": ceiling})
