"""What was learned is kept: over restarts, on both databases, and only once."""

import dataclasses

import pytest
from sqlalchemy import insert, select

from config.database import Database
from config.db_schema import LearnerStateRow, ProviderStatRow
from switch.choosing import memory, repository
from switch.choosing.arm import Arm
from switch.registry import Registry
from tests.switch.choosing.conftest import call, choice, names, teach


@pytest.fixture(params=["sqlite", "postgres"])
async def db(request, settings_of):
    if request.param == "postgres":
        request.getfixturevalue("settings_of")
        url = request.getfixturevalue("postgres_url").replace("postgresql://", "postgresql+psycopg://")
    else:
        url = settings_of().sqlalchemy_url()
    database = Database(url, "switch")
    yield database
    await database.close()


@pytest.fixture
async def sqlite(settings_of):
    database = Database(settings_of().sqlalchemy_url(), "switch")
    yield database
    await database.close()


async def save(chooser, db):
    async with db.write() as session:
        await chooser.save(session)


async def restarted(chooser_of, db):
    chooser = chooser_of()
    async with db.read() as session:
        await chooser.load(session)
    return chooser


async def rows(db, table):
    async with db.read() as session:
        return list(await session.scalars(select(table)))


async def test_a_restart_forgets_nothing(db, chooser, chooser_of):
    good, bad = choice("p/good"), choice("here")
    teach(chooser, good, *[True] * 5, False, True, input_tokens=10, output_tokens=3)
    teach(chooser, bad, True, *[False] * 4, failure="it fell over")
    await save(chooser, db)
    teach(chooser, good, True, input_tokens=10, output_tokens=3)  # a row that is there already
    await save(chooser, db)
    again = await restarted(chooser_of, db)
    both = [bad, good]
    for task_type in ("code", "audio"):
        before, after = (one.rank(both, call(task_type)) for one in (chooser, again))
        assert names(after) == names(before) == ["p/good", "here"]
        assert [one.score for one in after] == pytest.approx([one.score for one in before], abs=0.01)
    assert again.learned("p/good") == chooser.learned("p/good")
    here, there = sorted(await rows(db, ProviderStatRow), key=lambda row: row.provider)
    assert (here.provider, here.model, here.asked, here.answered, here.failed) == ("local", "here", 5, 1, 4)
    assert (here.last_failure, here.last_answered_at is not None) == ("it fell over", True)
    assert (there.asked, there.answered, there.input_tokens, there.output_tokens) == (8, 7, 80, 24)
    assert there.latency_ms_total == 7 * 500.0


async def test_feedback_is_written_with_what_it_teaches_and_can_be_replaced(db, chooser, chooser_of):
    teach(chooser, choice("p/m"), *[True] * 3)
    [before] = chooser.learned("p/m")
    async with db.write() as session:
        given = await chooser.keep_feedback(session, "p/m", "code", 0.9, None)
        assert chooser.learned("p/m") == [before]  # not before it is written
    at_first = chooser.learned("p/m")
    assert at_first[0].outcomes == pytest.approx(before.outcomes + 2)
    assert (await restarted(chooser_of, db)).learned("p/m") == at_first
    teach(chooser, choice("p/m"), *[True] * 2)
    async with db.write() as session:
        again = await chooser.keep_feedback(session, "p/m", "code", 0.0, given)
    assert again.at == given.at
    worse = chooser.learned("p/m")
    async with db.write() as session:
        await chooser.keep_feedback(session, "p/m", "code", 0.9, again)
    assert chooser.learned("p/m")[0].reward > worse[0].reward


async def test_feedback_that_could_not_be_written_is_not_learned(sqlite, chooser):
    teach(chooser, choice("p/m"), True)
    before = chooser.learned("p/m")

    async def in_vain():
        async with sqlite.write() as session:
            await chooser.keep_feedback(session, "p/m", "code", 0.0, None)
            raise RuntimeError("the power went")

    with pytest.raises(RuntimeError):
        await in_vain()
    assert chooser.learned("p/m") == before


async def test_how_models_have_done_is_read_in_the_order_of_their_names(db, chooser):
    for name in ("q/a", "p/b", "p/a", "here"):
        teach(chooser, choice(name), True)
    await save(chooser, db)
    async with db.read() as session:
        whole = await repository.performance(session, provider=None, after=None, most=10)
        rest = await repository.performance(session, provider=None, after=("p", "a"), most=1)
    assert [one.id for one in whole] == ["local/here", "p/a", "p/b", "q/a"]
    assert rest == [whole[2]]


async def test_a_transaction_that_fails_is_made_up_for_once(sqlite, chooser):
    teach(chooser, choice("p/m"), True, True)

    async def save_in_vain():
        async with sqlite.write() as session:
            await chooser.save(session)
            raise RuntimeError("the power went")

    with pytest.raises(RuntimeError):
        await save_in_vain()
    assert chooser.has_news
    teach(chooser, choice("p/m"), True)
    await save(chooser, sqlite)
    assert not chooser.has_news
    await save(chooser, sqlite)
    [stats] = await rows(sqlite, ProviderStatRow)
    assert stats.asked == 3


async def test_what_is_forgotten_goes_from_the_database_too(db, chooser, monkeypatch):
    monkeypatch.setattr(memory, "MOST_TASK_TYPES", 2)
    for task_type in ("one", "two"):
        teach(chooser, choice("p/m"), True, task_type=task_type)
    await save(chooser, db)
    teach(chooser, choice("p/m"), True, task_type="three")
    await save(chooser, db)
    assert {row.task_type for row in await rows(db, LearnerStateRow)} == {"two", "three", memory.OVERALL}


async def test_a_state_that_cannot_be_read_is_left_out(sqlite, chooser, chooser_of):
    teach(chooser, choice("p/m"), True)
    await save(chooser, sqlite)
    [row] = [row for row in await rows(sqlite, LearnerStateRow) if row.task_type == "code"]
    async with sqlite.write() as session:
        values = {"task_type": "code", "updated_at": row.updated_at}
        for model, state in (("p/odd", {"turn": "x"}), ("p/older", {}), ("p/short", {**row.state, "fall": [1]})):
            await session.execute(insert(LearnerStateRow).values(model=model, state=state, **values))
    again = await restarted(chooser_of, sqlite)
    assert again.learned("p/m") == chooser.learned("p/m") != []
    assert again.learned("p/odd") == []


async def test_specialties_of_the_registry_decide_who_is_next_to_a_task(sqlite, settings_of, chooser):
    from config.db_schema import SpecialtyRow

    registry = Database(settings_of().sqlalchemy_url(), "hermes_db")
    nobodys, listener = choice("p/nobodys"), choice("q/listener", specialties=frozenset({"audio"}))
    both = [nobodys, listener]
    assert names(chooser.rank(both, call("mixing")))[0] == "p/nobodys"
    teach(chooser, nobodys, True, task_type="mixing")
    teach(chooser, listener, True, task_type="mixing")
    chooser.rank(both, call("mixing"))
    async with registry.write() as session:
        empty = {"description": "", "related_fields": [], "priority": 1}
        session.add(SpecialtyRow(id=1, name="audio", **empty))
        session.add(SpecialtyRow(id=2, name="mixing", parent_id=1, **empty))
    await registry.close()
    kept = Registry(sqlite)
    kept.followers.append(chooser.follow)
    await kept.read()
    assert names(chooser.rank(both, call("mixing")))[0] == "q/listener"


def test_an_arm_comes_back_as_it_was_in_the_middle_of_a_doubt():
    arm = Arm()
    for turn, reward in enumerate([1.0] * 10 + [0.0] * 2):
        arm.take(reward, turn)
    again = Arm.of(arm.state())
    assert again.state() == arm.state()
    for one in (arm, again):
        for turn in range(12, 15):
            one.take(0.0, turn)
    assert again.changes == arm.changes == 1
    assert again.count == pytest.approx(arm.count)


def test_a_tally_adds_up_and_keeps_what_came_last():
    one = memory.Tally(asked=1, failed=1, last_failure="first")
    one.add(memory.Tally(asked=2, answered=2, latency_ms_total=5.0))
    one.add(memory.Tally(asked=1, failed=1, last_failure="second"))
    assert dataclasses.asdict(one) | {
        "asked": 4,
        "last_failure": "second",
        "latency_ms_total": 5.0,
    } == dataclasses.asdict(one)
