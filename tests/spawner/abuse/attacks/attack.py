"""What every attack stands on: it lies beside the attack in the job's folder, and tells of each thing that is tried, before and after."""

from __future__ import annotations

import ctypes
import errno
import json
import os

TYPE_CHECKING = False
if TYPE_CHECKING:  # a hundred jobs begin with this file: it imports what attacks need, and no more
    from collections.abc import Callable
    from typing import Any

target: dict[str, Any] = {}
"""What there is to attack outside: ports, paths, process ids."""
if os.path.exists("targets.json"):
    with open("targets.json") as ours:
        target |= json.load(ours)

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def say(word: str, stage: str, *more: object) -> None:
    """One line, at once: the next moment may be our last."""
    os.write(1, (" ".join([word, stage, *(str(one) for one in more)]) + "\n").encode("utf-8", "surrogateescape"))


def attempt(stage: str, action: Callable[[], Any]) -> Any:
    """What `action` gives back, None where it was refused; said is `ATTEMPTED stage`, then `GOT stage result` or `REFUSED stage ERRNO`."""
    say("ATTEMPTED", stage)
    try:
        found = action()
    except OSError as exc:
        say("REFUSED", stage, errno.errorcode.get(exc.errno or 0, type(exc).__name__))
        return None
    except (ValueError, MemoryError, RuntimeError) as exc:
        say("REFUSED", stage, type(exc).__name__)
        return None
    say("GOT", stage, repr(found)[:2000].replace("\n", " "))
    return found


def checked(result: int) -> int:
    """The result of a call of C. Raises OSError where it is negative."""
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def syscall(number: int, *args: Any) -> int:
    """A system call by its number, as the kernel knows it. Raises OSError."""
    words = [ctypes.c_long(one) if isinstance(one, int) else one for one in args]
    return checked(libc.syscall(ctypes.c_long(number), *words))


def in_child(action: Callable[[], Any]) -> str:
    """What became of a child that does `action`: `exit N` or `signal N`. A filter may well kill it."""
    child = os.fork()
    if child == 0:
        code = 120
        try:
            code = int(action() or 0)
        except OSError as exc:
            code = min(119, exc.errno or 119)
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit {os.WEXITSTATUS(status)}"
