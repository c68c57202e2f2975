"""The filter of system calls: what no job may ask of the kernel, as rules, and the compiled form that bwrap loads.

The compiled form is kept in `seccomp_filter.json`, so that libseccomp is needed only where the rules change:
`python -m spawner.seccomp` writes it anew from the rules (it needs the `pyseccomp` package).
"""

import errno
import json
import platform
import tempfile
from pathlib import Path
from typing import Any

COMPILED = Path(__file__).with_name("seccomp_filter.json")
ARCHITECTURES = ("x86_64", "aarch64")

REFUSED = (
    *("mount", "umount2", "mount_setattr", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "open_tree"),
    *("pivot_root", "chroot", "unshare", "setns"),
    *("bpf", "perf_event_open", "userfaultfd", "fanotify_init", "acct", "syslog", "lookup_dcookie"),
    *("keyctl", "add_key", "request_key"),
    *("io_uring_setup", "io_uring_enter", "io_uring_register"),
    *("kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "reboot", "swapon", "swapoff"),
    *("open_by_handle_at", "name_to_handle_at"),
    *("ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp"),
    *("settimeofday", "clock_settime", "adjtimex", "clock_adjtime"),
    *("sethostname", "setdomainname", "quotactl", "quotactl_fd", "vhangup"),
)
REFUSED_ON_X86 = ("iopl", "ioperm", "modify_ldt")
UNCOUNTED = ("memfd_create", "memfd_secret", "shmget", "msgget")
"""Memory that belongs to no process: only a cgroup counts it, so without one there is none to be had."""
NAMESPACE_FLAGS = (0x00000080, 0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
TERMINAL_INJECTION = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX
SOCKET_FAMILIES = (16, 17, 38, 40)  # netlink, packet, AF_ALG, vsock
PR_SET_DUMPABLE = 4
LOW_HALF = 0xFFFF_FFFF


def compiled(*, is_counted: bool, machine: str | None = None) -> bytes | None:
    """The filter for `--seccomp`, as classic BPF; None for a machine that it was not compiled for.

    `is_counted`: whether a cgroup counts the job's memory; without one `UNCOUNTED` is refused too.
    """
    filters: dict[str, dict[str, str]] = json.loads(COMPILED.read_text())
    of_machine = filters.get(machine or platform.machine())
    return bytes.fromhex(of_machine["counted" if is_counted else "uncounted"]) if of_machine else None


def build(machine: str, *, is_counted: bool) -> bytes:
    """The filter made from the rules. Raises ImportError or RuntimeError where pyseccomp or libseccomp is missing."""
    import pyseccomp

    rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    arch = getattr(pyseccomp.Arch, machine.upper())
    if machine != platform.machine():
        rules.add_arch(arch)
        rules.remove_arch(pyseccomp.Arch.NATIVE)
    denied, absent = pyseccomp.ERRNO(errno.EPERM), pyseccomp.ERRNO(errno.ENOSYS)
    on_x86 = REFUSED_ON_X86 if machine == "x86_64" else ()
    for name in (*REFUSED, *on_x86):
        rules.add_rule(denied, name)
    if not is_counted:
        for name in UNCOUNTED:
            rules.add_rule(absent, name)
    # Flags of clone3 lie in memory, where a filter cannot look: libc falls back to clone.
    rules.add_rule(absent, "clone3")
    for flag in NAMESPACE_FLAGS:
        rules.add_rule(denied, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, flag, flag))
    # The kernel takes these arguments as 32 bits: compared in full, a set upper bit would walk past the rule.
    for request in TERMINAL_INJECTION:
        rules.add_rule(denied, "ioctl", pyseccomp.Arg(1, pyseccomp.MASKED_EQ, LOW_HALF, request))
    for family in SOCKET_FAMILIES:
        unknown = pyseccomp.ERRNO(errno.EAFNOSUPPORT)
        rules.add_rule(unknown, "socket", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, LOW_HALF, family))
    # A process that is not dumpable hides its open files and their size from a spawner that is not root.
    sets_dumpable = pyseccomp.Arg(0, pyseccomp.MASKED_EQ, LOW_HALF, PR_SET_DUMPABLE)
    rules.add_rule(denied, "prctl", sets_dumpable, pyseccomp.Arg(1, pyseccomp.NE, 1))
    rules.add_rule(denied, "personality", pyseccomp.Arg(0, pyseccomp.NE, 0))
    return exported(rules)


def exported(rules: Any) -> bytes:
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0)
        return file.read()


def main() -> None:
    kinds = {"counted": True, "uncounted": False}
    filters = {
        machine: {name: build(machine, is_counted=counted).hex() for name, counted in kinds.items()}
        for machine in ARCHITECTURES
    }
    COMPILED.write_text(json.dumps(filters, indent=1) + "\n")


if __name__ == "__main__":
    main()
