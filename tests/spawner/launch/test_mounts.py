"""What a thread of a spawner that is root puts together for its sandboxes."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from spawner import mounts

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")


def prepared(at: Path, etc: Path) -> dict[str, set[str]]:
    """What is mounted below `at` once it is put together, with its flags. All of it goes with the thread that did so."""

    def work() -> dict[str, set[str]] | None:
        if not mounts.of_this_thread():
            return None
        mounts.make_root(at, ("--ro-bind", "/usr", "/usr"), etc)
        real = str(at.resolve())
        found = [(where, options) for where, _kind, options in mounts._mounted() if where.startswith(real)]
        return {where.removeprefix(real): set(options) for where, options in found}

    with ThreadPoolExecutor(1) as thread:
        found = thread.submit(work).result()
    return found if found is not None else pytest.skip("no mounts of its own for a thread here")


@pytest.mark.parametrize("name", ["here", "link", "with space"])
def test_all_of_it_is_read_only_whatever_the_way_to_it(tmp_path, name):
    for folder in ("here", "with space"):
        (tmp_path / folder / "root").mkdir(parents=True)
    (tmp_path / "link").symlink_to("here")
    etc = tmp_path / "etc"
    etc.mkdir()
    found = prepared(tmp_path / name / "root", etc)
    assert {"", "/usr", "/etc", "/dev", "/dev/pts"} <= set(found)
    for where, options in found.items():
        if where != "/dev/pts":  # terminals are made there
            assert {"ro", "nosuid"} <= options, where
        if not where.startswith("/dev"):
            assert "nodev" in options, where
    assert not list((tmp_path / name / "root").iterdir())  # nobody else sees any of it
