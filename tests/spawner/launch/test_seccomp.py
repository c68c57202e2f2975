"""What no job may ask of the kernel, asked for real from inside."""

import struct

import pytest

from spawner import seccomp
from tests.spawner.launch.conftest import PYTHON, Bench

CALLS = """
import ctypes, errno, platform
libc = ctypes.CDLL(None, use_errno=True)
numbers = {'x86_64': 0, 'aarch64': 1}[platform.machine()]
def call(name, pair, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(pair[numbers]), *[ctypes.c_ulong(a) for a in arguments])
    print(name, 'ok' if result >= 0 else errno.errorcode[ctypes.get_errno()])
call('unshare', (272, 97), 0x10000000)
call('mount', (165, 40), 0, 0, 0, 0, 0)
call('bpf', (321, 280), 0, 0, 0)
call('io_uring_setup', (425, 425), 1, 0)
call('userfaultfd', (323, 282), 0)
call('perf_event_open', (298, 241), 0, 0, 0, 0, 0)
call('keyctl', (250, 219), 0, 0)
call('ptrace', (101, 117), 0, 0, 0, 0)
call('clone3', (435, 435), 0, 0)
call('clone_newuser', (56, 220), 0x10000000 | 17, 0, 0, 0, 0)
call('setns', (308, 268), 0, 0)
call('tiocsti', (16, 29), 0, 0x5412, 0)
call('tiocsti_with_upper_bits', (16, 29), 0, 0xFFFFFFFF00005412, 0)
call('netlink', (41, 198), 16, 3, 0)
call('vsock', (41, 198), 40, 1, 0)
call('alg', (41, 198), 38, 5, 0)
call('personality', (135, 92), 0x0040000)
call('open_by_handle_at', (304, 265), 0, 0, 0)
call('hide', (157, 167), 4, 0, 0, 0, 0)
call('hide_with_upper_bits', (157, 167), 0x100000004, 0, 0, 0, 0)
call('stay_dumpable', (157, 167), 4, 1, 0, 0, 0)
call('getpid', (39, 172))
call('inet', (41, 198), 2, 1, 0)
"""
ALLOWED = {"getpid", "inet", "stay_dumpable"}
OTHER_ERRORS = {"clone3": "ENOSYS", "netlink": "EAFNOSUPPORT", "vsock": "EAFNOSUPPORT", "alg": "EAFNOSUPPORT"}


async def test_dangerous_calls_are_refused_and_harmless_ones_are_not(each_bench: Bench) -> None:
    ran = await each_bench.run(each_bench.job(PYTHON, "-I", "-c", CALLS))

    answers = dict(line.split() for line in ran.stdout.splitlines())
    assert len(answers) == 23, ran.stderr
    expected = {name: "ok" if name in ALLOWED else OTHER_ERRORS.get(name, "EPERM") for name in answers}
    assert answers == expected


async def test_threads_and_processes_still_work_with_the_filter(each_bench: Bench) -> None:
    script = """
import subprocess, threading
done = []
threads = [threading.Thread(target=done.append, args=(n,)) for n in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
print(len(done), subprocess.run(['/bin/echo', 'child'], capture_output=True, text=True).stdout)"""
    ran = await each_bench.run(each_bench.job(PYTHON, "-I", "-c", script))

    assert ran.stdout.split() == ["4", "child"], ran.stderr


@pytest.mark.parametrize("machine", seccomp.ARCHITECTURES)
@pytest.mark.parametrize("is_counted", [True, False])
def test_the_kept_filter_is_what_the_rules_make(machine: str, is_counted: bool) -> None:
    pytest.importorskip("pyseccomp", exc_type=ImportError)
    try:
        made = seccomp.build(machine, is_counted=is_counted)
    except RuntimeError as missing:
        pytest.skip(f"no libseccomp: {missing}")

    assert seccomp.compiled(is_counted=is_counted, machine=machine) == made


def test_a_filter_is_for_its_own_machine_and_kills_calls_of_any_other() -> None:
    audit_numbers = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
    for machine, number in audit_numbers.items():
        words = seccomp.compiled(is_counted=True, machine=machine)
        assert words is not None
        instructions = list(struct.iter_unpack("=HBBI", words))
        assert instructions[0][3] == 4  # loads the architecture
        assert instructions[1][3] == number
    assert seccomp.compiled(is_counted=True, machine="riscv64") is None
