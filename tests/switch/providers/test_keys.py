"""Where the key of a provider comes from, and that it goes nowhere but to its provider."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from hermes_db.main import create_app as create_hermes_db
from hermes_db.settings import HermesDbSettings
from switch.providers.keys import environment
from tests.fakes.openai_upstream import ANSWER, OpenAIUpstream
from tests.switch.conftest import chat, problem, serving

KEY, OTHER_KEY = "sk-from-somewhere-0123456789", "sk-another-one-9876543210"


@asynccontextmanager
async def registry(state_dir, owner_headers) -> AsyncIterator[httpx.AsyncClient]:
    """hermes_db itself, on a socket."""
    app = create_hermes_db(HermesDbSettings(state_dir=state_dir, _env_file=None))
    async with (
        serving(app) as url,
        httpx.AsyncClient(base_url=url, headers=owner_headers, timeout=30, verify=False) as client,
    ):
        yield client


async def store(hermes_db: httpx.AsyncClient, service: str, token: str, **more: Any) -> None:
    answer = await hermes_db.post("/hermes_db/tokens", json={"service": service, "token": token} | more)
    assert answer.status_code in (200, 201), answer.text


def sent(upstream: OpenAIUpstream) -> str | None:
    """The key of the last request."""
    return upstream.asked[-1].headers.get("authorization")


async def usable(client: httpx.AsyncClient) -> dict[str, str]:
    page = (await client.get("/switch/providers", params={"usable": True, "limit": 500})).json()
    return {one["name"]: one["key_source"] for one in page["items"]}


async def test_a_key_in_the_environment_is_all_that_a_provider_needs(upstream, settings_of, served, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    settings = settings_of(providers={"openai": {"base_url": upstream.base_url}})
    async with served(settings) as client:
        assert await usable(client) == {"openai": "environment"}
        answer = await client.post("/v1/chat/completions", json=chat(model="openai/gpt-5-mini"))
        assert answer.json()["choices"][0]["message"]["content"] == ANSWER
        assert sent(upstream) == f"Bearer {KEY}"
        listed = [card["id"] for card in (await client.get("/v1/models")).json()["data"]]
        assert {"auto", "openai/gpt-5-mini", "openai/gpt-4o"} <= set(listed)
        assert (await client.post("/v1/chat/completions", json=chat(model="auto"))).status_code == 200
        assert f"openai/{upstream.asked[-1].body['model']}" in listed  # one of the catalogue's choice
        for path in ("/switch/providers?limit=500", "/switch/status", "/health", "/metrics", "/v1/models"):
            assert KEY not in (await client.get(path)).text


@pytest.mark.parametrize(
    ("name", "variable", "header", "path"),
    [
        ("anthropic", "ANTHROPIC_API_KEY", "x-api-key", "/v1/messages"),
        ("google", "GEMINI_API_KEY", "x-goog-api-key", "/v1/models/gemini-9:generateContent"),
    ],
)
async def test_who_has_an_api_of_its_own_is_asked_in_it(
    upstream, settings_of, served, monkeypatch, name, variable, header, path
):
    monkeypatch.setenv(variable, KEY)
    upstream.behaviour = "not_a_completion"
    async with served(settings_of(providers={name: {"base_url": upstream.base_url}})) as client:
        answer = await client.post("/v1/chat/completions", json=chat(model=f"{name}/gemini-9"))
        assert answer.status_code == 502
        assert upstream.asked[-1].path == path
        assert upstream.asked[-1].headers[header] == KEY
        assert "authorization" not in upstream.asked[-1].headers


async def test_the_settings_win_over_the_environment(upstream, settings_of, served, monkeypatch):
    monkeypatch.setenv("GROQ_API_KEY", OTHER_KEY)
    settings = settings_of(providers={"groq": {"base_url": upstream.base_url, "api_key": KEY, "models": ["mine"]}})
    async with served(settings) as client:
        assert await usable(client) == {"groq": "settings"}
        await client.post("/v1/chat/completions", json=chat(model="auto"))
        assert sent(upstream) == f"Bearer {KEY}"
        assert upstream.asked[-1].body["model"] == "mine"  # the settings say what `auto` may choose


async def test_a_dotenv_file_is_read_below_the_environment(tmp_path, monkeypatch):
    file = tmp_path / ".env"
    file.write_text(f'MISTRAL_API_KEY="{KEY}"\nXAI_API_KEY={KEY}\nCOHERE_API_KEY=\n')
    monkeypatch.setattr("switch.providers.keys.ENV_FILE", file)
    monkeypatch.setenv("XAI_API_KEY", OTHER_KEY)
    found = environment()
    assert (found["MISTRAL_API_KEY"], found["XAI_API_KEY"]) == (KEY, OTHER_KEY)
    assert "COHERE_API_KEY" not in found


@pytest.mark.parametrize("value", ["", "  ", "two words", "sk-\nX-Evil: 1", "ключ"])
def test_what_cannot_be_a_key_makes_nobody_usable(roster_of, value):
    roster = roster_of({"OPENAI_API_KEY": value})
    assert not roster.providers
    told = next(one for one in roster.known() if one.name == "openai")
    assert bool(told.detail) is bool(value.strip())
    assert not value.strip() or value not in told.detail


async def test_without_any_key_nobody_is_asked_and_everybody_is_known(settings_of, served):
    async with served(settings_of()) as client:
        assert await usable(client) == {}
        known = (await client.get("/switch/providers", params={"limit": 500})).json()["items"]
        assert len(known) >= 44
        openai = next(one for one in known if one["name"] == "openai")
        assert (openai["is_usable"], openai["key_source"], openai["key_variables"]) == (
            False,
            "missing",
            ["OPENAI_API_KEY"],
        )
        refused = await client.post("/v1/chat/completions", json=chat(model="openai/gpt-5-mini"))
        assert refused.status_code == 404


async def test_keys_of_hermes_db_come_change_and_go(upstream, settings_of, served, state_dir, owner_headers):
    async with registry(state_dir, owner_headers) as hermes_db:
        url = str(hermes_db.base_url).rstrip("/")
        settings = settings_of(
            service_urls={"hermes_db": url}, providers={"mock": {"base_url": upstream.base_url, "models": ["gpt"]}}
        )
        async with served(settings) as client:
            await store(hermes_db, "deepseek", KEY)
            await store(hermes_db, "mock", KEY, limit_per_day=2)
            await store(hermes_db, "expired-ai", KEY)
            assert (await client.post("/switch/registry/refresh")).status_code == 200
            assert await usable(client) == {"deepseek": "hermes_db", "mock": "hermes_db"}
            await client.post("/v1/chat/completions", json=chat())
            assert sent(upstream) == f"Bearer {KEY}"
            for _ in range(3):  # being told of a key costs none of its uses
                await client.post("/switch/registry/refresh")
                await client.post("/v1/chat/completions", json=chat())
            told = {
                one["service"]: one["used_today"] for one in (await hermes_db.get("/hermes_db/tokens")).json()["items"]
            }
            assert told == {"deepseek": 1, "mock": 1, "expired-ai": 0}
            await store(hermes_db, "mock", OTHER_KEY, limit_per_day=2)
            await client.post("/switch/registry/refresh")
            await client.post("/v1/chat/completions", json=chat())
            assert sent(upstream) == f"Bearer {OTHER_KEY}"
            await hermes_db.patch("/hermes_db/tokens/deepseek", json={"is_active": False})
            await client.post("/switch/registry/refresh")
            assert await usable(client) == {"mock": "hermes_db"}
            await store(hermes_db, "groq", KEY, addresses=["10.1.2.3"])
            await client.post("/switch/registry/refresh")
            known = (await client.get("/switch/providers?usable=false&limit=500")).json()["items"]
            told = {one["name"]: one["detail"] for one in known if one["detail"]}
            assert told.keys() == {"deepseek", "groq"}  # why the keys that are there do not count
            assert "switched off" in told["deepseek"]
            assert "does not give" in told["groq"]


async def test_a_refused_key_is_looked_up_again(upstream, settings_of, served, state_dir, owner_headers, monkeypatch):
    monkeypatch.setattr("switch.providers.roster.AGAIN_SECONDS", 0.01)
    async with registry(state_dir, owner_headers) as hermes_db:
        await store(hermes_db, "mock", KEY)
        settings = settings_of(
            service_urls={"hermes_db": str(hermes_db.base_url).rstrip("/")},
            providers={"mock": {"base_url": upstream.base_url, "models": ["gpt"]}},
        )
        async with served(settings) as client:
            await client.post("/switch/registry/refresh")
            await store(hermes_db, "mock", OTHER_KEY)
            upstream.behaviours = ["unauthorized"]
            refused = await client.post("/v1/chat/completions", json=chat())
            assert refused.status_code == 502
            assert KEY not in refused.text
            async with asyncio.timeout(30):
                while sent(upstream) != f"Bearer {OTHER_KEY}":
                    await client.post("/v1/chat/completions", json=chat())


async def test_a_hermes_db_that_goes_away_takes_no_key_along(upstream, settings_of, served, state_dir, owner_headers):
    async with registry(state_dir, owner_headers) as hermes_db:
        await store(hermes_db, "mock", KEY)
        settings = settings_of(
            service_urls={"hermes_db": str(hermes_db.base_url).rstrip("/")},
            providers={"mock": {"base_url": upstream.base_url, "models": ["gpt"]}},
        )
        roster_up = served(settings)
        client = await roster_up.__aenter__()
        await client.post("/switch/registry/refresh")
    try:
        assert (await client.post("/switch/registry/refresh")).status_code == 200
        await client.post("/v1/chat/completions", json=chat())
        assert sent(upstream) == f"Bearer {KEY}"
    finally:
        await roster_up.__aexit__(None, None, None)


async def test_looking_again_keeps_the_connections_to_who_is_still_there(roster_of):
    where = {"base_url": "http://127.0.0.1:1"}
    roster = roster_of({"XAI_API_KEY": "k"}, providers={"a": where, "b": where})
    before = dict(roster.providers)
    await roster.refresh()
    assert list(roster.providers) == ["a", "b", "xai"]
    assert all(roster.providers[name] is provider for name, provider in before.items())


async def test_pages_of_providers_hold_together(settings_of, served):
    async with served(settings_of()) as client:
        whole = [one["name"] for one in (await client.get("/switch/providers?limit=500")).json()["items"]]
        found: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = (await client.get("/switch/providers", params={"limit": 30, "cursor": cursor})).json()
            found += [one["name"] for one in page["items"]]
            cursor = page["next_cursor"]
        assert found == whole == sorted(whole)
        problem(await client.get("/switch/providers?usable=maybe"), 422, "invalid_request")
