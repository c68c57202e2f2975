"""How much memory and disk this machine has free, and whether a model of some size fits.

Source of what a model needs: llama.cpp keeps the weights in memory as they are in the file, and beside them the attention cache and work
buffers; for the small contexts that this fleet serves, these stay below MEMORY_FACTOR and MEMORY_BESIDE together.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from config.contracts.hermes import Fit
from config.settings import MIB

MEMORY_FACTOR = 1.1
MEMORY_BESIDE = 256 * MIB
DISK_LEFT = 256 * MIB
"""What must stay free on the disk: the fleet writes there too."""
NO_LIMIT = 2**62

PROC, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Room:
    """What is free now, in bytes."""

    memory_bytes: int
    disk_bytes: int


def room(folder: Path) -> Room:
    """What this process may still use: the machine's free memory or what its control groups leave, and the disk below `folder`."""
    return Room(min(free_memory_bytes(), free_in_cgroups()), free_disk_bytes(folder))


def fit_of(size_bytes: int | None, free: Room, *, why_unknown: str) -> Fit:
    """Whether a model of that size fits. `why_unknown` is the detail where there is no size."""
    if size_bytes is None:
        return Fit(
            is_fitting=None,
            needs_disk_bytes=None,
            free_disk_bytes=free.disk_bytes,
            needs_memory_bytes=None,
            free_memory_bytes=free.memory_bytes,
            detail=why_unknown,
        )
    needs_memory = int(size_bytes * MEMORY_FACTOR) + MEMORY_BESIDE
    lacking = []
    if size_bytes + DISK_LEFT > free.disk_bytes:
        lacking.append(f"{_mib(size_bytes + DISK_LEFT - free.disk_bytes)} MiB of disk")
    if needs_memory > free.memory_bytes:
        lacking.append(f"{_mib(needs_memory - free.memory_bytes)} MiB of memory")
    return Fit(
        is_fitting=not lacking,
        needs_disk_bytes=size_bytes,
        free_disk_bytes=free.disk_bytes,
        needs_memory_bytes=needs_memory,
        free_memory_bytes=free.memory_bytes,
        detail=f"{' and '.join(lacking)} too little" if lacking else "fits now",
    )


def free_disk_bytes(folder: Path) -> int:
    """On the disk of the folder, or of the nearest one above it that exists."""
    there = next(path for path in (folder, *folder.parents) if path.exists())
    disk = os.statvfs(there)
    return disk.f_bavail * disk.f_frsize


def free_memory_bytes(proc: Path = PROC) -> int:
    """`MemAvailable`: what can be had without swapping, the reclaimable page cache included (proc(5))."""
    for line in (proc / "meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/meminfo tells no MemAvailable")


def free_in_cgroups(proc: Path = PROC, cgroups: Path = CGROUPS) -> int:
    """What the memory limits of our control group and those above it leave; NO_LIMIT without any.

    Source: the kernel's cgroup-v2 (`memory.max`, `memory.current`) and v1 (`memory.limit_in_bytes`, `memory.usage_in_bytes`)
    documents. File pages that nobody used of late (`inactive_file`) are given back when memory is short, so they count as free.
    """
    least = NO_LIMIT
    for line in _lines(proc / "self" / "cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top, limit, usage = cgroups, "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            top, limit, usage = cgroups / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        else:
            continue
        group = top / path.lstrip("/")
        for folder in (group, *group.parents):
            most, used = _number(folder / limit), _number(folder / usage)
            if most is not None and used is not None:
                least = min(least, max(0, most - used + _inactive_file(folder)))
            if folder == top:
                break
    return least


def _inactive_file(folder: Path) -> int:
    for line in _lines(folder / "memory.stat"):
        name, _, value = line.partition(" ")
        if name in ("inactive_file", "total_inactive_file") and value.isdecimal():
            return int(value)
    return 0


def _number(path: Path) -> int | None:
    """None for `max`, and for a file that is not there: no limit of this group's own, or a group outside of our namespace."""
    with suppress(OSError, ValueError):
        return int(path.read_text())
    return None


def _lines(path: Path) -> list[str]:
    with suppress(OSError):
        return path.read_text().splitlines()
    return []


def _mib(count: int) -> int:
    return -(-count // MIB)
