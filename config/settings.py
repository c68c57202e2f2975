"""Settings that every service shares; a service adds its own in `<service>/settings.py`.

Read once, in `create_app` or `main`, from the environment (prefix `VX11_`), then `.env`, then the defaults; frozen after that.
`docs/configuration.md` is generated from these classes.
"""

import re
from datetime import timedelta
from json import JSONDecodeError
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from config.projects import Project

SERVICES: dict[str, int] = {
    "gateway": 8000,
    "madre": 8001,
    "switch": 8080,
    "hermes_db": 8082,
    "hermes": 8081,
    "shub": 8006,
    "spawner": 8002,
}
"""The services of the fleet and their default ports, in the order in which they start."""

MIB = 1024 * 1024


def _resolved(value: object) -> object:
    return Path(value).expanduser().resolve() if isinstance(value, str | Path) else value


StatePath = Annotated[Path, BeforeValidator(_resolved)]


class FleetSettings(BaseSettings):
    """What every service needs to know about the fleet it belongs to."""

    model_config = SettingsConfigDict(
        env_prefix="VX11_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, validate_default=True
    )

    state_dir: StatePath = Path("data")
    """Folder of everything the fleet keeps: database, secrets, models, audio, forensic logs."""
    token: SecretStr | None = None
    """The owner's token; overrides the one made at the first start in `<state_dir>/secrets/token`."""
    fleet_token: SecretStr | None = None
    """The secret the services show each other; overrides `<state_dir>/secrets/fleet_token`."""
    database_url: SecretStr | None = None
    """Database; SQLite in the state folder when unset, or `postgresql://user:password@host/name`."""
    host: str = "127.0.0.1"
    """Address every service listens on."""
    gateway_port: int = Field(SERVICES["gateway"], ge=1, le=65535)
    """Port of gateway."""
    madre_port: int = Field(SERVICES["madre"], ge=1, le=65535)
    """Port of madre."""
    switch_port: int = Field(SERVICES["switch"], ge=1, le=65535)
    """Port of switch."""
    hermes_db_port: int = Field(SERVICES["hermes_db"], ge=1, le=65535)
    """Port of hermes_db."""
    hermes_port: int = Field(SERVICES["hermes"], ge=1, le=65535)
    """Port of hermes."""
    spawner_port: int = Field(SERVICES["spawner"], ge=1, le=65535)
    """Port of spawner."""
    shub_port: int = Field(SERVICES["shub"], ge=1, le=65535)
    """Port of shub."""
    service_urls: dict[str, str] = {}
    """Where a service is when it is not on this host: JSON, `{"shub": "http://shub:8006"}`."""
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$")
    """Lowest level that is logged."""
    body_limit_bytes: int = Field(MIB, ge=1024)
    """Largest request body where nothing else is said; uploads and `/v1` have their own limits."""
    light_model_path: StatePath | None = None
    """GGUF file of the local light model; the one that comes with the dependencies when unset."""
    light_model_sha256: str | None = Field(None, pattern="^[0-9a-fA-F]{64}$")
    """SHA-256 that the file in `light_model_path` must have; without it the file is taken as it is."""
    hermes_models_dir: StatePath | None = None
    """Folder of the models that were fetched; `<state_dir>/models` when unset."""
    hermes_download_limit_bytes: int = Field(2048 * MIB, ge=1)
    """Most bytes of one download of a model."""
    projects: dict[str, Project] = {}
    """Folders that jobs may see, at /project, and commands that go by a name: JSON, `{"x": {"path": "/srv/x", "recipes":
    {"tests": {"command": "make", "args": ["-C", "/project", "test"]}}}}`."""
    connect_timeout: timedelta = timedelta(seconds=0.5)
    """How long one service waits for a connection to another; ISO 8601 duration."""
    shutdown_timeout: timedelta = timedelta(seconds=5)
    """How long a stopping service waits for requests that are under way; ISO 8601 duration."""

    @property
    def secrets_dir(self) -> Path:
        return self.state_dir / "secrets"

    @property
    def models_dir(self) -> Path:
        return self.hermes_models_dir or self.state_dir / "models"

    def port_of(self, service: str) -> int:
        return int(getattr(self, f"{service}_port"))

    def url_of(self, service: str) -> str:
        """Base URL of a service, without a trailing slash."""
        return self.service_urls.get(service, f"http://127.0.0.1:{self.port_of(service)}").rstrip("/")

    def sqlalchemy_url(self, *, driver: str = "async") -> str:
        """The database as SQLAlchemy wants it: `driver` is `async` (aiosqlite, psycopg) or `sync` (for migrations)."""
        if self.database_url is None:
            scheme = "sqlite+aiosqlite" if driver == "async" else "sqlite"
            return f"{scheme}:///{self.state_dir / 'vx11.db'}"
        url = self.database_url.get_secret_value()
        for prefix in ("postgresql://", "postgres://"):
            if url.startswith(prefix):
                return "postgresql+psycopg://" + url.removeprefix(prefix)
        return url


class BadSettings(ValueError):
    """The environment or `.env` holds a value that cannot be used; the text names it, in one line."""


def read_settings() -> FleetSettings:
    """The settings of the fleet. Raises BadSettings."""
    try:
        return FleetSettings()
    except (ValidationError, SettingsError) as exc:
        raise BadSettings(settings_problem(exc)) from exc


def settings_problem(exc: ValidationError | SettingsError) -> str:
    """What is wrong with the settings, in one line, without showing a value: it may be a secret."""
    if isinstance(exc, SettingsError):
        field, cause = re.search(r'field "(\w+)"', str(exc)), exc.__cause__
        if field is None:
            return f"a setting cannot be read: {exc}"
        why = f": {cause.msg} at character {cause.pos + 1}" if isinstance(cause, JSONDecodeError) else ""
        return f"a setting is wrong: VX11_{field[1].upper()} is not JSON{why}"
    told = "; ".join(
        f"VX11_{'.'.join(str(part) for part in one['loc']).upper()}: {one['msg']}"
        for one in exc.errors(include_url=False, include_input=False)
    )
    return f"a setting is wrong: {told}"
