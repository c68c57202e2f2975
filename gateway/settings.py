"""Settings of the gateway."""

from datetime import timedelta
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from config.settings import MIB, FleetSettings


class GatewaySettings(FleetSettings):
    """How long, how much and how often the door lets through. Durations are ISO 8601 (`PT90S`) or seconds."""

    gateway_upload_limit_bytes: int = Field(2048 * MIB, ge=1024)
    """Largest upload (`POST /shub/assets`)."""
    gateway_v1_limit_bytes: int = Field(32 * MIB, ge=1024)
    """Largest request body under `/v1`."""
    gateway_answer_timeout: timedelta = Field(timedelta(seconds=75), gt=timedelta(0))
    """Longest wait for a module's answer to begin; a chat may ask to wait up to 60 seconds."""
    gateway_generation_timeout: timedelta = Field(timedelta(seconds=600), gt=timedelta(0))
    """The same for `/v1` and `/switch`, where a model may have to be loaded and write to its end first."""
    gateway_upload_timeout: timedelta = Field(timedelta(seconds=300), gt=timedelta(0))
    """The same for an upload, counted from its last byte: the module still reads through the file."""
    gateway_idle_timeout: timedelta = Field(timedelta(seconds=60), gt=timedelta(0))
    """Longest silence in the middle of a request or an answer; event streams send a comment every 15 seconds."""
    gateway_health_timeout: timedelta = Field(timedelta(seconds=2), gt=timedelta(0))
    """How long `/health` waits for the health of a module."""
    gateway_requests_per_minute: int = Field(6000, ge=0)
    """Requests that one caller may send in a minute; 0 for no limit."""
    gateway_failures_per_minute: int = Field(30, ge=0)
    """Wrong tokens that one client address may show in a minute; 0 for no limit."""
    gateway_cors_origins: tuple[str, ...] = ()
    """Web origins whose pages may call this gateway: JSON, `["https://studio.example"]`. None by default."""

    @field_validator("service_urls")
    @classmethod
    def _are_addresses(cls, urls: dict[str, str]) -> dict[str, str]:
        for service, url in urls.items():
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/") or parts.username:
                raise ValueError(f"the address of {service} must be http://host:port or https://host:port, not {url!r}")
        return urls

    @field_validator("gateway_cors_origins")
    @classmethod
    def _named_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if "*" in origin or not origin.startswith(("http://", "https://")) or origin.endswith("/"):
                raise ValueError(
                    f"{origin!r} is not an origin: write scheme://host or scheme://host:port, without a star"
                )
        return origins
