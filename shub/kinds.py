"""What there is to know of a kind of job that makes audio files out of others."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from config.contracts.common import Wire
from config.contracts.shub import Asset

Request = TypeVar("Request", bound=Wire)
Order = dict[str, Any]
"""A request with everything resolved: a restart, and whoever asks later, needs nothing else. It has the `name` and the `format` of the
file to be made, and `inputs`: the `asset_id`, `sha256` and `name` of each file that is read."""
MadeFile = dict[str, Any]
"""A file that the worker made: its `path`, `name`, `format`, `encoding`, `sha256`, `size_bytes`, `duration_seconds`, `sample_rate_hz` and
`channels`."""


@dataclass(frozen=True)
class Kind(Generic[Request]):
    """A kind is its name, which is also the operation of the worker process, and three pure functions."""

    name: str
    inputs_of: Callable[[Request], list[str]]
    """The ids of the files that are read. Raises InvalidRequest for what cannot be, whatever the files are."""
    order_of: Callable[[Request, list[Asset]], Order]
    """The order, without `inputs`: of a request and the files of `inputs_of`, one for each id. Raises InvalidRequest."""
    result_of: Callable[[Order, dict[str, Any], list[Asset]], Wire]
    """The job's result: of the order, the worker's answer and its `files` as they are kept, which may be none (a proposal) or several.

    What the worker had to find by itself, and a second rendering must be told, is in its answer as `rendered`, for the provenance."""


def inputs_in(assets: list[Asset]) -> list[dict[str, str]]:
    """Files as an order names them, each once."""
    each = {asset.asset_id: asset for asset in assets}.values()
    return [{"asset_id": asset.asset_id, "sha256": asset.sha256, "name": asset.name} for asset in each]
