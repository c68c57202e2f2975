"""Refusals of spawner. Those that its neighbours must know by class are defined with its client."""

from config.clients.spawner import (
    ArtifactNotFound,
    CommandRefused,
    DaughterNotFound,
    InputRefused,
    LogsGone,
    ProfileMissing,
    ProtectionUnmet,
    QueueFull,
    SpawnNotFound,
)
from config.errors import FleetHalted

__all__ = [
    "ArtifactNotFound",
    "CommandRefused",
    "DaughterNotFound",
    "FleetHalted",
    "InputRefused",
    "LogsGone",
    "ProfileMissing",
    "ProtectionUnmet",
    "QueueFull",
    "SpawnNotFound",
]
