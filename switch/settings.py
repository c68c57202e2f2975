"""Settings of switch."""

import os
import re
from datetime import timedelta
from typing import Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from config.settings import MIB, FleetSettings

PROVIDER_NAME = re.compile(r"^[a-z0-9][a-z0-9._-]{0,63}$")
RESERVED = frozenset({"auto", "cli", "local"})


class ProviderSettings(BaseModel):
    """An OpenAI-compatible API: where it is, the key for it, and the models that `auto` may choose, the preferred one first."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    base_url: str
    api_key: SecretStr | None = None
    models: list[str] = []

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, value: str) -> str:
        """The API's root. A bare `https://host` means `https://host/v1`."""
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
    """Providers in order of preference: JSON, `{"name": {"base_url": "https://…/v1", "api_key": "…", "models": ["…"]}}`."""
    switch_v1_limit_bytes: int = Field(32 * MIB, ge=1024)
    """Largest request body under `/v1`."""
    switch_connect_timeout: timedelta = timedelta(seconds=5)
    """Longest wait for a connection to a provider."""
    switch_answer_timeout: timedelta = timedelta(seconds=120)
    """Longest silence of a model, before its answer and in the middle of it; also the longest `/switch/route` and `/switch/query`."""
    switch_cooling: timedelta = timedelta(seconds=10)
    """How long a provider that failed is asked last; a Retry-After of its own counts up to a minute."""
    light_threads: int = Field(0, ge=0, le=64)
    """Threads of the local model; 0 for the number of cores, at most 4."""
    light_slots: int = Field(2, ge=1, le=16)
    """Requests that the local model answers at the same time."""
    light_most_waiting: int = Field(64, ge=0, le=1000)
    """Requests that may wait for the local model; more are refused at once."""
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
            if not PROVIDER_NAME.match(name) or name in RESERVED:
                raise ValueError(
                    f"{name!r} cannot name a provider: use a-z, 0-9, . _ - and not {', '.join(sorted(RESERVED))}"
                )
        return value

    @model_validator(mode="after")
    def _sleeps_before_it_stops(self) -> Self:
        if self.light_sleep_after < timedelta(seconds=1) or self.light_stop_after < timedelta(seconds=1):
            raise ValueError("light_sleep_after and light_stop_after are at least a second")
        return self

    @property
    def threads(self) -> int:
        return self.light_threads or min(4, len(os.sched_getaffinity(0)))
