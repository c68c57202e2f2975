"""One supervisor per state folder, reachable however deep the folder lies."""

import os
import signal
import socket
import threading

import pytest

from vx11 import control
from vx11.control import NotRunning, Unresponsive


def test_only_one_can_hold_the_lock(tmp_path):
    first = control.take_lock(tmp_path / "run")
    assert first is not None
    first.write_pid()
    assert control.take_lock(tmp_path / "run") is None
    assert control.running_pid(tmp_path / "run") == os.getpid()
    first.close()
    assert control.running_pid(tmp_path / "run") is None
    second = control.take_lock(tmp_path / "run")
    assert second is not None
    second.close()


def test_looking_for_the_supervisor_never_takes_the_lock_from_one_that_starts(tmp_path):
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            control.running_pid(tmp_path)

    looker = threading.Thread(target=look)
    looker.start()
    try:
        for _ in range(300):
            lock = control.take_lock(tmp_path)
            assert lock is not None
            lock.close()
    finally:
        stop.set()
        looker.join()


def test_the_lock_ends_with_its_process_and_the_pid_left_behind_is_not_believed(tmp_path):
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        lock = control.take_lock(tmp_path)
        assert lock is not None
        lock.write_pid()
        os.write(writing, b".")
        signal.pause()
    assert os.read(reading, 1) == b"."
    assert control.running_pid(tmp_path) == pid
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert control.running_pid(tmp_path) is None
    assert (tmp_path / "vx11.pid").read_text().strip() == str(pid)


def test_a_question_is_answered_in_a_folder_deeper_than_socket_paths_may_be(tmp_path):
    folder = tmp_path / ("deep" * 20) / ("deeper" * 20)
    lock = control.take_lock(folder)
    assert lock is not None
    lock.write_pid()
    listening = control.listen(folder)
    listening.setblocking(True)

    def answer() -> None:
        connection, _ = listening.accept()
        with connection:
            asked = connection.recv(1000)
            connection.sendall(b'{"asked": ' + asked.strip() + b"}\n")

    thread = threading.Thread(target=answer)
    thread.start()
    assert control.ask(folder, "status", extra=1) == {"asked": {"command": "status", "extra": 1}}
    thread.join()
    assert (folder / "control.sock").stat().st_mode & 0o777 == 0o600
    listening.close()
    lock.close()


def test_nobody_there_and_nobody_answering_are_told_apart(tmp_path):
    with pytest.raises(NotRunning):
        control.ask(tmp_path, "status")
    lock = control.take_lock(tmp_path)
    assert lock is not None
    with pytest.raises(Unresponsive):
        control.ask(tmp_path, "status")
    mute = socket.socket(socket.AF_UNIX)
    mute.close()
    lock.close()
