"""The ladder: the ways to run a job, best first, and what each of them keeps from it."""

from dataclasses import dataclass

from config.contracts.spawner import Level, Protections

ENFORCED, BEST_EFFORT, NONE = Level.ENFORCED, Level.BEST_EFFORT, Level.NONE


@dataclass(frozen=True)
class Rung:
    """One way to run jobs, and what it gives where all of it works."""

    name: str
    about: str
    protections: Protections
    is_boxed: bool = True
    has_proc: bool = True
    uses_cgroup: bool = False
    uses_landlock: bool = False

    @property
    def is_sandbox(self) -> bool:
        return self.is_boxed or self.uses_landlock


def _boxed(*, mem: Level) -> Protections:
    """Namespaces hold the rest; processes are counted by RLIMIT_NPROC in the job's own user namespace, where no cgroup does it."""
    every = ENFORCED
    return Protections(
        fs=every, net=every, pid=every, user=every, seccomp=every, mem=mem, pids=every, kill=every, orphan=every
    )


# Without a sandbox a job of its own uid is found by that uid, whatever it does; one of ours only while it does not hide.
_BARE = Protections(
    fs=NONE, net=NONE, pid=NONE, user=NONE, seccomp=NONE, mem=BEST_EFFORT, pids=NONE, kill=BEST_EFFORT, orphan=NONE
)

# Other processes are seen, not touched; what the job's own do and leave is found as without a sandbox.
_CLOSED = Protections(
    fs=ENFORCED,
    net=ENFORCED,
    pid=BEST_EFFORT,
    user=NONE,
    seccomp=ENFORCED,
    mem=BEST_EFFORT,
    pids=NONE,
    kill=BEST_EFFORT,
    orphan=NONE,
)

RUNGS = (
    Rung("S3", "bubblewrap, with a cgroup", _boxed(mem=ENFORCED), uses_cgroup=True),
    Rung("S3p", "bubblewrap without /proc, with a cgroup", _boxed(mem=ENFORCED), has_proc=False, uses_cgroup=True),
    Rung("S2", "bubblewrap; memory is looked at every few milliseconds", _boxed(mem=BEST_EFFORT)),
    Rung(
        "S2p",
        "bubblewrap without /proc; memory is looked at every few milliseconds",
        _boxed(mem=BEST_EFFORT),
        has_proc=False,
    ),
    Rung(
        "S1",
        "no namespaces: Landlock and a filter of system calls; other processes are seen",
        _CLOSED,
        is_boxed=False,
        uses_landlock=True,
    ),
    Rung("S0", "not a sandbox: limits and a uid of its own at most", _BARE, is_boxed=False),
)
