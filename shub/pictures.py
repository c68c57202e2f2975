"""Pictures of audio files: drawn when they are asked for, and kept for the next time."""

import asyncio

from shub.assets import Assets
from shub.picture_names import Picture
from shub.store import Store
from shub.work import Work


class Pictures:
    """What shub shows of files."""

    def __init__(self, assets: Assets, store: Store, work: Work) -> None:
        self._assets, self._store, self._work = assets, store, work

    async def png(self, asset_id: str, picture: Picture) -> bytes:
        """A picture of a file. Raises AssetNotFound, AssetLost, an AudioProblem, AnalysisTooSlow, AudioWorkerLost, StorageFull."""
        asset, _ = await self._assets.content(asset_id)
        shelf = self._store.pictures
        if (known := await asyncio.to_thread(shelf.find, asset.sha256, picture)) is not None:
            return known
        target = self._store.new_path()
        try:
            await self._work.draw(asset, picture, target)
            content = await asyncio.to_thread(target.read_bytes)
            async with self._store.lock:
                if await asyncio.to_thread(
                    self._store.path_of(asset.sha256).exists
                ):  # it may have been deleted meanwhile
                    await asyncio.to_thread(shelf.put, target, asset.sha256, picture)
        finally:
            await asyncio.to_thread(self._store.discard, target)
        return content
