"""Which program a command means: a bare name in the allowed folders, or an absolute path into them; nothing else."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from spawner.errors import CommandRefused

LONGEST_NAME = 255
SHELL_SIGNS = frozenset("|&;<>()$`\"'*?~#!{}=")
"""Of a command that was written for a shell, besides blanks; programs of such names are found all the same."""


def find_command(command: str, folders: Sequence[Path], *, job_uids: range | None) -> Path:
    """The program to run, absolute, in a folder of real path.

    A symlink that stays in its folder keeps its name, because programs such as `pkill` do what they are called; others are resolved.
    `job_uids`: the users that jobs run as, None where that is our own. Raises CommandRefused, saying what to do instead.
    """
    real = [Path(os.path.realpath(folder)) for folder in folders]
    shown = ":".join(str(folder) for folder in folders)
    if _is_a_line(command) and not _exists(command, [*folders, *real]):
        raise CommandRefused(
            f"{command[:80]!r} is a command line, not the name of a program: arguments go into `args`, one by one, and there is no shell; "
            'for what needs one (pipes, `&&`, variables) run `sh` with args ["-c", "…"]'
        )
    if "/" not in command:
        if command in (".", "..") or len(command.encode()) > LONGEST_NAME:
            raise CommandRefused(f"{command[:80]!r} is not the name of a program in {shown}")
        for folder in real:
            if os.path.lexists(folder / command):
                return _checked(folder / command, command, real, shown, job_uids)
        raise CommandRefused(
            f"there is no program {command!r} in {shown}; scripts of your own go into `files` and are run by their interpreter"
        )
    if not command.startswith("/"):
        raise CommandRefused(
            f"{command!r} is a relative path: write the bare name of a program in {shown}, or its absolute path; "
            "a script in `files` is run by its interpreter"
        )
    if ".." in command.split("/"):
        raise CommandRefused(f"{command!r} may not contain `..`: write the path as it is")
    path = Path(command)
    return _checked(Path(os.path.realpath(path.parent)) / path.name, command, real, shown, job_uids)


def _is_a_line(command: str) -> bool:
    return any(one.isspace() or one in SHELL_SIGNS for one in command)


def _exists(command: str, folders: Sequence[Path]) -> bool:
    """Whether there is such a program in these folders; nothing is told of what lies elsewhere."""
    if ".." in command.split("/"):
        return False
    paths = [folder / command for folder in folders]
    return any(
        path.is_relative_to(folder) and os.path.lexists(path) for path, folder in zip(paths, folders, strict=True)
    )


def _checked(path: Path, command: str, folders: list[Path], shown: str, job_uids: range | None) -> Path:
    resolved = Path(os.path.realpath(path))
    for place in (path, resolved):
        if not any(place.is_relative_to(folder) for folder in folders):
            raise CommandRefused(
                f"{command!r} is {place}, which is in none of the folders whose programs may be run: {shown} "
                "(VX11_SPAWNER_COMMAND_DIRS)"
            )
    try:
        found = resolved.stat()
        folder = resolved.parent.stat()
    except OSError as exc:
        raise CommandRefused(f"there is no program {command!r} ({exc.strerror})") from exc
    if not stat.S_ISREG(found.st_mode):
        raise CommandRefused(f"{command!r} is not a file that can be run")
    if not found.st_mode & 0o111:
        raise CommandRefused(f"{command!r} is not executable")
    for one, what in ((found, resolved), (folder, resolved.parent)):
        if one.st_mode & stat.S_IWOTH and not one.st_mode & stat.S_ISVTX:
            raise CommandRefused(f"{what} can be written by everybody, so {command!r} may be anything; it is not run")
        if job_uids is not None and one.st_uid in job_uids:
            raise CommandRefused(f"{what} belongs to a user that jobs run as; it is not run")
    is_named_in_its_folder = path.is_symlink() and "/" not in os.readlink(path)
    return path if is_named_in_its_folder and resolved.parent == path.parent else resolved
