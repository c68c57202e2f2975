"""Asking the candidates one after the other until one answers. Nothing has gone out to the client yet while this goes on."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from pydantic_core import from_json

from switch import policy
from switch.breaker import Breakers
from switch.calls import Answer, Call, Choice, Hold, Trail, Tried
from switch.dialects import openai_shape
from switch.events import begins_a_stream, is_error, may_begin_a_stream, says_more_than_a_role, says_something
from switch.failures import Failure, FailureKind
from switch.money.usage import unheard
from switch.refusals import is_of_the_model, words_of

log = structlog.get_logger()

AGAIN = frozenset({FailureKind.UNREACHABLE, FailureKind.CUT})
"""Failures after which a backend that starts anew may be asked the same again."""
PERHAPS_PAID = frozenset({FailureKind.LATE, FailureKind.CUT, FailureKind.GARBAGE})
"""Failures of somebody who had the request, and may send a bill for at least having read it."""


@dataclass(slots=True)
class Answered:
    """What the first who answered said. For a stream `first` is its beginning and `exchange` has the rest; the holder releases it.

    Of a plain answer `first` is all, and `content` what it holds. A status of 400 and more is a refusal of the request itself.
    """

    choice: Choice
    status: int
    first: bytes
    content: dict[str, Any] | None = None
    exchange: Answer | None = None


class Purse(Protocol):
    """Whoever keeps the money (`switch/money`)."""

    async def hold(self, call: Call, choice: Choice, decision_id: str) -> Hold:
        """Set aside what the call may cost. Raises Failure (over_budget) before anything is spent."""


class Relay:
    """Everybody who fits is asked in order; who answers ends it. Then, after a pause, those once more who may do better by now."""

    def __init__(
        self,
        *,
        silence_seconds: float,
        retries: int,
        breakers: Breakers,
        purse: Purse,
        count_failure: Callable[[str, str], None],
    ) -> None:
        self._silence_seconds, self._retries, self._count_failure = silence_seconds, retries, count_failure
        self._breakers, self._purse = breakers, purse
        self._without_usage: set[str] = set()
        """Providers that do not take `stream_options`."""

    async def ask(self, call: Call, trail: Trail) -> Answered | None:
        """The first answer that is one, or None. The trail tells what became of each candidate."""
        waiting = [tried for tried in trail.tried if tried.outcome != "unfit"]
        is_only = len(trail.tried) == 1
        for n in range(self._retries + 1):
            answered = await self._ask_all(call, waiting, is_only=is_only)
            if answered is not None or n == self._retries:
                return answered
            pause = policy.pause_seconds(n + 1)
            waiting = [
                one
                for one in waiting
                if one.failure is not None
                and one.choice.backend.tries == 1
                and policy.is_worth_another_try(one.failure, pause=pause)
            ]
            left = None if call.deadline is None else call.deadline - time.monotonic()
            if not waiting or (left is not None and left <= pause):
                return None
            await asyncio.sleep(
                pause * random.uniform(0.75, 1.0)
            )  # not all who were refused together come back together
        return None

    async def _ask_all(self, call: Call, candidates: list[Tried], *, is_only: bool) -> Answered | None:
        failing: set[int] = set()
        for tried in candidates:
            backend = tried.choice.backend
            if id(backend) in failing:
                tried.detail = "another model of this provider was just not reachable"
                continue
            answered = await self._ask_one(call, tried, is_only=is_only)
            if answered is not None:
                return answered
            if tried.failure is not None and tried.failure.kind.is_of_the_provider:
                failing.add(id(backend))
        return None

    async def _ask_one(self, call: Call, tried: Tried, *, is_only: bool) -> Answered | None:
        choice = tried.choice
        backend = choice.backend
        try:
            hold = await self._purse.hold(call, choice, call.decision_id)
        except Failure as failure:
            tried.failure, tried.outcome, tried.detail = failure, failure.kind, failure.detail
            return None
        refused = self._breakers.refuses(choice, is_only=is_only)
        if refused is not None:
            hold.release()
            if not tried.asked:
                tried.failure, tried.outcome = refused, refused.kind
                tried.detail = backend.hide(refused.detail)
            return None
        self._breakers.begin(choice)
        tried.hold, tried.outcome = hold, "asked"
        call.most_output = hold.most_output
        call.adds_usage = call.is_stream and not choice.is_free and backend.name not in self._without_usage
        started = time.perf_counter()
        try:
            for left in range(backend.tries - 1, -1, -1):
                tried.asked += 1
                try:
                    answered = await self._exchange(call, choice)
                except Failure as failure:
                    self._failed(tried, failure)
                    if left == 0 or failure.kind not in AGAIN:
                        break
                else:
                    if answered.status >= 400 and not is_only and is_of_the_model(answered.status, answered.first):
                        what = f"{choice.name} does not take this: {words_of(answered.first)}"
                        self._failed(tried, Failure(FailureKind.UNSUPPORTED, what))
                        break
                    backend.answered()
                    if answered.exchange is None:
                        self._breakers.succeeded(choice)
                    tried.failure, tried.detail = None, ""
                    tried.outcome = "answered" if answered.status < 400 else "refused"
                    return answered
        except BaseException:
            self._breakers.leave(choice)
            raise  # cancelled: whoever lands the flight settles what was spent
        finally:
            tried.duration_ms += (time.perf_counter() - started) * 1000
        tried.hold = None
        if tried.failure is not None and tried.failure.kind in PERHAPS_PAID:
            seconds = time.perf_counter() - started
            hold.settle(unheard(call.needs, hold.most_output, seconds), is_estimated=True)
        else:
            hold.release()
        return None

    def ended(self, choice: Choice, outcome: str) -> None:
        """How a stream of it ended: only that tells whether it went well."""
        if outcome == "answered":
            self._breakers.succeeded(choice)
        elif outcome != "cut":
            self._breakers.leave(choice)
        else:
            self._broke_off(choice)

    def _broke_off(self, choice: Choice) -> None:
        failure = Failure(FailureKind.CUT, f"{choice.name} broke its answer off")
        self._count_failure(choice.backend.name, failure.kind)
        if self._breakers.failed(choice, failure):
            log.warning("circuit_opened", model=choice.name, kind=failure.kind, detail=failure.detail)

    def _failed(self, tried: Tried, failure: Failure) -> None:
        backend = tried.choice.backend
        tried.failure, tried.outcome, tried.detail = failure, failure.kind, backend.hide(failure.detail)
        backend.failed(failure)
        self._count_failure(backend.name, failure.kind)
        if self._breakers.failed(tried.choice, failure):
            log.warning("circuit_opened", model=tried.choice.name, kind=failure.kind, detail=tried.detail)

    async def _exchange(self, call: Call, choice: Choice) -> Answered:
        """One exchange, and another where only what we had added was in the way. Each is released once: it may be in use by others already
        when it is over."""
        while True:
            exchange = await self._asked(call, choice)
            try:
                if exchange.status != 200:
                    answered = await self._refused(call, exchange, choice)
                elif call.is_stream:
                    answered = await self._begun(exchange, choice)
                else:
                    answered = await self._whole(exchange, choice)
            except BaseException:
                exchange.release()
                raise
            if answered is not None:
                return answered

    def _asked(self, call: Call, choice: Choice) -> Awaitable[Answer]:
        return choice.backend.ask(call, choice.model)

    async def _whole(self, exchange: Answer, choice: Choice) -> Answered:
        answer = await exchange.whole(self._silence_seconds)
        try:
            content = from_json(answer)
        except ValueError as exc:
            raise Failure(FailureKind.GARBAGE, f"{choice.name} answered something that is not JSON") from exc
        if not (isinstance(content, dict) and isinstance(content.get("choices"), list) and content["choices"]):
            raise Failure(FailureKind.GARBAGE, f"{choice.name} answered JSON that is not a chat completion")
        exchange.release()
        return Answered(choice, 200, answer, content)

    async def _begun(self, exchange: Answer, choice: Choice) -> Answered:
        if not exchange.header(b"content-type").lower().startswith("text/event-stream"):
            raise Failure(FailureKind.GARBAGE, f"{choice.name} answered a stream with something else")
        first = await exchange.more(self._silence_seconds)
        if choice.is_local:  # a process of ours may die before its first word; until that a fall can be mended
            while not says_more_than_a_role(first) and (more := await exchange.more(self._silence_seconds)):
                first += more
        while may_begin_a_stream(first) and not says_something(first):  # comments, or half a line
            if not (more := await exchange.more(self._silence_seconds)):
                break
            first += more
        if not begins_a_stream(first):
            raise Failure(FailureKind.GARBAGE, f"{choice.name} answered a stream that holds no events")
        if is_error(first):
            raise Failure(FailureKind.SERVER_ERROR, f"{choice.name} began its stream with an error")
        return Answered(choice, 200, first, exchange=exchange)

    async def _refused(self, call: Call, exchange: Answer, choice: Choice) -> Answered | None:
        """The refusal; None where the same is to be asked again, without what we had added."""
        if exchange.status < 400:
            raise Failure(FailureKind.GARBAGE, f"{choice.name} answered with status {exchange.status}")
        failure = policy.failure_of(choice.name, exchange.status, exchange.header(b"retry-after"))
        if failure is not None:
            raise failure
        said = await exchange.whole(self._silence_seconds)
        exchange.release()
        if call.adds_usage and b"stream_options" in said:
            self._without_usage.add(choice.backend.name)
            call.adds_usage = False
            return None
        words = choice.backend.hide(said.decode(errors="replace"))
        return Answered(choice, exchange.status, openai_shape.refusal(words, exchange.status))
