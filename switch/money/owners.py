"""Which running switch a block of money belongs to, and whether that one is gone.

An owner is named `<host>/<process id>/<when it started>`. A process of this host whose id is free, or belongs to another process now, is
gone; of other hosts nothing is known, and nothing needs to be: a block counts in full whether it is open or assumed. What is told here
only decides what it is called, so that not even two containers of one name can do each other harm.
"""

import os
import socket
from functools import cache
from pathlib import Path

LONGEST_HOST = 30  # so that the whole name fits its column


@cache
def host() -> str:
    return socket.gethostname()[:LONGEST_HOST]


def me() -> str:
    """This process."""
    return f"{host()}/{os.getpid()}/{_started(os.getpid())}"


def is_gone(owner: str) -> bool:
    """Whether the owner is a process of this host that runs no more."""
    name, _, rest = owner.rpartition("/")
    where, _, pid = name.rpartition("/")
    return where == host() and pid.isdecimal() and _started(int(pid)) != rest


def _started(pid: int) -> str:
    """When a process started: the boot, and ticks since then; empty if there is none."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
    except OSError:
        return ""
    return "" if fields[0] == "Z" else f"{boot}-{fields[19]}"
