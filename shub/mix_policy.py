"""Verdicts on mixes: what cannot be, and what a person should know. No I/O."""

from collections.abc import Iterator, Sequence
from typing import Any

from config.contracts.common import Wire
from config.contracts.effects import MOST_EFFECTS
from config.contracts.shub import Asset, AudioWarning, MixRequest
from config.errors import InvalidRequest
from shub.balance import MOST_PROPOSED
from shub.chain_policy import refuse_impossible_chain, refuse_impossible_output
from shub.language.warnings import warnings_of_effects, warnings_of_output
from shub.policy import HEAVY_LIMITING_DB, about, above_ceiling, heavy_limiting, preview_warning, shortfall

_INSTEAD = {
    "normalize": "a stem is brought to its level_lufs, and the mix to its target_lufs",
    "resample": "a mix has one rate; say it with sample_rate_hz",
    "dither": "only the finished file is rounded; say it with dither",
}
"""Effects that a mix does by itself."""


def refuse_impossible_mix(request: MixRequest) -> None:
    """Raises InvalidRequest for what cannot be, whatever the stems are."""
    refuse_impossible_output(request)
    for place, chain in _chains(request):
        for number, effect in enumerate(chain):
            kind = effect.model_dump()["type"]
            if kind in _INSTEAD:
                raise InvalidRequest(f"{place}.{number} ({kind}): {_INSTEAD[kind]}")
    if request.auto.masking:
        for number, stem in enumerate(request.stems):
            if len(stem.chain) > MOST_EFFECTS - MOST_PROPOSED:
                raise InvalidRequest(
                    f"stems.{number}.chain: at most {MOST_EFFECTS - MOST_PROPOSED} effects with auto.masking, "
                    f"which may put {MOST_PROPOSED} before them"
                )
    for number, effect in enumerate(request.chain):
        if effect.type == "channels":
            raise InvalidRequest(f"chain.{number} (channels): a mix is stereo; width 0 makes both sides the same")
    if all(stem.is_muted for stem in request.stems):
        raise InvalidRequest("stems: all of them are muted: nothing would be heard")


def refuse_impossible_chains(request: MixRequest, assets: Sequence[Asset], sample_rate_hz: int) -> None:
    """Raises InvalidRequest, naming the effect by its place, for a chain that cannot be had on its stem or bus."""
    for number, (stem, asset) in enumerate(zip(request.stems, assets, strict=True)):
        refuse_impossible_chain(
            stem.chain,
            sample_rate_hz=sample_rate_hz,
            channels=min(2, asset.channels),  # what has more is folded down first
            place=f"stems.{number}.chain",
        )
    for number, bus in enumerate(request.buses):
        place = f"buses.{number}.chain"
        refuse_impossible_chain(bus.chain, sample_rate_hz=sample_rate_hz, channels=2, place=place)
    refuse_impossible_chain(request.chain, sample_rate_hz=sample_rate_hz, channels=2)


def warnings_of_request(
    request: MixRequest, stems: Sequence[dict[str, Any]], sample_rate_hz: int
) -> list[AudioWarning]:
    """What is possible and hardly ever meant; `stems` are those of the order, with their names and roles."""
    found: list[AudioWarning] = []
    for asked, stem in zip(request.stems, stems, strict=True):
        effects = [*_dumped(asked.chain), {"type": "pan", "pan": asked.pan}]
        told = warnings_of_effects(effects, sample_rate_hz=sample_rate_hz, target_role=stem["role"])
        found += [about(stem["name"], one) for one in told]
    for bus in request.buses:
        told = warnings_of_effects(_dumped(bus.chain), sample_rate_hz=sample_rate_hz, target_role="bus")
        found += [about(bus.name, one) for one in told]
        if not any(bus.name in (stem.bus, *(send.bus for send in stem.sends)) for stem in request.stems):
            found.append(_unfed(bus.name))
    found += warnings_of_effects(_dumped(request.chain), sample_rate_hz=sample_rate_hz)
    output = ("target_lufs", "ceiling_dbtp", "format", "bit_depth", "dither", "sample_rate_hz")
    params = {name: getattr(request, name) for name in output if getattr(request, name) is not None}
    if request.format in ("mp3", "ogg"):
        del params["bit_depth"]
    return [*found, *warnings_of_output(params)]


def warnings_of_mix(order: dict[str, Any], mixed: dict[str, Any]) -> list[AudioWarning]:
    """What a person should know of a mix: `order` is what was asked for, `mixed` the worker's answer."""
    found = []
    for asked, stem in zip(order["stems"], mixed["stems"], strict=True):
        if stem["integrated_lufs"] is None:
            found.append(_silent("stem_silent", asked["name"]))
        elif stem["is_clamped"]:
            found.append(_clamped(asked["name"], stem["gain_db"]))
        elif stem["mixed_lufs"] is None and not asked.get("is_muted"):
            found.append(_silenced(asked["name"]))
    if mixed["loudness"]["integrated_lufs"] is None:
        found.append(_silent("mix_silent", "the mix", "la mezcla"))
    if mixed["shortfall_lu"]:
        found.append(shortfall(mixed["shortfall_lu"], order["target_lufs"]))
    if mixed["limiter_reduction_db"] > HEAVY_LIMITING_DB:
        found.append(heavy_limiting(mixed["limiter_reduction_db"]))
    found += above_ceiling(order["ceiling_dbtp"], mixed["loudness"]["true_peak_dbtp"])
    if mixed.get("preview"):
        found.append(preview_warning(mixed["preview"], of="mix", of_es="la mezcla entera"))
    return found


def _silent(code: str, name: str, name_es: str | None = None) -> AudioWarning:
    return AudioWarning(
        code=code,
        text=f"{name} is silent or too short to be measured",
        text_es=f"{name_es or name} es silencio o demasiado corto para medirlo",
    )


def _unfed(name: str) -> AudioWarning:
    return AudioWarning(
        code="bus_unfed",
        text=f"nothing goes to the bus {name}: name it in bus or sends of a stem",
        text_es=f"al bus {name} no llega nada: nómbralo en bus o sends de una pista",
    )


def _silenced(name: str) -> AudioWarning:
    return AudioWarning(
        code="stem_silent",
        text=f"{name} is silent behind its chain",
        text_es=f"{name} queda en silencio tras su cadena",
    )


def _clamped(name: str, gain_db: float) -> AudioWarning:
    return AudioWarning(
        code="gain_out_of_range",
        text=f"{name} is too far from its level: it got {gain_db:.0f} dB, and no more",
        text_es=f"{name} está demasiado lejos de su nivel: recibió {gain_db:.0f} dB, y no más",
    )


def _chains(request: MixRequest) -> Iterator[tuple[str, Sequence[Wire]]]:
    yield from ((f"stems.{number}.chain", stem.chain) for number, stem in enumerate(request.stems))
    yield from ((f"buses.{number}.chain", bus.chain) for number, bus in enumerate(request.buses))
    yield "chain", request.chain


def _dumped(effects: Sequence[Wire]) -> list[dict[str, Any]]:
    return [effect.model_dump() for effect in effects]
