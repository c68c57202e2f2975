"""Headers of model files that somebody else wrote: read where they are sound, refused where they are not, never believed."""

import json
import struct
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hermes.formats.onnx import OnnxBroken, read_onnx
from hermes.formats.safetensors import SafetensorsBroken, read_safetensors
from tests.fakes.model_files import onnx, safetensors


def tensors(header: object, data: bytes = b"") -> bytes:
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + data


def one(**values: object) -> dict[str, object]:
    return {"t": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} | values}


def test_sound_files_tell_what_they_hold(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(safetensors(parameters=77))
    facts = read_safetensors(path)
    assert (facts.parameters, facts.tensors, facts.dtypes) == (77, 1, ("F32",))
    path.write_bytes(onnx(producer="somebody"))
    assert (read_onnx(path).ir_version, read_onnx(path).producer) == (8, "somebody")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 100) + b"{}",
        tensors(b"not json"),
        tensors(b"[" * 100_000),
        tensors([]),
        tensors({"t": 3}),
        tensors(one(shape=[-1]), b"1234"),
        tensors(one(shape=[2**64]), b"1234"),
        tensors(one(shape=[True]), b"1234"),
        tensors(one(data_offsets=[0, 400]), b"1234"),
        tensors(one(data_offsets=[4, 0]), b"1234"),
        tensors(one(data_offsets=[0]), b"1234"),
        tensors(one(), b"12345678"),
    ],
)
def test_broken_safetensors_are_refused(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(SafetensorsBroken):
        read_safetensors(path)


@pytest.mark.parametrize(
    "content", [b"", b"\x08", b"\x08\x08", b"\x3a\x7f", b"\xff" * 40, b"GGUF", b"\x08\x08\x3b\x00", b"\x00\x00" * 10]
)
def test_broken_onnx_is_refused(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(OnnxBroken):
        read_onnx(path)


@settings(max_examples=40, deadline=None)
@given(content=st.binary(max_size=200), cut=st.integers(0, 200))
def test_noise_is_refused_and_never_breaks_the_reader(tmp_path_factory, content, cut):
    path = tmp_path_factory.getbasetemp() / "noise"
    for whole, read, broken in (
        (safetensors(parameters=4), read_safetensors, SafetensorsBroken),
        (onnx(), read_onnx, OnnxBroken),
    ):
        for bad in (content, whole[:cut] + content):
            path.write_bytes(bad)
            with suppress(broken):
                read(path)
