"""What a case of abuse is: an attack that tells what it does, and what must be true of it when it is over."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.spawner.abuse.outside import Family

ATTACK_KIT = (Path(__file__).with_name("attacks") / "attack.py").read_text()
MIB = 1024 * 1024
SMALL = {"timeout_seconds": 10, "max_memory_mb": 96, "max_processes": 24, "max_output_bytes": 65_536, "max_disk_mb": 16}
REFUSAL = "REFUSED "


class Breach(AssertionError):
    """Something got through the sandbox."""


class DidNotRun(Exception):
    """The attack did not do what it is for: that it was contained would mean nothing."""


@dataclass(frozen=True)
class Seen:
    """A job that was an attack: what spawner says of it, what it said itself, what was seen from outside."""

    record: Mapping[str, Any]
    stages: Mapping[str, str | None]
    """What came of each attempt: `REFUSED ERRNO`, or what it got; None where it never came back."""
    family: Family
    facts: Mapping[str, Any]
    """Measured around this job: the service's growth, what the folder held."""

    @property
    def output(self) -> str:
        return str(self.record["stdout"]) + str(self.record["stderr"])


Check = Callable[[Seen], None]


@dataclass(frozen=True)
class Case:
    """`stages`: what the attack must report to have tried, with what came of it; `fatal`: what it must have tried at least, for that may
    be its end."""

    name: str
    script: str
    stages: tuple[str, ...]
    holds: tuple[Check, ...]
    fatal: str | None = None
    shell: bool = False
    request: Mapping[str, Any] = field(default_factory=dict)
    is_alone: bool = False
    """Whether nothing else may run meanwhile, because it takes all there is or because of what is measured."""

    def __str__(self) -> str:
        return self.name.replace(" ", "_")

    def job(self, targets: str, mark: str) -> dict[str, Any]:
        """The request that carries the attack in."""
        files = [{"path": "targets.json", "content": targets}, {"path": "attack.py", "content": ATTACK_KIT}]
        head = "" if self.shell else "from attack import *\n"
        files.append({"path": "main", "content": head + self.script})
        more = dict(self.request)
        return {
            **SMALL,
            "name": self.name,
            "command": "sh" if self.shell else "python3",
            "args": [*([] if self.shell else ["-S"]), "main", *more.pop("args", [])],
            "files": files + more.pop("files", []),
            "env": {"MARK": mark, **more.pop("env", {})},
            **more,
        }


def stages_of(stdout: str) -> dict[str, str | None]:
    """What an attack reported, stage by stage."""
    stages: dict[str, str | None] = {}
    for line in stdout.splitlines():
        word, _, rest = line.partition(" ")
        stage, _, result = rest.partition(" ")
        if word == "ATTEMPTED":
            stages.setdefault(stage, None)
        elif word == "REFUSED":
            stages[stage] = REFUSAL + result
        elif word == "GOT":
            stages[stage] = result
    return stages


def prove_it_ran(case: Case, seen: Seen) -> None:
    """Raises DidNotRun unless every stage of the attack was tried."""
    told = f"{case.name}: {dict(seen.stages)}\n{dict(seen.record)}"
    for stage in case.stages:
        if seen.stages.get(stage) is None:
            raise DidNotRun(f"{stage!r} was not tried to its end; {told}")
    if case.fatal is not None and case.fatal not in seen.stages:
        raise DidNotRun(f"{case.fatal!r} was not tried; {told}")


def kept(is_so: object, what: object) -> None:
    if not is_so:
        raise Breach(what)


# --- checks -----------------------------------------------------------------------------------------------------------


def refused(*stages: str, by: str = "") -> Check:
    """Each of these was refused, by one of these errors if they are named."""

    def check(seen: Seen) -> None:
        for stage in stages:
            result = seen.stages.get(stage) or ""
            kept(result.startswith(REFUSAL), f"{stage} was not refused: {result!r}")
            kept(not by or result.removeprefix(REFUSAL) in by.split(), f"{stage}: {result}, not {by}")

    return check


def got(stage: str, *, most: int | None = None, like: str | None = None) -> Check:
    """It was allowed, and came to this at most, or to something like this."""

    def check(seen: Seen) -> None:
        result = seen.stages.get(stage) or ""
        kept(not result.startswith(REFUSAL), f"{stage}: {result}")
        kept(most is None or int(result) <= most, f"{stage}: {result}, more than {most}")
        kept(like is None or re.fullmatch(like, result), f"{stage}: {result!r}, not like {like!r}")

    return check


def ended(*reasons: str, exit_code: int | None = None) -> Check:
    """Spawner says that it ended so."""

    def check(seen: Seen) -> None:
        kept(
            seen.record["reason"] in reasons,
            f"ended by {seen.record['reason']} ({seen.record['detail']}), not {reasons}",
        )
        kept(exit_code is None or seen.record["exit_code"] == exit_code, f"exit code {seen.record['exit_code']}")

    return check


def memory_held(limit_mb: int, *, with_tmpfs: bool = False, is_sudden: bool = False) -> Check:
    """No more than the limit was ever in use, as seen from outside.

    What the kernel enforces holds to the page; where spawner looks every few milliseconds there is more by what is allocated between
    two looks, and a sudden attack allocates as fast as the machine can.
    """

    def check(seen: Seen) -> None:
        most = seen.family.together_bytes if with_tmpfs else seen.family.memory_bytes
        is_enforced = seen.record["protections"]["mem"] == "enforced"
        factor = 1.05 if is_enforced else 2.5 if is_sudden else 1.25
        kept(most <= factor * limit_mb * MIB + 4 * MIB, f"{most / MIB:.0f} MiB in use, {limit_mb} allowed")

    return check


def processes_held(most: int) -> Check:
    """As many processes and threads as that at most; the sandbox's own two, and a helper of the kernel's, may be there too."""

    def check(seen: Seen) -> None:
        kept(seen.family.processes <= most + 3, f"{seen.family.processes} processes, {most} allowed")
        kept(seen.family.threads <= most + 3, f"{seen.family.threads} threads, {most} allowed")

    return check


def was_large(*, processes: int = 0, memory_mb: int = 0) -> Check:
    """The attack reached that size, as seen from outside: it was no empty gesture. Raises DidNotRun."""

    def check(seen: Seen) -> None:
        if seen.family.threads < processes or seen.family.together_bytes < memory_mb * MIB:
            raise DidNotRun(f"only {seen.family}")

    return check


def disk_held(limit_mb: int) -> Check:
    """What the folder held at most, seen from outside, with what a thousand MiB per second writes between two looks of a busy machine."""

    def check(seen: Seen) -> None:
        most = max(seen.facts["folder_bytes"], seen.family.unlinked_bytes)
        kept(most <= (limit_mb + 160) * MIB, f"{most / MIB:.0f} MiB on disk, {limit_mb} allowed")

    return check


def output_held(seen: Seen) -> None:
    """What is kept is what was asked for; the service has not grown with it, and has counted what it did not keep."""
    limit = SMALL["max_output_bytes"]
    for name in ("stdout", "stderr"):
        kept(len(seen.record[name]) <= limit, f"{len(seen.record[name])} characters of {name}")
    kept(seen.facts["spool_bytes"] <= 2 * limit + 8192, f"{seen.facts['spool_bytes']} bytes in the spool")
    kept(seen.record["truncated"], "it is not said that output is missing")
    kept(seen.facts["service_grew_kib"] < 32 * 1024, f"the service grew by {seen.facts['service_grew_kib']} KiB")


def no_artifact(*names: str) -> Check:
    """None of these is among the artifacts, and none can be had by its name."""

    def check(seen: Seen) -> None:
        found = [one["path"] for one in seen.record["artifacts"]]
        for name in names:
            kept(name not in found, f"{name} is an artifact")

    return check


def lacks(*secrets: str) -> Check:
    """None of this is in what the job wrote."""

    def check(seen: Seen) -> None:
        for secret in secrets:
            kept(secret not in seen.output, f"{secret!r} was seen")

    return check


def is_root() -> bool:
    return os.geteuid() == 0
