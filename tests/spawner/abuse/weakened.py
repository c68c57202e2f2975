"""Spawner with protections that a job can do without: `WITHOUT=net,pid` in its environment. Run as a program, by the tests alone.

What is left out is what bwrap is told, the filter it loads, or what spawner looks at: the rest is spawner as it is.
"""

import os
import resource
import sys
from typing import Any

from config.serve import main
from spawner import boxed
from spawner.job import Job
from spawner.sandbox import System
from spawner.tree import Usage

real_options, RealRun = boxed.options, boxed.BoxedRun
ROOT_FOLDERS_OF_ITS_OWN = {"bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "proc", "dev", "sys", "run", "job"}


def without(job: Job) -> set[str]:
    return set(job.env.get("WITHOUT", "").split(","))


def options(job: Job, system: System, *, has_proc: bool) -> list[str]:
    """bwrap's options less those that the job does without."""
    words, missing = real_options(job, system, has_proc=has_proc), without(job)
    if "net" in missing:
        words.remove("--unshare-net")
    if "userns" in missing:
        words.remove("--disable-userns")
    if "readonly" in missing:
        drop(words, "--remount-ro", "/")
    if "pid" in missing:  # without a process namespace of its own nobody may mount a new /proc
        words.remove("--unshare-pid")
        drop(words, "--remount-ro", "/proc")
        replace(words, ["--proc", "/proc"], ["--bind", "/proc", "/proc"])
    if "fs" in missing:
        drop(words, "--size", words[words.index("/tmp") - 2], "--tmpfs", "/tmp")
        drop(words, "--symlink", "../tmp", "/var/tmp")
        drop(words, "--ro-bind", str(system.etc), "/etc")
        folders = sorted(set(os.listdir("/")) - ROOT_FOLDERS_OF_ITS_OWN)
        at = words.index("--chdir")
        words[at:at] = [word for name in folders for word in ("--bind-try", f"/{name}", f"/{name}")]
    return words


def drop(words: list[str], *part: str) -> None:
    replace(words, list(part), [])


def replace(words: list[str], part: list[str], other: list[str]) -> None:
    at = next(at for at in range(len(words)) if words[at : at + len(part)] == part)
    words[at : at + len(part)] = other


class Run(RealRun):
    """A job without the filter, or one whose memory nobody looks at, when it says so."""

    def __init__(self, job: Job, *rest: Any, **more: Any) -> None:
        if "seccomp" in without(job):
            more["seccomp"] = None
        super().__init__(job, *rest, **more)

    def usage(self, precise_above: float, exact_above: float) -> Usage:
        # with the machine's own /tmp, what lies there would count as the job's
        if without(self.job) & {"mem", "fs"}:
            return Usage(0, 0.0, 0)
        return super().usage(precise_above, exact_above)

    def limits(self) -> dict[int, tuple[int, int]]:
        kept = super().limits()
        if "pids" in without(self.job):
            kept.pop(resource.RLIMIT_NPROC)
        return kept


boxed.options = options
boxed.BoxedRun = Run  # type: ignore[misc]

import spawner.launcher  # noqa: E402 - it takes BoxedRun by name

spawner.launcher.BoxedRun = Run  # type: ignore[misc]

if __name__ == "__main__":
    sys.exit(main(["spawner"]))
