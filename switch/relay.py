"""Asking the candidates one after the other until one answers. Nothing has gone out to the client yet while this goes on."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from switch import policy
from switch.calls import Answer, Call, Choice, Trail, Tried
from switch.events import begins_a_stream, is_error
from switch.failures import Failure, FailureKind

AGAIN = frozenset({FailureKind.UNREACHABLE, FailureKind.CUT})
"""Failures after which a backend that starts anew may be asked the same again."""


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


class Relay:
    def __init__(self, *, silence_seconds: float, count_failure: Callable[[str, str], None]) -> None:
        self._silence_seconds, self._count_failure = silence_seconds, count_failure

    async def ask(self, call: Call, trail: Trail) -> Answered | None:
        """The first answer that is one, or None. The trail tells what became of each candidate."""
        failing: set[str] = set()
        for tried in trail.tried:
            if tried.choice.backend.name in failing:
                tried.detail = "another model of this provider was just not reachable"
                continue
            answered = await self._ask_one(call, tried)
            if answered is not None:
                return answered
            if tried.failure is not None and tried.failure.kind.is_of_the_provider:
                failing.add(tried.choice.backend.name)
        return None

    async def _ask_one(self, call: Call, tried: Tried) -> Answered | None:
        backend = tried.choice.backend
        started = time.perf_counter()
        tried.outcome = "asked"
        for left in range(backend.tries - 1, -1, -1):
            try:
                answered = await self._exchange(call, tried.choice)
            except Failure as failure:
                backend.failed(failure)
                self._count_failure(backend.name, failure.kind)
                tried.failure, tried.outcome, tried.detail = failure, failure.kind, backend.hide(failure.detail)
                if left == 0 or failure.kind not in AGAIN:
                    return None
            else:
                backend.answered()
                tried.failure, tried.outcome, tried.detail = (
                    None,
                    "answered" if answered.status < 400 else "refused",
                    "",
                )
                return answered
            finally:
                tried.duration_ms = (time.perf_counter() - started) * 1000
        return None

    async def _exchange(self, call: Call, choice: Choice) -> Answered:
        exchange = await choice.backend.ask(call, choice.model)
        try:
            if exchange.status != 200:
                return await self._refused(exchange, choice)
            if call.is_stream:
                return await self._begun(exchange, choice)
            return await self._whole(exchange, choice)
        except BaseException:
            exchange.release()
            raise

    async def _whole(self, exchange: Answer, choice: Choice) -> Answered:
        answer = await exchange.whole(self._silence_seconds)
        try:
            content = from_json(answer)
        except ValueError as exc:
            raise Failure(FailureKind.GARBAGE, f"{choice.name} answered something that is not JSON") from exc
        if not (isinstance(content, dict) and isinstance(content.get("choices"), list)):
            raise Failure(FailureKind.GARBAGE, f"{choice.name} answered JSON that is not a chat completion")
        exchange.release()
        return Answered(choice, 200, answer, content)

    async def _begun(self, exchange: Answer, choice: Choice) -> Answered:
        if not exchange.header(b"content-type").startswith("text/event-stream"):
            raise Failure(FailureKind.GARBAGE, f"{choice.name} answered a stream with something else")
        first = await exchange.more(self._silence_seconds)
        if (
            first and choice.is_local
        ):  # llama.cpp says "assistant" at once; only what follows is words, and until then a fall can be mended
            first += await exchange.more(self._silence_seconds)
        if not begins_a_stream(first):
            raise Failure(FailureKind.GARBAGE, f"{choice.name} answered a stream that holds no events")
        if is_error(first):
            raise Failure(FailureKind.SERVER_ERROR, f"{choice.name} began its stream with an error")
        return Answered(choice, 200, first, exchange=exchange)

    async def _refused(self, exchange: Answer, choice: Choice) -> Answered:
        if exchange.status < 400:
            raise Failure(FailureKind.GARBAGE, f"{choice.name} answered with status {exchange.status}")
        failure = policy.failure_of(choice.name, exchange.status, exchange.header(b"retry-after"))
        if failure is not None:
            raise failure
        said = await exchange.whole(self._silence_seconds)
        exchange.release()
        return Answered(choice, exchange.status, choice.backend.hide(said.decode(errors="replace")).encode())
