"""Settings of hermes."""

from datetime import timedelta

from pydantic import Field, SecretStr

from config.settings import MIB, FleetSettings, StatePath

GIB = 1024 * MIB


class HermesSettings(FleetSettings):
    """Where models come from, how much of them is kept, and what may be visited."""

    hermes_hub_url: str = Field("https://huggingface.co", pattern=r"^https?://")
    """Address of the model hub."""
    hermes_hub_token: SecretStr | None = None
    """Token for gated and private models of the hub; the one stored in hermes_db for `huggingface` when unset."""
    hermes_openrouter_url: str = Field("https://openrouter.ai", pattern=r"^https?://")
    """Address of OpenRouter's catalogue."""
    hermes_hub_timeout: timedelta = Field(timedelta(seconds=20), gt=timedelta(0))
    """Longest silence of the hub, and longest time for one of its small answers; ISO 8601 duration."""
    hermes_downloads: int = Field(2, ge=1, le=16)
    """How many downloads run at the same time."""
    hermes_most_models: int = Field(30, ge=1, le=10_000)
    """Most models that are kept; upkeep removes above it."""
    hermes_budget_bytes: int = Field(60 * GIB, ge=0)
    """Most bytes that kept models may take; upkeep removes above it."""
    hermes_upkeep_interval: timedelta = Field(timedelta(days=1), ge=timedelta(0))
    """How often upkeep runs by itself; zero: never. ISO 8601 duration."""
    hermes_search_interval: timedelta = Field(timedelta(hours=1), ge=timedelta(0))
    """How often better models are looked for; zero: never. ISO 8601 duration."""
    hermes_auto_download: bool = False
    """Whether an improvement that was found is downloaded without asking."""
    hermes_least_per_specialty: int = Field(0, ge=0, le=100)
    """How many models each specialty should have; zero asks for none. Missing ones are reported, and upkeep leaves as many."""
    hermes_clamd_socket: StatePath | None = None
    """Unix socket of clamd; when set, every file is read by it before its model is registered."""
    hermes_cli_workers: int = Field(4, ge=1, le=64)
    """How many tools are asked for their version at the same time."""
    hermes_cli_timeout: timedelta = Field(timedelta(seconds=10), gt=timedelta(0))
    """Longest time for a tool to tell its version; ISO 8601 duration."""
    hermes_cli_scan_interval: timedelta = Field(timedelta(hours=1), ge=timedelta(0))
    """How often the tools of this box are looked for; zero: only when asked. ISO 8601 duration."""
    hermes_discover_pages: list[str] = [
        "https://github.com/search?q={name}&type=repositories",
        "https://formulae.brew.sh/formula/{name}",
        "https://hub.docker.com/r/{name}/{name}",
    ]
    """Pages where the browser looks for a tool, with `{name}` for its name: JSON list. Their hosts are those it may visit."""
    hermes_discover_hosts: list[str] = []
    """Further hosts that a discovery may visit, private addresses included: JSON list of `host` or `host:port`."""
    hermes_discover_timeout: timedelta = Field(timedelta(seconds=30), gt=timedelta(0))
    """Longest time for one page or index; ISO 8601 duration."""
    hermes_discover_limit_bytes: int = Field(8 * MIB, ge=1024)
    """Most bytes of one page or index answer."""
    hermes_chromium: StatePath | None = None
    """The browser; the first of chromium, chromium-browser and google-chrome on the PATH when unset."""
