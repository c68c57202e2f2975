"""A program that gives up what a job may not do, for good, and then becomes the job's command.

A process of its own and not a thread of spawner's: what is in the same domain of Landlock as a job may be signalled, traced and read
by it, and a thread of ours would bring all of spawner's memory with it. It is started with no environment, as what spawner is, so it
imports nothing but Python itself. What it is told comes as JSON from the descriptor that is its first argument; what kept it from
becoming the command it writes to the second, which the command does not get.
"""

import ctypes
import json
import os
import resource
import signal
import sys
from collections.abc import Callable

CREATE_RULESET, ADD_RULE, RESTRICT_SELF, SECCOMP = 444, 445, 446, 317
PATH_BENEATH = 1
ONLY_OF_FOLDERS = 0x3FF8  # reading a folder, making and removing what is in it, moving it elsewhere
IOCTL_DEV, TCP, SCOPES = 1 << 15, 3, 3
PR_SET_NO_NEW_PRIVS, PR_SET_PDEATHSIG, PR_CAPBSET_DROP = 38, 1, 24
LAST_CAPABILITY = 63
SECCOMP_SET_MODE_FILTER = 1

libc = ctypes.CDLL(None, use_errno=True)


class Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("tcp", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


class Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("program", ctypes.c_char_p))


def call(function: Callable[..., int], *arguments: object) -> int:
    result = function(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def become(uid: int) -> None:
    """The whole process, which has one thread."""
    for capability in range(LAST_CAPABILITY + 1):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)  # those that the kernel does not have are refused
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def close_files(files: list[tuple[str, int]], abi: int, *, has_network: bool) -> None:
    """Everything that Landlock of this version can close, but for these files. Raises OSError."""
    handled = (1 << 15) - 1 | (IOCTL_DEV if abi >= 5 else 0)
    asked = Ruleset(handled, TCP if abi >= 4 and not has_network else 0, SCOPES if abi >= 6 else 0)
    size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = call(libc.syscall, CREATE_RULESET, ctypes.byref(asked), ctypes.c_size_t(size), 0)
    for path, allowed in files:
        try:
            opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except (FileNotFoundError, PermissionError):
            continue
        if not os.path.isdir(path):
            allowed &= ~ONLY_OF_FOLDERS
        rule = Beneath(allowed, opened)
        call(libc.syscall, ADD_RULE, ruleset, PATH_BENEATH, ctypes.byref(rule), 0)
        os.close(opened)
    call(libc.syscall, RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def filter_calls(program: bytes) -> None:
    filtered = Filter(len(program) // 8, program)
    call(libc.syscall, SECCOMP, SECCOMP_SET_MODE_FILTER, 0, ctypes.byref(filtered))


def has_socket() -> bool:
    """Whether what should be closed now is open all the same."""
    opened = libc.socket(2, 1, 0)
    if opened >= 0:
        os.close(opened)
    return bool(opened >= 0)


def main(told: int, tell: int) -> None:
    for descriptor in (told, tell):
        os.set_inheritable(descriptor, False)
    try:
        with open(told, "rb") as file:
            job = json.load(file)
        call(libc.prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        if job["uid"] is not None:
            become(job["uid"])
        # After the change of user, which makes the kernel forget it.
        call(libc.prctl, PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != job["parent"]:
            os.kill(os.getpid(), signal.SIGKILL)
        os.chdir(job["folder"])
        os.makedirs(job["tmp"], 0o700, exist_ok=True)  # not the variable, which the job may set
        programs = [bytes.fromhex(one) for one in job["filters"]]
        for which, limits in job["limits"]:
            resource.setrlimit(which, tuple(limits))
        close_files(job["files"], job["abi"], has_network=job["has_network"])
        for program in programs:
            filter_calls(program)
        if not job["has_network"] and has_socket():
            raise OSError("sockets were not refused")
        os.execve(job["argv"][0], job["argv"], job["env"])
    except (OSError, ValueError, MemoryError) as error:
        os.write(tell, (str(error) or repr(error)).encode(errors="replace"))
        os._exit(125)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
