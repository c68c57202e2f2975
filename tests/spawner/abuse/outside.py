"""What is watched from outside: canaries that must stay untouched, and the jobs' processes as the kernel shows them to others."""

import contextlib
import os
import secrets
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.spawner.abuse.service import as_user

LOOK_SECONDS = 0.03
PRECISE_ABOVE = 64 * 1024 * 1024
HOST_ADDRESS, FAR_ADDRESS = "198.51.100.1", "198.51.100.2"
"""Of the network for documentation (RFC 5737): nobody else's."""
LISTENER = """
import socket, sys
tcp = socket.create_server((sys.argv[1], 4711))
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind((sys.argv[1], 4711))
import select
print("ready", flush=True)
while True:
    for one in select.select([tcp, udp], [], [])[0]:
        if one is tcp:
            tcp.accept()[0].close()
            print("tcp", flush=True)
        else:
            print(udp.recv(100).decode(), flush=True)
"""


class Listeners:
    """Sockets of this machine that no job may reach; whoever gets through is written down with what was sent."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "canary.sock"
        self.abstract = f"vx11-canary-{secrets.token_hex(4)}"
        tcp4 = socket.create_server(("127.0.0.1", 0))
        self.port: int = tcp4.getsockname()[1]
        self._sockets = {"tcp4": tcp4}
        with contextlib.suppress(OSError):  # a machine without IPv6
            self._sockets["tcp6"] = socket.create_server(("::1", self.port), family=socket.AF_INET6)
        udp = self._sockets["udp"] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("127.0.0.1", self.port))
        for name, address in (("abstract", f"\0{self.abstract}"), ("unix", str(self.path))):
            one = self._sockets[name] = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            one.bind(address)
            one.listen()
        self.path.chmod(0o777)
        self.visits: list[tuple[str, str]] = []
        self._is_over = False
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        names = {one: name for name, one in self._sockets.items()}
        while not self._is_over:
            for ready in select.select(list(names), [], [], 0.1)[0]:
                if names[ready] == "udp":
                    self.visits.append(("udp", ready.recv(100).decode(errors="replace")))
                    continue
                came, _ = ready.accept()
                with came:
                    came.settimeout(1.0)
                    with contextlib.suppress(OSError):
                        self.visits.append((names[ready], came.recv(100).decode(errors="replace")))

    def close(self) -> None:
        self._is_over = True
        self._thread.join()
        for one in self._sockets.values():
            one.close()


class FarNetwork:
    """A network of our own behind a veth pair, with somebody who listens: what is beyond this machine, on this machine."""

    def __init__(self) -> None:
        mark = secrets.token_hex(3)
        self.name, self._here, self._there = f"vx11-{mark}", f"vx{mark}a", f"vx{mark}b"
        _ip("netns", "add", self.name)
        try:
            _ip("link", "add", self._here, "type", "veth", "peer", "name", self._there)
            _ip("link", "set", self._there, "netns", self.name)
            _ip("addr", "add", f"{HOST_ADDRESS}/30", "dev", self._here)
            _ip("link", "set", self._here, "up")
            _ip("-n", self.name, "addr", "add", f"{FAR_ADDRESS}/30", "dev", self._there)
            _ip("-n", self.name, "link", "set", self._there, "up")
            self._listener = subprocess.Popen(
                ["ip", "netns", "exec", self.name, sys.executable, "-c", LISTENER, FAR_ADDRESS],
                stdout=subprocess.PIPE,
                text=True,
            )
        except BaseException:
            self._remove()
            raise
        assert self._listener.stdout is not None
        assert self._listener.stdout.readline() == "ready\n"
        self.address = FAR_ADDRESS
        self.visits: list[str] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._listener.stdout is not None
        self.visits.extend(line.strip() for line in self._listener.stdout)

    def _remove(self) -> None:
        subprocess.run(["ip", "link", "del", self._here], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True, check=False)

    def close(self) -> None:
        self._listener.kill()
        self._listener.wait()
        self._thread.join()
        self._remove()


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], capture_output=True, check=True)


class Victim:
    """A process of the very user that the service runs as: only the sandbox is between it and a job."""

    def __init__(self, uid: int | None) -> None:
        self.secret, self.argument = secrets.token_hex(16), f"victim-{secrets.token_hex(8)}"
        self._process = subprocess.Popen(
            [*as_user(uid), "/usr/bin/env", "sh", "-c", "while :; do read line || exit; done", self.argument],
            env={"PATH": os.environ.get("PATH", os.defpath), "SECRET_OF_THE_VICTIM": self.secret},
            stdin=subprocess.PIPE,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_well(self) -> bool:
        """Whether it lives, and goes on: neither stopped nor traced."""
        return (
            self._process.poll() is None
            and _status(self.pid).get("State", "X")[0] in "SR"
            and _status(self.pid)["TracerPid"] == "0"
        )

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@dataclass
class Family:
    """What was seen of one job: the most at one moment, in processes, threads and bytes."""

    processes: int = 0
    threads: int = 0
    memory_bytes: int = 0
    uids: set[int] = field(default_factory=set)
    tmpfs_bytes: int = 0
    together_bytes: int = 0
    """Most of memory and of what lies in its tmpfs mounts, at the same moment."""
    unlinked_bytes: int = 0


class Census:
    """Looks at all processes of the jobs' users every 30 ms; a job is known by its process namespace, and by a mark in its environment.

    `own`: processes of these users that are not jobs. `is_exclusive`: whether these users run nothing but jobs, so that a process that
    has rewritten its environment is found too; otherwise only what is marked counts.
    """

    def __init__(self, uids: Iterable[int], own: Iterable[int], *, is_exclusive: bool) -> None:
        self._uids, self._own, self._is_exclusive = frozenset(uids), frozenset(own), is_exclusive
        self._namespaces: dict[str, str] = {}
        self._ours = os.readlink("/proc/self/ns/pid")
        self._others: set[int] = set()
        """Processes that were found to be no job's, and are not looked at again."""
        self._device = os.stat("/").st_dev
        self.families: dict[str, Family] = {}
        self._is_over = False
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def alive(self, mark: str | None = None) -> dict[int, str]:
        """Processes of jobs, or of one, that run now, with their command lines; those that only wait to be reaped do not run."""
        found = {}
        for pid in _pids():
            status = _status(pid)
            if not self._is_a_jobs(pid, status) or status["State"][0] in "ZX":
                continue
            marked = _mark_in(pid)
            if marked == mark if mark is not None else self._is_exclusive or marked:
                found[pid] = repr(_read(f"/proc/{pid}/cmdline")[:200])
        return found

    def left(self, mark: str | None = None, *, patience_seconds: float = 5.0) -> dict[int, str]:
        """Processes that do not go away."""
        deadline = time.monotonic() + patience_seconds
        while (found := self.alive(mark)) and time.monotonic() < deadline:
            time.sleep(LOOK_SECONDS)
        return found

    def _is_a_jobs(self, pid: int, status: dict[str, str]) -> bool:
        """By its user; or, should it have another, by its mark and a process namespace that is not ours."""
        if not status or pid in self._own:
            return False
        return int(status["Uid"].split()[0]) in self._uids or (
            self._namespace(pid) != self._ours and _mark_in(pid) is not None
        )

    def _namespace(self, pid: int) -> str:
        try:
            return os.readlink(f"/proc/{pid}/ns/pid")
        except OSError:  # it has ended, or is nothing of ours
            return self._ours

    def _watch(self) -> None:
        while not self._is_over:
            self._look()
            time.sleep(LOOK_SECONDS)

    def _look(self) -> None:
        now: dict[str, Family] = {}
        pids: dict[str, list[int]] = {}
        running = _pids()
        self._others &= set(running)
        for pid in running:
            if pid in self._others:
                continue
            status = _status(pid)
            if not self._is_a_jobs(pid, status):
                self._others.add(pid)
                continue
            mark = None if status["State"][0] in "ZX" else self._mark(pid)
            if mark is None:
                continue
            one = now.setdefault(mark, Family())
            one.processes += 1
            one.threads += int(status["Threads"])
            one.memory_bytes += 1024 * sum(int(status.get(name, "0").split()[0]) for name in ("RssAnon", "RssShmem"))
            one.uids |= {int(word) for word in status["Uid"].split()}
            one.unlinked_bytes += _unlinked(pid, self._device)
            pids.setdefault(mark, []).append(pid)
        for mark, seen in now.items():
            if seen.memory_bytes > PRECISE_ABOVE and len(pids[mark]) > 1:  # what they share has been counted for each
                seen.memory_bytes = sum(_proportional(pid) for pid in pids[mark])
            most = self.families.setdefault(mark, Family())
            tmpfs = sum(_used(f"/proc/{pids[mark][-1]}/root{folder}") for folder in ("/dev/shm", "/tmp"))
            most.processes = max(most.processes, seen.processes)
            most.threads = max(most.threads, seen.threads)
            most.memory_bytes = max(most.memory_bytes, seen.memory_bytes)
            most.tmpfs_bytes = max(most.tmpfs_bytes, tmpfs)
            most.together_bytes = max(most.together_bytes, seen.memory_bytes + tmpfs)
            most.unlinked_bytes = max(most.unlinked_bytes, seen.unlinked_bytes)
            most.uids |= seen.uids
        self._namespaces = {
            name: mark for name, mark in self._namespaces.items() if mark in now
        }  # numbers are given again

    def _mark(self, pid: int) -> str | None:
        namespace = self._namespace(pid)
        if namespace == self._ours:  # a sandbox without a process namespace of its own
            return _mark_in(pid)
        if namespace not in self._namespaces and (mark := _mark_in(pid)):
            self._namespaces[namespace] = mark
        return self._namespaces.get(namespace)

    def close(self) -> None:
        self._is_over = True
        self._thread.join()


def _mark_in(pid: int) -> str | None:
    for part in _read(f"/proc/{pid}/environ").split(b"\0"):
        if part.startswith(b"MARK="):
            return part[5:].decode()
    return None


def _unlinked(pid: int, device: int) -> int:
    """Bytes on our disk of files without a name that the process holds open."""
    total = 0
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                found = os.stat(f"/proc/{pid}/fd/{name}")
                if found.st_nlink == 0 and found.st_dev == device:
                    total += found.st_blocks * 512
    return total


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _status(pid: int) -> dict[str, str]:
    lines = _read(f"/proc/{pid}/status").decode(errors="replace").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


def _proportional(pid: int) -> int:
    """Bytes of memory, each page divided among those that have it."""
    lines = (line.split() for line in _read(f"/proc/{pid}/smaps_rollup").decode().splitlines())
    return 1024 * sum(int(words[1]) for words in lines if words[0] in ("Pss_Anon:", "Pss_Shmem:"))


def _used(path: str) -> int:
    """Bytes in the tmpfs at this path; 0 where there is none of its own."""
    try:
        found = os.statvfs(path)
    except OSError:
        return 0
    with contextlib.suppress(OSError):
        if os.stat(path).st_dev == os.stat("/proc/self/root/").st_dev:
            return 0
    used: int = (found.f_blocks - found.f_bfree) * found.f_frsize
    return used


def size_of(folder: Path) -> int:
    """Bytes on disk of all files below a folder."""
    total = 0
    for path, _folders, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(path, name)).st_blocks * 512
    return total
