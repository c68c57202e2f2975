"""Refusals of hermes. Those that its neighbours must know by class are defined with its client."""

from config.clients.hermes import (
    DownloadBroken,
    FileRefused,
    FilesNotChosen,
    HubFileWrong,
    ModelInUse,
    ModelNotFound,
    ModelTooLarge,
    ScannerProblem,
    VirusFound,
)
from config.errors import JobNotFound

__all__ = [
    "DownloadBroken",
    "FileRefused",
    "FilesNotChosen",
    "HubFileWrong",
    "JobNotFound",
    "ModelInUse",
    "ModelNotFound",
    "ModelTooLarge",
    "ScannerProblem",
    "VirusFound",
]
