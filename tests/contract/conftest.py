"""Every service that can be imported, in one process of their own, on real sockets."""

import io
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from config import migrate
from config.secrets import load_secrets
from config.settings import SERVICES, FleetSettings
from tests.postgres import ADMIN
from vx11.trial import reachable_folder

DIRECTLY = {"trust_env": False, "verify": False}
LISTENING = "from config.serve import run; import sys; run(sys.argv[1:])"


@dataclass(frozen=True)
class Fleet:
    """Where each service is, and the token that opens them."""

    urls: dict[str, str]
    token: str

    def schema(self, service: str) -> dict:
        answer = httpx.get(f"{self.urls[service]}/{service}/openapi.json", headers=self.headers, timeout=30, **DIRECTLY)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def make_known(self) -> dict[str, object]:
        """Things that exist, by the names that routes and bodies give their ids."""
        known: dict[str, object] = {"model_id": 1, "cli_id": 1, "name": "git", "parent": "audio", "specialty": "code"}
        self.ask("POST", "hermes_db", "models", {"name": "known"})
        self.ask("PUT", "hermes_db", "clis/git", {})
        known["lease_id"] = self.ask("POST", "hermes_db", "clis/git/leases", {})["lease_id"]
        known["service"] = self.ask("POST", "hermes_db", "tokens", {"service": "known", "token": "known"})["service"]
        known["asset_id"] = self.ask("POST", "shub", "assets?name=known.wav", a_sound())["asset_id"]
        mix = {"stems": [{"asset_id": known["asset_id"]}]}
        known["job_id"] = self.ask("POST", "shub", "mix", mix)["job_id"]
        said = {"message": "help", "session_id": "known", "wait_seconds": 10}
        answer = self.ask("POST", "madre", "chat", said)
        known |= {"session_id": "known", "plan_id": answer["plan_id"]}
        job = {"command": "sh", "args": ["-c", "echo made > out.txt"], "artifacts": ["out.txt"], "wait_seconds": 30}
        known |= {
            "spawn_id": self.ask("POST", "spawner", "spawn", job)["spawn_id"],
            "path": "out.txt",
            "command": "true",
        }
        known["decision_id"] = self.ask("POST", "switch", "route", {"prompt": "Hello"})["decision_id"]
        return {name: value for name, value in known.items() if value is not None}

    def ask(self, method: str, service: str, path: str, body: object) -> dict:
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        url = f"{self.urls[service]}/{service}/{path}"
        answer = httpx.request(method, url, headers=self.headers, timeout=60, **content, **DIRECTLY)
        assert answer.is_success, f"{method} {url}: {answer.text}"
        return answer.json()

    @property
    def headers(self) -> dict[str, str]:
        return {"X-VX11-Token": self.token}


def a_sound() -> bytes:
    """Half a second of noise, as a WAV file."""
    content = io.BytesIO()
    with wave.open(content, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes(random.Random(1).randbytes(16_000))
    return content.getvalue()


class _Provider(BaseHTTPRequestHandler):
    """An OpenAI-compatible provider that says the same to everybody: what is tested is our side."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        choice = {"index": 0, "finish_reason": "stop"}
        base = {"id": "c1", "created": 1, "model": asked["model"]}
        if asked.get("stream"):
            chunk = base | {"object": "chat.completion.chunk", "choices": [choice | {"delta": {"content": "Hello"}}]}
            self._send("text/event-stream", f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n")
        else:
            message = {"role": "assistant", "content": "Hello"}
            usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
            whole = base | {"object": "chat.completion", "choices": [choice | {"message": message}], "usage": usage}
            self._send("application/json", json.dumps(whole))

    def _send(self, kind: str, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture(scope="session")
def provider() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Provider)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()


@pytest.fixture(scope="session")
def database_url(request: pytest.FixtureRequest) -> str | None:
    """SQLite, or with `FUZZ_DATABASE=postgres` a Postgres server of the tests' own."""
    if os.environ.get("FUZZ_DATABASE") != "postgres":
        return None
    server = request.getfixturevalue("postgres")
    server.run(f"CREATE DATABASE fleet OWNER {ADMIN}")
    return server.url("fleet")


@pytest.fixture(scope="session")
def fleet(
    tmp_path_factory: pytest.TempPathFactory, provider: str, database_url: str | None, kernels: Path
) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    settings = FleetSettings(state_dir=folder / "state", database_url=database_url, _env_file=None)
    migrate.upgrade(settings)
    token = load_secrets(settings).owner.get_secret_value()
    ports = _free_ports(len(SERVICES))
    environment = (
        {
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "VX11_STATE_DIR": str(settings.state_dir),
            "VX11_PROVIDERS": json.dumps({"fake": {"base_url": provider, "models": ["fake-1"]}}),
            "VX11_LIGHT_MODEL_PATH": str(folder / "no-model.gguf"),  # answers come from the provider, in no time
            "VX11_LOG_LEVEL": "info",
            "VX11_SHUB_CACHE_DIR": str(kernels),
            "VX11_HERMES_HUB_URL": "http://127.0.0.1:9",  # nobody is asked outside
            "VX11_HERMES_OPENROUTER_URL": "http://127.0.0.1:9",
            "VX11_HERMES_DISCOVER_PAGES": "[]",
            "VX11_HERMES_SEARCH_INTERVAL": "PT0S",
            "VX11_HERMES_CLI_SCAN_INTERVAL": "PT0S",
            "VX11_SWITCH_LOOK_FOR_SERVERS_EVERY": "PT0S",  # nor a server of models that happens to run here
            "VX11_SPAWNER_CONCURRENCY": "2",  # what is made up runs for real, in the sandbox: mostly `true`, with odd arguments
        }
        | {f"VX11_{service.upper()}_PORT": str(port) for service, port in zip(SERVICES, ports, strict=True)}
    )
    if os.geteuid() == 0:
        environment["VX11_SPAWNER_WORK_DIR"] = str(reachable_folder())
    if database_url is not None:
        environment["VX11_DATABASE_URL"] = database_url
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VX11_")}
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", LISTENING, *SERVICES], env=kept | environment, stderr=out, cwd=folder
        )
    urls = {service: f"http://127.0.0.1:{port}" for service, port in zip(SERVICES, ports, strict=True)}
    try:
        for service in SERVICES:
            _wait_until_it_answers(f"{urls[service]}/health", process, log)
        yield Fleet(urls, token)
        assert process.poll() is None, f"the services ended: {log.read_text()[-3000:]}"
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def known(fleet: Fleet) -> dict[str, object]:
    return fleet.make_known()


def _free_ports(many: int) -> list[int]:
    """Ports that are free now, no two alike."""
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(many)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    waiter = threading.Event()
    for _ in range(600):
        assert process.poll() is None, log.read_text()[-3000:]
        try:
            if httpx.get(url, timeout=5, **DIRECTLY).status_code == 200:
                return
        except httpx.TransportError:
            waiter.wait(0.1)  # nothing announces that a port is open; asking is the only way
    pytest.fail(f"{url} did not answer within a minute: {log.read_text()[-3000:]}")
