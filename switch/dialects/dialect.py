"""What a provider's API is like where it is not OpenAI's, and how it is asked all the same.

A dialect is pure: values in, values out. What reads bytes is here, once for all of them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pydantic_core import from_json, to_json

from switch.calls import Answer, Call, Facts
from switch.dialects import openai_shape
from switch.dialects.event_stream import Event, EventReader
from switch.dialects.openai_shape import Json
from switch.failures import Failure, FailureKind
from switch.upstream import Address

END_MARK = b"[DONE]"  # of OpenAI's streams; some who speak another dialect send it all the same


class Unmappable(Exception):
    """The API has no words for something that the request wants, and leaving it out would be a lie. `param` names it."""

    def __init__(self, message: str, param: str) -> None:
        super().__init__(message)
        self.message, self.param = message, param


@dataclass(frozen=True, slots=True)
class Refused:
    """What an answer with a status of 400 and more says."""

    status: int
    """The one that OpenAI's API would have sent."""
    message: str
    kind: str = "invalid_request_error"
    code: str | None = None
    retry_after: str = ""


class Translation(Protocol):
    """Turns one answer into OpenAI's shape."""

    def whole(self, content: Any) -> Json:
        """A chat completion. Raises Failure for what is none."""

    def event(self, kind: str, content: Any) -> bytes:
        """Events for an event: none, one or several. Raises Failure for what does not belong here."""

    def end(self) -> bytes:
        """The last events of a stream that has ended. Raises Failure when it was cut off."""


class Dialect(Protocol):
    """How an API is asked for an answer, and how it answers."""

    def path(self, model: str, *, is_stream: bool) -> str:
        """Below the API's address, with the query."""

    def headers(self, key: str | None) -> Mapping[str, str]:
        """What every request carries."""

    def request(self, call: Call, model: str, facts: Facts) -> Json:
        """The body for what `call.body` says in OpenAI's words. Raises Unmappable."""

    def refused(self, status: int, retry_after: str, content: Any) -> Refused:
        """What is meant by a status of 400 and more. `content` is None where the body was not JSON."""

    def translation(self, call: Call, model: str) -> Translation: ...


class OpenAI:
    """The dialect that needs no translation: members that only some providers know (`reasoning_content`, `reasoning`) pass both ways.

    `is_openais_own` is for OpenAI itself, whose newer models refuse `max_tokens`; others do not know the new name for it.
    """

    def __init__(self, *, is_openais_own: bool = False) -> None:
        self._is_openais_own = is_openais_own

    def path(self, model: str, *, is_stream: bool) -> str:
        return "/chat/completions"

    def headers(self, key: str | None) -> Mapping[str, str]:
        return {} if key is None else {"authorization": f"Bearer {key}"}

    def written(self, call: Call, model: str) -> Awaitable[bytes]:
        if not self._is_openais_own:
            return call.written(model=model, **call.limit())
        call = call.bounded()
        if call.body.get("max_tokens") is not None:
            body = {name: value for name, value in call.body.items() if name != "max_tokens"}
            call = replace(call, body={"max_completion_tokens": call.body["max_tokens"], **body})
        return call.written(model=model)


async def ask(
    dialect: "Dialect | OpenAI", address: Address, call: Call, model: str, facts: Facts, *, within_seconds: float
) -> Answer:
    """Ask a model at `address` in its dialect; the answer is in OpenAI's shape. Raises Failure. The caller releases the answer.

    Nobody is asked what the dialect has no words for: it is a failure of the kind `unsupported`.
    """
    path = dialect.path(model, is_stream=call.is_stream)
    if isinstance(dialect, OpenAI):
        return await address.post(path, await dialect.written(call, model), within_seconds=within_seconds)
    call = call.bounded()
    try:
        body = await _in_words(dialect, call, model, facts)
    except Unmappable as exc:
        raise Failure(FailureKind.UNSUPPORTED, exc.message, param=exc.param) from exc
    exchange = await address.post(path, body, within_seconds=within_seconds)
    try:
        if exchange.status >= 400:
            return await _refused(dialect, exchange, within_seconds)
    except BaseException:
        exchange.release()
        raise
    return Translated(exchange, dialect.translation(call, model), is_stream=call.is_stream)


async def _in_words(dialect: Dialect, call: Call, model: str, facts: Facts) -> bytes:
    def written() -> bytes:
        return to_json(dialect.request(call, model, facts))

    return await asyncio.to_thread(written) if call.is_large else written()


async def _refused(dialect: Dialect, exchange: Answer, within_seconds: float) -> "Told":
    said = await exchange.whole(within_seconds)
    try:
        content = from_json(said)
    except ValueError:
        content = None
    refused = dialect.refused(exchange.status, exchange.header(b"retry-after"), content)
    exchange.release()
    error = openai_shape.error(refused.message, refused.kind, refused.code)
    return Told(refused.status, error, {b"retry-after": refused.retry_after})


class Told:
    """An answer that is known as a whole."""

    def __init__(self, status: int, content: Json, headers: Mapping[bytes, str] | None = None) -> None:
        self.status = status
        self.on_release: Callable[[], None] | None = None
        self._left = to_json(content)
        self._headers = {b"content-type": "application/json", **(headers or {})}

    def header(self, name: bytes) -> str:
        return self._headers.get(name, "")

    async def whole(self, within_seconds: float) -> bytes:
        return await self.more(within_seconds)

    async def more(self, within_seconds: float) -> bytes:
        left, self._left = self._left, b""
        return left

    def release(self) -> None:
        if self.on_release is not None:
            self.on_release()
            self.on_release = None


class Translated:
    """An answer in another dialect, read as OpenAI's."""

    def __init__(self, exchange: Answer, translation: Translation, *, is_stream: bool) -> None:
        self.status = exchange.status
        self._exchange, self._translation = exchange, translation
        self._events = EventReader() if is_stream else None
        self._has_ended = False

    @property
    def on_release(self) -> Callable[[], None] | None:
        return self._exchange.on_release

    @on_release.setter
    def on_release(self, told: Callable[[], None] | None) -> None:
        self._exchange.on_release = told

    def header(self, name: bytes) -> str:
        return self._exchange.header(name)

    async def whole(self, within_seconds: float) -> bytes:
        content = _content(await self._exchange.whole(within_seconds))
        return to_json(self._translation.whole(content))

    async def more(self, within_seconds: float) -> bytes:
        """The next events for a client; empty at the end. What says nothing to it (pings, signatures) is waited over."""
        if self._events is None:
            return await self._exchange.more(within_seconds)
        while not self._has_ended:
            data = await self._exchange.more(within_seconds)
            self._has_ended = not data
            said = self._said(self._events.take(data)) if data else self._last()
            if said:
                return said
        return b""

    def release(self) -> None:
        self._exchange.release()

    def _said(self, events: list[Event]) -> bytes:
        said = [
            self._translation.event(event.kind.decode(errors="replace"), _content(event.data))
            for event in events
            if event.data != END_MARK
        ]
        return b"".join(said)

    def _last(self) -> bytes:
        assert self._events is not None
        try:
            said = self._said(self._events.rest())
        except Failure as exc:
            raise Failure(FailureKind.CUT, "the stream broke off in the middle of an event") from exc
        return said + self._translation.end()


def _content(data: bytes) -> Any:
    try:
        return from_json(data)
    except ValueError as exc:
        raise Failure(FailureKind.GARBAGE, "the answer is not JSON") from exc
