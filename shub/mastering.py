"""Masters as a kind of job."""

from typing import Any

from config.contracts.common import Wire
from config.contracts.effects import MOST_EFFECTS
from config.contracts.shub import Asset, AudioWarning, ChainSpec, MasterProposal, MasterRequest, MasterResult
from config.errors import InvalidRequest
from shub import policy
from shub.chain_policy import (
    refuse_impossible_chain,
    refuse_impossible_output,
    refuse_impossible_preview,
    refuse_too_many_channels,
    sidechains_of,
)
from shub.kinds import Kind, Order
from shub.language.warnings import warnings_of_effects, warnings_of_output
from shub.targets import TARGETS

MOST_OF_ITS_OWN = 13
"""Ten bands towards a reference, width, a compressor, the level."""
_STREAMED = ("streaming", "spotify", "apple_music", "youtube", "tidal", "amazon_music", "podcast")


def _inputs_of(request: MasterRequest) -> list[str]:
    refuse_impossible_output(request)
    if len(request.chain) > MOST_EFFECTS - MOST_OF_ITS_OWN:
        raise InvalidRequest(
            f"chain: at most {MOST_EFFECTS - MOST_OF_ITS_OWN} effects, for a master may put {MOST_OF_ITS_OWN} of its own behind them"
        )
    for number, effect in enumerate(request.chain):
        if effect.type == "dither":
            raise InvalidRequest(f"chain.{number} (dither): only the finished file is rounded; say it with dither")
    reference = [request.reference_asset_id] if request.reference_asset_id is not None else []
    return [request.asset_id, *reference, *sidechains_of(request.chain)]


def _order_of(request: MasterRequest, assets: list[Asset]) -> Order:
    asset, place = assets[0], TARGETS[request.target]
    _, channels = refuse_impossible_chain(request.chain, sample_rate_hz=asset.sample_rate_hz, channels=asset.channels)
    refuse_too_many_channels(request, channels)
    refuse_impossible_preview(request.preview, asset.duration_seconds)
    follows = (
        request.reference_asset_id is not None
        and request.target_lufs is None
        and "target" not in request.model_fields_set
    )
    aim_lufs = place.target_lufs if request.target_lufs is None else request.target_lufs
    aim_dbtp = place.ceiling_dbtp if request.ceiling_dbtp is None else request.ceiling_dbtp
    by = "master preview" if request.preview else "master"
    return {
        **request.model_dump(mode="json"),
        "name": policy.file_name(request.name, policy.renamed(asset.name, by), request.format),
        "aim_lufs": aim_lufs,
        "aim_dbtp": aim_dbtp,
        "follows_reference": follows,
        "warnings": [one.model_dump() for one in _warnings(request, asset, None if follows else aim_lufs, aim_dbtp)],
    }


def _warnings(request: MasterRequest, asset: Asset, aim_lufs: float | None, aim_dbtp: float) -> list[AudioWarning]:
    output = {"format": request.format, "dither": request.dither, "ceiling_dbtp": aim_dbtp, "target_lufs": aim_lufs}
    if request.format in ("wav", "flac"):
        output["bit_depth"] = request.bit_depth
    effects = [effect.model_dump() for effect in request.chain]
    return [
        *warnings_of_effects(effects, sample_rate_hz=asset.sample_rate_hz),
        *warnings_of_output(output, is_streamed=request.target in _STREAMED),
    ]


def _result_of(order: Order, made: dict[str, Any], assets: list[Asset]) -> Wire:
    chain = ChainSpec.model_validate({"name": f"master for {order['target']}", "effects": made["effects"]})
    told = {**order, **made, "chain": chain, "ceiling_dbtp": order["aim_dbtp"]}
    if order["dry_run"]:
        return MasterProposal.model_validate(told)
    return MasterResult.model_validate(
        {
            **told,
            **made["files"][0],
            "asset_id": assets[0].asset_id,
            "name": assets[0].name,
            "preview": made.get("preview"),
            "warnings": [
                *order["warnings"],
                *policy.outcome_warnings(made, order["aim_dbtp"]),
                *_preview_warning(made),
            ],
        }
    )


def _preview_warning(made: dict[str, Any]) -> list[AudioWarning]:
    return [policy.preview_warning(made["preview"], of="master", of_es="el máster entero")] if "preview" in made else []


MASTER = Kind("master", _inputs_of, _order_of, _result_of)
