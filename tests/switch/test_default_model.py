"""The local model's file: found, read once, and refused when it is not what it should be."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from config import default_model
from config.default_model import ModelUnusable, ensure_default_model
from config.settings import FleetSettings

CONTENT = b"GGUF" + bytes(range(256)) * 20
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "My Model v2.gguf"
    file.write_bytes(CONTENT)
    return file


@pytest.fixture
def settings_for(tmp_path):
    def make(path: Path, sha256: str | None = None) -> FleetSettings:
        return FleetSettings(
            state_dir=tmp_path / "state", light_model_path=path, light_model_sha256=sha256, _env_file=None
        )

    return make


@pytest.fixture
def reads(monkeypatch) -> list[Path]:
    """Files that were read to their end."""
    read, really = [], default_model._read

    def counting(path: Path) -> str:
        read.append(path)
        return really(path)

    monkeypatch.setattr(default_model, "_read", counting)
    return read


def test_the_file_that_was_meant_is_verified_once(file, settings_for, reads):
    for _ in range(3):
        found = ensure_default_model(settings_for(file, SHA256.upper()))
        assert (found.name, found.sha256, found.size_bytes) == ("my-model-v2", SHA256, len(CONTENT))
        assert found.is_expected
    assert reads == [file]


def test_a_file_without_a_checksum_is_taken_as_it_is_and_said_to_be(file, settings_for):
    found = ensure_default_model(settings_for(file))
    assert (found.sha256, found.is_expected) == (SHA256, False)


def test_a_file_that_changed_is_read_again(file, settings_for, reads):
    ensure_default_model(settings_for(file, SHA256))
    file.write_bytes(CONTENT + b"one more")
    with pytest.raises(ModelUnusable, match="SHA-256"):
        ensure_default_model(settings_for(file, SHA256))
    assert len(reads) == 2


def test_another_expectation_is_compared_without_reading_again(file, settings_for, reads):
    ensure_default_model(settings_for(file, SHA256))
    with pytest.raises(ModelUnusable, match="SHA-256"):
        ensure_default_model(settings_for(file, "0" * 64))
    assert len(reads) == 1


def test_a_record_that_cannot_be_read_is_no_record(file, settings_for, reads, tmp_path):
    ensure_default_model(settings_for(file))
    (tmp_path / "state" / "models" / "verified.json").write_text('{"x": [1]')
    ensure_default_model(settings_for(file))
    assert len(reads) == 2


def test_what_is_missing_or_no_model_is_named(tmp_path, settings_for):
    with pytest.raises(ModelUnusable, match=r"nowhere\.gguf"):
        ensure_default_model(settings_for(tmp_path / "nowhere.gguf"))
    text = tmp_path / "text.gguf"
    text.write_text("hello")
    with pytest.raises(ModelUnusable, match="not a GGUF file"):
        ensure_default_model(settings_for(text))
    with pytest.raises(ModelUnusable, match="cannot be read"):
        ensure_default_model(settings_for(tmp_path))


def test_without_the_package_the_way_out_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(default_model, "DEFAULT_PACKAGE", "no_such_package_at_all")
    with pytest.raises(ModelUnusable, match="VX11_LIGHT_MODEL_PATH"):
        ensure_default_model(FleetSettings(state_dir=tmp_path, _env_file=None))


def test_a_file_called_auto_does_not_take_the_routers_word(tmp_path, settings_for):
    file = tmp_path / "Auto.gguf"
    file.write_bytes(CONTENT)
    assert ensure_default_model(settings_for(file)).name == "local-model"


def test_many_may_verify_at_once(file, settings_for, tmp_path, monkeypatch):
    monkeypatch.setattr(default_model._Records, "known", lambda *_: None)  # each of them writes
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: ensure_default_model(settings_for(file)), range(200)))
    assert {model.sha256 for model in found} == {SHA256}
    assert [one.name for one in (tmp_path / "state" / "models").iterdir()] == ["verified.json"]
