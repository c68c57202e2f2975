"""Idempotency-Key: once per key, the same answer again, and never another request's."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from config.clock import utc_now
from config.db_schema import IdempotencyKeyRow
from config.errors import IdempotencyConflict, IdempotencyInProgress
from config.idempotency import Idempotency, forget_old


def request(
    key: str | None = "k", body: object = None, *, caller: str = "owner", operation: str = "make"
) -> Idempotency:
    return Idempotency.of("shub", caller, key, operation, body or {"a": 1, "b": 2})


async def do(db, once: Idempotency, answer: str = "made") -> str:
    """Make something under the key, as a service does; a repeat gets what was kept."""
    async with db.write() as session:
        earlier = await once.earlier(session)
        if earlier is not None:
            return earlier.answer
        await once.claim(session, "thing_1")
        await once.keep(session, 201, answer)
        return answer


async def keys(db) -> int:
    async with db.read() as session:
        return (await session.execute(select(func.count()).select_from(IdempotencyKeyRow))).scalar_one()


async def age(db, **delta) -> None:
    async with db.write() as session:
        await session.execute(update(IdempotencyKeyRow).values(created_at=utc_now() - timedelta(**delta)))


async def test_a_repeat_gets_the_first_answer(open_as):
    db = open_as("shub")
    assert await do(db, request(), "first") == "first"
    assert await do(db, request(), "second") == "first"
    assert await do(db, request(body={"b": 2, "a": 1}), "same body, other order") == "first"


async def test_a_repeat_before_the_answer_finds_what_was_made(open_as):
    db = open_as("shub")
    async with db.write() as session:
        await request().claim(session, "thing_1")
    async with db.read() as session:
        earlier = await request().earlier(session)
    assert (earlier.resource_id, earlier.status, earlier.answer) == ("thing_1", None, None)


@pytest.mark.parametrize("other", [request(body={"a": 2}), request(operation="break")])
async def test_a_key_used_for_something_else_is_a_conflict(open_as, other):
    db = open_as("shub")
    await do(db, request())
    with pytest.raises(IdempotencyConflict):
        await do(db, other)


async def test_keys_belong_to_their_caller_and_service(open_as):
    db, other = open_as("shub"), open_as("madre")
    assert await do(db, request(), "first") == "first"
    assert await do(db, request(caller="token:x"), "second") == "second"
    assert await do(other, Idempotency.of("madre", "owner", "k", "make", {"a": 1, "b": 2}), "third") == "third"


async def test_without_a_key_nothing_is_remembered(open_as):
    db = open_as("shub")
    assert [await do(db, request(None), answer) for answer in ("first", "second")] == ["first", "second"]
    assert await keys(db) == 0


async def test_a_key_is_good_for_24_hours(open_as):
    db = open_as("shub")
    await do(db, request(), "first")
    await age(db, hours=23, minutes=59)
    assert await do(db, request(), "second") == "first"
    await age(db, hours=24, minutes=1)
    assert await do(db, request(body={"other": 1}), "third") == "third"
    assert await do(db, request(body={"other": 1}), "fourth") == "third"


async def test_old_keys_go_when_new_ones_come(open_as):
    db = open_as("shub")
    for number in range(5):
        await do(db, request(f"k{number}"))
    await age(db, days=2)
    await do(db, request("new"))
    assert await keys(db) == 1
    await age(db, days=2)
    async with db.write() as session:
        await forget_old(session, "madre")
    assert await keys(db) == 1
    async with db.write() as session:
        await forget_old(session, "shub")
    assert await keys(db) == 0


async def test_a_change_that_fails_gives_its_key_back(open_as):
    db = open_as("shub")

    async def fail() -> None:
        async with db.write() as session:
            await request().claim(session, "thing_1")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await do(db, request(), "second try") == "second try"


async def test_of_many_at_once_one_does_the_work(open_as):
    databases = [open_as("shub") for _ in range(6)]  # each a process of its own, as far as the database can tell
    assert len(set(await asyncio.gather(*(do(db, request(), str(number)) for number, db in enumerate(databases))))) == 1


async def test_a_claim_that_comes_second_is_told_that_the_first_is_under_way(open_as):
    first, second = open_as("shub"), open_as("shub")
    async with first.write() as session:
        await request().claim(session, "thing_1")
    with pytest.raises(IdempotencyInProgress):
        async with second.write() as session:
            await request().claim(session, "thing_2")
    async with first.read() as session:
        assert (await request().earlier(session)).resource_id == "thing_1"
