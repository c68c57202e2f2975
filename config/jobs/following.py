"""How jobs that run are seen by those who follow them: what is not in their row, and who waits for the next word."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from config.contracts.common import Job, StatusEnum
from config.sse import Event

_FINAL_EVENT = 10_000


@dataclass
class _Shown:
    progress: float = 0.0
    done_bytes: int | None = None
    total_bytes: int | None = None
    detail: str = ""


class Following:
    """What running jobs tell of themselves, in memory: writing every step of progress down would be a write for nothing."""

    def __init__(self) -> None:
        self._shown: dict[str, _Shown] = {}
        self._changed: dict[str, asyncio.Event] = {}

    def show(self, job_id: str, progress: float, done_bytes: int | None, total_bytes: int | None) -> None:
        shown = self._shown.setdefault(job_id, _Shown())
        shown.progress, shown.done_bytes, shown.total_bytes = min(max(progress, 0.0), 1.0), done_bytes, total_bytes
        self.tell(job_id)

    def show_detail(self, job_id: str, detail: str) -> None:
        self._shown.setdefault(job_id, _Shown()).detail = detail
        self.tell(job_id)

    def tell(self, job_id: str) -> None:
        """Whoever follows the job looks at it again."""
        if changed := self._changed.pop(job_id, None):
            changed.set()

    def forget(self, job_id: str) -> None:
        self._shown.pop(job_id, None)
        self.tell(job_id)

    def progress_of(self, job_id: str) -> float:
        return self._shown.get(job_id, _Shown()).progress

    def bytes_of(self, job_id: str) -> dict[str, int | None]:
        shown = self._shown.get(job_id, _Shown())
        return {"done_bytes": shown.done_bytes, "total_bytes": shown.total_bytes}

    def as_shown(self, job: Job) -> Job:
        """A job out of the table, with what it tells of itself while it runs."""
        shown = self._shown.get(job.job_id)
        if shown is None or job.status is not StatusEnum.RUNNING:
            return job
        return job.model_copy(update=vars(shown))

    async def events(
        self, job_id: str, last_event_id: int, look: Callable[[str], Awaitable[Job]]
    ) -> AsyncIterator[Event]:
        """The job's states from now on, up to its end; `look` gives the job as it stands.

        An event's id grows with the job's progress and is largest at its end: a client that comes back with the last one it saw is told
        every later state that still matters.
        """
        seen = last_event_id
        while True:
            changed = self._changed.setdefault(job_id, asyncio.Event())  # before looking: no change may slip between
            job = await look(job_id)
            number = _event_number(job)
            if number > seen:
                seen = number
                yield Event(str(number), job.status.lower(), job.model_dump(mode="json"))
            if job.status.is_final:
                self.tell(job_id)  # others who follow it may wait for the same word
                return
            await changed.wait()


def _event_number(job: Job) -> int:
    if job.status.is_final:
        return _FINAL_EVENT
    return 1 if job.status is StatusEnum.PENDING else 2 + int(job.progress * 1000)
