"""The verdicts of the supervisor that need no process; what it does is proved on a real fleet in tests/e2e."""

import os
import subprocess
import sys

import pytest

from config.settings import SERVICES
from vx11.process import footprint, preload
from vx11.running import APART_FROM_THE_REST, units
from vx11.supervisor import retry_delay


def test_the_back_off_doubles_from_one_second_up_to_thirty():
    assert [retry_delay(deaths) for deaths in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]
    assert retry_delay(1000) == 30


def test_every_service_is_in_exactly_one_process():
    for single in (False, True):
        found = [service for unit in units(single=single) for service in unit.services]
        assert sorted(found) == sorted(SERVICES)
    assert len(units(single=False)) == len(SERVICES)
    assert len(units(single=True)) == 1 + len(APART_FROM_THE_REST & SERVICES.keys())


def test_importing_the_services_starts_no_thread():
    """A fork copies the locks of a thread and not the thread: the child would wait for ever."""
    check = f"from vx11.process import preload; preload({list(SERVICES)})"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_thread_before_the_fork_is_refused(monkeypatch):
    monkeypatch.setattr("vx11.process.os.listdir", lambda _path: ["1", "2"])
    with pytest.raises(RuntimeError, match="threads"):
        preload([])


def test_a_footprint_counts_all_processes_of_a_session():
    script = "import os; os.fork(); print(os.getpid(), flush=True); input()"
    running = subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, text=True
    )
    assert running.stdin is not None
    assert running.stdout is not None
    pids = {int(running.stdout.readline()), int(running.stdout.readline())}
    found = footprint(running.pid)
    assert set(found.pids) == pids
    assert found.pss_bytes > 1_000_000
    assert found.cpu_seconds >= 0
    assert footprint(os.getpid() + 10_000_000).pids == ()
    running.stdin.write("\n\n")
    running.stdin.close()
    assert running.wait() == 0
