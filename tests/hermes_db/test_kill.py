"""kill -9 while keys are stored, encrypted anew and read: what was answered stands, what was not is whole or not there."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from sqlalchemy import create_engine

from config.forensics import verify
from config.secrets import load_secrets
from config.settings import FleetSettings
from tests.forked import SERVE, Forked, Forks

ANSWERS = 40
"""After so many it is killed, wherever the others are."""


@asynccontextmanager
async def process(forks: Forks, state_dir: Path) -> AsyncIterator[tuple[httpx.AsyncClient, Forked]]:
    """hermes_db as a process of its own, asked as a service asks it; killed at the end."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    told = {"VX11_STATE_DIR": str(state_dir), "VX11_HERMES_DB_PORT": str(port), "VX11_HERMES_DB_DEFAULT_MODEL": "false"}
    running = forks.start(SERVE, "hermes_db", **told)
    fleet = load_secrets(FleetSettings(state_dir=state_dir, _env_file=None)).fleet.get_secret_value()
    headers = {"X-VX11-Token": fleet, "X-VX11-Caller": "switch"}
    url = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60, trust_env=False, verify=False) as client:
        async with asyncio.timeout(60):
            while not running.ended.done():
                try:
                    await client.get("/health")
                    break
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
        try:
            yield client, running
        finally:
            running.kill()


async def test_nothing_that_was_answered_is_lost(forks, state_dir):
    stored, spent, turns, models = {}, 0, set(), set()

    def value(number: int) -> str:
        return f"value-{number:06}"

    async with process(forks, state_dir) as (client, running):
        await client.put("/hermes_db/clis/git", json={})
        answers = 0

        async def work(kind: int) -> None:
            nonlocal answers, spent
            for number in range(kind, 100_000, 5):
                try:
                    match kind:
                        case 0 | 1:
                            body = {"service": f"s{number % 7}-{kind}", "token": value(number)}
                            (await client.post("/hermes_db/tokens", json=body)).raise_for_status()
                            stored[body["service"]] = number
                        case 2:
                            (await client.post("/hermes_db/tokens/rotate")).raise_for_status()
                        case 3:
                            taken = (await client.post("/hermes_db/clis/git/leases")).raise_for_status()
                            turns.add(taken.json()["lease_id"])
                        case _:
                            made = await client.put("/hermes_db/models", json={"name": f"m{number}"})
                            models.add(made.raise_for_status().json()["name"])
                            if (await client.get("/hermes_db/tokens/s0-0/value")).is_success:
                                spent += 1
                except httpx.TransportError:
                    return
                answers += 1
                if answers >= ANSWERS:
                    running.kill()

        await asyncio.gather(*(work(kind) for kind in range(5)))
    assert stored
    assert turns
    assert models

    async with process(forks, state_dir) as (client, _):
        listed = (await client.get("/hermes_db/tokens?limit=500")).json()["items"]
        assert stored.keys() <= {token["service"] for token in listed}
        for service, number in stored.items():
            read = (await client.get(f"/hermes_db/tokens/{service}/value")).raise_for_status().json()["token"]
            found = int(read.removeprefix("value-"))
            assert found >= number, f"{service} is older than what was answered"
        counted = next(token["used_today"] for token in listed if token["service"] == "s0-0")
        assert counted >= spent
        names = {model["name"] for model in (await client.get("/hermes_db/models?limit=500")).json()["items"]}
        assert models <= names
        for turn in turns:
            (await client.delete(f"/hermes_db/clis/git/leases/{turn}")).raise_for_status()
        health = (await client.get("/hermes_db/health")).json()
        assert health["checks"]["tokens"]["status"] == "ok"
    engine = create_engine(f"sqlite:///{state_dir / 'vx11.db'}")
    with engine.connect() as connection:
        rows, findings = verify(connection, state_dir)
    engine.dispose()
    assert rows > ANSWERS / 2
    assert findings == []
