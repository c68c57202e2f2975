"""A local model that is missing, damaged, or dies: switch runs on, says so, and does not hang."""

import asyncio
from pathlib import Path

import pytest

from config.default_model import DEFAULT_FILE, ModelUnusable, configured_model
from config.settings import FleetSettings
from switch import policy
from switch.local import process, runner
from tests.switch.conftest import chat, light_until, openai_error, problem, provider

PATH = "/v1/chat/completions"


async def test_a_missing_file_is_told_in_health_and_in_answers(settings_of, served):
    async with served(settings_of()) as client:
        health = (await client.get("/health")).json()
        assert health["status"] == "degraded"
        assert health["checks"]["light_model"]["status"] == "degraded"
        assert "no-such-model.gguf" in health["checks"]["light_model"]["detail"]
        error = openai_error(await client.post(PATH, json=chat(model="auto")), 503, "no_model_reachable")
        assert "no-such-model.gguf" in error["message"]
        refused = await client.post("/switch/route", json={"prompt": "hello"})
        assert "no-such-model.gguf" in problem(refused, 503, "no_model_reachable")["detail"]
        status = (await client.get("/status")).json()
        assert not status["active"]
        assert status["light_llm"]["state"] == "unusable"


async def test_a_provider_answers_in_its_place(upstream, settings_of, served):
    async with served(settings_of(providers={"mock": provider(upstream, "gpt")})) as client:
        assert (await client.post(PATH, json=chat(model="auto"))).status_code == 200
        assert (await client.get("/status")).json()["active"]


async def test_a_file_with_another_checksum_is_not_loaded(settings_of, served, tmp_path):
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF and so on")
    settings = settings_of(light_model_path=file, light_model_sha256="ab" * 32)
    async with served(settings) as client:
        error = openai_error(await client.post(PATH, json=chat(model="auto")), 503, "no_model_reachable")
        assert "SHA-256" in error["message"]
        assert (await client.get("/status")).json()["light_llm"]["starts"] == 0


async def test_a_file_that_is_replaced_is_read_again(settings_of, served, tmp_path):
    file = tmp_path / "model.gguf"
    file.write_bytes(b"not a model")
    async with served(settings_of(light_model_path=file)) as client:
        assert "not a GGUF file" in (await client.get("/status")).json()["light_llm"]["detail"]
        file.write_bytes(b"GGUF and so on")
        detail = (await client.get("/status")).json()["light_llm"]["detail"]
        assert "VX11_LIGHT_MODEL_SHA256 is not set" in detail


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF and so on")
    return file


@pytest.fixture
def child(monkeypatch, tmp_path):
    """What runs instead of llama.cpp."""

    def becomes(script: str) -> None:
        file = tmp_path / "child.py"
        file.write_text(script)
        monkeypatch.setattr(process, "SCRIPT", file)

    return becomes


async def test_a_process_that_cannot_start_tells_its_last_words_and_is_tried_again_later(
    settings_of, served, gguf, child, monkeypatch
):
    child("import sys; sys.exit('no room for the tensors')")
    monkeypatch.setattr(policy, "restart_delay", lambda deaths: 0.0 if deaths < 3 else 600.0)
    async with served(settings_of(light_model_path=gguf)) as client:
        error = openai_error(await client.post(PATH, json=chat(model="auto")), 503, "no_model_reachable")
        assert "no room for the tensors" in error["message"]
        starts = (await client.get("/status")).json()["light_llm"]["starts"]
        assert starts == 3
        answer = await client.post(PATH, json=chat(model="auto"))  # not waited for any more
        assert "times in a row" in openai_error(answer, 503, "no_model_reachable")["message"]
        assert int(answer.headers["retry-after"]) >= 0
        assert (await client.get("/status")).json()["light_llm"]["starts"] == starts


async def test_a_process_that_never_gets_ready_is_given_up_and_ended(settings_of, served, gguf, child):
    child("import sys; sys.stdin.read()")
    settings = settings_of(light_model_path=gguf, light_start_timeout=0.3)
    async with served(settings) as client:
        error = openai_error(await client.post(PATH, json=chat(model="auto")), 503, "no_model_reachable")
        assert "not ready within 0.3 seconds" in error["message"]
        assert (await client.get("/status")).json()["light_llm"]["pid"] is None


async def test_a_start_goes_on_when_the_one_who_wanted_it_leaves(settings_of, served, gguf, child):
    child("import sys; sys.stdin.read()")
    async with served(settings_of(light_model_path=gguf)) as client:
        asking = asyncio.create_task(client.post(PATH, json=chat(model="auto")))
        await light_until(client, lambda light: light["state"] == "starting")
        asking.cancel()
        await light_until(client, lambda light: light["waiting"] == 0)
        assert (await client.get("/status")).json()["light_llm"]["state"] == "starting"
    # …and a switch that stops ends it: the fixture would hang otherwise


HANGS_ONCE = """
import json, os, pathlib, socket, sys, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Model(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({"status": "ok"})

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.answer({"choices": [{"message": {"content": "here I am"}}]})

    def answer(self, content):
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

before = pathlib.Path(sys.argv[0]).with_name("was_here")
sys.stdin.readline()
if before.exists():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
else:
    before.touch()
    mute = socket.create_server(("127.0.0.1", 0))
    port = mute.getsockname()[1]
print(json.dumps({"address": f"http://127.0.0.1:{port}", "pid": os.getpid()}), flush=True)
sys.stdin.read()
"""


async def test_requests_with_a_process_that_hangs_are_answered_by_the_next_one(
    settings_of, served, gguf, child, monkeypatch
):
    child(HANGS_ONCE)
    monkeypatch.setattr(runner, "CHECK_SECONDS", 0.05)
    monkeypatch.setattr(runner, "PROBE_SECONDS", 1.0)  # enough for one that is well on a busy machine
    async with served(settings_of(light_model_path=gguf)) as client:
        answers = await asyncio.gather(*(client.post(PATH, json=chat(model="auto")) for _ in range(3)))
        assert [one.json()["choices"][0]["message"]["content"] for one in answers] == ["here I am"] * 3
        status = (await client.get("/status")).json()["light_llm"]
        assert (status["starts"], status["deaths"]) == (2, 1)


async def test_more_than_may_wait_are_told_to_come_back(settings_of, served, gguf, child):
    child("import sys; sys.stdin.read()")
    async with served(settings_of(light_model_path=gguf, switch_queue_limit=2)) as client:
        waiting = [asyncio.create_task(client.post(PATH, json=chat(model="auto"))) for _ in range(2)]
        await light_until(client, lambda light: light["waiting"] == 2)
        refused = await client.post(PATH, json=chat(model="auto"))
        openai_error(refused, 503, "switch_busy")
        assert refused.headers["retry-after"] == "5"
        for one in waiting:
            one.cancel()


def test_the_default_model_is_the_one_that_comes_with_the_dependencies(tmp_path):
    settings = FleetSettings(state_dir=tmp_path, _env_file=None)
    try:
        model = configured_model(settings)
    except ModelUnusable as missing:
        pytest.skip(str(missing))
    assert model.name == "smollm2-135m-instruct"
    assert model.path.name == DEFAULT_FILE
