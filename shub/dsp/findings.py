"""Measurements as JSON can carry them: rounded, null for what has no value, under the names of the contract."""

from dataclasses import asdict
from typing import Any, Final

from shub.dsp.analysis import Analysis, Details

DECIMALS: Final = 3
"""Of a decibel: far finer than any meter's tolerance."""
FINE_DECIMALS: Final = 7
"""Of full scale (below one step of 24 bit), and of seconds."""
_FINE: Final = {
    "dc_offset",
    "start_seconds",
    "duration_seconds",
    "total_seconds",
    "leading_seconds",
    "trailing_seconds",
}


def findings_of(analysis: Analysis) -> dict[str, Any]:
    """An AudioAnalysis without what only the service knows."""
    loudness = analysis.loudness
    lufs, peak = loudness.integrated_lufs, loudness.true_peak_dbtp
    return {
        **_plain(asdict(loudness)),
        "peak_to_loudness_lu": _plain(peak - lufs) if lufs is not None and peak is not None else None,
        "duration_seconds": analysis.duration_seconds,
        "sample_rate_hz": analysis.sample_rate_hz,
        "channels": analysis.channels,
        "series": _plain(asdict(analysis.series)) if analysis.series is not None else None,
        **(_details(analysis.details) if analysis.details is not None else {}),
    }


def _details(details: Details) -> dict[str, Any]:
    found: dict[str, Any] = _plain(asdict(details))
    levels: dict[str, Any] = found.pop("levels")
    return levels | found


def _plain(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _plain(one, key) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one, name) for one in value]
    if isinstance(value, float):
        return round(float(value), FINE_DECIMALS if name in _FINE else DECIMALS)
    return value
