"""Rules on their own: what names tell, what a specialty is guessed from, what counts as better, and how much room there is."""

from datetime import timedelta
from pathlib import Path

import pytest

from config.contracts.hermes import HubFile
from config.settings import MIB
from hermes import machine
from hermes.hub import retry_after_seconds
from hermes.improvements import wait_after
from hermes.machine import Room, fit_of
from hermes.openrouter import price
from hermes.specialties import specialty_of
from hermes.versions import format_of, is_safe, preferred, quantization_of, versions_of


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("qwen2.5-coder-0.5b-instruct-q4_k_m.gguf", "Q4_K_M"),
        ("Llama-3.2-1B-Instruct.Q8_0.gguf", "Q8_0"),
        ("model-IQ3_XXS.gguf", "IQ3_XXS"),
        ("model-IQ4_NL.gguf", "IQ4_NL"),
        ("model-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"),
        ("model-Q4_0_4_8.gguf", "Q4_0_4_8"),
        ("model-Q6_K-00001-of-00002.gguf", "Q6_K"),
        ("model-fp16.gguf", "F16"),
        ("model.BF16.gguf", "BF16"),
        ("gpt-oss-20b-mxfp4.gguf", "MXFP4"),
        ("Q5_K_S/model-00001-of-00002.gguf", "Q5_K_S"),
        ("ggml-model-q4_0.gguf", "Q4_0"),
        ("model.gguf", None),
        ("mmproj-model-f16.gguf", None),
        ("onnx/model_q4f16.onnx", "Q4F16"),
        ("onnx/model_fp16.onnx_data", "F16"),
        ("onnx/model.onnx", None),
        ("unet/diffusion_pytorch_model.fp16.safetensors", "F16"),
        ("q4_k_m.txt", None),
    ],
)
def test_a_quantisation_is_read_from_the_name(path, expected):
    assert quantization_of(path) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.gguf", "gguf"),
        ("A.SAFETENSORS", "safetensors"),
        ("onnx/model.onnx_data_1", "onnx"),
        ("tokenizer.model", "text"),
        ("tokenizer_config.json", "text"),
        ("LICENSE", "text"),
        (".gitattributes", None),
        (".hidden.json", None),
        ("pytorch_model.bin", None),
        ("weights.pkl", None),
        ("modeling_code.py", None),
        ("a.gguf.exe", None),
        ("model.npz", None),
    ],
)
def test_only_formats_that_hold_data_alone_have_a_name(path, expected):
    assert format_of(path) == expected


@pytest.mark.parametrize("path", ["a.gguf", "sub/dir/a.gguf", "modèle.gguf", "模型/a b.gguf", "..a.gguf", "a..gguf"])
def test_ordinary_names_are_safe(path):
    assert is_safe(path)


@pytest.mark.parametrize(
    "path",
    [
        *("", "..", "../a", "a/..", "a/../b", "/a", "a//b", "a/", "./a", "a\\b"),
        *("a\x00b", "a\nb", "a\u202eb", "a\u200bb", " a", "a/b ", "\ud800"),
        *("x" * 256, "a/" * 500 + "b", "é" * 128),
    ],
)
def test_names_that_are_no_path_below_a_folder_are_not_safe(path):
    assert not is_safe(path)


def test_versions_are_the_best_format_first_and_the_smallest_of_it():
    sizes = {
        "a-Q8_0.gguf": 80,
        "a-Q2_K-00001-of-00002.gguf": 10,
        "a-Q2_K-00002-of-00002.gguf": 15,
        "a-Q4_K_M.gguf": 40,
        "model-00001-of-00002.safetensors": 5,
        "model-00002-of-00002.safetensors": 5,
        "mmproj-F16.gguf": 1,
        "pytorch_model.bin": 1,
    }
    files = [
        HubFile(path=path, size_bytes=size, format=format_of(path), quantization=quantization_of(path))
        for path, size in sizes.items()
    ]
    found = versions_of(files)
    assert [(one.format, one.quantization, one.size_bytes, len(one.files)) for one in found] == [
        ("gguf", "Q2_K", 25, 2),
        ("gguf", "Q4_K_M", 40, 1),
        ("gguf", "Q8_0", 80, 1),
        ("safetensors", None, 10, 2),
    ]
    assert preferred(found).quantization == "Q4_K_M"
    assert preferred(found[2:3]).quantization == "Q8_0"


@pytest.mark.parametrize(
    ("model_id", "tags", "task", "expected"),
    [
        ("Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF", [], "text-generation", "code"),
        ("bigcode/starcoder2-3b", ["code"], "text-generation", "code"),
        ("lab/bi-encoder", [], "sentence-similarity", "embedding"),
        ("lab/decoder-only", [], "text-generation", "text_generation"),
        ("lab/plain", ["dataset:bigcode/the-stack", "license:mit"], "text-generation", "text_generation"),
        ("lab/whisper-code", [], "automatic-speech-recognition", "audio"),
        ("lab/detr", [], "object-detection", "vision"),
        ("lab/nllb", [], "translation", "translation"),
        ("lab/bart", [], "summarization", "summarization"),
        ("lab/thinker", ["reasoning"], "text-generation", "analysis"),
        ("lab/what", [], None, None),
    ],
)
def test_a_specialty_is_guessed_from_task_tags_and_name(model_id, tags, task, expected):
    assert specialty_of(model_id, tags, task) == expected


@pytest.mark.parametrize(
    ("told", "expected"),
    [("0.000001", 1e-6), ("0", 0.0), ("-1", None), ("nan", None), ("inf", None), ("", None), (None, None), (True, None), ("1e-7", 1e-7)],
)  # fmt: skip
def test_a_price_is_a_number_that_can_be_one(told, expected):
    assert price(told) == expected


def test_the_wait_doubles_with_each_failure_and_ends_at_six_hours():
    hour = timedelta(hours=1)
    assert [wait_after(failures, hour) for failures in (0, 1, 2, 9, 10_000)] == [
        hour,
        2 * hour,
        4 * hour,
        timedelta(hours=6),
        timedelta(hours=6),
    ]
    assert wait_after(3, timedelta(days=7)) == timedelta(days=7)


def test_a_model_fits_where_memory_and_disk_have_room_for_it():
    size = 100 * MIB
    needs = int(size * machine.MEMORY_FACTOR) + machine.MEMORY_BESIDE
    enough = Room(memory_bytes=needs, disk_bytes=size + machine.DISK_LEFT)
    assert fit_of(size, enough, why_unknown="").is_fitting
    less_memory = fit_of(size, Room(needs - 1, enough.disk_bytes), why_unknown="")
    assert (less_memory.is_fitting, less_memory.detail) == (False, "1 MiB of memory too little")
    less_disk = fit_of(size, Room(needs, enough.disk_bytes - MIB), why_unknown="")
    assert (less_disk.is_fitting, less_disk.detail) == (False, "1 MiB of disk too little")
    assert fit_of(None, enough, why_unknown="runs elsewhere").detail == "runs elsewhere"


def cgroup(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in files.items():
        (folder / name.replace("__", ".")).write_text(f"{value}\n")


def test_memory_is_what_the_tightest_control_group_leaves(tmp_path):
    proc, top = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "self" / "cgroup").write_text("0::/a/b\n")
    cgroup(top / "a" / "b", memory__max="max", memory__current=70 * MIB)
    cgroup(top / "a", memory__max=100 * MIB, memory__current=80 * MIB, memory__stat=f"anon 5\ninactive_file {10 * MIB}")
    assert machine.free_in_cgroups(proc, top) == 30 * MIB
    (top / "a" / "memory.max").write_text("max\n")
    assert machine.free_in_cgroups(proc, top) == machine.NO_LIMIT


def test_memory_is_read_from_the_older_control_groups_too(tmp_path):
    proc, top = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "self" / "cgroup").write_text("5:cpu,cpuacct:/x\n4:memory:/x\n")
    cgroup(top / "memory" / "x", memory__limit_in_bytes=50 * MIB, memory__usage_in_bytes=60 * MIB)
    assert machine.free_in_cgroups(proc, top) == 0


def test_the_real_machine_has_memory_and_disk(tmp_path):
    free = machine.room(tmp_path / "not" / "there" / "yet")
    assert free.memory_bytes > 0
    assert free.disk_bytes > 0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"ratelimit": '"api";r=0;t=55'}, 55.0),
        ({"retry-after": f"Mon, 01 Jan 2024 00:00:00 +{'9' * 20}"}, None),
        ({"retry-after": "Mon, 01 Jan 2024 00:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
    ],
)
def test_how_long_a_hub_asks_to_wait_is_read_from_whatever_it_says(headers, seconds):
    assert retry_after_seconds(headers) == seconds
