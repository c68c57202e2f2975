"""What a job in a box without namespaces may reach: rules of Landlock for files, TCP, sockets and signals, and a filter of system calls.

The filter refuses what Landlock leaves open: every socket, memory and messages that processes share by number, and where the job has no
user of its own also the changing of rights, times and limits of what belongs to that user. `restricted.py` takes all of it on.
"""

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spawner.job import Job, Mount
from spawner.sandbox import COPIED_FROM_ETC, ROOT_NAMES

CREATE_RULESET, VERSION = 444, 1
LEAST_ABI, ABI_OF_SCOPES = 3, 6
MACHINE = "x86_64"
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
TRUNCATE = 1 << 14
ALL_FILES = (1 << 15) - 1  # of ABI 3: all but the control of devices, which is refused everywhere where it can be
READ = EXECUTE | READ_FILE | READ_DIR
WRITE = ALL_FILES & ~((1 << 6) | (1 << 11))  # no devices are made
DEVICES = ("null", "zero", "full", "random", "urandom")
OF_NETWORK = ("/etc/resolv.conf", "/etc/hosts")
TMP = ".tmp"
"""Name of the folder in the job's own that is its TMPDIR: /tmp is everybody's."""

ARCH_X86_64, X32 = 0xC000003E, 0x40000000
LOAD, JUMP_EQUAL, JUMP_AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
AND = 0x54
KILL, REFUSE, ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
AF_UNIX, AF_INET, AF_INET6 = 1, 2, 10
SOCKET, CONNECT, SOCKETPAIR = 41, 42, 53
SHARED = (
    *(30, 31, 64, 65, 66, 220),  # shmat, shmctl, semget, semop, semctl, semtimedop
    *(68, 69, 70, 71, 240, 241),  # msgget, msgsnd, msgrcv, msgctl, mq_open, mq_unlink
)
OF_ANOTHER_PROCESS = (302, 203, 144, 142, 314, 256, 279)
"""prlimit64, sched_setaffinity, sched_setscheduler, sched_setparam, sched_setattr, migrate_pages, move_pages: 0 is oneself."""
OF_OTHERS_BY_KIND = (141, 251)  # setpriority, ioprio_set
RIGHTS = (90, 92, 94, 260, 268, 452, 132, 235, 261)
"""chmod, chown, lchown, fchownat, fchmodat, fchmodat2, utime, utimes, futimesat: by name. By an open file (fchmod) Landlock holds."""
UTIMENSAT = 280
ATTRIBUTES = (188, 189, 197, 198, 463, 466, 469)
"""setxattr, lsetxattr, removexattr, lremovexattr, setxattrat, removexattrat, file_setattr."""


@dataclass(frozen=True)
class Rule:
    """An answer to a system call, where all of `when` is so: an argument's half, of which these bits are (or are not) that number."""

    call: int
    answer: int
    when: tuple[tuple[int, int, bool, int], ...] = ()
    """Offset of 32 bits in what the filter sees, mask, whether it must be equal, number."""


def abi() -> int:
    """Version of the kernel's Landlock. Raises OSError where there is none."""
    libc = ctypes.CDLL(None, use_errno=True)
    version: int = libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION)
    if version < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return version


def obstacle() -> str | None:
    """Why nothing of this works on this machine; None where it may."""
    if platform.machine() != MACHINE:
        return f"its filter of system calls is made for {MACHINE} alone"
    try:
        version = abi()
    except OSError as error:
        return f"the kernel has no Landlock, or does not allow it: {error}"
    if version < LEAST_ABI:
        return f"the kernel's Landlock is of version {version}; files are kept from jobs from version {LEAST_ABI} (Linux 6.2) on"
    return None


def files(job: Job, system_mounts: tuple[Mount, ...]) -> Iterator[tuple[str, int]]:
    """What the job may reach, and what it may do there; the rest is closed. What does not exist is passed over."""
    roots = [f"/{name}" for name in ROOT_NAMES]
    from_etc = [f"/etc/{name}" for name in (*COPIED_FROM_ETC, "nsswitch.conf")]
    for path in ("/usr", *roots, *from_etc, "/proc", *(OF_NETWORK if job.has_network else ())):
        yield path, READ
    for name in DEVICES:
        yield f"/dev/{name}", READ_FILE | WRITE_FILE | TRUNCATE
    for mount in (*system_mounts, *job.mounts):
        yield str(mount.source), WRITE if mount.is_writable else READ
    yield str(job.folder), WRITE


def misplaced(job: Job) -> str | None:
    """A place at which the job wants to see something that lies elsewhere, which takes mounts."""
    return next((one.target for one in job.mounts if Path(one.target) != one.source), None)


# --- the filter ------------------------------------------------------------------------------------------------------


def _low(argument: int) -> int:
    return 16 + 8 * argument


def _is(argument: int, number: int, mask: int = 0xFFFFFFFF) -> tuple[int, int, bool, int]:
    return _low(argument), mask, True, number


def _is_not(argument: int, number: int) -> tuple[int, int, bool, int]:
    return _low(argument), 0xFFFFFFFF, False, number


def rules(*, has_network: bool, has_own_user: bool) -> Iterator[Rule]:
    """In the order in which they are looked at; the first that fits answers."""
    no_socket, absent, denied = (REFUSE | one for one in (errno.EACCES, errno.ENOSYS, errno.EPERM))
    if has_network:
        for family in (AF_INET, AF_INET6):
            yield Rule(SOCKET, ALLOW, (_is(0, family),))
    else:
        yield Rule(CONNECT, no_socket)
    yield Rule(SOCKET, no_socket)
    # A pair of datagram sockets could be sent from to any socket that has a name.
    for kind in (1, 5):  # stream, sequence of packets
        yield Rule(SOCKETPAIR, ALLOW, (_is(0, AF_UNIX), _is(1, kind, 0xF)))
    yield Rule(SOCKETPAIR, no_socket)
    for call in SHARED:
        yield Rule(call, absent)
    for call in OF_ANOTHER_PROCESS:
        yield Rule(call, denied, (_is_not(0, 0),))
    for call in OF_OTHERS_BY_KIND:
        yield Rule(call, denied, (_is_not(1, 0),))
        yield Rule(call, denied, (_is(0, 2 if call == 141 else 3),))  # all of a user's
    if not has_own_user:
        # Answered with success and not done, as a file system does that keeps no rights: programs copy files and expect no less.
        for call in RIGHTS:
            yield Rule(call, REFUSE)
        for half in (_low(1), _low(1) + 4):
            yield Rule(UTIMENSAT, REFUSE, ((half, 0xFFFFFFFF, False, 0),))
        for call in ATTRIBUTES:
            yield Rule(call, REFUSE | errno.EOPNOTSUPP)


def compiled(*, has_network: bool, has_own_user: bool) -> bytes:
    """The rules as classic BPF for x86-64; a program of another kind is killed."""
    program = [
        (LOAD, 0, 0, 4),
        (JUMP_EQUAL, 1, 0, ARCH_X86_64),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, 0),
        (JUMP_AT_LEAST, 0, 1, X32),
        (RETURN, 0, 0, KILL),
    ]
    for rule in rules(has_network=has_network, has_own_user=has_own_user):
        left = 3 * len(rule.when) + 1
        program.append((LOAD, 0, 0, 0))
        program.append((JUMP_EQUAL, 0, left, rule.call))
        for offset, mask, is_equal, number in rule.when:
            left -= 3
            yes, no = (0, left) if is_equal else (left, 0)
            program += [(LOAD, 0, 0, offset), (AND, 0, 0, mask), (JUMP_EQUAL, yes, no, number)]
        program.append((RETURN, 0, 0, rule.answer))
    program.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("=HBBI", *line) for line in program)
