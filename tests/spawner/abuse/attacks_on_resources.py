"""Attacks that take all there is: processes, memory, disk, output, descriptors, time."""

from tests.spawner.abuse.cases import (
    Case,
    disk_held,
    ended,
    got,
    memory_held,
    no_artifact,
    output_held,
    processes_held,
    refused,
    was_large,
)

FEW = {"max_processes": 16, "timeout_seconds": 2}
BOMB = FEW | {"timeout_seconds": 2}  # it is all there at once, and takes both processors until its end
NEVER_ENDS = "import time\nwhile True:\n    time.sleep(1)\n"

PROCESSES = [
    Case(
        "a fork bomb of the shell",
        "echo ATTEMPTED bomb\nbomb() { bomb | bomb & sleep 9; }\nsleep 9 &\nbomb 2>/dev/null &\nwait\n",
        (),
        (ended("timeout"), was_large(processes=8), processes_held(16)),
        fatal="bomb",
        shell=True,
        request=BOMB,
        is_alone=True,
    ),
    Case(
        "a fork bomb of python",
        """
say("ATTEMPTED", "bomb")
while True:
    try:
        os.fork()
    except OSError:
        pass
""",
        (),
        (ended("timeout"), was_large(processes=8), processes_held(16)),
        fatal="bomb",
        request=BOMB,
        is_alone=True,
    ),
    Case(
        "a flood of zombies",
        """
import time
def flood():
    for _ in range(200):
        if os.fork() == 0:
            os._exit(0)
attempt("flood", flood)
""",
        ("flood",),
        (refused("flood", by="EAGAIN"), ended("exited", exit_code=0), processes_held(16)),
        request=FEW,
    ),
    Case(
        "a flood of threads",
        """
import threading
threading.stack_size(32_768)
def flood():
    for _ in range(300):
        threading.Thread(target=threading.Event().wait, daemon=True).start()
attempt("flood", flood)
os._exit(0)
""",
        ("flood",),
        (refused("flood", by="RuntimeError"), ended("exited"), processes_held(16)),
        request=FEW,
    ),
    Case(
        "more processes than allowed by raising the limit",
        """
import resource
attempt("raise", lambda: resource.setrlimit(resource.RLIMIT_NPROC, (100_000, 100_000)))
attempt("files", lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (100_000, 100_000)))
attempt("core", lambda: resource.setrlimit(resource.RLIMIT_CORE, (1 << 20, 1 << 20)))
attempt("locked", lambda: resource.setrlimit(resource.RLIMIT_MEMLOCK, (1 << 30, 1 << 30)))
""",
        ("raise", "files", "core", "locked"),
        (refused("files", "core", "locked", by="EPERM ValueError"), ended("exited", exit_code=0)),
    ),
    Case(
        "a flood of descriptors",
        """
def flood():
    held = []
    while True:
        held.append(os.open("/dev/null", os.O_RDONLY))
        assert len(held) < 2000
attempt("flood", flood)
""",
        ("flood",),
        (refused("flood", by="EMFILE"), ended("exited", exit_code=0)),
    ),
    Case(
        "all the processor's time, by many",
        """
say("ATTEMPTED", "burn")
for _ in range(3):
    os.fork()
while True:
    pass
""",
        (),
        (ended("timeout"), was_large(processes=8)),
        fatal="burn",
        request={"max_cpu_seconds": 1, "timeout_seconds": 20},
        is_alone=True,
    ),
]

MEMORY = [
    Case(
        "memory without end in one process",
        """
say("ATTEMPTED", "fill")
held = []
while len(held) < 1024:
    held.append(bytearray(os.urandom(4096)) * 256)
""",
        (),
        (ended("oom", "exited"), was_large(memory_mb=48), memory_held(96, is_sudden=True)),
        fatal="fill",
        is_alone=True,
    ),
    Case(
        "memory without end in a tree of processes",
        """
import time
say("ATTEMPTED", "fill")
for _ in range(4):
    if os.fork() == 0:
        held = []
        while len(held) < 64:
            held.append(bytearray(os.urandom(4096)) * 256)
            time.sleep(0.01)
        time.sleep(60)
time.sleep(60)
""",
        (),
        (ended("oom"), was_large(memory_mb=48), memory_held(96)),
        fatal="fill",
        request={"timeout_seconds": 3},
        is_alone=True,
    ),
    Case(
        "shared memory that nobody has mapped",
        """
import mmap
def shared():
    with open("/dev/shm/fill", "wb", 0) as file:
        while True:
            file.write(b"x" * 65536)
attempt("shm", shared)
def fill():
    held = []
    while len(held) < 1024:
        held.append(bytearray(os.urandom(4096)) * 256)
say("ATTEMPTED", "fill")
fill()
""",
        (),
        (ended("oom"), memory_held(96, with_tmpfs=True, is_sudden=True)),
        fatal="shm",
        is_alone=True,
    ),
    Case(
        "the folder for temporary files filled, in memory or not",
        """
def fill():
    number = 0
    while True:
        number += 1
        with open(f"/tmp/{number}", "wb", 0) as file:
            file.write(b"x" * (1 << 20))
        assert number < 4096
attempt("fill", fill)
""",
        (),
        (ended("exited", "oom", "output_limit"), memory_held(96, with_tmpfs=True, is_sudden=True)),
        fatal="fill",
        is_alone=True,
    ),
    Case(
        "anonymous memory files, which belong to no process",
        """
def fill():
    held = []
    for number in range(200):
        held.append(os.memfd_create(f"m{number}"))
        for _ in range(8):
            os.write(held[-1], b"x" * (1 << 20))
    return len(held)
attempt("fill", fill)
""",
        (),
        (lambda seen: refused("fill")(seen) if seen.record["reason"] == "exited" else ended("oom")(seen),),
        fatal="fill",
        is_alone=True,
    ),
    Case(
        "shared memory of System V, detached",
        """
def fill():
    libc.shmat.restype = ctypes.c_void_p
    for number in range(16):
        one = checked(libc.shmget(0, 32 << 20, 0o1600))
        at = libc.shmat(one, None, 0)
        ctypes.memset(at, 1, 32 << 20)
        libc.shmdt(ctypes.c_void_p(at))
attempt("fill", fill)
""",
        (),
        (lambda seen: refused("fill")(seen) if seen.record["reason"] == "exited" else ended("oom")(seen),),
        fatal="fill",
        is_alone=True,
    ),
    Case(
        "messages of System V that nobody fetches",
        """
class Message(ctypes.Structure):
    _fields_ = [("kind", ctypes.c_long), ("text", ctypes.c_char * 8192)]
message = Message(1, b"x" * 8192)
def fill():
    for number in range(20_000):  # 16 KiB each, in the kernel's own memory
        queue = checked(libc.msgget(0, 0o1600))
        while libc.msgsnd(queue, ctypes.byref(message), 8192, 0o4000) == 0:
            pass
attempt("fill", fill)
""",
        (),
        (lambda seen: refused("fill")(seen) if seen.record["reason"] == "exited" else ended("oom")(seen),),
        fatal="fill",
        is_alone=True,
    ),
    Case(
        "memory shared by all of a tree",
        """
import mmap, time
say("ATTEMPTED", "fill")
held = []
while True:
    held.append(mmap.mmap(-1, 4 << 20))
    if os.fork() == 0:
        for at in range(0, 4 << 20, 4096):
            held[-1][at] = 1
        time.sleep(60)
    time.sleep(0.03)
""",
        (),
        (ended("oom"), memory_held(96, is_sudden=True)),
        fatal="fill",
        request={"max_processes": 64, "timeout_seconds": 5},
        is_alone=True,
    ),
    Case(
        "being spared when memory is out",
        """
def spare(value):
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write(value)
attempt("spare", lambda: spare("-1000"))
attempt("lock", lambda: checked(libc.mlockall(3)))
""",
        ("spare", "lock"),
        (refused("spare"), refused("lock", by="EPERM ENOMEM"), ended("exited", exit_code=0)),
    ),
]

DISK = [
    Case(
        "a disk filled by one file",
        """
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
def fill():
    with open("large", "wb", 0) as file:
        while True:
            file.write(b"x" * (1 << 20))
attempt("fill", fill)
attempt("sparse", lambda: os.truncate("large", 1 << 40))
attempt("allocate", lambda: os.posix_fallocate(os.open("large2", os.O_CREAT | os.O_WRONLY), 0, 1 << 34))
""",
        (),
        (disk_held(16), ended("exited", "output_limit")),
        fatal="fill",
    ),
    Case(
        "a disk filled by many files",
        """
import time
say("ATTEMPTED", "fill")
number = 0
while number < 4096:
    number += 1
    with open(f"file{number}", "wb", 0) as file:
        file.write(b"x" * (1 << 20))
    time.sleep(0.001)
""",
        (),
        (ended("output_limit"), disk_held(16)),
        fatal="fill",
        is_alone=True,
    ),
    Case(
        "a disk filled by files without a name",
        """
import time
say("ATTEMPTED", "fill")
held = []
for number in range(200):
    held.append(os.open("unnamed", os.O_CREAT | os.O_WRONLY))
    os.unlink("unnamed")
    for _ in range(8):
        os.write(held[-1], b"x" * (1 << 20))
        time.sleep(0.001)
    say("WROTE", str(number * 8))
time.sleep(60)
""",
        (),
        (ended("output_limit"), disk_held(16)),
        fatal="fill",
        is_alone=True,
    ),
    Case(
        "a disk filled by open files of a folder that nobody may enter",
        """
import time
say("ATTEMPTED", "fill")
os.mkdir("closed")
held = [os.open(f"closed/{number}", os.O_CREAT | os.O_WRONLY) for number in range(10)]
os.chmod("closed", 0)
os.chmod(".", 0o300)
for _ in range(14):
    for one in held:
        os.write(one, b"x" * (1 << 20))
    time.sleep(0.02)
time.sleep(60)
""",
        (),
        (ended("output_limit"), disk_held(16)),
        fatal="fill",
        is_alone=True,
    ),
    Case(
        "a disk filled by files without a name in a process that hides them",
        """
import shutil, time
FILL = '''
import os, time
held = []
for number in range(10):
    held.append(os.open(f"f{number}", os.O_CREAT | os.O_WRONLY))
    os.unlink(f"f{number}")
for _ in range(14):
    for one in held:
        os.write(one, b"x" * (1 << 20))
    time.sleep(0.02)
time.sleep(60)
'''
# The kernel keeps a process to itself whose program nobody may read.
python = os.path.realpath("/usr/bin/python3")
shutil.copyfile(python, "/job/unreadable")
os.chmod("/job/unreadable", 0o111)
say("ATTEMPTED", "fill")
os.execve("/job/unreadable", ["unreadable", "-I", "-c", FILL], {"PYTHONHOME": "/usr"})
""",
        (),
        (ended("output_limit"), disk_held(16)),
        fatal="fill",
        is_alone=True,
    ),
    Case(
        "open files hidden by asking the kernel",
        """
attempt("hide", lambda: checked(libc.prctl(4, 0, 0, 0, 0)))
attempt("hide_by_upper_bits", lambda: checked(libc.syscall(157, 0x1_0000_0004, 0, 0, 0, 0)))
attempt("stay", lambda: checked(libc.prctl(4, 1, 0, 0, 0)))
""",
        ("hide", "hide_by_upper_bits", "stay"),
        (refused("hide", "hide_by_upper_bits", by="EPERM"), got("stay"), ended("exited", exit_code=0)),
    ),
    Case(
        "a disk filled by empty files",
        """
say("ATTEMPTED", "fill")
for number in range(250_000):
    os.close(os.open(f"n{number}", os.O_CREAT | os.O_WRONLY))
say("WROTE", "all")
""",
        (),
        (ended("output_limit", "timeout", "exited"), disk_held(16)),
        fatal="fill",
        request={"timeout_seconds": 1.5},
        is_alone=True,
    ),
    Case(
        "a tree of folders too deep to be walked",
        """
def dig():
    for level in range(3000):
        os.mkdir("d" * 200)
        os.chdir("d" * 200)
        if level == 1200:
            say("DUG", "1200")
    open("bottom", "w").close()
    os.chmod(".", 0)
    return 3000
attempt("dig", dig)
""",
        (),
        (ended("exited", "output_limit"), no_artifact("bottom")),
        fatal="dig",
        request={"artifacts": ["**/bottom", "**"], "ttl_seconds": 1},
    ),
    Case(
        "folders that nobody may enter",
        """
def close():
    os.makedirs("locked/inner")
    open("locked/inner/file", "w").close()
    os.chmod("locked/inner", 0)
    os.chmod("locked", 0)
    return 0
attempt("close", close)
""",
        ("close",),
        (got("close"), ended("exited", exit_code=0)),
        request={"artifacts": ["**"], "ttl_seconds": 1},
    ),
    Case(
        "a core dump",
        """
import resource
def dump():
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
attempt("limit", dump)
attempt("dump", lambda: in_child(os.abort))
say("FOUND", " ".join(name for name in os.listdir(".") if "core" in name) or "none")
""",
        ("limit", "dump"),
        (refused("limit"), got("dump", like="'signal 6'"), lambda seen: _none_found(seen.record["stdout"])),
    ),
]

FLOOD = """
import signal
signal.signal(signal.SIGPIPE, signal.SIG_IGN)
say("ATTEMPTED", "flood")
line = {line!r} * 8192
while True:
    for one in {streams}:
        os.write(one, line)
"""


def _flood(name: str, line: bytes, streams: tuple[int, ...]) -> Case:
    return Case(
        name,
        FLOOD.format(line=line, streams=streams),
        (),
        (ended("output_limit"), output_held),
        fatal="flood",
        is_alone=True,
    )


OUTPUT = [
    _flood("a flood on stdout", b"flood\n", (1,)),
    _flood("a flood on stderr", b"flood\n", (2,)),
    _flood("a flood on both", b"flood\n", (1, 2)),
    _flood("a flood without a line's end", b"\xff\x00", (1, 2)),
    Case(
        "a job that never reads its input",
        'import time\nattempt("idle", lambda: time.sleep(0.2))\n',
        ("idle",),
        (ended("exited", exit_code=0),),
        request={"stdin": "x" * 500_000},
    ),
    Case(
        "a job that closes its output and goes on",
        """
import time
say("ATTEMPTED", "close")
os.closerange(0, 3)
time.sleep(60)
""",
        (),
        (ended("timeout"),),
        fatal="close",
        request={"timeout_seconds": 2},
    ),
]


def _none_found(stdout: str) -> None:
    if "FOUND none" not in stdout:
        raise AssertionError(stdout)


CASES = [*PROCESSES, *MEMORY, *DISK, *OUTPUT]
