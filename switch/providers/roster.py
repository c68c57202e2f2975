"""Who can be asked over a network: providers of the settings, those of the catalogue whose key is there, servers on this machine."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Literal

import structlog

from config.contracts.switch import KnownProvider, ProviderStatus
from switch.breaker import Breakers
from switch.calls import Choice, Facts
from switch.providers import catalogue
from switch.providers.keys import KeepsTokens, Keys, environment
from switch.providers.local_servers import LocalServers
from switch.providers.provider import Access, Provider
from switch.settings import ProviderSettings, SwitchSettings

KEYS_SECONDS = 300.0
"""How often hermes_db is asked for keys without anybody having told us of new ones."""
AGAIN_SECONDS = 2.0
"""After which it is asked again when it could not be; twice as long each time. Also the least time between two refused keys."""
LONGEST_NAME = 200
"""Characters of a model's name, as the database keeps it."""

log = structlog.get_logger()


class Roster:
    """`auto`, `models` and `named` are what is known now; `refresh` looks again, and `run` does so from time to time."""

    def __init__(
        self,
        settings: SwitchSettings,
        hermes_db: KeepsTokens,
        breakers: Breakers,
        *,
        variables: Mapping[str, str] | None = None,
    ) -> None:
        self._settings, self._breakers = settings, breakers
        self._keys = Keys(hermes_db, environment() if variables is None else variables)
        self._servers = LocalServers(settings)
        self._names = list(dict.fromkeys([*settings.providers, *catalogue.entries()]))
        self._looks = bool(settings.switch_look_for_servers_every)
        self._reading = asyncio.Lock()
        self._doubted = asyncio.Event()
        self._providers: dict[str, Provider] = {}
        self.auto: list[Choice] = []
        """What `auto` may choose, the preferred ones first."""
        self.models: list[Choice] = []
        """Every model that is known by name."""
        self._gather()

    # --- what there is ---------------------------------------------------------------------------------------------

    @property
    def providers(self) -> Mapping[str, Provider]:
        """Those that can be asked now, by name."""
        return self._providers

    def named(self, provider: str, model: str) -> Choice | None:
        """A model of a provider that can be asked, known or not; None where there is no such provider, or it is no name."""
        found = self._providers.get(provider)
        if found is None or len(model) > LONGEST_NAME or not model.isprintable():
            return None
        return found.choice(model)

    def status(self) -> list[ProviderStatus]:
        return [provider.status() for provider in self._providers.values()]

    def known(self) -> list[KnownProvider]:
        """All providers, usable or not, by name."""
        names = {*self._names, *self._servers.places}
        return [self._told(name) for name in sorted(names)]

    def why_not(self, provider: str) -> str:
        """What a known provider lacks that cannot be asked, in a sentence; empty for one that can be, and for one that nobody knows."""
        if provider in self._providers:
            return ""
        if provider in self._names:
            told = self._told(provider)
            places = ", ".join([*told.key_variables, f"VX11_PROVIDERS, or hermes_db as {provider}"])
            return told.detail or f"there is no key of {provider}: give it in {places}"
        place = self._servers.places.get(provider)
        return "" if place is None else f"no server of {provider} was found at {place}"

    # --- looking again ---------------------------------------------------------------------------------------------

    async def refresh(self) -> None:
        """Read the keys of hermes_db and look for servers, now."""
        await asyncio.gather(self._read_keys(), self._look())

    async def run(self) -> None:
        """Refresh until cancelled: at once, then keys every few minutes and when one was refused, servers as the settings say."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_reading())
            if self._looks:
                tasks.create_task(self._keep_looking())

    def close(self) -> None:
        for provider in self._providers.values():
            provider.close()

    async def _keep_reading(self) -> None:
        failures = 0
        while True:
            self._doubted.clear()
            is_read = False
            try:
                is_read = await self._read_keys()
            except Exception:
                log.exception("keys")
            failures = 0 if is_read else failures + 1
            await asyncio.sleep(min(AGAIN_SECONDS * 2.0 ** min(failures, 16), KEYS_SECONDS))
            if is_read:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._doubted.wait(), KEYS_SECONDS)

    async def _keep_looking(self) -> None:
        while True:
            try:
                await self._look()
            except Exception:
                log.exception("local_servers")
            await asyncio.sleep(self._settings.switch_look_for_servers_every.total_seconds())

    async def _read_keys(self) -> bool:
        """Whether hermes_db could be asked."""
        async with self._reading:
            is_read = await self._keys.refresh(self._names)
        self._gather()
        return is_read

    async def _look(self) -> None:
        if self._looks:
            await self._servers.look()
            self._gather()

    # --- putting it together ---------------------------------------------------------------------------------------

    def _gather(self) -> None:
        """Make the providers that are new, close those that are gone, and leave the others and their connections as they are."""
        accesses = dict(self._accesses())
        before = self._providers
        now = {
            name: before[name]
            if name in before and before[name].access == access
            else Provider(access, self._settings, self._breakers, key_refused=self._doubted.set)
            for name, access in accesses.items()
        }
        new = [name for name, provider in now.items() if before.get(name) is not provider]
        facts = catalogue.models_of([name for name in new if name in catalogue.entries()])
        for name, provider in now.items():
            if name not in self._names:
                models = self._servers.found[name].models
                provider.offer(models, list(models))
            elif name in new:
                self._offer(provider, facts.get(name, {}))
        self._providers = now
        for name, provider in before.items():
            if now.get(name) is not provider:
                self._breakers.forget(name)
                provider.close()
        self.models = [choice for provider in now.values() for choice in provider.choices]
        self.auto = list(self._choose_auto())

    def _accesses(self) -> Iterator[tuple[str, Access]]:
        """How each provider that can be asked is reached."""
        for name in self._names:
            access, needs_key = self._access(name)
            if access.key is not None or not needs_key:
                yield name, access
        for name, server in self._servers.found.items():
            if name not in self._names:
                yield name, Access(name, "openai", server.base_url)

    def _access(self, name: str) -> tuple[Access, bool]:
        """How a provider is reached, and whether it is of no use without a key: one whose address the owner wrote down may need none."""
        setting, entry = self._settings.providers.get(name, ProviderSettings()), catalogue.entries().get(name)
        written = None if setting.api_key is None else setting.api_key.get_secret_value()
        key = self._keys.of(name, () if entry is None else entry.key_variables, setting=written)
        base_url = setting.base_url or (None if entry is None else entry.base_url)
        assert base_url is not None  # the settings were checked for it
        api = setting.api or ("openai" if entry is None else entry.api)
        return Access(name, api, base_url, key), setting.base_url is None

    def _offer(self, provider: Provider, facts: Mapping[str, Facts]) -> None:
        setting, entry = self._settings.providers.get(provider.name), catalogue.entries().get(provider.name)
        written = [] if setting is None else setting.models
        known = {model: facts.get(model) or _by_its_name(model) for model in written} | dict(facts)
        provider.offer(known, written or ([] if entry is None else list(entry.auto)))

    def _choose_auto(self) -> Iterator[Choice]:
        if not self._settings.switch_auto_models:
            for provider in self._providers.values():
                yield from provider.auto
            return
        for name in self._settings.switch_auto_models:
            provider_name, _, model = name.partition("/")
            choice = self.named(provider_name, model) if model else None
            if choice is not None:
                yield choice

    # --- telling ---------------------------------------------------------------------------------------------------

    def _told(self, name: str) -> KnownProvider:
        provider, entry = self._providers.get(name), catalogue.entries().get(name)
        if name in self._names:
            access, needs_key = self._access(name)
        else:
            access, needs_key = Access(name, "openai", self._servers.places[name]), False
        source: Literal["settings", "environment", "hermes_db", "none", "missing"] = "missing" if needs_key else "none"
        if access.key is not None:
            source = access.key.source
        variables = [] if entry is None else list(entry.key_variables)
        status = None if provider is None else provider.status()
        return KnownProvider(
            name=name,
            title=name if entry is None else entry.title,
            api=access.api,
            base_url=access.base_url,
            is_usable=provider is not None,
            key_source=source,
            key_variables=variables,
            models=len(provider.choices) if provider is not None else 0 if entry is None else entry.models,
            auto_models=status.models if status is not None else [] if entry is None else list(entry.auto),
            state="ok" if status is None else status.state,
            detail=self._keys.why_not(name, variables) if status is None else status.detail,
            documentation_url="" if entry is None else entry.documentation_url,
        )


def _by_its_name(model: str) -> Facts:
    made_for, adjacent = catalogue.specialties(model)
    return Facts(specialties=made_for, adjacent=adjacent)
