"""Verdicts on what is asked for: values in, verdict out, no I/O."""

import base64
import binascii
from collections.abc import Iterable, Mapping
from pathlib import Path

from config.contracts.spawner import (
    LONGEST_INPUT,
    InputFile,
    Level,
    Limits,
    MinProtection,
    Protections,
    SpawnRequest,
)
from spawner.errors import InputRefused, ProtectionUnmet

LONGEST_NAME_BYTES = 255  # of one part of a path, for the kernel
PROJECT_FOLDER = "project"
"""Where a copy of a project lies in the job's folder."""
REFUSED_VARIABLES = ("PATH", "LD_*")
NO_PROGRAM = Path("/")
"""Stands for the program of a job that never had one."""


def limits_of(request: SpawnRequest, most: Mapping[str, float], most_ttl_seconds: float) -> Limits:
    """The limits of a job. What was left at its default and is more than may be had becomes the most.

    Raises InputRefused for a limit above `most`, naming the most.
    """
    found = {}
    for name, field in Limits.model_fields.items():
        value, largest = getattr(request, name), most[name]
        if value is not None and value > largest:
            if value != field.default:
                raise _too_much(name, largest)
            value = type(value)(largest)
        found[name] = value
    if (
        request.ttl_seconds > most_ttl_seconds
        and request.ttl_seconds != SpawnRequest.model_fields["ttl_seconds"].default
    ):
        raise _too_much("ttl_seconds", most_ttl_seconds)
    return Limits(**found)


def _too_much(name: str, most: float) -> InputRefused:
    setting = name.removeprefix("max_")
    return InputRefused(f"{name} may be {most:g} at most here (VX11_SPAWNER_MOST_{setting.upper()})")


def refuse_variables(names: Iterable[str]) -> None:
    """Raises InputRefused for a variable that says what is loaded or run in place of what was asked for."""
    for name in names:
        if name == "PATH" or name.startswith("LD_"):
            raise InputRefused(
                f"env may not set {name}: jobs have a PATH of their own, and no {' or '.join(REFUSED_VARIABLES)}; "
                "give the command by its absolute path instead"
            )


def refuse_inputs(files: list[InputFile], *, has_project_copy: bool) -> None:
    """Raises InputRefused when the files of a request cannot all lie where it says, or are too much together."""
    paths: dict[tuple[str, ...], str] = {}
    for file in files:
        parts = parts_of(file.path, "files")
        if has_project_copy and parts[0] == PROJECT_FOLDER:
            raise InputRefused(f"files: {file.path!r} would lie in the copy of the project; call its folder otherwise")
        if parts in paths:
            raise InputRefused(f"files: {file.path!r} is there twice")
        paths[parts] = file.path
    for parts, path in paths.items():
        for length in range(1, len(parts)):
            if parts[:length] in paths:
                raise InputRefused(f"files: {paths[parts[:length]]!r} is a file and the folder of {path!r} at once")
    together = sum(len(one.content or "") + len(one.content_base64 or "") for one in files)
    if together > LONGEST_INPUT:
        raise InputRefused(
            f"files: {together} characters of content, {LONGEST_INPUT} is the most; larger inputs come as assets of shub"
        )
    for file in files:
        if file.content_base64 is not None:
            content_of(file)


def content_of(file: InputFile) -> bytes | None:
    """The bytes of an input, None where they are an asset's. Raises InputRefused when they are not base64."""
    if file.content is not None:
        return file.content.encode()
    if file.content_base64 is None:
        return None
    try:
        return base64.b64decode(file.content_base64, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise InputRefused(f"files: content_base64 of {file.path!r} is not base64 ({exc})") from exc


def parts_of(path: str, field: str) -> tuple[str, ...]:
    """A path below the job's folder in its parts. Raises InputRefused when it leads, or might lead, anywhere else."""
    if path.startswith("/"):
        raise InputRefused(f"{field}: {path!r} is absolute; paths are relative to the job's folder")
    parts = tuple(path.split("/"))
    for part in parts:
        if part in ("", ".", ".."):
            raise InputRefused(f"{field}: {path!r} may not have a part that is empty, `.` or `..`")
        if len(part.encode()) > LONGEST_NAME_BYTES:
            raise InputRefused(f"{field}: a part of {path!r} is longer than {LONGEST_NAME_BYTES} bytes")
    return parts


def protections_of(machine: Protections, *, has_network: bool) -> Protections:
    """What one job is kept from: with the machine's network it is kept from nothing there, abstract sockets included."""
    return machine.model_copy(update={"net": Level.NONE}) if has_network else machine


def refuse_unprotected(least: MinProtection, here: Protections) -> None:
    """Raises ProtectionUnmet naming every protection that is asked for and not kept here."""
    unmet = [
        f"{name} is {getattr(here, name)} and {wanted} was asked for"
        for name in MinProtection.model_fields
        if (wanted := getattr(least, name)) is not None and getattr(here, name).rank < wanted.rank
    ]
    if unmet:
        raise ProtectionUnmet(
            f"for this job {'; '.join(unmet)}; GET /spawner/protections tells what this machine keeps"
        )


def retry_delay(attempt: int, *, base: float = 0.5, cap: float = 30.0) -> float:
    """Wait before another try after try number `attempt` (1-based), in seconds, doubling up to `cap`.

    Raises ValueError if `attempt` < 1.
    """
    if attempt < 1:
        raise ValueError("attempts are counted from 1")
    return float(min(cap, base * 2 ** min(attempt - 1, 30)))
