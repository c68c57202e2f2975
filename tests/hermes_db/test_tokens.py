"""Keys of outside services: told about to everybody, handed to services alone, and counted."""

import asyncio
from datetime import timedelta

import pytest

from config import grants
from tests.hermes_db.answers import problem
from tests.hermes_db.conftest import NOON, HermesDb

pytestmark = pytest.mark.asyncio(loop_scope="module")

VALUE = "hf_SecretSecretSecret0123456789"


async def stored(hermes_db: HermesDb, service: str, **fields) -> dict:
    answer = await hermes_db.http.post("/hermes_db/tokens", json={"service": service, "token": VALUE} | fields)
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


async def value_of(hermes_db: HermesDb, service: str, **options):
    return await hermes_db.http.get(f"/hermes_db/tokens/{service}/value", headers=hermes_db.as_switch, **options)


async def test_a_key_is_stored_and_told_about_without_its_value(hermes_db):
    answer = await hermes_db.http.post("/tokens", json={"service": "told", "token": VALUE, "limit_per_day": 9})
    assert answer.status_code == 201
    told = answer.json()
    assert told.items() >= {
        "service": "told", "limit_per_day": 9, "used_today": 0, "expires_at": None, "renew_at": "2026-05-30T12:00:00Z",
        "addresses": [], "added_at": "2026-03-01T12:00:00Z", "last_used_at": None, "is_active": True,
    }.items()  # fmt: skip
    assert (await hermes_db.http.get("/hermes_db/tokens/told")).json() == told
    listed = (await hermes_db.http.get("/hermes_db/tokens?limit=500")).json()
    assert told in listed["items"]
    assert VALUE not in answer.text + str(listed)


async def test_a_service_reads_the_value_which_is_counted_and_audited(hermes_db):
    await stored(hermes_db, "read")
    for number in (1, 2):
        answer = await value_of(hermes_db, "read")
        assert answer.json() == {"service": "read", "token": VALUE, "expires_at": None}
        assert answer.headers["cache-control"] == "no-store"
        row = hermes_db.trail()[-1]
        assert (row["event"], row["subject"], row["caller"]) == ("token_read", "token:read", "switch")
        assert row["details"] == {"address": "127.0.0.1", "used_today": number}
    told = (await hermes_db.http.get("/hermes_db/tokens/read")).json()
    assert (told["used_today"], told["last_used_at"]) == (2, "2026-03-01T12:00:00Z")


async def test_neither_clients_nor_what_comes_through_the_gateway_read_a_value(hermes_db):
    await stored(hermes_db, "closed")
    for headers in ({}, hermes_db.through_gateway):
        for path in ("/hermes_db/tokens/closed/value", "/tokens/closed/value", "/hermes_db/tokens/nowhere/value"):
            problem(await hermes_db.http.get(path, headers=headers), 403, "forbidden")
            row = hermes_db.trail()[-1]
            assert (row["event"], row["caller"]) == ("token_refused", "owner")
    assert (await hermes_db.http.get("/hermes_db/tokens/closed")).json()["used_today"] == 0


async def test_a_new_value_takes_the_place_of_the_old_one_and_the_day_goes_on(hermes_db):
    first = await stored(hermes_db, "replaced", limit_per_day=2, addresses=["10.0.0.1"])
    hermes_db.clock.now += timedelta(hours=1)
    answer = await hermes_db.http.post(
        "/hermes_db/tokens", json={"service": "replaced", "token": f" {VALUE}new\n", "limit_per_day": 2}
    )
    assert (answer.status_code, answer.json()["id"]) == (200, first["id"])
    assert (answer.json()["addresses"], answer.json()["changed_at"]) == ([], "2026-03-01T13:00:00Z")
    assert (await value_of(hermes_db, "replaced")).json()["token"] == f"{VALUE}new"
    await stored(hermes_db, "replaced", limit_per_day=2)
    assert (await value_of(hermes_db, "replaced")).status_code == 200
    problem(await value_of(hermes_db, "replaced"), 429, "too_many_requests")


async def test_a_days_limit_holds_whoever_asks_at_once_and_ends_with_the_day(hermes_db):
    await stored(hermes_db, "limited", limit_per_day=3)
    answers = await asyncio.gather(*(value_of(hermes_db, "limited") for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [429] * 5
    late = next(answer for answer in answers if answer.status_code == 429)
    assert "limit_per_day" in problem(late, 429, "too_many_requests")["detail"]
    assert late.headers["retry-after"] == str(12 * 3600)
    hermes_db.clock.now = NOON.replace(hour=23, minute=59, second=59)
    assert (await value_of(hermes_db, "limited")).headers["retry-after"] == "1"
    hermes_db.clock.now += timedelta(seconds=1)
    assert (await hermes_db.http.get("/hermes_db/tokens/limited")).json()["used_today"] == 0
    assert (await value_of(hermes_db, "limited")).status_code == 200
    assert (await hermes_db.http.get("/hermes_db/tokens/limited")).json()["used_today"] == 1


@pytest.mark.parametrize(
    ("address", "may"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("192.168.7.9", True),
        ("192.168.7.8", False),
        ("fd00::1", True),
        ("fe80::1", False),
        ("127.0.0.1", False),
        ("not-an-address", False),
    ],
)
async def test_a_key_is_only_for_its_addresses(hermes_db, address, may):
    made = await stored(hermes_db, "homely", addresses=["10.9.9.9/8", "192.168.7.9", "fd00::/8"])
    assert made["addresses"] == ["10.0.0.0/8", "192.168.7.9/32", "fd00::/8"]
    async with hermes_db.client_at(address) as client:
        answer = await client.get("/hermes_db/tokens/homely/value")
    if may:
        assert answer.json()["token"] == VALUE
    else:
        problem(answer, 403, "forbidden")
        row = hermes_db.trail()[-1]
        assert (row["event"], row["details"]["address"]) == ("token_refused", address)


async def test_a_key_that_expired_or_is_not_active_is_not_handed_out(hermes_db):
    await stored(hermes_db, "mortal", expires_at="2026-03-02T00:00:00Z")
    await hermes_db.http.patch("/hermes_db/tokens/mortal", json={"is_active": False})
    assert "not active" in problem(await value_of(hermes_db, "mortal"), 409, "conflict")["detail"]
    await hermes_db.http.patch("/hermes_db/tokens/mortal", json={"is_active": True})
    assert (await value_of(hermes_db, "mortal")).status_code == 200
    hermes_db.clock.now = NOON + timedelta(hours=12)
    assert "expired" in problem(await value_of(hermes_db, "mortal"), 409, "conflict")["detail"]
    problem(await value_of(hermes_db, "nowhere"), 404, "not_found")


async def test_what_is_due_for_renewal_is_listed_the_most_urgent_first(hermes_db_at):
    async with hermes_db_at(hermes_db_renew_after=timedelta(days=30)) as hermes_db:
        await stored(hermes_db, "by-default")
        await stored(hermes_db, "by-date", renew_at="2026-03-11T12:00:00Z")
        await stored(hermes_db, "by-expiry", expires_at="2026-03-03T00:00:00Z")
        await stored(hermes_db, "far", renew_at="2027-01-01T00:00:00Z")
        await stored(hermes_db, "resting", renew_at="2026-03-02T00:00:00Z")
        await hermes_db.http.patch("/hermes_db/tokens/resting", json={"is_active": False})
        hermes_db.clock.now = NOON + timedelta(days=2)
        due = (await hermes_db.http.get("/hermes_db/tokens/renewals?days=30")).json()["items"]
        assert [(one["service"], one["days_left"], one["is_expired"]) for one in due] == [
            ("by-expiry", -0.5, True),
            ("by-date", 8.0, False),
            ("by-default", 28.0, False),
        ]
        assert [one["service"] for one in (await hermes_db.http.get("/tokens/renewals?days=0")).json()["items"]] == [
            "by-expiry"
        ]
        first = (await hermes_db.http.get("/hermes_db/tokens/renewals?days=30&limit=2")).json()
        rest = (await hermes_db.http.get(f"/hermes_db/tokens/renewals?days=30&cursor={first['next_cursor']}")).json()
        assert (first["items"] + rest["items"], rest["next_cursor"]) == (due, None)


async def test_patch_changes_what_is_sent_and_a_new_value_is_due_anew(hermes_db):
    made = await stored(hermes_db, "patched", limit_per_day=5)
    hermes_db.clock.now += timedelta(days=1)
    path = "/hermes_db/tokens/patched"
    changed = (await hermes_db.http.patch(path, json={"limit_per_day": None, "addresses": ["10.0.0.1"]})).json()
    assert changed == made | {"limit_per_day": None, "addresses": ["10.0.0.1/32"]}
    renewed = (await hermes_db.http.patch(path, json={"token": VALUE + "2", "addresses": []})).json()
    assert (renewed["changed_at"], renewed["renew_at"]) == ("2026-03-02T12:00:00Z", "2026-05-31T12:00:00Z")
    assert (await value_of(hermes_db, "patched")).json()["token"] == VALUE + "2"
    rows = len(hermes_db.trail())
    assert (await hermes_db.http.patch(path, json={"addresses": []})).status_code == 200
    assert len(hermes_db.trail()) == rows
    for body in ({"is_active": None}, {"addresses": None}, {"token": None}, {"expires_at": "2026-01-01T00:00:00Z"}):
        problem(await hermes_db.http.patch(path, json=body), 422, "invalid_request")
    problem(await hermes_db.http.patch("/hermes_db/tokens/nowhere", json={}), 404, "not_found")


async def test_a_key_is_forgotten_with_a_grant_or_a_scope_that_names_it_and_not_without(hermes_db):
    await stored(hermes_db, "doomed")
    path = "/hermes_db/tokens/doomed"
    for headers in ({}, hermes_db.as_switch, hermes_db.through_gateway):
        problem(await hermes_db.http.delete(path, headers=headers), 403, "grant_refused")
        assert hermes_db.trail()[-1]["event"] == "grant_refused"

    def granted(**params) -> dict[str, str]:
        text = grants.issue(hermes_db.secrets, plan_id="p", step_id="s", operation="hermes_db:delete", params=params)
        return {grants.HEADER: text}

    problem(await hermes_db.http.delete(path, headers=granted(service="other")), 403, "grant_refused")
    once = granted(service="doomed")
    assert (await hermes_db.http.delete(path, headers=once)).json() == {"service": "doomed", "status": "deleted"}
    assert hermes_db.trail()[-1]["event"] == "token_deleted"
    problem(await hermes_db.http.get(path), 404, "not_found")
    await stored(hermes_db, "doomed")
    problem(await hermes_db.http.delete(path, headers=once), 403, "grant_refused")
    scoped = hermes_db.through_gateway | {"X-VX11-Scopes": "hermes_db:delete"}
    assert (await hermes_db.http.delete(path, headers=scoped)).status_code == 200
    problem(await hermes_db.http.delete(path, headers=scoped), 404, "not_found")


async def test_what_does_not_fit_is_refused_without_being_repeated(hermes_db):
    for fields in [
        {"service": VALUE},
        {"service": "renewals"},
        {"service": "../x"},
        {"token": VALUE + " " + VALUE},
        {"token": VALUE + "\n" + VALUE},
        {"token": VALUE * 1000},
        {"token": ""},
        {"token": [VALUE]},
        {"token": {"value": VALUE}},
        {"token": VALUE + "ñ"},
        {"limit_per_day": 0},
        {"limit_per_day": VALUE},
        {"expires_at": "2026-02-28T00:00:00Z"},
        {"expires_at": VALUE},
        {"renew_at": "2026-03-01T00:00:00"},
        {"addresses": [VALUE]},
        {"addresses": ["10.0.0.0/33"]},
    ]:
        answer = await hermes_db.http.post("/hermes_db/tokens", json={"service": "x", "token": VALUE} | fields)
        body = problem(answer, 422, "invalid_request")
        assert next(iter(fields)) in body["detail"]
        assert VALUE not in answer.text
    for raw in (f'{{"service": "x", "token": "{VALUE}', f'"{VALUE}"', f'["{VALUE}"]', f'{{"token": "{VALUE}\\ud800"}}'):
        answer = await hermes_db.http.post(
            "/hermes_db/tokens", content=raw, headers={"content-type": "application/json"}
        )
        assert answer.status_code in (400, 422)
        assert VALUE not in answer.text


async def test_a_repeat_with_the_same_key_stores_once_and_another_value_is_another_request(hermes_db):
    key = {"Idempotency-Key": "store-1"}
    body = {"service": "repeated", "token": VALUE}
    answers = await asyncio.gather(
        *(hermes_db.http.post("/hermes_db/tokens", json=body, headers=key) for _ in range(4))
    )
    assert {(answer.status_code, answer.text) for answer in answers} == {(201, answers[0].text)}
    assert [row["event"] for row in hermes_db.trail() if row["subject"] == "token:repeated"] == ["token_stored"]
    other = body | {"token": VALUE + "2"}
    problem(await hermes_db.http.post("/hermes_db/tokens", json=other, headers=key), 409, "idempotency_conflict")
    assert (await value_of(hermes_db, "repeated")).json()["token"] == VALUE


async def test_storing_needs_to_write_and_telling_to_read(hermes_db):
    reader = hermes_db.through_gateway | {"X-VX11-Scopes": "hermes_db:read"}
    body = {"service": "x", "token": VALUE}
    problem(await hermes_db.http.post("/hermes_db/tokens", json=body, headers=reader), 403, "forbidden")
    problem(await hermes_db.http.post("/hermes_db/tokens/rotate", headers=reader), 403, "forbidden")
    assert (await hermes_db.http.get("/hermes_db/tokens", headers=reader)).status_code == 200


async def test_pages_of_keys_follow_each_other(hermes_db):
    for number in range(3):
        await stored(hermes_db, f"page{number}")
    seen, cursor = list[str](), ""
    while cursor is not None:
        page = (await hermes_db.http.get(f"/hermes_db/tokens?limit=2{cursor and f'&cursor={cursor}'}")).json()
        seen += [token["service"] for token in page["items"]]
        cursor = page["next_cursor"]
    assert len(seen) == len(set(seen))
    assert {"page0", "page1", "page2"} <= set(seen)
