"""Settings of hermes_db."""

from config.settings import FleetSettings


class HermesDbSettings(FleetSettings):
    """What hermes_db can be told."""

    hermes_db_default_model: bool = True
    """Whether the local default model is verified and registered at the start."""
