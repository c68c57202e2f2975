"""The command-line tools that answer prompts, as models: `cli/<tool>`."""

import asyncio

import structlog
from sqlalchemy.exc import SQLAlchemyError

from config.contracts.switch import CliStatus
from switch.breaker import Breakers
from switch.calls import FREE, Choice, Facts
from switch.clis.invocation import Unaskable, invocation_of
from switch.clis.tool import CLI, Afterwards, GivesTurns, RunsProcesses, Tool
from switch.registry import KEPT_SECONDS, Known, Registry
from switch.repository import KeptCli
from switch.settings import SwitchSettings

LONGEST_NAME = 64
"""Of a tool that can be asked: spawner's profile has the same."""

log = structlog.get_logger()


class CliHub:
    """Follows the registry: whatever it says of a tool counts from its next reading on. Asking costs no I/O."""

    def __init__(
        self,
        settings: SwitchSettings,
        registry: Registry,
        hermes_db: GivesTurns,
        spawner: RunsProcesses,
        breakers: Breakers,
    ) -> None:
        self._settings, self._registry, self._breakers = settings, registry, breakers
        self._hermes_db, self._spawner = hermes_db, spawner
        self._afterwards = Afterwards()
        self._seen: Known | None = None
        self._kept: dict[str, KeptCli] = {}
        self._tools: dict[str, Tool] = {}
        self._whys: dict[str, str] = {}
        self._choices: list[Choice] = []

    @property
    def choices(self) -> list[Choice]:
        """Those that answer without being told which of their models to use."""
        self._look()
        return self._choices

    def named(self, name: str) -> Choice | None:
        """The tool that `cli/<tool>` or `cli/<tool>/<model>` means; the `cli/` may be left out. None when `why_not` tells why."""
        self._look()
        model = name.removeprefix(f"{CLI}/")
        tool = self._tools.get(model.partition("/")[0])
        return None if tool is None else Choice(tool, model, _facts(tool))

    def why_not(self, name: str) -> str:
        """Why nobody is asked by that name."""
        self._look()
        tool = name.removeprefix(f"{CLI}/").partition("/")[0]
        known = ", ".join(choice.name for choice in self._choices) or "none"
        return self._whys.get(tool) or f"{tool[:100]!r} is no tool that answers prompts; those that do: {known}"

    def status(self) -> list[CliStatus]:
        """Every tool of the registry that answers prompts, askable or not."""
        self._look()
        return [
            CliStatus(
                name=name,
                model=f"{CLI}/{name}",
                is_askable=name in self._tools,
                detail=self._whys.get(name, ""),
                is_offline=name in self._tools and self._tools[name].invocation.offline,
                needs_model=name in self._tools and self._tools[name].invocation.needs_model,
                documentation_url=self._tools[name].invocation.documentation if name in self._tools else "",
            )
            for name in sorted(self._kept)
        ]

    async def run(self) -> None:
        """Keep what is known of the registry fresh, until cancelled."""
        while True:
            try:
                await self._registry.known()
            except SQLAlchemyError as exc:
                log.warning("registry_not_read", error=repr(exc))
            await asyncio.sleep(KEPT_SECONDS)

    async def close(self) -> None:
        """Kill what was given up and give turns back."""
        await self._afterwards.done()

    def _look(self) -> None:
        if self._registry.last is self._seen:
            return
        self._seen = self._registry.last
        kept = {} if self._seen is None else {one.name: one for one in self._seen.tools}
        tools, whys = {}, {}
        for name, one in kept.items():
            if name in self._tools and self._kept.get(name) == one:
                tools[name] = self._tools[name]  # the same as before, with what is remembered of it
                continue
            try:
                tools[name] = self._tool(one)
            except Unaskable as exc:
                whys[name] = str(exc)
        self._kept, self._tools, self._whys = kept, tools, whys
        self._choices = [
            Choice(tool, name, _facts(tool)) for name, tool in tools.items() if not tool.invocation.needs_model
        ]

    def _tool(self, one: KeptCli) -> Tool:
        if len(one.name) > LONGEST_NAME:
            raise Unaskable(f"its name is longer than a profile's may be: {LONGEST_NAME} characters")
        return Tool(
            one.name,
            one.path or one.name,
            invocation_of(one.name, one.metadata),
            hermes_db=self._hermes_db,
            spawner=self._spawner,
            afterwards=self._afterwards,
            breakers=self._breakers,
            timeout_seconds=self._settings.cli_timeout.total_seconds(),
        )


def _facts(tool: Tool) -> Facts:
    asks_nobody = tool.invocation.offline
    return Facts(
        modalities=frozenset(),
        tools=False,
        schema=False,
        specialties=tool.invocation.specialties,
        price=FREE if asks_nobody else None,
    )
