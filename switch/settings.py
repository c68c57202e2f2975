"""Settings of switch."""

import os
import re
from datetime import timedelta
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from config.settings import MIB, FleetSettings

PROVIDER_NAME = re.compile(r"^[a-z0-9][a-z0-9._-]{0,63}$")
RESERVED = frozenset({"auto", "cli", "local"})
BUDGET_SCOPE = re.compile(r"^(token:\S{1,200}|task:[A-Za-z0-9][A-Za-z0-9_-]{0,63})$")
PRICES = frozenset({"input", "output", "cached_input", "cache_write"})
MOST_USD = 1_000_000.0


class ProviderSettings(BaseModel):
    """An API: where it is, the key for it, and the models that `auto` may choose, the preferred one first.

    What is not said comes from the catalogue when the provider is in it under this name; otherwise the API is OpenAI's.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    base_url: str | None = None
    api_key: SecretStr | None = None
    models: list[str] = []
    api: Literal["openai", "anthropic", "gemini"] | None = None

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        """The API's root. A bare `https://host` means `https://host/v1`."""
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
            raise ValueError("base_url must be http(s)://host[:port][/path], with the key in api_key")
        return value.rstrip("/") if parts.path.strip("/") else f"{parts.scheme}://{parts.netloc}/v1"

    @field_validator("api_key")
    @classmethod
    def _fits_a_header(cls, value: SecretStr | None) -> SecretStr | None:
        key = "" if value is None else value.get_secret_value()
        if not (key.isascii() and key.isprintable()):
            raise ValueError("api_key must be visible ASCII characters")
        return value if key else None


class SwitchSettings(FleetSettings):
    """Which models there are and how long they are waited for. Durations are ISO 8601 (`PT90S`) or seconds."""

    model_config = SettingsConfigDict(hide_input_in_errors=True)  # the input may hold a provider's key

    providers: dict[str, ProviderSettings] = {}
    """Providers in order of preference: JSON, `{"name": {"base_url": "https://…/v1", "api_key": "…", "models": ["…"]}}`. Those of the
    catalogue (`GET /switch/providers`) need a key at most, here, in their own variable (`OPENAI_API_KEY`), or in hermes_db by their name.
    An `api` is `openai`, `anthropic` or `gemini`."""
    switch_v1_limit_bytes: int = Field(32 * MIB, ge=1024)
    """Largest request body under `/v1`."""
    switch_connect_timeout: timedelta = timedelta(seconds=5)
    """Longest wait for a connection to a provider."""
    switch_answer_timeout: timedelta = timedelta(seconds=120)
    """Longest silence of a model, before its answer and in the middle of it; also the longest `/switch/route` and `/switch/query`."""
    switch_cooling: timedelta = timedelta(seconds=10)
    """How long a provider that failed is asked last; a Retry-After of its own counts up to a minute."""
    switch_local_servers: dict[str, str] = {
        "ollama": "http://127.0.0.1:11434",
        "llama.cpp": "http://127.0.0.1:8090",
        "vllm": "http://127.0.0.1:8009",
        "lmstudio": "http://127.0.0.1:1234",
    }
    """Where servers of models on this machine are looked for, by name; JSON. Their models are free. llama.cpp's and vLLM's own default
    ports are those of switch and of the gateway, so they are looked for next to them."""
    switch_look_for_servers_every: timedelta = timedelta(minutes=1)
    """How often; zero for never."""
    switch_auto_models: list[str] = []
    """What `auto` may choose, by name (`openai/gpt-5-mini`); JSON. When empty: the models listed in the settings of providers, the
    catalogue's choice for other providers whose key is there, and every local one."""
    switch_preferred: list[str] = []
    """Models, or providers, that win where scores are close; JSON, the most preferred first."""
    switch_retries: int = Field(2, ge=0, le=10)
    """How often everybody who may answer is asked again, with a pause that grows, when nobody did; before the first byte only."""
    switch_breaker_failures: int = Field(3, ge=1, le=100)
    """Failures in a row after which a model of a provider is left alone for a while (`switch_cooling`, then longer each time)."""
    switch_weight_specialty: float = Field(40.0, ge=0.0)
    """How much it counts in choosing that a model is made for the type of task."""
    switch_weight_performance: float = Field(30.0, ge=0.0)
    """How much it counts how well a model has done at the type of task."""
    switch_weight_efficiency: float = Field(20.0, ge=0.0)
    """How much it counts that a model is cheap, or small."""
    switch_weight_availability: float = Field(10.0, ge=0.0)
    """How much it counts that a model can answer at once."""
    switch_budget_usd_per_day: float | None = Field(None, ge=0.0, le=MOST_USD)
    """Most US dollars that all calls of one UTC day may cost; no limit when unset."""
    switch_budgets: dict[str, float] = {}
    """Further limits in US dollars a day: JSON, by `token:<caller>` (`token:owner`, `token:tok_…`) or `task:<type of task>`."""
    switch_budget_max_tokens: int = Field(8192, ge=1, le=1_000_000)
    """Longest answer, under a budget, where the request sets no `max_tokens`: so much is set aside for, and the model is told not to write
    more. Without it a model that may write for dollars would be out of reach of a small budget, or go beyond it."""
    switch_prices: dict[str, dict[str, float]] = {}
    """Prices in US dollars for a million tokens where ours are wrong or missing: JSON, `{"mock/gpt": {"input": 1, "output": 2,
    "cached_input": 0.5, "cache_write": 1.25}}`; the last two where they differ from `input`."""
    switch_keep_days: int = Field(90, ge=0, le=36_500)
    """Days for which decisions are kept, and how models did since anybody asked them; 0 for ever. What was learned stays."""
    switch_keep_spend_days: int = Field(400, ge=0, le=36_500)
    """Days for which it is kept what each call cost; 0 for ever. Days go as a whole, and never today or yesterday, which budgets need."""
    switch_queue_limit: int = Field(1000, ge=0, le=100_000)
    """Requests that may wait for local models. When it is full the newest of the lowest priority is refused."""
    switch_queue_ageing: timedelta = timedelta(seconds=30)
    """Waiting time after which a request counts as one of the next higher priority, so that none waits for ever."""
    switch_queue_patience: timedelta = timedelta(seconds=30)
    """Longest time that a request for a model that is not loaded waits behind later ones for the model that is."""
    local_memory_mb: int | None = Field(None, ge=0)
    """Memory for local models in MiB, the light one apart; half of what the machine has when unset, and 0 for no such models."""
    local_slots: int = Field(2, ge=1, le=16)
    """Requests that one local model answers at the same time."""
    local_context_tokens: int = Field(4096, ge=512, le=131_072)
    """Tokens of prompts and answers that a local model holds in all its slots together."""
    local_warm_after_uses: int = Field(3, ge=1)
    """Uses of a model within `local_prediction_window` after which it is loaded ahead."""
    local_cooldown: timedelta = timedelta(minutes=5)
    """How long a model that was just put away is not loaded ahead again."""
    local_prediction_window: timedelta = timedelta(seconds=30)
    """How far back the policy looks to guess which model is wanted next."""
    local_decision_cache: timedelta = timedelta(minutes=1)
    """How long such a guess stands."""
    local_stop_after: timedelta = timedelta(hours=1)
    """How long a local model that nobody asks is kept."""
    local_try_out: bool = True
    """Whether a model that was never loaded here is first loaded by spawner, within limits, when spawner is there."""
    cli_timeout: timedelta = timedelta(minutes=5)
    """Longest run of a command-line tool that answers a prompt."""
    switch_cache_bytes: int = Field(32 * MIB, ge=0)
    """Memory for answers that callers asked to be kept (`vx11.cache_seconds`)."""
    light_threads: int = Field(0, ge=0, le=64)
    """Threads of the local model; 0 for the number of cores, at most 4."""
    light_slots: int = Field(2, ge=1, le=16)
    """Requests that the local model answers at the same time."""
    light_context_tokens: int = Field(4096, ge=512, le=131_072)
    """Tokens of prompts and answers that the local model holds in all its slots together."""
    light_max_tokens: int = Field(512, ge=1, le=32_768)
    """Longest answer of the local model where the request does not say."""
    light_temperature: float = Field(0.2, ge=0.0, le=2.0)
    """How freely the local model writes where the request does not say."""
    light_repeat_penalty: float = Field(1.1, ge=1.0, le=2.0)
    """What keeps a small model from repeating itself; 1 for nothing."""
    light_start_timeout: timedelta = timedelta(seconds=60)
    """Longest wait for the local model to load."""
    light_sleep_after: timedelta = timedelta(minutes=5)
    """How long the local model is kept in memory without a question."""
    light_stop_after: timedelta = timedelta(minutes=15)
    """How long its process is kept without a question; the next one starts it again."""

    @field_validator("providers")
    @classmethod
    def _are_named(cls, value: dict[str, ProviderSettings]) -> dict[str, ProviderSettings]:
        for name in value:
            if not PROVIDER_NAME.fullmatch(name) or name in RESERVED:
                raise ValueError(
                    f"{name!r} cannot name a provider: use a-z, 0-9, . _ - and not {', '.join(sorted(RESERVED))}"
                )
        unknown = [name for name, facts in value.items() if facts.base_url is None and not _is_in_the_catalogue(name)]
        if unknown:
            raise ValueError(f"{unknown[0]!r} needs a base_url: the catalogue has no such provider")
        return value

    @field_validator("switch_local_servers")
    @classmethod
    def _are_addresses(cls, value: dict[str, str]) -> dict[str, str]:
        for name, address in value.items():
            if not PROVIDER_NAME.fullmatch(name) or name in RESERVED:
                raise ValueError(f"{name!r} cannot name a server")
            parts = urlsplit(address)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
                raise ValueError(f"{name} must be at http(s)://host[:port][/path]")
        return value

    @field_validator("switch_budgets")
    @classmethod
    def _have_a_scope(cls, value: dict[str, float]) -> dict[str, float]:
        for scope, usd in value.items():
            if not BUDGET_SCOPE.fullmatch(scope):
                raise ValueError(
                    f"{scope[:100]!r} is not what a budget is for: write token:<caller> or task:<type of task>"
                )
            if not 0.0 <= usd <= MOST_USD:
                raise ValueError(f"the budget {scope} must be 0 to {MOST_USD:g} US dollars a day")
        return value

    @field_validator("switch_prices")
    @classmethod
    def _are_prices(cls, value: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
        for model, price in value.items():
            provider, slash, name = model.partition("/")
            if not (slash and name and PROVIDER_NAME.fullmatch(provider)):
                raise ValueError(f"{model[:100]!r} does not name a model: write <provider>/<model>")
            if not {"input", "output"} <= price.keys() <= PRICES:
                raise ValueError(
                    f"the price of {model} needs input and output, and may have cached_input and cache_write"
                )
            if not all(0.0 <= usd <= MOST_USD for usd in price.values()):
                raise ValueError(f"the prices of {model} must be 0 to {MOST_USD:g} US dollars for a million tokens")
        return value

    @model_validator(mode="after")
    def _sleeps_before_it_stops(self) -> Self:
        if self.light_sleep_after < timedelta(seconds=1) or self.light_stop_after < timedelta(seconds=1):
            raise ValueError("light_sleep_after and light_stop_after are at least a second")
        return self

    @property
    def threads(self) -> int:
        return self.light_threads or min(4, len(os.sched_getaffinity(0)))


def _is_in_the_catalogue(name: str) -> bool:
    from switch.providers import catalogue  # only who leaves an address out pays for reading it here

    return name in catalogue.entries()
