"""Who waits for news of a job, and is told."""

import asyncio


class Bells:
    """One bell per job. Take hold of it before looking, then wait: so no change slips between."""

    def __init__(self) -> None:
        self._bells: dict[str, asyncio.Event] = {}

    def of(self, key: str) -> asyncio.Event:
        """Set at the next ring."""
        return self._bells.setdefault(key, asyncio.Event())

    def ring(self, key: str) -> None:
        if bell := self._bells.pop(key, None):
            bell.set()

    def forget(self, key: str) -> None:
        """Nothing more will happen there."""
        self.ring(key)
