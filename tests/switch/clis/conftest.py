"""Switch, hermes_db and spawner as they are, on real sockets, and a small program that is registered as a tool under several names."""

import json
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from config.secrets import load_secrets
from hermes_db.main import create_app as hermes_db_app
from hermes_db.settings import HermesDbSettings
from spawner.main import create_app as spawner_app
from spawner.settings import SpawnerSettings
from switch.main import create_app
from switch.settings import SwitchSettings
from tests.spawner.conftest import reachable_folder, until
from tests.switch.conftest import serving

KEY = "the-key-of-the-tool-0123456789"
PROGRAM = """#!/usr/bin/python3 -IS
import json, os, sys, time
said, asked = sys.argv[1:], sys.stdin.read()
words = asked or said[-1]
if "fail" in words:
    print("a first line", file=sys.stderr)
    sys.exit("the key " + os.environ.get("TOOL_KEY", "") + " is not accepted")
if "nothing" in words:
    sys.exit()
if "sleep" in words:
    print("sleeping", flush=True)
    time.sleep(60)
if "long" in words:
    print("x" * 100_000)
elif "--json" in said:
    print(json.dumps({"answer": {"text": words.upper()}, "args": said}))
else:
    print("\\x1b[32m" + words.upper() + "\\x1b[0m")
"""
TOOLS: dict[str, dict[str, Any]] = {
    "echo-offline": {"args": ["{model}"], "stdin": True, "model_args": ["--model", "{model}"], "offline": True},
    "echo-argument": {"args": ["--json", "{prompt}"], "output": "json:answer.text", "offline": True},
    "echo-limited": {"stdin": True, "offline": True},
    "echo-slow": {"stdin": True, "offline": True},
    "echo-keyed": {"stdin": True},
    "echo-alone": {"stdin": True},
    "echo-others": {"stdin": True},
    "echo-broken": {"args": "not a list"},
}
PROFILES = {
    "echo-keyed": {"callers": ["switch"], "env": {"TOOL_KEY": KEY}},
    "echo-others": {"callers": ["owner"]},
}


@dataclass
class Fleet:
    """`http` asks switch, the others their services, all as the owner."""

    http: httpx.AsyncClient
    hermes_db: httpx.AsyncClient
    spawner: httpx.AsyncClient

    async def chat(self, model: str, text: str = "hello", **more: Any) -> httpx.Response:
        body = {"model": model, "messages": [{"role": "user", "content": text}]} | more
        return await self.http.post("/v1/chat/completions", json=body)

    async def register(self, name: str, prompt: dict[str, Any] | None, path: str | None, **facts: Any) -> None:
        metadata = {} if prompt is None else {"prompt": prompt}
        body = {"answers_prompts": True, "path": path, "metadata": metadata} | facts
        answer = await self.hermes_db.put(f"/hermes_db/clis/{name}", json=body)
        assert answer.status_code in (200, 201), answer.text

    async def refresh(self) -> dict[str, Any]:
        told: dict[str, Any] = (await self.http.post("/switch/registry/refresh")).json()
        return told

    async def jobs(self, name: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.spawner.get("/spawner/spawn/list", params={"name": name})).json()[
            "items"
        ]
        return found

    async def uses(self, name: str) -> dict[str, Any]:
        """How often the tool was used, by hermes_db's word; waits until it is told at all."""

        async def look() -> dict[str, Any] | None:
            by_cli = (await self.hermes_db.get("/hermes_db/stats")).json()["by_cli"]
            return next((one for one in by_cli if one["name"] == name), None)

        found: dict[str, Any] = await until(look)
        return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fleet(migrated: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    state = tmp_path_factory.mktemp("clis") / "state"
    shutil.copytree(migrated, state)
    with reachable_folder() as folder:
        tools = folder / "tools"
        tools.mkdir(mode=0o755)
        program = tools / "echo-tool"
        program.write_text(PROGRAM)
        program.chmod(0o755)
        spawner = SpawnerSettings(
            state_dir=state,
            spawner_work_dir=folder / "jobs",
            spawner_command_dirs=f"{tools}:/usr/bin:/bin",
            spawner_system_dirs=[tools],
            spawner_profiles=PROFILES,
            _env_file=None,
        )
        hermes_db = HermesDbSettings(state_dir=state, hermes_db_default_model=False, _env_file=None)
        async with serving(hermes_db_app(hermes_db)) as hermes_db_url, serving(spawner_app(spawner)) as spawner_url:
            settings = SwitchSettings(
                state_dir=state,
                hermes_db_port=int(hermes_db_url.rpartition(":")[2]),
                spawner_port=int(spawner_url.rpartition(":")[2]),
                shub_port=1,
                light_model_path=folder / "no-such-model.gguf",
                switch_cooling=0,
                connect_timeout=60,
                switch_look_for_servers_every=0,
                _env_file=None,
            )
            headers = {"X-VX11-Token": load_secrets(settings).owner.get_secret_value()}

            def client(url: str) -> httpx.AsyncClient:
                return httpx.AsyncClient(base_url=url, headers=headers, timeout=60, verify=False)

            async with (
                client(hermes_db_url) as to_hermes_db,
                client(spawner_url) as to_spawner,
                serving(create_app(settings)) as url,
                client(url) as http,
            ):
                up = Fleet(http, to_hermes_db, to_spawner)
                for name, prompt in TOOLS.items():
                    await up.register(name, prompt, str(program))
                await up.register("echo-limited", TOOLS["echo-limited"], str(program), rate_limit_per_hour=1)
                await up.register("aider", None, None)
                await up.register("claude", None, None)
                await up.refresh()
                yield up


def text_of(response: httpx.Response) -> str:
    assert response.status_code == 200, response.text
    text: str = response.json()["choices"][0]["message"]["content"]
    return text


def events_of(response: httpx.Response) -> list[dict[str, Any]]:
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]
