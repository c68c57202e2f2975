"""Downloads that go well: what is chosen, what is proved, what the registry is told."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.hub import FakeHub
from tests.fakes.model_files import TEMPLATE, gguf, onnx, pickled, safetensors
from tests.hermes.conftest import Hermes, problem

pytestmark = pytest.mark.asyncio(loop_scope="module")

CARD = {"README.md": b"# Tiny\n", "config.json": b'{"model_type": "llama"}', "LICENSE": b"Apache\n"}


async def fetched(hermes: Hermes, **body: Any) -> dict[str, Any]:
    """The registered model of a download that must succeed."""
    answer = await hermes.http.post("/hermes/download", json=body)
    assert answer.status_code == 202, answer.text
    job = await hermes.finished(answer.json()["job_id"])
    assert job["status"] == "DONE", job["error"]
    model: dict[str, Any] = job["result"]
    return model


def content_of(path: str | Path) -> bytes:
    return Path(path).read_bytes()


def names_in(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def models_dir(hermes: Hermes) -> Path:
    return hermes.settings.state_dir / "models"


async def test_a_quantisation_is_fetched_with_its_texts_proved_and_registered(hermes, hub: FakeHub):
    small, large = gguf(quantization="Q4_K_M", context_length=4096), gguf(quantization="Q8_0", seed=1)
    repository = hub.add("acme/Tiny-GGUF", {"tiny.Q4_K_M.gguf": small, "tiny.Q8_0.gguf": large, **CARD}, tags=["code"])
    model = await fetched(hermes, model_id="acme/Tiny-GGUF", quantization="q4_k_m")
    path = Path(model["path"])
    assert content_of(path) == small
    assert names_in(path.parent) == [".vx11.json", "LICENSE", "README.md", "config.json", "tiny.Q4_K_M.gguf"]
    assert path.parent == models_dir(hermes) / "acme--Tiny-GGUF" / f"{repository.sha}-Q4_K_M"
    assert model["sha256"] == hashlib.sha256(small).hexdigest()
    assert (model["name"], model["model_type"], model["license"]) == ("tiny-q4_k_m", "gguf", "apache-2.0")
    assert (model["source"], model["revision"], model["specialty"]) == ("huggingface", repository.sha, "code")
    facts = model["metadata"]
    assert (facts["architecture"], facts["parameters"], facts["context_length"]) == ("llama", 4096, 4096)
    assert (facts["quantization"], facts["chat_template"]) == ("Q4_K_M", TEMPLATE)
    readme = next(file for file in facts["files"] if file["path"] == "README.md")
    assert readme["sha256"] == hashlib.sha256(CARD["README.md"]).hexdigest()
    kept = (await hermes.hermes_db.get(f"/hermes_db/models/{model['id']}")).json()
    assert kept == model


async def test_all_parts_of_a_split_quantisation_come_together(hermes, hub):
    parts = {f"big-Q8_0-0000{n}-of-00002.gguf": gguf(quantization="Q8_0", seed=n) for n in (1, 2)}
    hub.add("acme/Big-GGUF", {**parts, "big-Q4_0.gguf": gguf(quantization="Q4_0")})
    model = await fetched(hermes, model_id="acme/Big-GGUF", quantization="Q8_0")
    assert Path(model["path"]).name == "big-Q8_0-00001-of-00002.gguf"
    assert {file["path"] for file in model["metadata"]["files"]} == set(parts)
    lines = "".join(f"{hashlib.sha256(parts[name]).hexdigest()}  {name}\n" for name in sorted(parts))
    assert model["sha256"] == hashlib.sha256(lines.encode()).hexdigest()


async def test_safetensors_and_onnx_tell_what_they_are(hermes, hub):
    hub.add(
        "acme/tensors", {"model.safetensors": safetensors(parameters=2048), "config.json": b'{"model_type": "bert"}'}
    )
    model = await fetched(hermes, model_id="acme/tensors")
    assert (model["model_type"], model["metadata"]["parameters"]) == ("safetensors", 2048)
    assert (model["metadata"]["architecture"], model["metadata"]["dtypes"]) == ("bert", ["F32"])
    hub.add("acme/graph", {"onnx/model.onnx": onnx(), "onnx/model.onnx_data": b"weights", "tokenizer.json": b"{}"})
    model = await fetched(hermes, model_id="acme/graph")
    assert model["model_type"] == "onnx"
    assert {file["path"] for file in model["metadata"]["files"]} == {
        "onnx/model.onnx",
        "onnx/model.onnx_data",
        "tokenizer.json",
    }


async def test_named_files_of_any_alphabet_are_fetched_and_no_others(hermes, hub):
    name = "模型 ñandú 100%.gguf"
    hub.add("acme/unicode", {name: gguf(seed=5), "other.Q8_0.gguf": gguf(quantization="Q8_0"), **CARD})
    model = await fetched(hermes, model_id="acme/unicode", files=[name], name="ñandú", specialty="analysis")
    assert (Path(model["path"]).name, model["name"], model["specialty"]) == (name, "ñandú", "analysis")
    assert [file["path"] for file in model["metadata"]["files"]] == [name]


async def test_several_versions_and_no_choice_is_a_question_with_the_sizes(hermes, hub):
    files = {f"m.{one}.gguf": gguf(quantization=one) for one in ("Q4_K_M", "Q8_0")}
    hub.add("acme/choices", files)
    for body in ({}, {"quantization": "Q2_K"}):
        told = problem(
            await hermes.http.post("/hermes/download", json={"model_id": "acme/choices"} | body),
            422,
            "files_not_chosen",
        )
        assert {(one["quantization"], one["size_bytes"]) for one in told["choices"]} == {
            (one, len(files[f"m.{one}.gguf"])) for one in ("Q4_K_M", "Q8_0")
        }


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (["pytorch_model.bin"], "pickle"),
        (["weights.npy"], "pickle"),
        (["../../etc/passwd.gguf"], "safe"),
        (["a/../b.gguf"], "safe"),
        (["/etc/x.gguf"], "safe"),
        (["run.py"], "none of GGUF"),
        (["trick\u202egguf.exe"], "safe"),
    ],
)
async def test_files_that_could_do_harm_are_refused_with_the_reason(hermes, hub, names, reason):
    hub.add("acme/harm", {name: pickled() for name in names} | {"model.gguf": gguf()})
    told = problem(
        await hermes.http.post("/hermes/download", json={"model_id": "acme/harm", "files": names}), 422, "file_refused"
    )
    assert reason in told["detail"]
    assert not hub.requests("*/resolve/*")


async def test_a_model_of_pickles_alone_is_refused_and_one_with_other_weights_leaves_them_out(hermes, hub):
    hub.add("acme/pickle", {"pytorch_model.bin": pickled(), "config.json": b"{}"})
    told = problem(await hermes.http.post("/hermes/download", json={"model_id": "acme/pickle"}), 422, "file_refused")
    assert "pickle" in told["detail"]
    hub.add("acme/both", {"pytorch_model.bin": pickled(), "../../x.json": b"{}", "model.safetensors": safetensors()})
    model = await fetched(hermes, model_id="acme/both")
    assert [file["path"] for file in model["metadata"]["files"]] == ["model.safetensors"]


async def test_what_is_kept_already_is_told_at_once(hermes, hub):
    hub.add("acme/again", {"a.gguf": gguf(seed=7)})
    first = await fetched(hermes, model_id="acme/again")
    asked = len(hub.requests("*/resolve/*"))
    job = (await hermes.http.post("/hermes/download", json={"model_id": "acme/again"})).json()
    assert (job["status"], job["result"]["id"]) == ("DONE", first["id"])
    assert len(hub.requests("*/resolve/*")) == asked


async def test_a_newer_revision_is_another_model_with_a_name_of_its_own(hermes, hub):
    hub.add("acme/moving", {"a.gguf": gguf(seed=8)})
    first = await fetched(hermes, model_id="acme/moving")
    sha = hub.commit("acme/moving", {"a.gguf": gguf(seed=9)})
    second = await fetched(hermes, model_id="acme/moving")
    assert (first["name"], second["name"], second["revision"]) == ("moving", f"moving-{sha[:7]}", sha)
    assert content_of(first["path"]) != content_of(second["path"])
    told = problem(
        await hermes.http.post("/hermes/download", json={"model_id": "acme/moving", "revision": "v9"}),
        404,
        "revision_not_found",
    )
    assert "v9" in told["detail"]


async def test_a_name_that_is_taken_and_an_unknown_specialty_are_told_before_anything_is_fetched(hermes, hub):
    await hermes.register(name="taken")
    hub.add("acme/named", {"a.gguf": gguf(seed=10)})
    body = {"model_id": "acme/named"}
    problem(await hermes.http.post("/hermes/download", json=body | {"name": "taken"}), 409, "conflict")
    problem(await hermes.http.post("/hermes/download", json=body | {"specialty": "poetry"}), 422, "invalid_request")
    assert not hub.requests("*/resolve/*")


async def test_the_same_key_is_the_same_job_and_another_body_a_conflict(hermes, hub):
    hub.add("acme/keyed", {"a.gguf": gguf(seed=11)})
    headers = {"Idempotency-Key": "once"}
    body = {"model_id": "acme/keyed"}
    first = (await hermes.http.post("/hermes/download", json=body, headers=headers)).json()
    await hermes.finished(first["job_id"])
    second = (await hermes.http.post("/hermes/download", json=body, headers=headers)).json()
    assert second["job_id"] == first["job_id"]
    other = await hermes.http.post("/hermes/download", json=body | {"name": "x"}, headers=headers)
    problem(other, 409, "idempotency_conflict")


async def test_the_token_is_shown_to_the_hub_and_to_nobody_it_redirects_to(hermes_at, hub):
    hub.add("acme/secret", {"a.gguf": gguf()}, is_private=True)
    async with hermes_at(hermes_hub_token=next(iter(hub.tokens))) as hermes:
        await fetched(hermes, model_id="acme/secret")
    assert hub.requests("/cdn/*")
    assert not hub.leaked


async def test_progress_is_told_in_bytes_to_whoever_follows(hermes, hub):
    content = gguf(parameters=65536, seed=12)
    hub.add("acme/followed", {"a.gguf": content})
    hub.inject("/cdn/*", "hold", at_byte=len(content) // 2)
    job = (await hermes.http.post("/hermes/download", json={"model_id": "acme/followed"})).json()
    half = await hermes.job_when(job["job_id"], lambda job: job["done_bytes"] == len(content) // 2)
    assert (half["status"], half["total_bytes"], half["progress"]) == ("RUNNING", len(content), 0.5)
    hub.go_on.set()
    events = (await hermes.http.get(f"/hermes/jobs/{job['job_id']}/events", headers={"Last-Event-ID": "502"})).text
    assert "event: done" in events
    assert "event: pending" not in events
    done = await hermes.finished(job["job_id"])
    assert (done["progress"], done["done_bytes"]) == (1.0, len(content))
