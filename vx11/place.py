"""Where a fleet keeps its state: all that is needed to find one that runs, to look at it and to stop it."""

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsError

from config.settings import BadSettings, FleetSettings, StatePath, settings_problem


class Place(BaseSettings):
    """Two of the fleet's settings, read apart from the others: a wrong value of those must not keep anybody from stopping the fleet."""

    model_config = FleetSettings.model_config

    state_dir: StatePath = FleetSettings.model_fields["state_dir"].default
    token: SecretStr | None = None


def read_place() -> Place:
    """From the environment and `.env`, as the fleet reads them. Raises BadSettings."""
    try:
        return Place()
    except (ValidationError, SettingsError) as exc:
        raise BadSettings(settings_problem(exc)) from exc
