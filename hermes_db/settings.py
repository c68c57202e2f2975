"""Settings of hermes_db."""

from datetime import timedelta

from pydantic import Field

from config.settings import FleetSettings


class HermesDbSettings(FleetSettings):
    """What hermes_db can be told."""

    hermes_db_default_model: bool = True
    """Whether the local default model is verified and registered at the start."""
    hermes_db_renew_after: timedelta = Field(timedelta(days=90), gt=timedelta(0), le=timedelta(days=36_500))
    """How long after it was set a key of an outside service is due for renewal, unless its own date is sent; ISO 8601 duration."""
    hermes_db_github_client_id: str | None = Field(None, pattern=r"^[\x21-\x7e]{1,200}$")
    """Client id of an OAuth app of yours at GitHub with the device flow enabled; without one nobody can sign in there."""
    hermes_db_github_url: str = Field("https://github.com", pattern=r"^https?://")
    """Address of GitHub, or of a GitHub Enterprise server."""
