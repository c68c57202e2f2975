"""Chains of effects on one file, as a kind of job."""

from typing import Any

from config.contracts.common import Wire
from config.contracts.shub import Asset, ChainCheck, ChainRequest, ChainResult, ChainSpec
from config.errors import InvalidRequest
from shub import policy
from shub.chain_policy import (
    refuse_impossible_chain,
    refuse_impossible_output,
    refuse_impossible_preview,
    refuse_too_many_channels,
    sidechains_of,
)
from shub.chains import chain_called
from shub.dsp.formats import LOSSY, rate_for
from shub.kinds import Kind, Order
from shub.language.warnings import warnings_of_effects, warnings_of_output

_SOURCE_BITS = {"PCM_U8": 8, "PCM_S8": 8, "PCM_16": 16, "PCM_24": 24}


def chain_of(request: ChainRequest) -> ChainSpec:
    """The chain that is meant. Raises ChainNotFound."""
    return chain_called(request.chain) if isinstance(request.chain, str) else request.chain


def check(request: ChainRequest, asset: Asset) -> ChainCheck:
    """What the chain would do with the file. Raises InvalidRequest where it can do nothing, ChainNotFound."""
    chain = chain_of(request)
    refuse_impossible_output(request)
    rate, channels = refuse_impossible_chain(
        chain.effects, sample_rate_hz=asset.sample_rate_hz, channels=asset.channels
    )
    refuse_too_many_channels(request, channels)
    refuse_impossible_preview(request.preview, asset.duration_seconds)
    return ChainCheck(
        asset_id=asset.asset_id,
        chain=chain,
        sample_rate_hz=request.sample_rate_hz or rate_for(request.format, rate),
        channels=channels,
        duration_seconds=_duration(chain, request, asset),
        format=request.format,
        bit_depth=request.bit_depth,
        warnings=[
            *warnings_of_effects(_dumped(chain.effects), sample_rate_hz=asset.sample_rate_hz),
            *warnings_of_output(
                request.model_dump(exclude={"chain", "asset_id", "preview", "dry_run"}, exclude_none=True),
                source_bit_depth=_SOURCE_BITS.get(asset.encoding),
            ),
        ],
    )


def _duration(chain: ChainSpec, request: ChainRequest, asset: Asset) -> float:
    """Without the tails of delay and reverb, whose length is that of what is heard of them.

    Raises InvalidRequest for a trim behind the end, where no tail may reach that far.
    """
    seconds = asset.duration_seconds
    if request.preview is not None:
        seconds = min(seconds - (request.preview.start_seconds or 0.0), request.preview.duration_seconds)
    has_tail = False
    for number, effect in enumerate(chain.effects):
        has_tail = has_tail or effect.type in ("delay", "reverb")
        if effect.type == "trim":
            if effect.start_seconds >= seconds and not has_tail:
                raise InvalidRequest(
                    f"chain.{number} (trim): nothing is left from {effect.start_seconds:g} s on: the sound has {seconds:.3f} s"
                )
            seconds = max(0.0, min(seconds, effect.end_seconds or seconds) - effect.start_seconds)
    return seconds


def _dumped(effects: list[Any]) -> list[dict[str, Any]]:
    return [effect.model_dump() for effect in effects]


def _inputs_of(request: ChainRequest) -> list[str]:
    return [request.asset_id, *sidechains_of(chain_of(request).effects)]


def _order_of(request: ChainRequest, assets: list[Asset]) -> Order:
    checked = check(request, assets[0])
    return {
        **request.model_dump(mode="json", exclude={"dry_run"}),
        "name": policy.file_name(request.name, policy.renamed(assets[0].name, checked.chain.name), request.format),
        "chain": checked.chain.model_dump(mode="json"),
        "warnings": [warning.model_dump() for warning in checked.warnings],
    }


def _result_of(order: Order, made: dict[str, Any], assets: list[Asset]) -> Wire:
    kept, file = assets[0], made["files"][0]
    return ChainResult.model_validate(
        {
            **order,
            **made,
            **file,
            **made["loudness"],
            "asset_id": kept.asset_id,
            "name": kept.name,
            "warnings": [*order["warnings"], *policy.outcome_warnings(made, _ceiling_of(order))],
        }
    )


def _ceiling_of(order: Order) -> float | None:
    """What the end of the chain promises of the peaks; what is coded with loss should stay under full scale in any case."""
    held = [effect for effect in order["chain"]["effects"] if effect["type"] != "dither"][-1:]
    for effect in held:
        if effect["type"] == "limiter" or (effect["type"] == "normalize" and effect["peak_dbtp"] is None):
            return float(effect["ceiling_dbtp"])
        if effect["type"] == "normalize":
            return float(effect["peak_dbtp"])
    return 0.0 if order["format"] in LOSSY else None


CHAIN = Kind("chain", _inputs_of, _order_of, _result_of)
