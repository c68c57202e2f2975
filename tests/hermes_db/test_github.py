"""A key for GitHub by its device flow, against a GitHub on a real socket; what would take minutes of waiting takes none."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest

from tests.fakes.github import CODE, PENDING, Github, github
from tests.hermes_db.answers import problem
from tests.hermes_db.conftest import HermesDb, running

DEVICE = "/hermes_db/tokens/github/device"
KEY = "gho_SecretSecretSecret0123456789"


class Waiting:
    """Stands for every pause between two questions: the service waits until the test says that the time is over."""

    def __init__(self) -> None:
        self._asked, self._over = asyncio.Queue[float](), asyncio.Queue[None]()

    async def __call__(self, seconds: float) -> None:
        self._asked.put_nowait(seconds)
        await self._over.get()

    async def begun(self) -> float:
        """How long the service wants to wait, as soon as it does."""
        return await asyncio.wait_for(self._asked.get(), 20)

    def end(self) -> None:
        self._over.put_nowait(None)


@pytest.fixture
def fake() -> Iterator[Github]:
    with github() as up:
        yield up


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


@pytest.fixture
async def hermes_db(state_dir, fake, waiting) -> AsyncIterator[HermesDb]:
    async with running(
        state_dir, pause=waiting, hermes_db_github_client_id="Iv1.client", hermes_db_github_url=fake.url
    ) as up:
        yield up


async def ended(hermes_db: HermesDb) -> dict:
    """The sign-in once it is over: its last question is on its way already."""
    for _ in range(2000):
        state = (await hermes_db.http.get(DEVICE)).json()
        if state["status"] != "WAITING":
            return state
        await asyncio.sleep(0.005)
    raise AssertionError("it did not end")


async def test_somebody_enters_the_code_and_the_key_is_there(hermes_db, fake, waiting):
    fake.outcomes = [PENDING, (400, PENDING), {"access_token": KEY, "token_type": "bearer", "scope": "read:user"}]
    begun = (await hermes_db.http.post(DEVICE, json={"scope": "read:user"})).json()
    assert begun == {
        "status": "WAITING", "user_code": "WDJB-MJHT", "verification_uri": "https://github.com/login/device",
        "expires_at": "2026-03-01T12:15:00Z", "interval_seconds": 5.0, "error": None,
    }  # fmt: skip
    for _ in range(3):
        assert await waiting.begun() == 5.0
        assert (await hermes_db.http.get(DEVICE)).json() == begun
        waiting.end()
    assert await ended(hermes_db) == begun | {"status": "DONE"}
    assert fake.asked[0] == ("/login/device/code", {"client_id": "Iv1.client", "scope": "read:user"})
    assert (
        fake.asked[1:]
        == [
            (
                "/login/oauth/access_token",
                {
                    "client_id": "Iv1.client",
                    "device_code": CODE["device_code"],
                    "grant_type": "urn:ietf:params:oauth:grant-type:device_code",
                },
            )
        ]
        * 3
    )
    read = await hermes_db.http.get("/hermes_db/tokens/github/value", headers=hermes_db.as_switch)
    assert read.json()["token"] == KEY
    assert [row["event"] for row in hermes_db.trail()] == ["token_stored", "token_read"]
    assert CODE["device_code"] not in str(begun)


async def test_a_key_that_is_there_is_renewed_and_keeps_what_people_decided(hermes_db, fake, waiting):
    old = {"service": "github", "token": "old", "limit_per_day": 7, "addresses": ["10.0.0.0/8"]}
    before = (await hermes_db.http.post("/hermes_db/tokens", json=old)).json()
    await hermes_db.http.patch("/hermes_db/tokens/github", json={"is_active": False})
    fake.outcomes = [{"access_token": KEY, "expires_in": 28_800}]
    await hermes_db.http.post(DEVICE)
    await waiting.begun()
    waiting.end()
    await ended(hermes_db)
    ends = "2026-03-01T20:00:00Z"
    after = (await hermes_db.http.get("/hermes_db/tokens/github")).json()
    assert after == before | {"expires_at": ends, "renew_at": ends}


async def test_github_is_asked_less_often_when_it_says_so_or_cannot_be_reached(hermes_db, fake, waiting):
    fake.outcomes = [
        {"error": "slow_down"},
        {"error": "slow_down", "interval": 40},
        (0, None),
        (503, b"unwell"),
        (429, b"{}"),
        {"access_token": KEY},
    ]
    await hermes_db.http.post(DEVICE)
    waits = []
    for _ in range(6):
        waits.append(await waiting.begun())
        waiting.end()
    assert waits == [5.0, 10.0, 40.0, 80.0, 120.0, 120.0]
    assert (await ended(hermes_db))["status"] == "DONE"


@pytest.mark.parametrize(
    ("outcome", "error"),
    [
        ({"error": "access_denied"}, "access_denied"),
        ((400, {"error": "expired_token"}), "expired_token"),
        ({"error": "incorrect_device_code"}, "incorrect_device_code"),
        ({}, "GitHub answered neither with a key nor with an error"),
        ((200, b"<html>"), "off its protocol"),
        ((200, b"x" * 70_000), "more than 65536 bytes"),
        ({"access_token": KEY + " with blanks"}, "off its protocol"),
    ],
)
async def test_a_sign_in_that_fails_says_why_and_stores_nothing(hermes_db, fake, waiting, outcome, error, capfd):
    fake.outcomes = [outcome]
    await hermes_db.http.post(DEVICE)
    await waiting.begun()
    waiting.end()
    state = await ended(hermes_db)
    assert state["status"] == "ERROR"
    assert error in state["error"]
    problem(await hermes_db.http.get("/hermes_db/tokens/github"), 404, "not_found")
    assert KEY not in "".join(capfd.readouterr()) + str(state)


async def test_a_code_that_nobody_enters_expires(hermes_db, fake, waiting):
    await hermes_db.http.post(DEVICE)
    await waiting.begun()
    hermes_db.clock.now += timedelta(minutes=16)
    waiting.end()
    assert (await ended(hermes_db))["error"] == "expired_token"
    assert len(fake.asked) == 2
    fake.code = CODE | {"user_code": "SECOND"}
    assert (await hermes_db.http.post(DEVICE)).json()["user_code"] == "SECOND"


async def test_while_one_waits_it_is_told_again_and_another_scope_takes_its_place(hermes_db, fake, waiting):
    first = (await hermes_db.http.post(DEVICE)).json()
    fake.code = CODE | {"user_code": "SECOND"}
    assert (await hermes_db.http.post(DEVICE)).json() == first
    assert len(fake.asked) == 1
    await waiting.begun()
    second = (await hermes_db.http.post(DEVICE, json={"scope": "repo"})).json()
    assert second["user_code"] == "SECOND"
    await waiting.begun()
    fake.outcomes = [{"access_token": KEY}]
    waiting.end()
    assert (await ended(hermes_db))["user_code"] == "SECOND"
    assert len(fake.asked) == 3


async def test_a_code_that_cannot_be_had_is_told_at_once(hermes_db, fake):
    for answer, status, code, told in [
        ((404, {"error": "Not Found"}), 409, "conflict", "VX11_HERMES_DB_GITHUB_CLIENT_ID"),
        ({"error": "device_flow_disabled"}, 409, "conflict", "device_flow_disabled"),
        ((0, None), 503, "upstream_unavailable", "cannot be reached"),
        ((502, b""), 503, "upstream_unavailable", "502"),
        ({}, 502, "upstream_contract", "without a code"),
        (CODE | {"verification_uri": "javascript:alert(1)"}, 502, "upstream_contract", "off its protocol"),
        ((200, b"[1]"), 502, "upstream_contract", "off its protocol"),
    ]:
        fake.code = answer
        body = problem(await hermes_db.http.post(DEVICE), status, code)
        assert told in body["detail"]
    problem(await hermes_db.http.get(DEVICE), 404, "not_found")


async def test_without_a_client_id_the_setting_is_named(hermes_db_at):
    async with hermes_db_at() as hermes_db:
        body = problem(await hermes_db.http.post(DEVICE), 409, "conflict")
        assert "VX11_HERMES_DB_GITHUB_CLIENT_ID" in body["detail"]


async def test_a_service_that_stops_stops_asking_and_a_restart_has_forgotten(hermes_db_at, fake, waiting):
    settings = {"hermes_db_github_client_id": "x", "hermes_db_github_url": fake.url + "/"}
    async with hermes_db_at(pause=waiting, **settings) as hermes_db:
        await hermes_db.http.post(DEVICE)
        await waiting.begun()
    async with hermes_db_at(pause=waiting, **settings) as hermes_db:
        problem(await hermes_db.http.get(DEVICE), 404, "not_found")
    assert len(fake.asked) == 1
