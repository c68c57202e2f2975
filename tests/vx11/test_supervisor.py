"""The verdicts of the supervisor that need no process; what it does is proved on a real fleet in tests/e2e."""

import os
import subprocess
import sys
import threading

import pytest

from config.settings import SERVICES, FleetSettings
from vx11.process import footprint, prepare_apps
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


def test_building_the_apps_starts_no_thread_and_leaves_no_file_open(state_dir):
    """A fork copies the locks of a thread and not the thread, and shares open files: the child would wait for ever, or write into ours."""
    check = (
        "from config.settings import SERVICES, read_settings; from vx11.process import prepare_apps\n"
        "assert prepare_apps(list(SERVICES), read_settings()).keys() == SERVICES.keys()"
    )
    environment = {**os.environ, "VX11_STATE_DIR": str(state_dir)}
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr


def test_a_thread_before_the_fork_is_refused(state_dir):
    settings = FleetSettings(state_dir=state_dir, _env_file=None)
    end = threading.Event()
    other = threading.Thread(target=end.wait)
    other.start()
    try:
        with pytest.raises(RuntimeError, match=r"left \d+ threads"):
            prepare_apps([], settings)
    finally:
        end.set()
        other.join()


def test_a_footprint_counts_all_processes_of_a_session():
    script = "import os; os.fork(); os.write(1, b'%d\\n' % os.getpid()); os.read(0, 1)"
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
    running.stdin.close()
    assert running.wait() == 0
