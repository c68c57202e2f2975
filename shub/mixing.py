"""Mixes as a kind of job."""

from typing import Any

from config.contracts.shub import Asset, MixedStem, MixRequest, MixResult
from shub import policy
from shub.kinds import Kind, Order


def _inputs_of(request: MixRequest) -> list[str]:
    policy.refuse_impossible(request)
    return [stem.asset_id for stem in request.stems]


def _order_of(request: MixRequest, assets: list[Asset]) -> Order:
    stems = []
    for stem, asset in zip(request.stems, assets, strict=True):
        role, source = policy.role_of(stem.role, asset.name)
        stems.append(
            {
                "asset_id": asset.asset_id,
                "sha256": asset.sha256,
                "name": asset.name,
                "role": role,
                "role_source": source,
                "target_lufs": policy.ROLE_LOUDNESS_LUFS[role],
                "gain_db": stem.gain_db,
                "pan": stem.pan,
            }
        )
    return {
        **request.model_dump(mode="json"),
        "name": policy.file_name(request.name, "mix", request.format),
        "stems": stems,
    }


def _result_of(order: Order, mixed: dict[str, Any], assets: list[Asset]) -> MixResult:
    stems = [
        MixedStem.model_validate(
            {
                **stem,
                "level_lufs": stem["target_lufs"],
                "integrated_lufs": one["integrated_lufs"],
                "gain_db": one["gain_db"],
            }
        )
        for stem, one in zip(order["stems"], mixed["stems"], strict=True)
    ]
    return MixResult.model_validate(
        {
            **order,
            **mixed,
            **mixed["files"][0],
            **mixed["loudness"],
            "asset_id": assets[0].asset_id,
            "name": assets[0].name,
            "stems": stems,
            "warnings": policy.warnings_of(order, mixed),
        }
    )


MIX = Kind("mix", _inputs_of, _order_of, _result_of)
