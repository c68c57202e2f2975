"""One provider, asked over its API in its own dialect."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import structlog

from config.contracts.switch import ProviderStatus
from switch import policy
from switch.calls import UNKNOWN, Answer, Call, Choice, Facts
from switch.dialects import dialect as dialects
from switch.dialects.dialect import Dialect, OpenAI
from switch.failures import Failure
from switch.providers.catalogue import Api
from switch.providers.keys import Key
from switch.settings import SwitchSettings
from switch.upstream import Address

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Access:
    """How a provider is reached. Another access is another connection."""

    name: str
    api: Api
    base_url: str
    key: Key | None = None


class Provider:
    """One provider. After a failure it is asked last for a while."""

    tries = 1

    def __init__(
        self, access: Access, settings: SwitchSettings, *, key_refused: Callable[[], None] | None = None
    ) -> None:
        self.access, self.name = access, access.name
        self._key = None if access.key is None else access.key.value
        self._dialect = _dialect(access.api)
        self._address = Address(
            access.base_url,
            self._dialect.headers(self._key),
            name=access.name,
            connect_seconds=settings.switch_connect_timeout.total_seconds(),
        )
        self._answer_seconds = settings.switch_answer_timeout.total_seconds()
        self._cooling_seconds = settings.switch_cooling.total_seconds()
        self._key_refused = key_refused
        self._cooling_until = 0.0
        self._last_failure = ""
        self._choices: dict[str, Choice] = {}
        self._auto: list[str] = []

    def offer(self, models: Mapping[str, Facts], auto: list[str]) -> None:
        """Say what it has, and what of that `auto` may choose; what was said before is forgotten."""
        self._choices = {model: Choice(self, model, facts) for model, facts in models.items()}
        self._auto = auto

    @property
    def choices(self) -> list[Choice]:
        """Its models as far as they are known."""
        return list(self._choices.values())

    @property
    def auto(self) -> list[Choice]:
        return [self.choice(model) for model in self._auto]

    def choice(self, model: str) -> Choice:
        """A model of it, known or not: it may have more than we know of."""
        known = self._choices.get(model)
        return Choice(self, model) if known is None else known

    async def ask(self, call: Call, model: str) -> Answer:
        known = self._choices.get(model)
        facts = UNKNOWN if known is None else known.facts
        answer = await dialects.ask(
            self._dialect, self._address, call, model, facts, within_seconds=self._answer_seconds
        )
        if answer.status == 401 and self._key_refused is not None:
            self._key_refused()
        return answer

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
            models=list(self._auto),
            state="cooling" if is_cooling else "ok",
            detail=self._last_failure if is_cooling else "",
        )

    def close(self) -> None:
        """Requests that are under way go on."""
        self._address.close()


def _dialect(api: Api) -> Dialect | OpenAI:
    if api == "anthropic":
        from switch.dialects.anthropic import Anthropic

        return Anthropic()
    if api == "gemini":
        from switch.dialects.gemini import Gemini

        return Gemini()
    return OpenAI()
