"""How much memory local models may take, and what one of them will."""

from pathlib import Path

from config.gguf import read_gguf
from config.settings import MIB
from switch.local.memory import PROCESS_BYTES, budget_bytes, estimated_bytes, machine_bytes
from tests.fakes.model_files import gguf


def machine(tmp_path: Path, *, cgroup: str = "") -> tuple[Path, Path]:
    proc, cgroups = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text("MemTotal:        8192000 kB\nMemFree:  1 kB\n")
    (proc / "self" / "cgroup").write_text(cgroup)
    return proc, cgroups


def test_half_of_the_machine_unless_the_setting_says_otherwise(tmp_path):
    proc, cgroups = machine(tmp_path)
    assert budget_bytes(None, proc=proc, cgroups=cgroups) == 4000 * MIB
    assert budget_bytes(123, proc=proc, cgroups=cgroups) == 123 * MIB
    assert budget_bytes(0, proc=proc, cgroups=cgroups) == 0
    assert budget_bytes(10**6, proc=proc, cgroups=cgroups) == 8000 * MIB  # not more than there is


def test_a_limit_of_a_control_group_counts_also_of_one_above_ours(tmp_path):
    proc, cgroups = machine(tmp_path, cgroup="0::/a/b\n")
    (cgroups / "a" / "b").mkdir(parents=True)
    (cgroups / "a" / "b" / "memory.max").write_text("max\n")
    (cgroups / "a" / "memory.max").write_text(f"{600 * MIB}\n")
    assert machine_bytes(proc=proc, cgroups=cgroups) == 600 * MIB
    assert budget_bytes(None, proc=proc, cgroups=cgroups) == 300 * MIB


def test_so_does_one_of_the_old_kind(tmp_path):
    proc, cgroups = machine(tmp_path, cgroup="5:cpu,memory:/x\n")
    (cgroups / "memory" / "x").mkdir(parents=True)
    (cgroups / "memory" / "x" / "memory.limit_in_bytes").write_text(f"{700 * MIB}\n")
    assert machine_bytes(proc=proc, cgroups=cgroups) == 700 * MIB


def test_a_model_takes_its_file_and_what_it_keeps_of_the_context(tmp_path):
    shape = {"llama.embedding_length": 576, "llama.attention.head_count": 9, "llama.attention.head_count_kv": 3}
    file = tmp_path / "a.gguf"
    file.write_bytes(gguf(more=shape | {"llama.block_count": 30}))
    told = read_gguf(file)
    assert (told.layers, told.heads, told.kv_heads, told.embedding_length) == (30, 9, 3, 576)
    kept = 30 * 4096 * 3 * (64 + 64) * 2
    assert estimated_bytes(100 * MIB, told, 4096) == PROCESS_BYTES + 100 * MIB + kept + 512 * 576 * 8 * 4
    file.write_bytes(gguf(more=shape | {"llama.attention.key_length": 128, "llama.attention.value_length": 32}))
    assert estimated_bytes(0, read_gguf(file), 1000) == PROCESS_BYTES + 1 * 1000 * 3 * 160 * 2 + 512 * 576 * 8 * 4


def test_where_the_file_does_not_tell_its_shape_a_quarter_of_it_is_added(tmp_path):
    file = tmp_path / "a.gguf"
    file.write_bytes(gguf())
    assert estimated_bytes(400 * MIB, read_gguf(file), 4096) == PROCESS_BYTES + 500 * MIB
