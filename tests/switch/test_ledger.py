"""What is written down behind the requests' backs: all of it, soon, once, and never in their way."""

import asyncio
import json

import httpx
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import func, select

from config.clock import new_id
from config.contracts.hermes_db import Use, UsesRecorded
from config.database import Database
from config.db_schema import RouteDecisionRow
from config.errors import FleetError, InvalidRequest, UpstreamUnavailable
from switch import ledger as ledgers
from switch.calls import Call, Choice, Trail
from switch.failures import Failure, FailureKind
from switch.flight import Flight
from switch.ledger import Ledger
from switch.meters import Meters
from switch.policy import Wanted
from switch.registry import Registry
from tests.fakes.line import over


class HermesDb:
    """Takes uses, or refuses them with `fault`."""

    def __init__(self) -> None:
        self.fault: FleetError | None = None
        self.batches: dict[str, list[Use]] = {}
        self.calls = 0
        self.refused, self.took = asyncio.Event(), asyncio.Event()

    async def record_uses(self, uses: list[Use], *, idempotency_key: str | None = None) -> UsesRecorded:
        self.calls += 1
        if self.fault is not None:
            self.refused.set()
            raise self.fault
        self.took.set()
        assert idempotency_key
        self.batches[idempotency_key] = uses
        return UsesRecorded(recorded=len(uses))

    @property
    def uses(self) -> list[Use]:
        return [use for batch in self.batches.values() for use in batch]


class Learned:
    """Takes what is learned."""

    def __init__(self) -> None:
        self.outcomes: list[tuple[str, bool]] = []

    has_news = False

    def learn(self, choice, task_type, *, success, **more):
        self.outcomes.append((choice.name, success))

    async def save(self, session):
        pass


class Backend:
    tries = 1

    def __init__(self, name: str) -> None:
        self.name = name


@pytest.fixture
async def db(settings_of):
    database = Database(settings_of().sqlalchemy_url(), "switch")
    yield database
    await database.close()


@pytest.fixture
def hermes_db() -> HermesDb:
    return HermesDb()


@pytest.fixture
def ledger(db, hermes_db) -> Ledger:
    return Ledger(db, hermes_db, Registry(db), Learned(), Meters(CollectorRegistry()))


def fly(ledger: Ledger, *outcomes: str) -> Flight:
    """A flight over one provider per outcome; the last one is the flight's own."""
    trail = Trail.over([Choice(Backend(f"p{n}"), "m") for n in range(len(outcomes))])
    call = Call({}, caller="me", decision_id=new_id("dec"))
    with Flight(call, Wanted(), trail, relay=None, book=ledger) as flight:
        for one, outcome in zip(trail.tried, outcomes, strict=True):
            one.outcome, one.duration_ms, one.asked = outcome, 5.0, 1
            if outcome == "answered":
                flight.answered = one
            else:
                one.failure, one.detail = Failure(FailureKind(outcome), "went wrong"), "went wrong"
        flight.land("answered" if flight.answered else "failed")
    assert [success for _, success in ledger._chooser.outcomes[-len(outcomes) :]] == [
        one == "answered" for one in outcomes
    ]
    return flight


async def rows(db: Database) -> int:
    async with db.read() as session:
        return (await session.execute(select(func.count()).select_from(RouteDecisionRow))).scalar_one()


async def test_decisions_are_saved_and_each_try_is_a_use(ledger, db, hermes_db):
    fly(ledger, "limited", "answered")
    fly(ledger, "server_error")
    await ledger.flush()
    assert await rows(db) == 2
    assert [(use.module, use.success, use.error_message) for use in hermes_db.uses] == [
        ("switch", False, "went wrong"),
        ("switch", True, None),
        ("switch", False, "went wrong"),
    ]
    assert (ledger.total, ledger.answered, ledger.errors, ledger.failed_over) == (2, 1, 1, 1)


async def test_a_decision_that_is_there_already_is_not_in_the_way_of_others(ledger, db):
    """It is where its transaction ended well and whoever waited for that had just been cancelled."""
    flight = fly(ledger, "answered")
    await ledger.flush()
    ledger.landed(flight)
    fly(ledger, "answered")
    await ledger.flush()
    assert await rows(db) == 2
    assert not ledger._records


async def test_odd_last_words_of_one_do_not_cost_the_uses_of_others(ledger, hermes_db):
    """hermes_db refuses a whole batch for a NUL."""
    flight = fly(ledger, "server_error")
    flight.trail.tried[0].detail = "exit code 1: \0\0ELF"
    ledger.landed(flight)
    await ledger.flush()
    assert [use.error_message for use in hermes_db.uses] == ["went wrong", "exit code 1: ELF"]


async def test_hermes_db_down_delays_uses_and_nothing_else(ledger, db, hermes_db):
    hermes_db.fault = UpstreamUnavailable("down")
    fly(ledger, "answered")
    await ledger.flush()
    assert await rows(db) == 1
    assert ledger.unreported == 1
    await ledger.flush()
    assert hermes_db.calls == 1  # it is left alone for a while
    hermes_db.fault, ledger._next_report_at = None, 0.0
    await ledger.flush()
    assert (len(hermes_db.uses), ledger.unreported, ledger.lost) == (1, 0, 0)


async def test_a_batch_keeps_its_key_until_it_is_taken(ledger, hermes_db, monkeypatch):
    keys = []

    async def lost_answer(uses: list[Use], *, idempotency_key: str | None = None) -> UsesRecorded:
        keys.append((idempotency_key, len(uses)))
        raise UpstreamUnavailable("the answer got lost")

    monkeypatch.setattr(hermes_db, "record_uses", lost_answer)
    fly(ledger, "answered")
    await ledger.flush()
    fly(ledger, "answered")
    ledger._next_report_at = 0.0
    await ledger.flush()
    assert keys[0] == keys[1]


async def test_uses_that_will_never_be_taken_do_not_block_the_others(ledger, hermes_db):
    hermes_db.fault = InvalidRequest("no such model")
    fly(ledger, "answered")
    await ledger.flush()
    assert (ledger.lost, ledger.unreported) == (1, 0)
    hermes_db.fault = None
    fly(ledger, "answered")
    await ledger.flush()
    assert len(hermes_db.uses) == 1


async def test_too_many_are_counted_not_hidden(ledger, hermes_db, monkeypatch):
    monkeypatch.setattr(ledgers, "MOST_WAITING", 3)
    hermes_db.fault = UpstreamUnavailable("down")
    for _ in range(5):
        fly(ledger, "answered")
    assert ledger.lost == 4  # two decisions and two uses


async def test_what_is_left_is_written_at_the_end(ledger, db, hermes_db):
    writing = asyncio.create_task(ledger.run())
    await asyncio.sleep(0)
    fly(ledger, "answered")
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)
    assert await rows(db) == 1
    assert len(hermes_db.uses) == 1


async def test_what_is_noted_is_written_soon_and_what_was_refused_again_later(ledger, db, hermes_db, monkeypatch):
    monkeypatch.setattr(ledgers, "FLUSH_SECONDS", 0.01)
    monkeypatch.setattr(ledgers, "LONGEST_PAUSE_SECONDS", 0.01)
    hermes_db.fault = UpstreamUnavailable("down")
    writing = asyncio.create_task(ledger.run())
    async with asyncio.timeout(60):
        fly(ledger, "answered")
        await hermes_db.refused.wait()
        hermes_db.fault = None
        await hermes_db.took.wait()
    assert await rows(db) == 1
    writing.cancel()
    await asyncio.gather(writing, return_exceptions=True)


async def test_many_are_written_in_batches(ledger, db, hermes_db):
    for _ in range(2500):
        fly(ledger, "answered")
    await ledger.flush()
    assert await rows(db) == 2500
    assert [len(batch) for batch in hermes_db.batches.values()] == [500] * 5


async def test_the_real_client_speaks_the_contract(settings_of, secrets, db):
    """The batch as it goes over the wire, read as hermes_db reads it."""
    from config.clients.hermes_db import HermesDbClient

    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((request.url.path, [Use.model_validate(one) for one in json.loads(request.content)]))
        return httpx.Response(200, json={"recorded": 1})

    client = HermesDbClient(settings_of(), secrets, "switch", line=over(httpx.MockTransport(answer)))
    ledger = Ledger(db, client, Registry(db), Learned(), Meters(CollectorRegistry()))
    fly(ledger, "answered")
    await ledger.flush()
    [(path, [use])] = seen
    assert path == "/hermes_db/usage"
    assert (use.module, use.action_type, use.success) == ("switch", "chat", True)
    await client.close()
