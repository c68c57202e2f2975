"""The header of a GGUF file is read for what it is worth: counted where it can be counted, and never trusted."""

import struct
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.default_model import configured_model
from config.gguf import LONGEST_ARCHITECTURE, GgufBroken, read_gguf
from config.settings import FleetSettings
from tests.fakes.model_files import gguf


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "model.gguf"


def test_the_facts_are_those_of_the_header(file):
    file.write_bytes(gguf(name="Tiny", chat_template="{{ ñ }}", more={"general.license": "mit"}))
    facts = read_gguf(file)
    assert (facts.architecture, facts.context_length, facts.quantization) == ("llama", 2048, "Q4_K_M")
    assert (facts.parameters, facts.tensors, facts.version) == (4096, 2, 3)
    assert (facts.chat_template, facts.license, facts.name) == ("{{ ñ }}", "mit", "Tiny")
    assert facts.metadata.items() >= {"parameters": 4096, "chat_template": "{{ ñ }}"}.items()


def test_a_chat_template_that_is_a_book_is_left_in_the_file(file):
    file.write_bytes(gguf(chat_template="x" * 8001))
    facts = read_gguf(file)
    assert facts.chat_template == "x" * 8001
    assert "chat_template" not in facts.metadata


def test_what_is_not_asked_for_costs_no_memory_and_a_long_architecture_no_row(file):
    """A thousand texts of a megabyte each are a small file of its kind, and would be a gigabyte here."""
    big = "x" * 1_000_000
    file.write_bytes(gguf(more={f"general.note{number}": big for number in range(40)} | {"general.architecture": big}))
    tracemalloc.start()
    facts = read_gguf(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000
    assert len(facts.metadata["architecture"]) == LONGEST_ARCHITECTURE


def test_the_default_model_says_what_it_is():
    facts = read_gguf(configured_model(FleetSettings(_env_file=None)).path)
    assert (facts.architecture, facts.quantization, facts.context_length) == ("llama", "Q4_1", 8192)
    assert 134_000_000 < facts.parameters < 136_000_000


def test_what_is_not_said_is_not_known(file):
    strange = {"general.file_type": 999, "llama.context_length": "many", "general.architecture": 7}
    file.write_bytes(gguf(chat_template=None, more=strange))
    assert read_gguf(file).metadata == {"parameters": 4096, "gguf_version": 3, "tensors": 2}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "begin"),
        (b"PK\x03\x04", "begin"),
        (b"GGUF", "ends before"),
        (b"GGUF" + struct.pack("<I", 1), "version 1"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**63, 0), "tensors"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**63), "entries"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**40), "text of"),
        (gguf()[:300], "ends before"),
        (gguf(parameters=512_000)[:5000], "beyond the end"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<I", 77), "kind 77"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<IIQ", 9, 9, 2**50), "items"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<IIQ", 9, 8, 2**50), "items"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<IIQ", 9, 4, 2**50), "ends before"),
        (
            b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 9,
            "kind",
        ),
    ],
)
def test_a_header_that_cannot_be_is_refused_saying_why(file, content, told):
    file.write_bytes(content)
    with pytest.raises(GgufBroken, match=told):
        read_gguf(file)


@settings(max_examples=75, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=6), st.integers(0, 400))
def test_a_spoiled_file_is_read_or_refused_and_nothing_else(file, changes, cut):
    content = bytearray(gguf(parameters=512))
    for at, value in changes:
        content[at % len(content)] = value
    file.write_bytes(content[: max(4, len(content) - cut)])
    with suppress(GgufBroken):
        read_gguf(file)
