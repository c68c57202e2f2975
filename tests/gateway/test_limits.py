"""How often the door opens: per caller, and per address that shows wrong tokens."""

import json

import pytest

from config.auth import Caller
from config.errors import TooManyRequests
from gateway.limits import MOST_BUCKETS, Buckets, DoorLimits
from gateway.main import create_app
from gateway.settings import GatewaySettings


class Clock:
    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_a_bucket_gives_what_is_in_it_and_fills_evenly():
    clock = Clock()
    buckets = Buckets(60, now=clock)
    assert [buckets.take("a") for _ in range(60)] == [0.0] * 60
    assert buckets.take("a") == pytest.approx(1.0)
    assert buckets.take("b") == 0.0
    clock.seconds = 0.25
    assert buckets.wait_seconds("a") == pytest.approx(0.75)
    clock.seconds = 2.0
    assert [buckets.take("a") for _ in range(3)] == [0.0, 0.0, pytest.approx(1.0)]
    clock.seconds = 10_000.0
    assert [buckets.take("a") for _ in range(60)] == [0.0] * 60  # never more than it holds
    assert buckets.take("a") > 0.0


def test_buckets_forget_those_who_are_owed_nothing():
    clock = Clock()
    buckets = Buckets(2, now=clock)
    buckets.take("guilty")
    buckets.take("guilty")
    for number in range(MOST_BUCKETS * 2):
        buckets.take(f"passer-by {number}")
    assert buckets.take("guilty") > 0.0
    assert len(buckets._left) <= MOST_BUCKETS


def test_services_of_the_fleet_may_ask_as_often_as_they_like():
    limits = DoorLimits(1, 1)
    for _ in range(10):
        limits.admitted("here", "token", Caller("madre", frozenset("*"), is_service=True))
    limits.admitted("here", "token", Caller("owner"))
    with pytest.raises(TooManyRequests):
        limits.admitted("here", "token", Caller("owner"))


@pytest.fixture
def gateway(state_dir, client_of):
    def start(**given):
        return client_of(create_app(GatewaySettings(state_dir=state_dir, _env_file=None, **given)))

    return start


async def test_too_many_requests_of_one_caller_are_429_and_say_when_to_come_back(gateway):
    async with gateway(gateway_requests_per_minute=3) as client:
        made = await client.post("/gateway/tokens", json={"name": "other", "scopes": ["gateway:*"]})
        assert [(await client.get("/gateway/tokens")).status_code for _ in range(2)] == [200, 200]
        refused = await client.get("/gateway/tokens")
        assert refused.status_code == 429
        assert refused.json()["type"] == "/errors/too_many_requests"
        assert 0 < int(refused.headers["retry-after"]) <= 20
        openai = await client.post("/v1/chat/completions", json={})
        assert (openai.status_code, json.loads(openai.content)["error"]["code"]) == (429, "too_many_requests")
        theirs = {"X-VX11-Token": made.json()["token"]}
        assert (await client.get("/gateway/tokens", headers=theirs)).status_code == 200
        alive = await client.get("/health")
        assert (alive.status_code, alive.json()["status"]) == (200, "ok")  # liveness is never refused


async def test_without_a_limit_nobody_is_counted(gateway):
    async with gateway(gateway_requests_per_minute=0, gateway_failures_per_minute=0) as client:
        for _ in range(50):
            assert (await client.get("/gateway/tokens")).status_code == 200
            assert (await client.get("/gateway/tokens", headers={"X-VX11-Token": "wrong"})).status_code == 401


async def test_an_address_that_guesses_is_not_even_told_of_a_hit(gateway, secrets):
    async with gateway(gateway_failures_per_minute=5) as client:
        guesses = [(await client.get("/gateway/tokens", headers={"X-VX11-Token": f"guess {n}"})) for n in range(8)]
        assert [guess.status_code for guess in guesses] == [401] * 5 + [429] * 3
        assert int(guesses[-1].headers["retry-after"]) > 0
        hit = await client.get("/gateway/tokens")  # the owner's own token, but never seen from here before
        assert hit.status_code == 429
        probe = await client.get("/health")
        assert (probe.status_code, probe.json()["version"]) == (200, "")  # and health does not tell it either


async def test_a_caller_known_at_an_address_is_not_locked_out_by_its_neighbour(gateway):
    async with gateway(gateway_failures_per_minute=5) as client:
        assert (await client.get("/gateway/tokens")).status_code == 200
        for n in range(8):
            await client.get("/gateway/tokens", headers={"X-VX11-Token": f"guess {n}"})
        assert (await client.get("/gateway/tokens")).status_code == 200


async def test_a_missing_token_is_no_guess(gateway):
    async with gateway(gateway_failures_per_minute=2) as client:
        for _ in range(5):
            assert (await client.get("/gateway/tokens", headers={"X-VX11-Token": ""})).status_code == 401
        assert (await client.get("/gateway/tokens")).status_code == 200


async def test_wrong_tokens_on_health_count_too(gateway):
    async with gateway(gateway_failures_per_minute=2) as client:
        for n in range(5):
            probe = await client.get("/health", headers={"X-VX11-Token": f"guess {n}"})
            assert (probe.status_code, probe.json()["version"]) == (200, "")
        assert (await client.get("/gateway/tokens")).status_code == 429
