"""The fleet's health is the sum of its parts, and asking for it never fails."""

import asyncio
import json

import pytest

from tests.fakes.wire import Visit


def healthy(service: str, status: str = "ok") -> bytes:
    body = json.dumps(
        {"status": status, "service": service, "version": "9", "uptime_seconds": 1.5, "checks": {}}
    ).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


@pytest.fixture
def well(fleet):
    for name, module in fleet.all.items():
        module.answers(healthy(name))
    return fleet


async def health(door, **options) -> dict:
    answer = await door.ask("GET /health", **options)
    assert answer.status == 200
    return json.loads(answer.body)


async def test_without_a_token_it_only_says_that_it_lives(door, well):
    body = await health(door, token="")
    assert (body["status"], body["service"]) == ("ok", "gateway")
    assert body["services"] == body["checks"] == {}
    assert well.visits == 0
    assert (await health(door, token="wrong"))["services"] == {}


async def test_with_a_token_it_adds_up_the_fleet(door, well, secrets):
    body = await health(door)
    assert body["status"] == "ok"
    assert body["checks"]["database"]["status"] == "ok"
    assert set(body["services"]) == {"madre", "switch", "hermes_db", "hermes", "shub", "spawner"}
    assert body["services"]["madre"]["uptime_seconds"] == 1.5
    visit = well.madre.visits[0]
    assert visit.line == b"GET /madre/health HTTP/1.1"
    assert visit.header(b"x-vx11-token") == secrets.fleet.get_secret_value().encode()
    assert json.loads((await door.ask("GET /gateway/health")).body)["services"]["shub"]["status"] == "ok"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{",
        healthy("shub", "unheard of"),
    ],
)
async def test_a_service_that_is_unwell_makes_the_fleet_degraded(door, well, answer):
    well.shub.answers(answer, then_hang_up=True)
    body = await health(door)
    assert body["status"] == "degraded"
    assert body["services"]["shub"]["status"] == "down"
    assert body["services"]["shub"]["checks"]["reachable"]["detail"]
    assert body["services"]["madre"]["status"] == "ok"


async def test_a_service_that_says_it_is_degraded_is_believed(door, well):
    well.switch.answers(healthy("switch", "degraded"))
    body = await health(door)
    assert (body["status"], body["services"]["switch"]["status"]) == ("degraded", "degraded")


async def test_a_service_that_does_not_answer_is_not_waited_for(open_door, well):
    async def silent(visit: Visit) -> None:
        await visit.left()

    door = await open_door(gateway_health_timeout=0.2)
    well.madre.behaviour = silent
    async with asyncio.timeout(60):
        body = await health(door)
    assert body["services"]["madre"]["checks"]["reachable"]["detail"] == "did not answer within 0.2 seconds"
    assert body["status"] == "degraded"


async def test_a_fleet_that_is_all_down_is_still_an_answer(open_door, fleet):
    door = await open_door(service_urls=dict.fromkeys(fleet.all, "http://127.0.0.1:9"))
    body = await health(door)
    assert body["status"] == "degraded"
    assert {one["status"] for one in body["services"].values()} == {"down"}


async def test_health_of_one_module_is_the_modules(door, well):
    assert json.loads((await door.ask("GET /shub/health")).body)["version"] == "9"
