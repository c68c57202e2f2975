"""What belongs to one spawner at a time on a machine: its work folder, and where it is root a range of user ids."""

import fcntl
import os
import time
from pathlib import Path

FIRST_UID, LAST_UID = 61_008, 61_183
"""Beyond any range that a distribution gives away; from 61184 on systemd takes ids for its dynamic users."""
UIDS_TOGETHER = 16
ROOT_FOLDER = Path("/var/lib/vx11-spawner")
PATIENCE_SECONDS = 10.0


class Taken(OSError):
    """Another spawner has it."""


class Held:
    """A lock that ends with us, however we end."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        os.close(self._descriptor)


def hold_folder(folder: Path) -> Held:
    """The work folder for ourselves; waits a little for a predecessor that is ending. Raises Taken."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        held = _locked(folder / "lock")
        if held is not None:
            return held
        if time.monotonic() > deadline:
            raise Taken(f"another spawner works in {folder}: stop it, or set VX11_SPAWNER_WORK_DIR")
        time.sleep(0.1)


def hold_uids(count: int, first: int | None, folder: Path = ROOT_FOLDER) -> tuple[range, Held]:
    """User ids that no other spawner on this machine gives to its jobs. `first`: that one, or none. Raises Taken."""
    folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    size = -(-count // UIDS_TOGETHER) * UIDS_TOGETHER
    starts = [first] if first is not None else list(range(FIRST_UID, LAST_UID - size + 2, size))
    for start in starts:
        # One lock for each group of ids, so that ranges of different sizes cannot overlap unseen.
        groups = range(start // UIDS_TOGETHER, (start + count - 1) // UIDS_TOGETHER + 1)
        helds = [_locked(folder / f"uids.{group * UIDS_TOGETHER}") for group in groups]
        if None not in helds:
            return range(start, start + count), _Several([one for one in helds if one is not None])
        for one in helds:
            if one is not None:
                one.release()
    raise Taken(
        f"the user ids {starts[0] if starts else FIRST_UID} and on are in use by other spawners on this machine"
    )


class _Several(Held):
    def __init__(self, held: list[Held]) -> None:
        self._held = held

    def release(self) -> None:
        for one in self._held:
            one.release()


def _locked(file: Path) -> Held | None:
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return Held(descriptor)
