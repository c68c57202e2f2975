"""bubblewrap's options for a job, and version 2's cgroup files: pure, so tried without a machine that has them."""

import resource
from pathlib import Path

import pytest

from config.contracts.spawner import Limits
from spawner import sandbox
from spawner.cgroup import CgroupsV2
from spawner.folder_size import folder_size
from spawner.job import Job, Mount
from spawner.running import rlimits


def a_job(**more: object) -> Job:
    given: dict[str, object] = {
        "limits": Limits(max_memory_mb=100),
        "has_network": False,
        "mounts": (),
        "args": (),
    } | more
    return Job("s1", Path("/usr/bin/x"), env={"A": "b"}, folder=Path("/w/j"), spool=Path("/w/s"), stdin=None, **given)  # type: ignore[arg-type]


SYSTEM = sandbox.System(Path("/w/bin/bwrap"), Path("/w/etc"), ("--ro-bind", "/usr", "/usr"))


def test_a_job_has_every_namespace_and_its_network_only_when_it_may() -> None:
    without = sandbox.options(a_job(), SYSTEM, has_proc=True)
    with_it = sandbox.options(a_job(has_network=True), SYSTEM, has_proc=True)

    for name in ("user", "pid", "ipc", "uts", "net"):
        assert f"--unshare-{name}" in without
    assert "--unshare-net" not in with_it
    assert "/etc/resolv.conf" in with_it
    assert "/etc/resolv.conf" not in without


def test_without_a_new_proc_there_is_an_empty_folder() -> None:
    words = sandbox.options(a_job(), SYSTEM, has_proc=False)

    assert "--proc" not in words
    assert words[words.index("/proc") - 1] == "--dir"


def test_nothing_that_a_job_says_stands_before_the_end_of_options() -> None:
    job = a_job(args=("--bind", "/", "/"))
    words = sandbox.command_line(SYSTEM, job, args_fd=9, status_fd=8, block_fd=7, seccomp_fd=None)

    assert words[words.index("--") :] == ["--", "/usr/bin/x", "--bind", "/", "/"]
    assert "--seccomp" not in words


def test_the_root_is_closed_after_the_last_mount() -> None:
    mount = Mount(Path("/p"), "/project", is_writable=True)
    words = sandbox.options(a_job(mounts=(mount,)), SYSTEM, has_proc=True)
    closed = max(n for n, word in enumerate(words) if word == "--remount-ro" and words[n + 1] == "/")

    assert max(n for n, word in enumerate(words) if word in ("--bind", "--ro-bind", "--tmpfs")) < closed
    assert words[words.index("/p") - 1] == "--bind"


@pytest.mark.parametrize("is_link", [True, False])
def test_bin_and_lib_are_what_they_are_on_the_machine(tmp_path: Path, is_link: bool) -> None:
    if is_link:
        (tmp_path / "bin").symlink_to("usr/bin")
    else:
        (tmp_path / "bin").mkdir()
    found = sandbox.look_at_system(Path("/b"), Path("/e"), root=tmp_path)

    expected = ("--symlink", "usr/bin", "/bin") if is_link else ("--ro-bind", "/bin", "/bin")
    assert found.root == ("--ro-bind", "/usr", "/usr", *expected)


def test_etc_holds_no_user_and_no_secret_of_the_machine(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "shadow").write_text("canary")
    (source / "passwd").write_text("canary")
    (source / "localtime").write_text("zone")

    sandbox.make_etc(tmp_path / "etc", source)

    texts = {path.name: path.read_text() for path in (tmp_path / "etc").rglob("*") if path.is_file()}
    assert texts["localtime"] == "zone"
    assert not [name for name, text in texts.items() if "canary" in text]


def test_cpu_time_of_many_threads_is_not_cut_before_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 8)

    assert rlimits(Limits(timeout_seconds=10), processes=None)[resource.RLIMIT_CPU][0] >= 80
    assert rlimits(Limits(timeout_seconds=10, max_cpu_seconds=2), processes=None)[resource.RLIMIT_CPU][0] < 10
    assert resource.RLIMIT_NPROC not in rlimits(Limits(), processes=None)


def test_a_cgroup_of_version_2_is_limited_read_and_removed(tmp_path: Path) -> None:
    """On plain files: what is written where. The kernel makes them itself; here they are made beforehand."""
    group = CgroupsV2(tmp_path).for_job("s1", None)
    group.begin(Limits(max_memory_mb=64, max_processes=10))
    folder = tmp_path / "s1-1"
    (folder / "memory.current").write_text("1000\n")
    (folder / "memory.peak").write_text("2000\n")
    (folder / "memory.stat").write_text("anon 900\nfile 700\nshmem 200\n")
    (folder / "memory.events").write_text("low 0\noom 2\noom_kill 1\n")
    (folder / "pids.current").write_text("4\n")
    (folder / "cpu.stat").write_text("usage_usec 1500000\nuser_usec 1\n")
    group.join(77)
    group.kill()

    assert (folder / "memory.max").read_text() == str(64 * 1024 * 1024)
    assert (folder / "memory.oom.group").read_text() == "1"
    assert (folder / "pids.max").read_text() == "11"
    assert (folder / "cgroup.procs").read_text() == "77"
    assert (folder / "cgroup.kill").read_text() == "1"
    assert group.oom_kills() == 1
    assert group.peak_bytes() == 1500  # without the pages of files on disk
    assert (group.usage().memory_bytes, group.usage().cpu_seconds, group.usage().processes) == (500, 1.5, 3)


def test_a_folders_size_follows_no_link_and_finds_what_is_deep(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "large").write_bytes(b"x" * 4_000_000)
    folder = tmp_path / "folder"
    deep = folder / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(b"x" * 100_000)
    (folder / "link").symlink_to(outside)

    size = folder_size(folder)

    assert size.is_whole
    assert 100_000 <= size.disk_bytes < 200_000
    assert folder_size(tmp_path / "none").disk_bytes == 0
