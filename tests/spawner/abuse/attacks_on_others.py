"""Attacks on other processes, on the network, and on whoever waits for the job's end."""

from tests.spawner.abuse.cases import Case, Seen, ended, got, kept, refused

NETWORK = [
    Case(
        "the fleet's ports and others on this machine",
        """
import socket
def knock(family, address, port):
    with socket.socket(family, socket.SOCK_STREAM) as one:
        one.settimeout(1)
        one.connect((address, port))
        one.sendall(b"tcp was here")
        return "through"
for number, port in enumerate(target["ports"]):
    attempt(f"v4.{number}", lambda: knock(socket.AF_INET, "127.0.0.1", port))
    attempt(f"v6.{number}", lambda: knock(socket.AF_INET6, "::1", port))
    attempt(f"any.{number}", lambda: knock(socket.AF_INET, "0.0.0.0", port))
    attempt(f"mapped.{number}", lambda: knock(socket.AF_INET6, "::ffff:127.0.0.1", port))
""",
        ("v4.0", "v6.0", "any.0", "mapped.0", "v4.1"),
        (refused("v4.0", "v6.0", "any.0", "mapped.0", "v4.1", "v6.1", "any.1", "mapped.1"),),
    ),
    Case(
        "datagrams",
        """
import socket
def send(address, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(0.3)
        one.connect((address, port))
        for _ in range(3):
            one.send(b"udp was here")
        one.recv(10)  # an unreachable port is told of here
attempt("loopback", lambda: send("127.0.0.1", target["ports"][0]))
attempt("far", lambda: send(target["far"], 4711))
attempt("broadcast", lambda: send("255.255.255.255", 4711))
attempt("names", lambda: socket.getaddrinfo("example.invalid", 80))
""",
        ("loopback", "far", "broadcast", "names"),
        (refused("loopback", "far", "broadcast", "names"),),
    ),
    Case(
        "sockets of the machine by an abstract name",
        """
import socket
def knock(name, kind=socket.SOCK_STREAM):
    with socket.socket(socket.AF_UNIX, kind) as one:
        one.connect(name)
        one.sendall(b"abstract was here")
        return "through"
attempt("stream", lambda: knock("\\0" + target["abstract"]))
attempt("list", lambda: [line.split()[-1] for line in open("/proc/net/unix").readlines()[1:]])
for number, name in enumerate(["\\0/tmp/.X11-unix/X0", "\\0/tmp/dbus-test", "\\0/containerd-shim"]):
    attempt(f"known{number}", lambda: knock(name))
""",
        ("stream", "list", "known0"),
        (refused("stream", "known0", "known1", "known2"), lambda seen: _not_in(seen, "list", "vx11-canary")),
    ),
    Case(
        "sockets of the machine by a path",
        """
import socket
def knock(name):
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(name)
        one.sendall(b"path was here")
        return "through"
attempt("canary", lambda: knock(target["socket"]))
for name in ("/run/docker.sock", "/var/run/docker.sock", "/run/systemd/private", "/run/dbus/system_bus_socket", "/dev/log"):
    attempt(name, lambda: knock(name))
""",
        ("canary", "/run/docker.sock", "/dev/log"),
        (refused("canary", "/run/docker.sock", "/var/run/docker.sock", "/run/dbus/system_bus_socket", "/dev/log"),),
    ),
    Case(
        "the network beyond",
        """
import socket
def knock(port):
    with socket.create_connection((target["far"], port), timeout=2) as one:
        one.sendall(b"tcp was here")
        return "through"
attempt("far", lambda: knock(4711))
attempt("near", lambda: socket.create_connection((target["near"], target["ports"][1]), timeout=2))
attempt("interfaces", lambda: [name for _, name in socket.if_nameindex()])
def routes():
    with open("/proc/net/route") as file:
        return file.readlines()[1:]
attempt("routes", routes)
""",
        ("far", "near", "interfaces", "routes"),
        (refused("far", "near"), got("routes", like=r"\[\]"), lambda seen: _only_loopback(seen)),
    ),
    Case(
        "families of sockets that nobody needs",
        """
import socket
for stage, family, kind, protocol in (
    ("netlink", 16, socket.SOCK_RAW, 0),
    ("packet", 17, socket.SOCK_RAW, 0x300),
    ("alg", 38, 5, 0),
    ("vsock", 40, socket.SOCK_STREAM, 0),
    ("raw", 2, socket.SOCK_RAW, 1),
):
    attempt(stage, lambda: syscall(41, family, kind, protocol))
attempt("high_bits", lambda: syscall(41, (1 << 32) | 16, 3, 0))
attempt("pair", lambda: socket.socketpair()[0].fileno() > 0)
""",
        ("netlink", "packet", "alg", "vsock", "raw", "high_bits", "pair"),
        (refused("netlink", "packet", "alg", "vsock", "raw", "high_bits"), got("pair", like="True")),
    ),
]

PROCESSES = [
    Case(
        "looking at other processes",
        """
def read(path):
    with open(path, "rb") as file:
        return file.read()
pid = target["victim"]
attempt("pids", lambda: sorted(int(name) for name in os.listdir("/proc") if name.isdigit()))
for name in ("cmdline", "environ", "maps", "mem", "status", "stat"):
    attempt(name, lambda: read(f"/proc/{pid}/{name}"))
attempt("root", lambda: os.listdir(f"/proc/{pid}/root"))
attempt("fd", lambda: os.listdir(f"/proc/{pid}/fd"))
attempt("all", lambda: [read(f"/proc/{name}/cmdline") for name in os.listdir("/proc") if name.isdigit()])
""",
        ("pids", "cmdline", "environ", "maps", "mem", "status", "root", "fd", "all"),
        (
            refused("cmdline", "environ", "maps", "mem", "status", "stat", "root", "fd"),
            lambda seen: _few_pids(seen),
        ),
    ),
    Case(
        "signals to others",
        """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
pid = target["victim"]
for number in (signal.SIGTERM, signal.SIGSTOP, signal.SIGKILL):
    attempt(f"victim{number.value}", lambda: os.kill(pid, number))
attempt("service", lambda: os.kill(target["service"], signal.SIGKILL))
attempt("group", lambda: os.killpg(pid, signal.SIGKILL))
attempt("handle", lambda: os.pidfd_open(pid))
attempt("queue", lambda: syscall(129, pid, 9, 0))
attempt("thread", lambda: syscall(200, pid, 9))
attempt("init", lambda: os.kill(1, signal.SIGKILL))
attempt("all", lambda: os.kill(-1, signal.SIGTERM))
say("ATTEMPTED", "all9")
os.kill(-1, signal.SIGKILL)
""",
        ("victim15", "victim19", "victim9", "service", "group", "handle", "init", "all"),
        (refused("victim15", "victim19", "victim9", "service", "group", "handle"),),
        fatal="all9",
    ),
    Case(
        "its own whole group killed",
        'import signal\nsay("ATTEMPTED", "group")\nos.kill(0, signal.SIGKILL)\n',
        (),
        (ended("exited"), lambda seen: kept(seen.record["signal"] == 9 or seen.record["exit_code"], seen.record)),
        fatal="group",
    ),
    Case(
        "tracing others",
        """
PTRACE_TRACEME, PTRACE_ATTACH, PTRACE_SEIZE = 0, 16, 0x4206
attempt("attach", lambda: syscall(101, PTRACE_ATTACH, target["victim"], 0, 0))
attempt("seize", lambda: syscall(101, PTRACE_SEIZE, target["victim"], 0, 0))
attempt("init", lambda: syscall(101, PTRACE_ATTACH, 1, 0, 0))
buffer = ctypes.create_string_buffer(64)
class Piece(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
piece = Piece(ctypes.cast(buffer, ctypes.c_void_p), 64)
for stage, pid in (("read_victim", target["victim"]), ("read_parent", os.getppid()), ("read_own", os.getpid())):
    attempt(stage, lambda: syscall(310, pid, ctypes.byref(piece), 1, ctypes.byref(piece), 1, 0))
attempt("write_own", lambda: syscall(311, os.getpid(), ctypes.byref(piece), 1, ctypes.byref(piece), 1, 0))
attempt("steal", lambda: syscall(438, os.pidfd_open(os.getppid()), 1, 0))
attempt("compare", lambda: syscall(312, os.getpid(), os.getppid(), 0, 1, 1))
attempt("me", lambda: syscall(101, PTRACE_TRACEME, 0, 0, 0))
""",
        ("attach", "seize", "init", "me", "read_victim", "read_parent", "read_own", "write_own", "steal", "compare"),
        (
            refused("attach", "seize", "init", "me", "read_victim", "read_parent", "read_own", by="EPERM ESRCH"),
            refused("write_own", "steal", "compare", by="EPERM ESRCH"),
        ),
        request={"timeout_seconds": 2},
    ),
    Case(
        "daemons that outlive their job",
        """
import signal, time
told, tell = os.pipe()
def daemon():
    for _ in range(4):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                for number in range(1, 32):
                    if number not in (9, 19):
                        signal.signal(number, signal.SIG_IGN)
                libc.prctl(1, 0)
                libc.prctl(15, b"innocent")
                os.write(tell, b".")
                os.closerange(0, 300)
                while True:
                    time.sleep(1)
            os._exit(0)
    started = 0
    while started < 4:
        started += len(os.read(told, 4))
    return started
attempt("daemon", daemon)
""",
        ("daemon",),
        (got("daemon", like="4"), ended("exited", exit_code=0)),
    ),
    Case(
        "a daemon that holds its job's output open",
        """
import time
def daemon():
    if os.fork() == 0:
        os.setsid()
        time.sleep(1000)
    return "started"
attempt("daemon", daemon)
""",
        ("daemon",),
        (got("daemon"), ended("exited", exit_code=0)),
    ),
    Case(
        "every signal ignored when time is up",
        """
import signal, time
for number in range(1, 65):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
libc.prctl(36, 1)
if os.fork() == 0:
    os.setsid()
os.fork()
say("ATTEMPTED", "ignore")
while True:
    time.sleep(1)
""",
        (),
        (ended("timeout"),),
        fatal="ignore",
        request={"timeout_seconds": 1.5},
    ),
    Case(
        "a job that stops itself",
        """
import signal
say("ATTEMPTED", "stop")
if os.fork() == 0:
    os.kill(os.getpid(), signal.SIGSTOP)
os.kill(os.getpid(), signal.SIGSTOP)
""",
        (),
        (ended("timeout"),),
        fatal="stop",
        request={"timeout_seconds": 1.5},
    ),
    Case(
        "tricks with the scheduler",
        """
attempt("nice", lambda: os.nice(-20))
attempt("priority", lambda: os.setpriority(os.PRIO_PROCESS, 0, -20))
attempt("fifo", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(99)))
attempt("rr", lambda: os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1)))
attempt("victim", lambda: os.setpriority(os.PRIO_PROCESS, target["victim"], 19))
attempt("victim_cpus", lambda: os.sched_setaffinity(target["victim"], {0}))
attempt("io", lambda: syscall(251, 1, 0, (1 << 13) | 0))
attempt("own_cpus", lambda: os.sched_setaffinity(0, os.sched_getaffinity(0)))
""",
        ("nice", "priority", "fifo", "rr", "victim", "victim_cpus", "io", "own_cpus"),
        (refused("nice", "priority", "fifo", "rr", "victim", "victim_cpus", "io"),),
    ),
    Case(
        "words put into the terminal",
        """
import fcntl
TIOCSTI, TIOCLINUX = 0x5412, 0x541C
for number in (0, 1, 2):
    attempt(f"push{number}", lambda: fcntl.ioctl(number, TIOCSTI, b"x"))
attempt("terminal", lambda: os.open("/dev/tty", os.O_RDWR))
attempt("console", lambda: os.open("/dev/console", os.O_RDWR))
def own_terminal():
    master, slave = os.openpty()
    os.setsid() if os.getsid(0) != os.getpid() else None
    libc.ioctl(slave, 0x540E, 0)
    return slave
slave = attempt("pty", own_terminal)
number = slave if slave is not None else 0
attempt("push", lambda: checked(libc.ioctl(number, TIOCSTI, b"x")))
attempt("push_high", lambda: syscall(16, number, (1 << 32) | TIOCSTI, ctypes.c_char_p(b"x")))
attempt("linux", lambda: syscall(16, number, TIOCLINUX, ctypes.c_char_p(b"\\3")))
print("\\x1b]0;owned\\x07\\x1b[2J\\x1bP$q\\x1b\\\\ end", flush=True)
""",
        ("push0", "push1", "push2", "terminal", "console", "push", "push_high", "linux"),
        (
            refused("push0", "push1", "push2", "terminal", "push", "push_high", "linux"),
            lambda seen: kept(
                "\x1b]0;owned\x07\x1b[2J\x1bP$q\x1b\\ end" in seen.record["stdout"], "the output was changed"
            ),
        ),
    ),
]


def _not_in(seen: Seen, stage: str, part: str) -> None:
    kept(part not in (seen.stages[stage] or ""), f"{part} was seen")


def _only_loopback(seen: Seen) -> None:
    """An answer without netlink is a refusal; one with it names loopback alone."""
    found = seen.stages["interfaces"] or ""
    kept(found.startswith("REFUSED") or found in ("['lo']", "[]"), found)


def _few_pids(seen: Seen) -> None:
    found = seen.stages["pids"] or ""
    kept(found.count(",") < 5, f"the job sees {found}")


CASES = [*NETWORK, *PROCESSES]
