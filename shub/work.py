"""What the worker processes are asked to do, in the service's own terms."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from config.contracts.shub import Asset
from config.contracts.shub_analysis import AnalyzeRequest, AudioAnalysis
from shub.errors import AnalysisTooSlow, AssetLost, AudioWorkerLost
from shub.picture_names import Picture, paths_of
from shub.settings import ShubSettings
from shub.store import Store
from shub.targets import TARGETS
from shub.verdicts import verdicts_of
from shub.workers import WorkerPool

ATTEMPTS = 2
"""A worker may be lost for reasons of its own (memory, an idle one that just ended): a second one is asked once."""


class Work:
    """Puts tasks to the pool; paths go there, values come back."""

    def __init__(self, settings: ShubSettings, pool: WorkerPool, store: Store) -> None:
        self._pool, self._store = pool, store
        self._limits = {"max_duration_seconds": settings.max_duration_seconds}
        self._patience_seconds = settings.shub_analyze_timeout.total_seconds()

    async def probe(self, path: Path, name: str) -> dict[str, Any]:
        """Format, encoding, length, rate and channels of a file. Raises an AudioProblem."""
        return await self._quick({"op": "probe", "path": str(path), "name": name})

    async def analyze(self, asset: Asset, request: AnalyzeRequest) -> AudioAnalysis:
        """A file's measurements. Raises an AudioProblem, or AnalysisTooSlow."""
        found = await self._quick(
            {
                "op": "analyze",
                "path": str(self._store.path_of(asset.sha256)),
                "channel_layout": request.channel_layout,
                "series": request.series,
                "details": request.details,
            }
        )
        measured = AudioAnalysis.model_validate(
            found
            | {
                "asset_id": asset.asset_id,
                "target": request.target,
                "pictures": paths_of(asset.asset_id, request.target),
            }
        )
        return measured.model_copy(update={"verdicts": verdicts_of(measured)})

    async def draw(self, asset: Asset, picture: Picture, target: Path) -> None:
        """Draw a picture of a file, as PNG, at `target`. Raises an AudioProblem, AnalysisTooSlow, AudioWorkerLost or StorageFull."""
        aim = TARGETS[picture.target]
        await self._quick(
            {
                "op": "picture",
                "path": str(self._store.path_of(asset.sha256)),
                "name": asset.name,
                "target": str(target),
                "kind": picture.kind,
                "width": picture.width,
                "height": picture.height,
                "aim": {
                    "name": aim.name,
                    "target_lufs": aim.target_lufs,
                    "tolerance_lu": aim.tolerance_lu,
                    "ceiling_dbtp": aim.ceiling_dbtp,
                },
            }
        )

    async def make(
        self,
        op: str,
        order: dict[str, Any],
        target: Path,
        on_start: Callable[[], Awaitable[None]],
        on_progress: Callable[[float], None],
    ) -> dict[str, Any]:
        """Make what `order` describes, at `target`; `on_start` is awaited when its turn has come.

        The worker's operation `op` is given the order, `files` (the path of each input by its `asset_id`), `target` and `scratch`. Raises
        an AudioProblem that names the file, StorageFull, AssetLost where the store does not hold an input, or AudioWorkerLost.
        """
        for one in order["inputs"]:
            if not await asyncio.to_thread(self._store.path_of(one["sha256"]).is_file):
                raise AssetLost(f"the bytes of {one['asset_id']} ({one['name']}) are gone from the store")
        files = {one["asset_id"]: str(self._store.path_of(one["sha256"])) for one in order["inputs"]}
        paths = {"files": files, "target": str(target), "scratch": f"{target}.sum"}
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with self._pool.worker("job") as worker:
                    await on_start()
                    return await worker.run(order | self._limits | paths | {"op": op}, on_progress)
            except AudioWorkerLost:
                if attempt == ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    async def warm(self) -> None:
        """Compile the sample loops, if this version of them never was: the first job shall not wait for it."""
        await self._pool.run({"op": "warm"}, lane="job")

    async def _quick(self, task: dict[str, Any]) -> dict[str, Any]:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                async with asyncio.timeout(self._patience_seconds):
                    return await self._pool.run(task | self._limits, lane="quick")
            except TimeoutError as exc:
                raise AnalysisTooSlow(f"it was stopped after {self._patience_seconds:.0f} s") from exc
            except AudioWorkerLost:
                if attempt == ATTEMPTS:
                    raise
        raise AssertionError("unreachable")
