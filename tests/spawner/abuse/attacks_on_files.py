"""Attacks on files: reading what is secret, writing what is not the job's, leaving what harms whoever fetches it."""

from tests.spawner.abuse.cases import Case, ended, got, no_artifact, refused

READ_ALL = """
def read(path):
    with open(path, "rb") as file:
        return file.read(100_000)
"""

READING = [
    Case(
        "reading the fleet's secrets",
        READ_ALL
        + """
for number, path in enumerate(target["secret_files"]):
    attempt(f"read{number}", lambda: read(path))
attempt("list", lambda: os.listdir(target["state_dir"]))
attempt("walk", lambda: [name for name in os.listdir(os.path.dirname(target["state_dir"]))])
""",
        ("read0", "read1", "read2", "list", "walk"),
        (refused("read0", "read1", "read2", "list", "walk"),),
    ),
    Case(
        "reading the machine's secrets",
        READ_ALL
        + """
attempt("shadow", lambda: read("/etc/shadow"))
attempt("root", lambda: os.listdir("/root"))
attempt("home", lambda: os.listdir("/home"))
attempt("var", lambda: os.listdir("/var/log"))
attempt("keys", lambda: os.listdir("/etc/ssh"))
attempt("sys", lambda: os.listdir("/sys/kernel/security"))
attempt("kmem", lambda: read("/dev/kmsg"))
attempt("mem", lambda: read("/dev/mem"))
attempt("kcore", lambda: read("/proc/kcore"))
attempt("keys_of_kernel", lambda: read("/proc/kallsyms")[:1] and None)
""",
        ("shadow", "root", "home", "var", "keys", "sys", "kmem", "mem", "kcore"),
        (refused("shadow", "root", "home", "var", "keys", "sys", "kmem", "mem", "kcore"),),
    ),
    Case(
        "reading this machine's canary by every way round",
        READ_ALL
        + """
path = target["canary_file"]
attempt("plain", lambda: read(path))
attempt("dots", lambda: read("../" * 40 + path[1:]))
attempt("root", lambda: read(f"/proc/self/root{path}"))
attempt("init", lambda: read(f"/proc/1/root{path}"))
attempt("cwd", lambda: read(f"/proc/1/cwd{path}"))
def through_links():
    os.symlink("/", "l0")
    for number in range(1, 20):
        os.symlink(f"l{number - 1}", f"l{number}")
    return read(f"l19{path}")
attempt("links", through_links)
attempt("hardlink", lambda: os.link(path, "stolen"))
""",
        ("plain", "dots", "root", "init", "cwd", "links", "hardlink"),
        (refused("plain", "dots", "root", "init", "cwd", "links", "hardlink"),),
    ),
    Case(
        "reading another job's folder and output",
        READ_ALL
        + """
for stage, path in target["neighbour"].items():
    attempt(stage, lambda: os.listdir(path))
attempt("tmp", lambda: os.listdir("/tmp"))
attempt("shm", lambda: os.listdir("/dev/shm"))
""",
        ("jobs", "job", "spool", "tmp", "shm"),
        (refused("jobs", "job", "spool"), got("tmp", like=r"\[\]"), got("shm", like=r"\[\]")),
    ),
    Case(
        "descriptors that were left open",
        """
def held():
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}")
        except FileNotFoundError:
            pass  # the one by which the folder was read
    return sorted(number for number in found if number > 2 and not found[number].startswith("/proc/"))
attempt("held", held)
for number in range(3, 300):
    try:
        os.fstat(number)
    except OSError:
        continue
    say("OPEN", str(number))
attempt("init", lambda: [os.readlink(f"/proc/1/fd/{name}") for name in os.listdir("/proc/1/fd")])
for name in ("0", "1", "2"):
    attempt(f"reopen{name}", lambda: os.readlink(f"/proc/self/fd/{name}"))
""",
        ("held", "init", "reopen0", "reopen1", "reopen2"),
        (got("held", like=r"\[\]"), lambda seen: _has_not(seen.record["stdout"], "OPEN ")),
    ),
    Case(
        "an environment that tells secrets",
        READ_ALL
        + """
attempt("own", lambda: sorted(os.environ))
for stage, path in (("self", "/proc/self/environ"), ("parent", f"/proc/{os.getppid()}/environ"), ("init", "/proc/1/environ")):
    attempt(stage, lambda: read(path))
attempt("argv", lambda: read("/proc/1/cmdline"))
""",
        ("own", "self", "parent", "init", "argv"),
        (lambda seen: _has_not(seen.output, "VX11_", "SECRET_OF", "PYTHONPATH"),),
    ),
]

WRITING = [
    Case(
        "writing outside",
        """
def write(path):
    with open(path, "a") as file:
        file.write("changed")
for stage, path in target["outside"].items():
    attempt(stage, lambda: write(path))
for folder in ("/usr", "/usr/bin", "/etc", "/", "/sys", "/proc", "/var", "/usr/lib"):
    attempt(folder, lambda: write(f"{folder}/vx11-was-here"))
attempt("replace", lambda: os.replace("main", "/usr/bin/python3"))
attempt("unlink", lambda: os.unlink("/usr/bin/env"))
attempt("chmod", lambda: os.chmod("/usr/bin/env", 0o777))
attempt("utime", lambda: os.utime("/usr/bin/env"))
""",
        (
            "file",
            "folder",
            "work",
            "/usr",
            "/usr/bin",
            "/etc",
            "/",
            "/sys",
            "/proc",
            "/var",
            "/usr/lib",
            "replace",
            "unlink",
        ),
        (
            refused("file", "folder", "work", "/usr", "/usr/bin", "/etc", "/", "/sys", "/proc", "/var", "/usr/lib"),
            refused("replace", "unlink", "chmod", "utime"),
        ),
    ),
    Case(
        "changing the kernel's settings",
        """
def write(path, value):
    with open(path, "w") as file:
        file.write(value)
attempt("core_pattern", lambda: write("/proc/sys/kernel/core_pattern", "|/job/main"))
attempt("modprobe", lambda: write("/proc/sys/kernel/modprobe", "/job/main"))
attempt("hostname", lambda: write("/proc/sys/kernel/hostname", "mine"))
attempt("userns", lambda: write("/proc/sys/user/max_user_namespaces", "1000"))
attempt("sysrq", lambda: write("/proc/sysrq-trigger", "h"))
attempt("uevent", lambda: write("/sys/kernel/uevent_helper", "/job/main"))
attempt("uid_map", lambda: write("/proc/self/uid_map", "0 0 1"))
attempt("timerslack", lambda: write("/proc/1/oom_score_adj", "1000"))
""",
        ("core_pattern", "modprobe", "hostname", "userns", "sysrq", "uevent", "uid_map"),
        (refused("core_pattern", "modprobe", "hostname", "userns", "sysrq", "uevent", "uid_map"),),
    ),
    Case(
        "devices",
        """
import stat
attempt("node", lambda: os.mknod("disk", 0o666 | stat.S_IFBLK, os.makedev(254, 0)))
attempt("memory", lambda: os.mknod("mem", 0o666 | stat.S_IFCHR, os.makedev(1, 1)))
attempt("list", lambda: sorted(os.listdir("/dev")))
for name in ("vda", "sda", "kvm", "fuse", "net/tun", "mem", "port", "kmsg", "loop-control", "vhost-net", "uinput"):
    attempt(name, lambda: os.open(f"/dev/{name}", os.O_RDWR))
""",
        ("node", "memory", "list", "vda", "kvm", "fuse", "net/tun", "mem", "loop-control"),
        (refused("node", "memory", "vda", "sda", "kvm", "fuse", "net/tun", "mem", "port", "kmsg", "loop-control"),),
    ),
    Case(
        "the program that runs replaced by another",
        """
import shutil, sys
own = os.path.realpath(sys.executable)
def overwrite():
    with open(own, "r+b") as file:
        file.write(b"#!/bin/sh\\n")
attempt("overwrite", overwrite)
def beside():
    shutil.copy("main", os.path.dirname(own) + "/python3.new")
attempt("beside", beside)
attempt("rename", lambda: os.rename(own, own + ".old"))
def through_proc():
    with open("/proc/self/exe", "r+b") as file:
        file.write(b"#!/bin/sh\\n")
attempt("exe", through_proc)
attempt("init_exe", lambda: open("/proc/1/exe", "r+b"))
""",
        ("overwrite", "beside", "rename", "exe", "init_exe"),
        (refused("overwrite", "beside", "rename", "exe", "init_exe"),),
    ),
]

LEAVING = [
    Case(
        "symlinks as artifacts",
        """
os.mkdir("out")
attempt("passwd", lambda: os.symlink("/etc/passwd", "out/passwd"))
attempt("secret", lambda: os.symlink(target["secret_files"][0], "out/secret"))
attempt("folder", lambda: os.symlink(target["state_dir"], "out/folder"))
attempt("root", lambda: os.symlink("/", "out/root"))
attempt("proc", lambda: os.symlink("/proc/self/environ", "out/environ"))
attempt("spool", lambda: os.symlink("../../spool/stdout", "out/spool"))
open("out/honest", "w").write("honest")
""",
        ("passwd", "secret", "folder", "root", "proc", "spool"),
        (
            no_artifact("out/passwd", "out/secret", "out/folder", "out/root", "out/environ", "out/spool"),
            lambda seen: _artifacts_are(seen.record, ["out/honest"]),
        ),
        request={"artifacts": ["out/*", "out/**", "**/token", "out/folder/secrets/*"]},
    ),
    Case(
        "pipes, sockets and hard links as artifacts",
        """
import socket
os.mkdir("out")
attempt("pipe", lambda: os.mkfifo("out/pipe"))
attempt("socket", lambda: socket.socket(socket.AF_UNIX).bind("out/socket"))
attempt("link", lambda: os.link("/usr/bin/env", "out/env"))
attempt("link2", lambda: os.link("/proc/self/environ", "out/environ"))
open("out/honest", "w").write("honest")
""",
        ("pipe", "socket", "link", "link2"),
        (refused("link", "link2"), lambda seen: _artifacts_are(seen.record, ["out/honest"])),
        request={"artifacts": ["out/*"]},
    ),
    Case(
        "names that are no names as artifacts",
        """
os.mkdir("out")
names = [b"line\\nbreak", b"\\xff\\xfe", b"quote\\"", b"..;", b"%2e%2e", b"\\x1b[31m", "\\u202egnp.exe".encode(), b"-rf", b"con"]
def make():
    for name in names:
        open(b"out/" + name, "w").close()
    return len(names)
attempt("make", make)
""",
        ("make",),
        (got("make"), ended("exited", exit_code=0)),
        request={"artifacts": ["out/*"]},
    ),
    Case(
        "more artifacts than anybody wants",
        """
os.mkdir("out")
def make():
    for number in range(600):
        open(f"out/{number}", "w").close()
    return 600
attempt("make", make)
""",
        ("make",),
        (got("make"), lambda seen: _at_most_256(len(seen.record["artifacts"]))),
        request={"artifacts": ["**"]},
    ),
    Case(
        "a program with the rights of its owner left behind",
        """
import shutil
def leave():
    shutil.copy("/usr/bin/env", "env")
    os.chmod("env", 0o6777)
    os.chmod(".", 0o777)
    return oct(os.stat("env").st_mode)
attempt("leave", leave)
""",
        ("leave",),
        (lambda seen: _is_out_of_reach(seen.facts["reachable"]),),
    ),
]


def _has_not(text: str, *parts: str) -> None:
    for part in parts:
        if part in text:
            from tests.spawner.abuse.cases import Breach

            raise Breach(f"{part!r} was seen: {text[text.index(part) - 100 : text.index(part) + 200]!r}")


def _artifacts_are(record: object, names: list[str]) -> None:
    assert isinstance(record, dict)
    found = [one["path"] for one in record["artifacts"]]
    assert found == names, found


def _at_most_256(count: int) -> None:
    assert 0 < count <= 256, count


def _is_out_of_reach(found: list[str]) -> None:
    assert found == [], f"others can get at {found}"


CASES = [*READING, *WRITING, *LEAVING]
