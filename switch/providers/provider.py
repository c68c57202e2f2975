"""One provider, asked over its API in its own dialect."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import structlog

from config.contracts.switch import ProviderStatus
from switch.breaker import Breakers
from switch.calls import UNKNOWN, Answer, Call, Choice, Facts, Price
from switch.dialects import dialect as dialects
from switch.dialects.apis import dialect_of
from switch.failures import Failure, FailureKind
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
    """One provider. Its circuits (`switch/breaker.py`) tell when it is left alone."""

    tries = 1

    def __init__(
        self,
        access: Access,
        settings: SwitchSettings,
        breakers: Breakers,
        *,
        key_refused: Callable[[], None] | None = None,
    ) -> None:
        self.access, self.name, self._breakers = access, access.name, breakers
        self._key = None if access.key is None else access.key.value
        self._dialect = dialect_of(access.api, access.base_url)
        self._address = Address(
            access.base_url,
            self._dialect.headers(self._key),
            name=access.name,
            connect_seconds=settings.switch_connect_timeout.total_seconds(),
        )
        self._answer_seconds = settings.switch_answer_timeout.total_seconds()
        self._key_refused, self._prices = key_refused, settings.switch_prices
        self._choices: dict[str, Choice] = {}
        self._auto: list[str] = []

    def offer(self, models: Mapping[str, Facts], auto: list[str]) -> None:
        """Say what it has, and what of that `auto` may choose; what was said before is forgotten."""
        self._choices = {model: Choice(self, model, self._priced(model, facts)) for model, facts in models.items()}
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
        return Choice(self, model, self._priced(model, UNKNOWN)) if known is None else known

    def _priced(self, model: str, facts: Facts) -> Facts:
        """The facts with the price that the settings give the model, if they do."""
        price = self._prices.get(f"{self.name}/{model}")
        if price is None:
            return facts
        return replace(facts, price=Price(price["input"], price["output"], price.get("cached_input")))

    async def ask(self, call: Call, model: str) -> Answer:
        known = self._choices.get(model)
        facts = UNKNOWN if known is None else known.facts
        answer = await dialects.ask(
            self._dialect, self._address, call, model, facts, within_seconds=self._answer_seconds
        )
        self._look_at(answer)
        return answer

    async def embed(self, body: bytes) -> Answer:
        """Embeddings, asked for in the words of OpenAI's API. Raises Failure, also where its API is another. The caller releases it."""
        if self.access.api != "openai":
            raise Failure(
                FailureKind.NO_SUCH_MODEL, f"{self.name} makes no embeddings that can be asked for in OpenAI's words"
            )
        answer = await self._address.post("/embeddings", body, within_seconds=self._answer_seconds)
        self._look_at(answer)
        return answer

    def _look_at(self, answer: Answer) -> None:
        if answer.status == 401 and self._key_refused is not None:
            self._key_refused()

    def failed(self, failure: Failure) -> None:
        """Its circuits count that."""

    def answered(self) -> None:
        """Its circuits count that."""

    def availability(self, model: str) -> float:
        return self._breakers.availability(self.name, model)

    def hide(self, text: str) -> str:
        return text if self._key is None else text.replace(self._key, "[redacted]")

    def status(self) -> ProviderStatus:
        detail = self._breakers.open_detail(self.name)
        return ProviderStatus(
            name=self.name,
            models=list(self._auto),
            state="ok" if detail is None else "cooling",
            detail=self.hide(detail or ""),
        )

    def close(self) -> None:
        """Requests that are under way go on."""
        self._address.close()
