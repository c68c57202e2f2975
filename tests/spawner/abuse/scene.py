"""Where attacks happen: a spawner, what there is to attack around it, and what is watched meanwhile."""

import contextlib
import json
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.spawner.abuse.cases import Breach, Case, Seen, kept, prove_it_ran, stages_of
from tests.spawner.abuse.outside import HOST_ADDRESS, Census, Family, FarNetwork, Listeners, Victim, size_of
from tests.spawner.abuse.service import Spawner, give, unused_uid

NEIGHBOUR = """
import os, sys, time
for path in ("secret", "/tmp/secret", "/dev/shm/secret"):
    open(path, "w").write(os.environ["SECRET_OF_THE_NEIGHBOUR"])
print(os.environ["SECRET_OF_THE_NEIGHBOUR"], flush=True)
time.sleep(3000)
"""
FOLDER_LOOK_SECONDS = 0.05
FAR_NOWHERE = "127.0.0.2"


class Scene:
    """One spawner and its surroundings. `far`: the network beyond, where there is one."""

    def __init__(
        self, spawner: Spawner, uids: Iterable[int], far: FarNetwork | None, *, patience_seconds: float = 5.0
    ) -> None:
        self.spawner, self.far, self.patience_seconds = spawner, far, patience_seconds
        self.folder = spawner.place / "outside"
        self.folder.mkdir()
        self.folder.chmod(0o777)
        self.canary = self.folder / "canary.txt"
        self.canary_text = f"canary {secrets.token_hex(16)}"
        self.canary.write_text(self.canary_text)
        self.canary.chmod(0o666)
        if spawner.uid is not None:
            give(self.folder, spawner.uid)
        self.listeners = Listeners(self.folder)
        self.victim = Victim(spawner.uid)
        self.census = Census(uids, {spawner.process.pid, self.victim.pid, os.getpid()}, is_exclusive=os.geteuid() == 0)
        self.uids = frozenset(uids)
        self.neighbour_secret = secrets.token_hex(16)
        self.neighbour = spawner.start(
            {
                "name": "neighbour",
                "command": "python3",
                "args": ["-c", NEIGHBOUR],
                "env": {"SECRET_OF_THE_NEIGHBOUR": self.neighbour_secret, "MARK": "neighbour"},
                "timeout_seconds": 3000,
                "max_memory_mb": 64,
            }
        )
        self._outside_names = sorted(os.listdir(self.folder))

    def targets(self) -> dict[str, Any]:
        """What an attack is told of this machine: more than it could find out by itself."""
        state, neighbour = self.spawner.state_dir, self.spawner.folder_of(self.neighbour)
        return {
            "state_dir": str(state),
            "secret_files": [
                str(state / "secrets" / "token"),
                str(state / "secrets" / "fleet_token"),
                *self._databases(),
            ],
            "canary_file": str(self.canary),
            "outside": {
                "file": str(self.canary),
                "folder": str(self.folder / "new.txt"),
                "work": str(self.spawner.work_dir / "jobs" / "new.txt"),
            },
            "neighbour": {
                "jobs": str(neighbour.parent),
                "job": str(neighbour / "job"),
                "spool": str(neighbour / "spool"),
            },
            "ports": [self.listeners.port, self.spawner.port],
            "abstract": self.listeners.abstract,
            "socket": str(self.listeners.path),
            "victim": self.victim.pid,
            "service": self.spawner.process.pid,
            "far": self.far.address if self.far else FAR_NOWHERE,
            "near": HOST_ADDRESS if self.far else FAR_NOWHERE,
        }

    def _databases(self) -> list[str]:
        return [str(path) for path in self.spawner.state_dir.glob("*.db")] or [str(self.spawner.state_dir / "vx11.db")]

    @property
    def secrets(self) -> list[str]:
        """What must not be in any job's output."""
        return [
            self.spawner.owner,
            self.spawner.fleet,
            self.spawner.env_secret,
            self.victim.secret,
            self.victim.argument,
            self.canary_text,
            self.neighbour_secret,
        ]

    def attack(self, case: Case, **env: str) -> Seen:
        """Run an attack to its end; raises DidNotRun when it did not do what it is for. What came of it is still to be judged."""
        mark = secrets.token_hex(8)
        request = case.job(json.dumps(self.targets()), mark)
        request["env"] |= env
        before = self.spawner.peak_memory_kib()
        spawn_id = self.spawner.start(request)
        base = self.spawner.folder_of(spawn_id)
        most, is_over = [0], threading.Event()

        def measure() -> None:
            pause = FOLDER_LOOK_SECONDS
            while not is_over.wait(pause):
                began = time.monotonic()
                most[0] = max(most[0], size_of(base / "job"))
                pause = max(FOLDER_LOOK_SECONDS, 4 * (time.monotonic() - began))

        watching = threading.Thread(target=measure)
        watching.start()
        try:
            record = self.spawner.ended(spawn_id)
        finally:
            is_over.set()
            watching.join()
        facts = {
            "mark": mark,
            "folder_bytes": most[0],
            "spool_bytes": size_of(base / "spool"),
            "service_grew_kib": self.spawner.peak_memory_kib() - before,
            "reachable": reachable_by_others(base),
        }
        seen = Seen(record, stages_of(record["stdout"]), self.census.families.get(mark, Family()), facts)
        prove_it_ran(case, seen)
        return seen

    def judge(self, case: Case, seen: Seen) -> None:
        """Raises Breach unless what must be true of this attack, and of every attack, is true."""
        for check in case.holds:
            check(seen)
        self.must_be_untouched(seen)

    def must_be_untouched(self, seen: Seen) -> None:
        """What is true after every attack. Raises Breach."""
        for secret in self.secrets:
            kept(secret not in seen.output, f"a secret was read: {seen.output[:2000]}")
        kept(seen.family.uids <= self.uids, f"it ran as {seen.family.uids}, not as {self.uids}")
        kept(not self.listeners.visits, self.listeners.visits)
        kept(self.far is None or not self.far.visits, self.far and self.far.visits)
        kept(self.canary.read_text() == self.canary_text, "the canary file was changed")
        kept(sorted(os.listdir(self.folder)) == self._outside_names, f"there is a new file: {os.listdir(self.folder)}")
        kept(self.victim.is_well(), "a process of others was hurt")
        kept(self.spawner.is_well(), self.spawner.log()[-2000:])
        kept(
            not (left := self.census.left(seen.facts["mark"], patience_seconds=self.patience_seconds)), f"left: {left}"
        )

    def forget(self) -> None:
        """After a breach that was wanted: end what is left, and look anew."""
        for pid in self.census.alive():
            if pid not in self.census.alive("neighbour"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, 9)
        self.listeners.visits.clear()
        if self.far:
            self.far.visits.clear()
        self.canary.write_text(self.canary_text)
        for name in set(os.listdir(self.folder)) - set(self._outside_names):
            (self.folder / name).unlink()

    def close(self) -> None:
        self.spawner.http.post(f"/spawner/spawn/{self.neighbour}/kill")
        self.spawner.stop()
        self.census.close()
        self.listeners.close()
        self.victim.close()
        shutil.rmtree(self.spawner.place, ignore_errors=True)


def reachable_by_others(base: Path) -> list[str]:
    """Files of a job that any user of this machine could get at."""
    way = [base, *base.parents]
    if any(folder.exists() and not folder.stat().st_mode & 0o001 for folder in way):
        return []
    return [str(path) for path in base.rglob("*") if path.lstat().st_mode & 0o004]


def unprivileged_uid() -> int | None:
    """Whom spawner shall run as for it not to be root; None: as whoever runs the tests."""
    return unused_uid() if os.geteuid() == 0 else None


def skip_without_sandbox(spawner: Spawner) -> None:
    """A machine that allows no sandbox cannot show that it holds."""
    if spawner.report["rung"] in ("none", "S0", "S1"):
        advice = spawner.report["advice"]
        spawner.stop()
        pytest.skip(f"no sandbox works on this machine: {advice}")


__all__ = ["Breach", "Scene", "reachable_by_others", "skip_without_sandbox", "unprivileged_uid"]
