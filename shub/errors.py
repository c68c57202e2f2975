"""Refusals of shub. Those that its neighbours must know by class are defined with its client."""

from config.clients.shub import AssetInUse, AssetNotFound, AudioProblem, AudioWorkerLost, UnsupportedAudio
from config.errors import FleetError

__all__ = [
    "AnalysisTooSlow",
    "AssetInUse",
    "AssetLost",
    "AssetNotFound",
    "AudioProblem",
    "AudioWorkerLost",
    "CallerGone",
    "NoSuchPart",
    "UnsupportedAudio",
    "UploadBroken",
    "UploadMissing",
    "problem_of",
]


class UploadMissing(FleetError):
    """The body holds no file: neither a multipart field `file` nor any bytes."""

    code, status, title = "upload_missing", 422, "No file was sent"


class UploadBroken(FleetError):
    """The body ended early, or its multipart framing is broken; nothing was kept."""

    code, status, title = "upload_broken", 400, "The upload cannot be read to its end"


class AssetLost(FleetError):
    """The database knows the file and the store does not hold it: somebody must look."""

    code, status, title = "asset_lost", 500, "The bytes of this audio file are gone"


class CallerGone(FleetError):
    """Who asked went away before the answer; the work was stopped."""

    code, status, title = "caller_gone", 499, "Nobody waits for this answer"


class NoSuchPart(FleetError):
    """Range asks for what is beyond the end of the file."""

    code, status, title = "no_such_part", 416, "The file has no such part"


class AnalysisTooSlow(FleetError):
    """The measurement took longer than `shub_analyze_timeout`; it was stopped."""

    code, status, title = "analysis_too_slow", 504, "The measurement took too long"


def problem_of(code: str, detail: str) -> FleetError:
    """The refusal that the sound code named, as a FleetError."""
    kind = FleetError.by_code.get(code, AudioProblem)
    return kind(detail)
