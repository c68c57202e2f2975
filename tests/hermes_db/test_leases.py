"""Turns with tools: limits hold whoever asks at once, and every turn that is given back is a use."""

import asyncio
from datetime import timedelta

import pytest

from config.clients.hermes_db import HermesDbClient
from config.contracts.hermes_db import LeaseNew, LeaseReturn
from config.errors import TooManyRequests
from tests.fakes.line import over
from tests.hermes_db.answers import problem
from tests.hermes_db.conftest import NOON, HermesDb

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def tool(hermes_db: HermesDb, name: str, **facts) -> str:
    """The path of its turns."""
    await hermes_db.http.put(f"/hermes_db/clis/{name}", json=facts)
    return f"/hermes_db/clis/{name}/leases"


async def taken(hermes_db: HermesDb, leases: str, **body) -> dict:
    answer = await hermes_db.http.post(leases, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


def refused(answer, limit: str, wait: timedelta) -> None:
    body = problem(answer, 429, "too_many_requests")
    assert body["limit"] == limit
    assert limit in body["detail"]
    assert answer.headers["retry-after"] == str(int(wait.total_seconds()))


async def test_a_turn_is_taken_and_given_back_as_a_use(hermes_db):
    leases = await tool(hermes_db, "git")
    answer = await hermes_db.http.post("/clis/git/leases", headers=hermes_db.as_switch)
    lease = answer.json()
    assert lease == {
        "lease_id": lease["lease_id"], "cli": "git", "taken_at": "2026-03-01T12:00:00Z", "expires_at": "2026-03-01T12:10:00Z",
        "returned_at": None,
    }  # fmt: skip
    hermes_db.clock.now += timedelta(seconds=2.5)
    how = {"success": False, "error_message": "no such branch"}
    for _ in range(2):
        back = await hermes_db.http.request(
            "DELETE", f"{leases}/{lease['lease_id']}", json=how, headers=hermes_db.as_switch
        )
        assert back.json() == lease | {"returned_at": "2026-03-01T12:00:02.500000Z"}
    cli = (await hermes_db.http.get("/hermes_db/clis/git")).json()
    assert (cli["usage_count"], cli["last_used_at"]) == (1, "2026-03-01T12:00:02.500000Z")
    stats = (await hermes_db.http.get("/hermes_db/stats?days=3660")).json()
    of_git = next(one for one in stats["by_cli"] if one["name"] == "git")
    assert (of_git["uses"], of_git["failures"], of_git["mean_duration_ms"]) == (1, 1, 2500.0)
    assert "switch" in [one["module"] for one in stats["by_module"]]
    assert "run" in [one["action_type"] for one in stats["by_action"]]


async def test_of_many_that_ask_at_once_as_many_get_a_turn_as_there_may_be(hermes_db):
    leases = await tool(hermes_db, "crowded", max_concurrent=3)
    answers = await asyncio.gather(*(hermes_db.http.post(leases, json={"lease_seconds": 60}) for _ in range(9)))
    got = [answer.json() for answer in answers if answer.status_code == 201]
    assert len(got) == 3
    for answer in answers:
        if answer.status_code != 201:
            refused(answer, "max_concurrent", timedelta(seconds=60))
    await hermes_db.http.delete(f"{leases}/{got[0]['lease_id']}")
    await taken(hermes_db, leases)
    refused(await hermes_db.http.post(leases), "max_concurrent", timedelta(seconds=60))


async def test_a_turn_that_is_not_given_back_ends_by_itself_and_counts_as_no_use(hermes_db):
    leases = await tool(hermes_db, "lost", max_concurrent=1)
    first = await taken(hermes_db, leases, lease_seconds=30)
    hermes_db.clock.now += timedelta(seconds=29)
    refused(await hermes_db.http.post(leases), "max_concurrent", timedelta(seconds=1))
    hermes_db.clock.now += timedelta(seconds=1)
    await taken(hermes_db, leases)
    assert (await hermes_db.http.get("/hermes_db/clis/lost")).json()["usage_count"] == 0
    late = await hermes_db.http.delete(f"{leases}/{first['lease_id']}")
    assert late.json()["returned_at"] == "2026-03-01T12:00:30Z"
    assert (await hermes_db.http.get("/hermes_db/clis/lost")).json()["usage_count"] == 1


@pytest.mark.parametrize(
    ("limit", "span"), [("rate_limit_per_hour", timedelta(hours=1)), ("rate_limit_per_day", timedelta(days=1))]
)
async def test_turns_of_the_last_hour_and_day_are_counted_given_back_or_not(hermes_db, limit, span):
    name = f"counted-{limit}"
    leases = await tool(hermes_db, name, **{limit: 2})
    first = await taken(hermes_db, leases)
    await hermes_db.http.delete(f"{leases}/{first['lease_id']}")
    hermes_db.clock.now += span / 4
    await taken(hermes_db, leases)
    refused(await hermes_db.http.post(leases), limit, span * 3 / 4)
    hermes_db.clock.now = NOON + span
    await taken(hermes_db, leases)
    refused(await hermes_db.http.post(leases), limit, span / 4)
    await hermes_db.http.patch(f"/hermes_db/clis/{name}", json={limit: 3})
    await taken(hermes_db, leases)


async def test_old_turns_are_forgotten_and_held_ones_are_not(hermes_db):
    leases = await tool(hermes_db, "tidy")
    held = await taken(hermes_db, leases, lease_seconds=86_400)
    hermes_db.clock.now += timedelta(seconds=1)
    short = await taken(hermes_db, leases, lease_seconds=1)
    hermes_db.clock.now = NOON + timedelta(days=1, seconds=-1)
    await taken(hermes_db, leases)
    assert (await hermes_db.http.delete(f"{leases}/{held['lease_id']}")).status_code == 200
    hermes_db.clock.now += timedelta(seconds=2)
    await taken(hermes_db, leases)
    for lease in (held, short):
        problem(await hermes_db.http.delete(f"{leases}/{lease['lease_id']}"), 404, "not_found")


async def test_a_tool_that_is_not_to_be_used_gives_no_turns(hermes_db):
    leases = await tool(hermes_db, "forbidden", max_concurrent=0)
    assert "max_concurrent" in problem(await hermes_db.http.post(leases), 409, "conflict")["detail"]
    await hermes_db.http.delete("/hermes_db/clis/forbidden")
    assert "not active" in problem(await hermes_db.http.post(leases), 409, "conflict")["detail"]
    problem(await hermes_db.http.post("/hermes_db/clis/nothing/leases"), 404, "not_found")
    problem(await hermes_db.http.delete("/hermes_db/clis/forbidden/leases/lease_1"), 404, "not_found")
    other = await taken(hermes_db, await tool(hermes_db, "other"))
    problem(await hermes_db.http.delete(f"{leases}/{other['lease_id']}"), 404, "not_found")
    for seconds in (0, 86_401, "long"):
        problem(await hermes_db.http.post(leases, json={"lease_seconds": seconds}), 422, "invalid_request")


async def test_a_repeat_with_the_same_key_takes_one_turn(hermes_db):
    leases = await tool(hermes_db, "repeated", max_concurrent=1)
    key = {"Idempotency-Key": "turn-1"}
    answers = await asyncio.gather(*(hermes_db.http.post(leases, headers=key) for _ in range(4)))
    assert {(answer.status_code, answer.text) for answer in answers} == {(201, answers[0].text)}


async def test_turns_stand_after_a_restart(hermes_db_at):
    async with hermes_db_at() as hermes_db:
        lease = await taken(hermes_db, await tool(hermes_db, "git", max_concurrent=1))
    async with hermes_db_at() as hermes_db:
        refused(await hermes_db.http.post("/hermes_db/clis/git/leases"), "max_concurrent", timedelta(minutes=10))
        back = await hermes_db.http.delete(f"/hermes_db/clis/git/leases/{lease['lease_id']}")
        assert back.json()["returned_at"] is not None


async def test_the_typed_client_takes_turns_and_hears_when_to_come_again(hermes_db):
    await tool(hermes_db, "g++", max_concurrent=1)
    client = HermesDbClient(
        hermes_db.settings, hermes_db.secrets, "switch", line=over(hermes_db.client_at("127.0.0.1")._transport)
    )
    lease = await client.take_cli("g++", LeaseNew(lease_seconds=90), idempotency_key="k")
    with pytest.raises(TooManyRequests, match="max_concurrent") as refusal:
        await client.take_cli("g++")
    assert refusal.value.headers == {"Retry-After": "90"}
    back = await client.give_cli_back("g++", lease.lease_id, LeaseReturn(duration_ms=5))
    assert back.returned_at is not None
    await client.close()
