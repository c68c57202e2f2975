"""Mixes as a kind of job."""

from typing import Any

from config.contracts.common import Wire
from config.contracts.shub import Asset, MixedBus, MixedStem, MixProposal, MixRequest, MixResult, MixStem
from shub import mix_graph, policy
from shub.chain_policy import sidechains_of
from shub.kinds import Kind, Order
from shub.mix_graph import Node
from shub.mix_policy import refuse_impossible_chains, refuse_impossible_mix, warnings_of_mix, warnings_of_request
from shub.roles import role_of


def _inputs_of(request: MixRequest) -> list[str]:
    refuse_impossible_mix(request)
    return [stem.asset_id for stem in request.stems]


def _order_of(request: MixRequest, assets: list[Asset]) -> Order:
    rate = request.sample_rate_hz or max(asset.sample_rate_hz for asset in assets)
    refuse_impossible_chains(request, assets, rate)
    stems = [_stem_of(stem, asset) for stem, asset in zip(request.stems, assets, strict=True)]
    graph = _graph_of(request, stems)
    return {
        **request.model_dump(mode="json"),
        "name": policy.file_name(request.name, "mix preview" if request.preview else "mix", request.format),
        "stems": stems,
        "keys": dict(graph.keys),
        "turns": list(graph.turns),
        "warnings": [warning.model_dump() for warning in warnings_of_request(request, stems, rate)],
    }


def _stem_of(stem: MixStem, asset: Asset) -> dict[str, Any]:
    """The stem with its name, its role and its level, and whether the request says where it stands."""
    name = stem.name or asset.name
    role, source = role_of(stem.role, name)
    if source == "unknown":
        role, source = role_of(None, asset.name)
    return {
        **stem.model_dump(mode="json"),
        "sha256": asset.sha256,
        "name": name,
        "role": role,
        "role_source": source,
        "level_lufs": policy.ROLE_LOUDNESS_LUFS[role] if stem.level_lufs is None else stem.level_lufs,
        "is_placed": "pan" in stem.model_fields_set,
    }


def _graph_of(request: MixRequest, stems: list[dict[str, Any]]) -> mix_graph.MixGraph:
    nodes = []
    for number, (stem, named) in enumerate(zip(request.stems, stems, strict=True)):
        place = f"stems.{number}"
        feeds = [(stem.bus, f"{place}.bus")] if stem.bus is not None else []
        feeds += [(send.bus, f"{place}.sends") for send in stem.sends]
        aliases = (*mix_graph.aliases_of(named["name"]), stem.asset_id)
        nodes.append(Node(place, named["name"], aliases, tuple(feeds), tuple(sidechains_of(stem.chain))))
    buses = [
        Node(f"buses.{number}", bus.name, listens=tuple(sidechains_of(bus.chain)))
        for number, bus in enumerate(request.buses)
    ]
    return mix_graph.resolve(nodes, buses, sidechains_of(request.chain))


def _result_of(order: Order, mixed: dict[str, Any], assets: list[Asset]) -> Wire:
    if order["dry_run"]:
        return _proposal_of(order, mixed)
    files = dict(zip(mixed["file_numbers"], assets[1:], strict=True))
    stems = _stems_of(order, mixed, files)
    buses = [
        MixedBus(
            name=bus["name"],
            gain_db=bus["gain_db"],
            chain=bus["chain"],
            applied=applied,
            bus_asset_id=files[number].asset_id if number in files else None,
        )
        for number, (bus, applied) in enumerate(
            zip(order["buses"], mixed["bus_applied"], strict=True), start=len(stems)
        )
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
            "buses": buses,
            "warnings": [*order["warnings"], *warnings_of_mix(order, mixed)],
        }
    )


def _stems_of(order: Order, mixed: dict[str, Any], files: dict[int, Asset]) -> list[MixedStem]:
    made = {
        number: {"stem_asset_id": asset.asset_id, "stem_size_bytes": asset.size_bytes}
        for number, asset in files.items()
    }
    return [
        MixedStem.model_validate({**stem, **one, **made.get(number, {})})
        for number, (stem, one) in enumerate(zip(order["stems"], mixed["stems"], strict=True))
    ]


def _proposal_of(order: Order, mixed: dict[str, Any]) -> MixProposal:
    """The order as a request that says everything: what was proposed is in it, and nothing is left to be found."""
    asked = {name: value for name, value in order.items() if name in MixRequest.model_fields}
    stems = [
        {name: value for name, value in (stem | one["said"]).items() if name in MixStem.model_fields}
        for stem, one in zip(order["stems"], mixed["stems"], strict=True)
    ]
    mix = MixRequest.model_validate(asked | {"stems": stems, "auto": {}, "dry_run": False})
    return MixProposal(
        mix=mix,
        reasons=mixed["reasons"],
        stems=_stems_of(order, mixed, {}),
        warnings=order["warnings"],
    )


MIX = Kind("mix", _inputs_of, _order_of, _result_of)
