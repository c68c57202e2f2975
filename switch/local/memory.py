"""How much memory local models may take together, and how much one of them will take."""

from contextlib import suppress
from pathlib import Path

from config.gguf import GgufFacts
from config.settings import MIB

PROC, CGROUPS = Path("/proc"), Path("/sys/fs/cgroup")
PROCESS_BYTES = 64 * MIB
"""A process of llama.cpp without a model: measured 60 to 64 MiB asleep."""
COMPUTE_TOKENS = 512
"""Tokens that llama.cpp computes in one go (`n_ubatch`), for which it keeps room."""
KV_BYTES = 2
"""Bytes of one kept number: keys and values are kept as 16-bit floats."""


def estimated_bytes(file_bytes: int, facts: GgufFacts, context_tokens: int) -> int:
    """What a model will take when it is loaded, in bytes: its file, what it keeps of the context, and what it computes with.

    Kept: layers x context x KV heads x (length of a key + length of a value) x 2 bytes; lengths are embedding / heads where the file does
    not say. Computed with: 512 tokens of eight embeddings in 32-bit floats. Where the file tells no shape a quarter of its size stands
    for both.
    Source: llama.cpp's `llama_kv_cache` (f16 K and V for each layer and cell) and its `-ub` of 512.
    """
    return PROCESS_BYTES + file_bytes + (_kept_and_computed(facts, context_tokens) or file_bytes // 4)


def _kept_and_computed(facts: GgufFacts, context_tokens: int) -> int | None:
    if not facts.layers or not facts.heads or not facts.embedding_length:
        return None
    usual = facts.embedding_length // facts.heads
    per_cell = (
        (facts.kv_heads or facts.heads) * ((facts.key_length or usual) + (facts.value_length or usual)) * KV_BYTES
    )
    return facts.layers * context_tokens * per_cell + COMPUTE_TOKENS * facts.embedding_length * 8 * 4


def budget_bytes(local_memory_mb: int | None, *, proc: Path = PROC, cgroups: Path = CGROUPS) -> int:
    """Memory for local models together, in bytes: the setting, or half of what there is; never more than a control group allows."""
    limit = machine_bytes(proc=proc, cgroups=cgroups)
    return limit // 2 if local_memory_mb is None else min(local_memory_mb * MIB, limit)


def machine_bytes(*, proc: Path = PROC, cgroups: Path = CGROUPS) -> int:
    """What the machine has (`MemTotal` of proc_meminfo(5)), or the least that our control group and those above it allow.

    Source: the kernel's documents of cgroup v2 (`memory.max`) and v1 (`memory.limit_in_bytes`).
    """
    least = next(
        int(line.split()[1]) * 1024
        for line in (proc / "meminfo").read_text().splitlines()
        if line.startswith("MemTotal:")
    )
    for line in _lines(proc / "self" / "cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            top, name = cgroups, "memory.max"
        elif "memory" in controllers.split(","):
            top, name = cgroups / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = top / path.lstrip("/")
        for folder in (group, *group.parents):
            with suppress(OSError, ValueError):  # `max`, or a group outside of our namespace
                least = min(least, int((folder / name).read_text()))
            if folder == top:
                break
    return least


def _lines(path: Path) -> list[str]:
    with suppress(OSError):
        return path.read_text().splitlines()
    return []
