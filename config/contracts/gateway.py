"""What the gateway itself answers: the health of the fleet, and client tokens."""

from datetime import UTC, datetime, timedelta

from pydantic import AwareDatetime, Field, field_validator, model_validator

from config.contracts.common import Health, Wire

LONGEST = timedelta(days=3650)


class FleetHealth(Health):
    """Health of the gateway and, when asked with a token, of every service behind it."""

    services: dict[str, Health] = {}


class TokenRequest(Wire):
    """A token to be made. It expires at `expires_at`, or `expires_in_seconds` from now, or never."""

    name: str = Field(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]+$", examples=["studio laptop"])
    scopes: list[str] = Field(min_length=1, max_length=64, examples=[["madre:*", "shub:*"]])
    expires_at: AwareDatetime | None = None
    expires_in_seconds: int | None = Field(None, ge=1, le=int(LONGEST.total_seconds()))

    @field_validator("expires_at")
    @classmethod
    def _in_utc(cls, value: datetime | None) -> datetime | None:
        try:
            return None if value is None else value.astimezone(UTC)
        except OverflowError as exc:
            raise ValueError("lies outside the years 1 to 9999 in UTC") from exc

    @model_validator(mode="after")
    def _one_expiry(self) -> "TokenRequest":
        if self.expires_at is not None and self.expires_in_seconds is not None:
            raise ValueError("give expires_at or expires_in_seconds, not both")
        return self


class TokenInfo(Wire):
    """A client token, without the token. `expires_at` null: never; `revoked_at` null: still good."""

    id: str
    name: str
    scopes: list[str]
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class TokenMade(TokenInfo):
    """The answer to making a token: the only one that shows it."""

    token: str
