"""The providers of the settings, asked over their OpenAI-compatible APIs."""

import time

import structlog

from config.contracts.switch import ProviderStatus
from switch import policy
from switch.calls import Call
from switch.failures import Failure
from switch.settings import ProviderSettings, SwitchSettings
from switch.upstream import Address, Exchange

log = structlog.get_logger()


class Provider:
    """One provider. After a failure it is asked last for a while."""

    tries = 1

    def __init__(self, name: str, facts: ProviderSettings, settings: SwitchSettings) -> None:
        self.name, self.models = name, facts.models
        self._key = None if facts.api_key is None else facts.api_key.get_secret_value()
        self._address = Address(
            facts.base_url,
            {} if self._key is None else {"authorization": f"Bearer {self._key}"},
            name=name,
            connect_seconds=settings.switch_connect_timeout.total_seconds(),
        )
        self._answer_seconds = settings.switch_answer_timeout.total_seconds()
        self._cooling_seconds = settings.switch_cooling.total_seconds()
        self._cooling_until = 0.0
        self._last_failure = ""

    async def ask(self, call: Call, model: str) -> Exchange:
        body = await call.written(model=model)
        return await self._address.post("/chat/completions", body, within_seconds=self._answer_seconds)

    def failed(self, failure: Failure) -> None:
        seconds = policy.cooling_seconds(failure, usual=self._cooling_seconds)
        if seconds:
            if not self.is_cooling:  # once, not for every request that finds it so
                log.warning("provider_failed", provider=self.name, kind=failure.kind, detail=self.hide(failure.detail))
            self._cooling_until, self._last_failure = time.monotonic() + seconds, failure.detail

    def answered(self) -> None:
        self._cooling_until = 0.0

    @property
    def is_cooling(self) -> bool:
        return self._cooling_until > 0.0 and time.monotonic() < self._cooling_until

    def hide(self, text: str) -> str:
        return text if self._key is None else text.replace(self._key, "[redacted]")

    def status(self) -> ProviderStatus:
        is_cooling = self.is_cooling
        return ProviderStatus(
            name=self.name,
            models=self.models,
            state="cooling" if is_cooling else "ok",
            detail=self._last_failure if is_cooling else "",
        )

    def close(self) -> None:
        self._address.close()
