"""The tools of this box: looked for at once, their versions found out in the background, the registry and switch told."""

import asyncio
import os
import threading
from collections.abc import Sequence

import structlog

from config.clients.hermes_db import HermesDbClient
from config.clients.switch import SwitchClient
from config.clock import utc_now
from config.contracts.hermes import CliScan, FoundCli, VersionState
from config.contracts.hermes_db import Active, Cli
from config.errors import FleetError
from hermes.clis.catalogue import Tool, catalogue
from hermes.clis.presence import Installed, Look, find
from hermes.clis.registration import Changes, Here, changes
from hermes.clis.versions import Versions, ask_all, key_of
from hermes.settings import HermesSettings

FIRST_ROUND_SECONDS = 15.0
"""After a start, while the rest of the fleet is starting too: dozens of programs are run then. Who asks for a scan does not wait."""
AGAIN_SECONDS = 30.0
"""After a round that failed, most often because hermes_db was not up yet."""

log = structlog.get_logger()


class Tools:
    """What `/hermes/clis` answers from.

    A look at the PATH takes milliseconds and is made whenever somebody asks for a scan. A task of its own then asks the tools whose
    version is not known, writes what changed into hermes_db and tells switch; tools that come meanwhile wait for its next round.
    """

    def __init__(self, settings: HermesSettings, hermes_db: HermesDbClient, switch: SwitchClient) -> None:
        self._settings, self._hermes_db, self._switch = settings, hermes_db, switch
        self._tools = catalogue()
        self._versions = Versions(settings.state_dir / "cache" / "hermes" / "cli-versions.json")
        self._look: Look | None = None
        self._scanned_at = utc_now()
        self._due = asyncio.Event()
        self._stopping = threading.Event()
        self._rounds: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await asyncio.to_thread(self._versions.load)
        if self._interval_seconds:
            await self._look_around()
        self._rounds = asyncio.create_task(self._go_round(), name="clis")

    async def close(self) -> None:
        self._stopping.set()
        if self._rounds is not None:
            self._rounds.cancel()
        await asyncio.gather(*filter(None, (self._rounds, self._asking)), return_exceptions=True)

    async def scan(
        self, *, present: bool | None = None, kind: str | None = None, answers_prompts: bool | None = None
    ) -> CliScan:
        """Look at the PATH again, and answer with the versions that are known; the others come later."""
        await self._look_around()
        self._due.set()
        return await self.found(present=present, kind=kind, answers_prompts=answers_prompts)

    async def found(
        self, *, present: bool | None = None, kind: str | None = None, answers_prompts: bool | None = None
    ) -> CliScan:
        """The tools that fit all filters, by the last look; `present` and `pending` count these."""
        look = self._look or await self._look_around()
        items = [
            one
            for one in (self._as_found(tool, look) for tool in self._tools)
            if present in (None, one.is_present)
            and kind in (None, one.kind)
            and answers_prompts in (None, one.answers_prompts)
        ]
        return CliScan(
            items=items,
            present=sum(one.is_present for one in items),
            pending=sum(one.version_state is VersionState.PENDING for one in items),
            scanned_at=self._scanned_at,
            took_ms=round(look.took_ms, 3),
        )

    @property
    def _interval_seconds(self) -> float:
        return self._settings.hermes_cli_scan_interval.total_seconds()

    async def _look_around(self) -> Look:
        look = await asyncio.to_thread(find, self._tools, os.environ.get("PATH", os.defpath))
        if look.ignored and (self._look is None or self._look.ignored != look.ignored):
            log.warning("cli_folders_passed_over", folders=look.ignored, why="not absolute, or others may write there")
        self._look, self._scanned_at = look, utc_now()
        return look

    def _as_found(self, tool: Tool, look: Look) -> FoundCli:
        installed = look.installed.get(tool.name)
        answer = self._versions.of(key_of(tool, installed)) if installed else None
        state = None
        if installed is not None:
            state = VersionState.PENDING if answer is None else VersionState.KNOWN
            if answer is not None and answer.version is None:
                state = VersionState.UNKNOWN
        return FoundCli(
            name=tool.name,
            kind=tool.kind,
            answers_prompts=tool.answers_prompts,
            is_present=installed is not None,
            path=installed.path if installed else None,
            version=answer.version if answer else None,
            version_state=state,
            detail=answer.detail if answer else "",
        )

    # --- in the background -----------------------------------------------------------------------------------------

    async def _go_round(self) -> None:
        """Top of the background task: a round that fails is told in the log and tried again, sooner than the next."""
        wait_seconds = FIRST_ROUND_SECONDS if self._interval_seconds else None
        while True:
            try:
                async with asyncio.timeout(wait_seconds):
                    await self._due.wait()
                look = self._look
            except TimeoutError:
                look = None
            self._due.clear()
            try:
                await self._round(look or await self._look_around())
                wait_seconds = self._interval_seconds or None
            except FleetError as error:
                log.warning("cli_round_failed", code=error.code, detail=error.detail)
                wait_seconds = AGAIN_SECONDS
            except Exception:
                log.exception("cli_round_broke")
                wait_seconds = AGAIN_SECONDS

    async def _round(self, look: Look) -> None:
        installed = [(tool, look.installed[tool.name]) for tool in self._tools if tool.name in look.installed]
        wanted = [(tool, file) for tool, file in installed if self._versions.wanting(key_of(tool, file))]
        if wanted:
            self._asking = asyncio.create_task(asyncio.to_thread(self._ask, wanted, look))
            await asyncio.shield(self._asking)
        await self._register(look)

    def _ask(self, wanted: Sequence[tuple[Tool, Installed]], look: Look) -> None:
        """Works in a thread, to its end even when the service stops: what is known by then is kept."""
        ask_all(
            wanted,
            self._versions,
            look.folders,
            workers=self._settings.hermes_cli_workers,
            limit_seconds=self._settings.hermes_cli_timeout.total_seconds(),
            stopping=self._stopping,
        )
        try:
            self._versions.save()
        except OSError as exc:  # then they are asked again after the next start
            log.warning("cli_versions_not_kept", error=str(exc))

    async def _register(self, look: Look) -> None:
        """Raises what hermes_db's client raises."""
        here = []
        for tool in self._tools:
            if (file := look.installed.get(tool.name)) is not None:
                answer = self._versions.of(key_of(tool, file))
                here.append(Here(tool, file.path, answer.version if answer else None))
        wanted = changes(here, await self._registered(), self._tools)
        if not wanted:
            return
        await self._write(wanted)
        log.info("clis_registered", new=len(wanted.new), changed=len(wanted.changed))
        try:
            await self._switch.registry_changed()
        except FleetError as error:  # it reads the registry again by itself, only later
            log.warning("switch_not_told", code=error.code, detail=error.detail)

    async def _registered(self) -> list[Cli]:
        page = await self._hermes_db.clis(active=Active.ALL, limit=500)
        known = list(page.items)
        while page.next_cursor is not None:
            page = await self._hermes_db.clis(active=Active.ALL, limit=500, cursor=page.next_cursor)
            known += page.items
        return known

    async def _write(self, wanted: Changes) -> None:
        for name, facts in wanted.new.items():
            await self._hermes_db.put_cli(name, facts)
        for name, change in wanted.changed.items():
            await self._hermes_db.change_cli(name, change)
