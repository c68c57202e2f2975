"""Threads for what may take seconds: hashing artifacts, copying projects, removing folders. Elsewhere it would hold up quick work."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

THREADS = 2

Result = TypeVar("Result")


class SlowWork:
    """Takes its turns in a few threads of its own."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="slow")

    async def do(self, work: Callable[..., Result], *args: Any) -> Result:
        """The result of `work(*args)`."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *args)

    async def close(self) -> None:
        """Waits for what is under way, and forgets what has not begun."""
        await asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True)
