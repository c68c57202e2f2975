"""Attacks by system calls: mounts, namespaces, privileges, and what is seldom used and often broken. Numbers are those of x86-64."""

from tests.spawner.abuse.cases import Case, got, kept, refused

MOUNTS = [
    Case(
        "mounts",
        """
os.makedirs("m", exist_ok=True)
attempt("mount", lambda: checked(libc.mount(b"tmpfs", b"m", b"tmpfs", 0, None)))
attempt("bind", lambda: checked(libc.mount(b"/", b"m", None, 0x1000, None)))
attempt("proc", lambda: checked(libc.mount(b"proc", b"m", b"proc", 0, None)))
attempt("remount", lambda: checked(libc.mount(None, b"/", None, 0x20 | 0x1000, None)))
attempt("remount_usr", lambda: checked(libc.mount(None, b"/usr", None, 0x20 | 0x1000, None)))
attempt("propagate", lambda: checked(libc.mount(None, b"/", None, 0x100000 | 0x4000, None)))
attempt("umount", lambda: checked(libc.umount2(b"/proc/sys", 2)))
attempt("umount_job", lambda: checked(libc.umount2(b"/tmp", 2)))
attempt("pivot", lambda: syscall(155, ctypes.c_char_p(b"m"), ctypes.c_char_p(b"m")))
attempt("chroot", lambda: os.chroot("m"))
attempt("open_tree", lambda: syscall(428, -100, ctypes.c_char_p(b"/"), 1))
attempt("fsopen", lambda: syscall(430, ctypes.c_char_p(b"tmpfs"), 0))
attempt("fspick", lambda: syscall(433, -100, ctypes.c_char_p(b"/"), 0))
attempt("move_mount", lambda: syscall(429, -100, ctypes.c_char_p(b"m"), -100, ctypes.c_char_p(b"/tmp"), 0))
attempt("setattr", lambda: syscall(442, -100, ctypes.c_char_p(b"/usr"), 0, ctypes.create_string_buffer(32), 32))
""",
        ("mount", "bind", "proc", "remount", "remount_usr", "propagate", "umount", "umount_job", "pivot", "chroot"),
        (
            refused(
                "mount",
                "bind",
                "proc",
                "remount",
                "remount_usr",
                "propagate",
                "umount",
                "umount_job",
                "pivot",
                "chroot",
            ),
            refused("open_tree", "fsopen", "fspick", "move_mount", "setattr"),
        ),
    ),
    Case(
        "namespaces of its own",
        """
KINDS = {"user": 0x10000000, "net": 0x40000000, "mount": 0x20000, "pid": 0x20000000}
KINDS |= {"ipc": 0x8000000, "uts": 0x4000000, "cgroup": 0x2000000}
for name, flag in KINDS.items():
    attempt(f"unshare_{name}", lambda: syscall(272, flag))
    attempt(f"both_{name}", lambda: syscall(272, flag | KINDS["user"]))
def clone(flags):
    child = syscall(56, flags | 17, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return child
attempt("clone_user", lambda: clone(KINDS["user"]))
attempt("clone_all", lambda: clone(KINDS["user"] | KINDS["net"] | KINDS["mount"]))
attempt("clone_high", lambda: clone((1 << 40) | KINDS["user"]))
class Arguments(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in "flags pidfd child parent signal stack size tls tids count cgroup".split()]
def clone3():
    arguments = Arguments(flags=KINDS["user"], signal=17)
    child = syscall(435, ctypes.byref(arguments), ctypes.sizeof(arguments))
    if child == 0:
        os._exit(0)
    return child
attempt("clone3", clone3)
for name in ("user", "net", "mnt", "pid"):
    attempt(f"join_{name}", lambda: checked(libc.setns(os.open(f"/proc/1/ns/{name}", os.O_RDONLY), 0)))
attempt("join_parent", lambda: checked(libc.setns(os.pidfd_open(os.getppid()), 0x10000000)))
""",
        (
            "unshare_user",
            "unshare_net",
            "both_net",
            "both_mount",
            "clone_user",
            "clone_all",
            "clone_high",
            "clone3",
            "join_user",
        ),
        (
            refused(*(f"unshare_{kind}" for kind in ("user", "net", "mount", "pid", "ipc", "uts", "cgroup"))),
            refused(*(f"both_{kind}" for kind in ("user", "net", "mount", "pid", "ipc", "uts", "cgroup"))),
            refused(
                "clone_user",
                "clone_all",
                "clone_high",
                "clone3",
                "join_user",
                "join_net",
                "join_mnt",
                "join_pid",
                "join_parent",
            ),
        ),
    ),
]

CALLS = [
    Case(
        "calls into seldom used parts of the kernel",
        """
empty = ctypes.create_string_buffer(256)
name = ctypes.c_char_p(b"vx11")
CALLS = {
    "bpf": (321, 0, empty, 72),
    "bpf_map": (321, 0, (ctypes.c_uint32 * 18)(2, 4, 4, 1), 72),
    "io_uring_setup": (425, 8, ctypes.create_string_buffer(120)),
    "perf_event_open": (298, (ctypes.c_uint32 * 32)(1, 128), 0, -1, -1, 0),
    "userfaultfd": (323, 1),
    "kexec_load": (246, 0, 0, empty, 0),
    "kexec_file_load": (320, -1, -1, 0, empty, 0),
    "init_module": (175, empty, 16, empty),
    "finit_module": (313, 0, empty, 0),
    "delete_module": (176, name, 0),
    "fanotify_init": (300, 0, 0),
    "syslog": (103, 3, empty, 256),
    "acct": (163, name),
    "swapon": (167, name, 0),
    "reboot": (169, 0, 0, 0, 0),
    "quotactl": (179, 0x80000700, name, 0, empty),
    "lookup_dcookie": (212, 0, empty, 16),
    "iopl": (172, 3),
    "ioperm": (173, 0, 1, 1),
    "sethostname": (170, name, 4),
    "setdomainname": (171, name, 4),
    "settimeofday": (164, empty, 0),
    "clock_settime": (227, 0, empty),
    "vhangup": (153,),
}
for stage, arguments in CALLS.items():
    attempt(stage, lambda: syscall(*arguments))
""",
        (
            "bpf",
            "bpf_map",
            "io_uring_setup",
            "perf_event_open",
            "userfaultfd",
            "kexec_load",
            "init_module",
            "reboot",
            "iopl",
        ),
        (
            refused(
                "bpf", "bpf_map", "io_uring_setup", "perf_event_open", "userfaultfd", "fanotify_init", by="EPERM ENOSYS"
            ),
            refused("kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", by="EPERM ENOSYS"),
            refused(
                "syslog", "acct", "swapon", "reboot", "quotactl", "lookup_dcookie", "iopl", "ioperm", by="EPERM ENOSYS"
            ),
            refused("sethostname", "setdomainname", "settimeofday", "clock_settime", "vhangup", by="EPERM ENOSYS"),
        ),
    ),
    Case(
        "the kernel's keyrings",
        """
attempt("join", lambda: syscall(250, 1, 0))
attempt("own", lambda: syscall(250, 0, -3, 1))
attempt("add", lambda: syscall(248, ctypes.c_char_p(b"user"), ctypes.c_char_p(b"vx11"), ctypes.c_char_p(b"x"), 1, -4))
attempt("request", lambda: syscall(249, ctypes.c_char_p(b"user"), ctypes.c_char_p(b"vx11"), 0, 0))
attempt("list", lambda: open("/proc/keys").read())
""",
        ("join", "own", "add", "request"),
        (refused("join", "own", "add", "request", by="EPERM ENOSYS"),),
    ),
    Case(
        "files by their handles",
        """
handle = ctypes.create_string_buffer(136)
ctypes.memmove(handle, (128).to_bytes(4, "little"), 4)
mount = ctypes.c_int()
attempt("name", lambda: syscall(303, -100, ctypes.c_char_p(b"/job"), handle, ctypes.byref(mount), 0))
ctypes.memmove(handle, (8).to_bytes(4, "little") + (1).to_bytes(4, "little") + (2).to_bytes(8, "little"), 16)
attempt("open", lambda: syscall(304, os.open("/job", os.O_RDONLY), handle, 0))
""",
        ("name", "open"),
        (refused("open", by="EPERM ENOSYS"),),
    ),
    Case(
        "another personality",
        """
attempt("query", lambda: syscall(135, 0xFFFFFFFF))
attempt("unrandomized", lambda: syscall(135, 0x0040000))
attempt("read_implies_exec", lambda: syscall(135, 0x0400000))
attempt("old", lambda: syscall(135, 0x0008))
attempt("high", lambda: syscall(135, (1 << 32) | 0x0040000))
attempt("none", lambda: syscall(135, 0))
""",
        ("query", "unrandomized", "read_implies_exec", "old", "high", "none"),
        (refused("unrandomized", "read_implies_exec", "old", "high"), got("none", like="0")),
    ),
    Case(
        "calls by the numbers of other architectures",
        """
import mmap
X32 = 0x40000000
attempt("x32", lambda: in_child(lambda: syscall(X32 | 272, 0x10000000)))
attempt("x32_keyctl", lambda: in_child(lambda: syscall(X32 | 250, 0, -3, 1)))
# push rbx; mov eax, NUMBER; mov ebx, ARGUMENT; int 0x80; pop rbx; ret
def old(number, argument):
    code = b"\\x53\\xb8" + number.to_bytes(4, "little") + b"\\xbb" + argument.to_bytes(4, "little") + b"\\xcd\\x80\\x5b\\xc3"
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(code)
    call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    result = call()
    return min(119, -result) if result < 0 else 0
attempt("i386_getpid", lambda: in_child(lambda: old(20, 0)))
attempt("i386_unshare", lambda: in_child(lambda: old(310, 0x10000000)))
attempt("i386_personality", lambda: in_child(lambda: old(136, 0x0040000)))
""",
        ("x32", "x32_keyctl", "i386_getpid", "i386_unshare", "i386_personality"),
        (lambda seen: _never_exits_well(seen),),
    ),
]

PRIVILEGES = [
    Case(
        "programs with the rights of their owner",
        """
import subprocess
def run(*words):
    done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=5)
    return f"{done.returncode} {done.stdout.strip()}"
def found(name):
    if not os.path.exists(f"/usr/bin/{name}"):
        return "absent"
    return run(f"/usr/bin/{name}", *WORDS[name])
WORDS = {"su": ["-c", "id -u"], "mount": ["-t", "tmpfs", "tmpfs", "/tmp"], "passwd": ["-d", "root"], "newgrp": ["root"], "umount": ["/tmp"]}
for name in WORDS:
    attempt(name, lambda: found(name))
for stage, call in (
    ("setuid", lambda: os.setuid(0)),
    ("setgid", lambda: os.setgid(0)),
    ("setresuid", lambda: os.setresuid(0, 0, 0)),
    ("setgroups", lambda: os.setgroups([0, 4, 27])),
    ("other_uid", lambda: os.setuid(1000)),
):
    attempt(stage, call)
def rights():
    lines = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines())
    return {name: lines[name].strip() for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp")}
attempt("rights", rights)
attempt("who", lambda: (os.getuid(), os.geteuid(), os.getgid(), os.getegid()))
""",
        ("su", "mount", "passwd", "umount", "setuid", "setgid", "setresuid", "setgroups", "other_uid", "rights", "who"),
        (
            refused("setuid", "setgid", "setresuid", "setgroups", "other_uid"),
            lambda seen: _powerless(seen),
        ),
    ),
    Case(
        "capabilities taken back",
        """
class Head(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]
class Data(ctypes.Structure):
    _fields_ = [("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32)]
head, data = Head(0x20080522, 0), (Data * 2)(Data(0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF), Data(0x1FF, 0x1FF, 0x1FF))
attempt("capset", lambda: syscall(126, ctypes.byref(head), ctypes.byref(data)))
attempt("ambient", lambda: checked(libc.prctl(47, 2, 21, 0, 0)))
attempt("securebits", lambda: checked(libc.prctl(28, 0x10)))
attempt("new_privileges", lambda: checked(libc.prctl(38, 0, 0, 0, 0)))
attempt("seccomp_off", lambda: checked(libc.prctl(22, 0, 0)))
attempt("file", lambda: os.setxattr("main", "security.capability", b"\\x01\\x00\\x00\\x02" + b"\\xff" * 16))
""",
        ("capset", "ambient", "securebits", "new_privileges", "seccomp_off", "file"),
        (refused("capset", "ambient", "securebits", "new_privileges", "seccomp_off", "file"),),
    ),
]


def _powerless(seen: object) -> None:
    from tests.spawner.abuse.cases import Seen

    assert isinstance(seen, Seen)
    rights = seen.stages["rights"] or ""
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        kept(f"'{name}': '{'0' * 16}'" in rights, rights)
    kept("'NoNewPrivs': '1'" in rights, rights)
    kept("'Seccomp': '2'" in rights, rights)
    for name in ("su", "mount", "passwd", "umount"):
        kept(not (seen.stages[name] or "").startswith("'0"), f"{name}: {seen.stages[name]}")
    kept(0 not in eval(seen.stages["who"] or "(0,)"), seen.stages["who"])


def _never_exits_well(seen: object) -> None:
    """Killed by the filter (31), or refused; where the kernel was built without these calls they fault (11)."""
    from tests.spawner.abuse.cases import Seen

    assert isinstance(seen, Seen)
    for stage in ("x32", "x32_keyctl", "i386_unshare", "i386_personality"):
        kept(seen.stages[stage] != "'exit 0'", f"{stage} went through")


CASES = [*MOUNTS, *CALLS, *PRIVILEGES]
