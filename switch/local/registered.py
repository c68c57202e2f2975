"""A model of hermes_db's registry that lies on this machine as a GGUF file: what it is, whether it can be asked, and how it is loaded."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from config.default_model import LightModel, ModelUnusable, verified
from config.gguf import GgufBroken, GgufFacts, read_gguf
from config.settings import MIB
from switch import policy
from switch.calls import FREE, Facts
from switch.local.memory import estimated_bytes
from switch.local.model import GivesTurns, LocalModel
from switch.local.process import Order
from switch.local.remembered import Experience, Remembered
from switch.local.runner import Habits
from switch.repository import KeptModel
from switch.settings import SwitchSettings

SUFFIX = ".gguf"
PROJECTORS = frozenset({"clip", "mmproj"})
WITHOUT_WRITING = frozenset(
    {"bert", "modern-bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "jina-bert-v3", "t5encoder"}
)
"""Architectures of llama.cpp that turn text into vectors and write none."""
LEAST_GROWTH = 1.02  # of what was measured before, to be worth remembering

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 60.0, 3600.0
"""Before a trial that ran out of time is held again; doubled each time. A new start of switch tries at once."""

TryOut = Callable[[Order, str, int], Awaitable[str]]
"""Loads a file within limits before it is loaded here, given its SHA-256 and what memory it should take; returns what to tell of it.
Raises ModelUnusable when the file failed, and TrialUnfinished."""


class TrialUnfinished(ModelUnusable):
    """The trial ran out of time, which says more of the machine than of the file: it is held again later."""


@dataclass(frozen=True, slots=True)
class FileSeen:
    """A file as it was when it was read."""

    path: Path
    size_bytes: int
    mtime_ns: int
    told: GgufFacts


def is_local(row: KeptModel) -> bool:
    """Whether a row stands for a GGUF file on this machine that may be asked."""
    return (
        row.is_active
        and row.path is not None
        and (row.model_type or SUFFIX[1:]) == SUFFIX[1:]
        and row.path.endswith(SUFFIX)
    )


def why_no_chat(told: GgufFacts) -> str:
    """Why a GGUF file cannot answer questions; empty if it can."""
    kind, architecture = told.kind or "model", told.architecture or ""
    if kind not in ("model",) or architecture in PROJECTORS:
        return f"it is no model that writes but a part for one ({architecture or kind})"
    if architecture in WITHOUT_WRITING or told.pooling_type:
        return f"it is an embedding model ({architecture}): it writes no text"
    if not told.chat_template:
        return "its file has no chat template: it was not made for conversation"
    return ""


class RegisteredModel(LocalModel):
    """Follows its row: a row or file that changes makes what is loaded outdated."""

    def __init__(
        self, row: KeptModel, settings: SwitchSettings, pool: GivesTurns, remembered: Remembered, try_out: TryOut
    ) -> None:
        super().__init__(
            row.name,
            Habits(
                places=settings.local_slots,
                start_seconds=settings.light_start_timeout.total_seconds() * 5,  # some are fifty times as large
                answer_seconds=settings.switch_answer_timeout.total_seconds(),
                stop_after_seconds=settings.local_stop_after.total_seconds(),
                sleep_after_seconds=float("inf"),
                comes_back=False,
            ),
            pool,
        )
        self.row = row
        self._settings, self._remembered, self._try_out = settings, remembered, try_out
        self._seen: FileSeen | None = None
        self._sha256: str | None = None
        self._late_trials = 0
        """Trials of this file in a row that ran out of time."""
        self._tried_at = float("-inf")

    async def look(self, row: KeptModel, budget_bytes: int) -> None:
        """Read the row, and the file if it is not the one that was read before; find out what it is good for."""
        seen, why = await asyncio.to_thread(_see, row, self._seen)
        is_another = row.path != self.row.path or row.sha256 != self.row.sha256
        if is_another or (self._seen is not None and seen is not self._seen):
            self.is_outdated = self.runner.is_resident
            self._sha256, self._late_trials = None, 0
        self.row, self._seen, self.load_failure = row, seen, ""
        if seen is None:
            self.unusable = why
            return
        facts = Facts(
            context_tokens=self._context_tokens,
            modalities=frozenset(),
            tools="tools" in (seen.told.chat_template or ""),
            schema=True,
            specialties=frozenset({*row.tags} | ({row.specialty} if row.specialty else set())),
            adjacent=frozenset(row.adjacent_fields),
            price=FREE,
            parameters=seen.told.parameters,
            size_bytes=seen.size_bytes,
            performance=row.performance_score,
        )
        if facts != self.facts:  # who chooses has counted on the ones that are there
            self.facts = facts
        self._weigh(seen)
        self.unusable = why_no_chat(seen.told) or self._experience.failure or self._too_large(budget_bytes)

    def measure(self, budget_bytes: int) -> None:
        """Look at what it takes now, and remember it if that is more than was known; what was loaded once needs no trial again."""
        found = self.runner.resident_bytes
        if self._sha256 is None or found <= self._experience.measured.get(self._shape, 0) * LEAST_GROWTH:
            return
        self._remembered.keep(self._sha256, is_tried=True, measured={self._shape: found})
        self.memory_bytes = found
        self.unusable = self._too_large(budget_bytes)
        self.is_outdated = self.is_outdated or bool(self.unusable)  # the others' memory is not for it to keep

    async def prepare(self) -> Order:
        row = self.row
        assert row.path is not None
        found = await asyncio.to_thread(verified, LightModel(self.model, Path(row.path), row.sha256), self._settings)
        order = Order(
            path=row.path,
            name=self.model,
            slots=self._settings.local_slots,
            context_tokens=self._context_tokens,
            threads=self._settings.threads,
            sleep_after_seconds=-1,
            max_tokens=-1,
        )
        self._sha256 = found.sha256
        if self._seen is not None:
            self._weigh(self._seen)  # by now it is known for certain which file it is
        if self._settings.local_try_out and not self._experience.is_tried:
            self._refuse_a_trial_too_soon()
            try:
                self.detail = await self._try_out(order, found.sha256, self.memory_bytes)
            except TrialUnfinished:
                self._late_trials, self._tried_at = self._late_trials + 1, time.monotonic()
                raise
            except ModelUnusable as exc:
                self.unusable = f"{exc} (remembered in {self._remembered.file})"
                self._remembered.keep(found.sha256, is_tried=True, failure=self.unusable)
                raise
            self._late_trials = 0
        return order

    def _refuse_a_trial_too_soon(self) -> None:
        pause = policy.restart_delay(self._late_trials, base=FIRST_PAUSE_SECONDS, cap=LONGEST_PAUSE_SECONDS)
        left = self._tried_at + pause - time.monotonic()
        if left > 0:
            raise ModelUnusable(f"its trial ran out of time; it is held again in {left:.0f} seconds at the earliest")

    @property
    def _experience(self) -> Experience:
        return self._remembered.of(self._sha256 or (self.row.sha256 or "").lower())

    @property
    def _context_tokens(self) -> int:
        wanted = self._settings.local_context_tokens
        trained = self._seen.told.context_length if self._seen is not None else None
        return min(wanted, trained) if trained else wanted

    @property
    def _shape(self) -> str:
        return f"{self._context_tokens}x{self._settings.local_slots}"

    def _weigh(self, seen: FileSeen) -> None:
        file_bytes = max(seen.size_bytes, self.row.size_bytes or 0)  # a row may stand for a file in several parts
        estimate = estimated_bytes(file_bytes, seen.told, self._context_tokens)
        self.memory_bytes = self._experience.measured.get(self._shape) or estimate

    def _too_large(self, budget_bytes: int) -> str:
        if self.memory_bytes <= budget_bytes:
            return ""
        return (
            f"it takes {self.memory_bytes // MIB} MiB when loaded, and local models may take {budget_bytes // MIB} MiB "
            "(VX11_LOCAL_MEMORY_MB)"
        )


def _see(row: KeptModel, before: FileSeen | None) -> tuple[FileSeen | None, str]:
    """The file of a row, read again only if it has changed; or why there is nothing to be read."""
    assert row.path is not None
    path = Path(row.path)
    try:
        stat = path.stat()
        if before is not None and (before.path, before.size_bytes, before.mtime_ns) == (
            path,
            stat.st_size,
            stat.st_mtime_ns,
        ):
            return before, ""
        return FileSeen(path, stat.st_size, stat.st_mtime_ns, read_gguf(path)), ""
    except GgufBroken as exc:
        return None, f"its file {path} cannot be read: {exc}"
    except (OSError, ValueError) as exc:
        return None, f"its file {path} cannot be read: {getattr(exc, 'strerror', None) or exc}"
