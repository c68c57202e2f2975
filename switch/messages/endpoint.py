"""`POST /v1/messages`: Anthropic's API for its clients, over the same flights as `/v1/chat/completions`. A plain ASGI app too."""

import asyncio
from typing import Any

from pydantic_core import from_json, to_json
from starlette.types import Receive, Scope, Send

from config import log as logs
from config.anthropic_errors import MESSAGES, anthropic_error
from config.clients.switch import ProviderFailed
from config.errors import MalformedRequest, MethodNotAllowed
from switch import needs
from switch.client_watch import ClientWatch, tell_nobody
from switch.completions import LARGE_BYTES, call_of, headers_of, whole_body
from switch.events import WholeEvents
from switch.extras import taken_from
from switch.failures import Failure
from switch.flight import Flight
from switch.messages.answer import MessageEvents, error_event, message_of, wants_thoughts, words_of_error
from switch.messages.request import chat_completion, own_words, require_messages
from switch.relay import Answered
from switch.service import Switch

COUNT_TOKENS = f"{MESSAGES}/count_tokens"


class Messages:
    def __init__(self, switch: Switch, *, silence_seconds: float) -> None:
        self._switch, self._silence_seconds = switch, silence_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state: dict[str, Any] = scope["state"]
        state["route"] = MESSAGES
        asked, body, is_large = await _read(scope, receive)
        call = call_of(body, taken_from(asked), state["caller"], is_large=is_large)
        call.messages_body = own_words(asked)
        shows_thoughts = wants_thoughts(asked)
        with self._switch.flight(call, asked.get("model", "auto")) as flight:
            with ClientWatch(receive) as client:
                answered = await flight.ask()
                if answered.exchange is None:
                    await self._send_whole(send, answered, flight, shows_thoughts=shows_thoughts)
                else:
                    await self._pass_on(send, answered, flight, MessageEvents(shows_thoughts=shows_thoughts))
            if client.has_left:
                flight.land("cancelled")
                await tell_nobody(send)

    async def _send_whole(self, send: Send, answered: Answered, flight: Flight, *, shows_thoughts: bool) -> None:
        if answered.status >= 400:
            flight.land("refused")
            said = anthropic_error(answered.status, words_of_error(_content(answered.first)), logs.request_id.get())
        else:
            flight.land("answered")
            try:
                said = message_of(answered.content or {}, shows_thoughts=shows_thoughts)
            except Failure as failure:
                raise ProviderFailed(f"{answered.choice.name}: {failure.detail}") from failure
        headers = headers_of(flight, answered.choice, b"application/json")
        if flight.cost_usd is not None:
            headers.append((b"x-vx11-cost-usd", b"%.9f" % flight.cost_usd))
        await _send_json(send, answered.status, said, headers)

    async def _pass_on(self, send: Send, answered: Answered, flight: Flight, events: MessageEvents) -> None:
        exchange, seen, whole_events = answered.exchange, flight.streamed, WholeEvents()
        hide = answered.choice.backend.hide
        assert exchange is not None
        assert seen is not None
        headers = headers_of(flight, answered.choice, b"text/event-stream; charset=utf-8")
        headers += [(b"cache-control", b"no-cache"), (b"request-id", logs.request_id.get().encode())]
        try:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            chunk = answered.first
            while chunk:
                seen.take(whole_events.take(chunk))
                data = events.take(chunk)
                if events.has_failed:  # in the provider's own words
                    data = hide(data.decode()).encode()
                if data:
                    await send({"type": "http.response.body", "body": data, "more_body": True})
                chunk = await exchange.more(self._silence_seconds)
            last = events.end()
            flight.land("cut" if events.has_failed else "answered")
        except Failure as failure:
            flight.land("cut")
            last = error_event(hide(f"{answered.choice.name}: {failure.detail}"))
        finally:
            exchange.release()
        await send({"type": "http.response.body", "body": last})


class CountTokens:
    """`POST /v1/messages/count_tokens`: an estimate, and it says so; the model that will answer is not asked."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["route"] = COUNT_TOKENS
        _, body, _ = await _read(scope, receive, counts_only=True)
        headers = [(b"content-type", b"application/json"), (b"x-vx11-estimated", b"true")]
        await _send_json(send, 200, {"input_tokens": needs.of(body).input_tokens}, headers)


async def _read(
    scope: Scope, receive: Receive, *, counts_only: bool = False
) -> tuple[dict[str, Any], dict[str, Any], bool]:
    """The request in its own words and in OpenAI's, and whether it is large. Raises the FleetErrors for what is not as it should be."""
    if scope["method"] != "POST":
        raise MethodNotAllowed(f"{scope['method']} is not taken here", headers={"Allow": "POST"})
    body = await whole_body(receive)

    def read() -> tuple[dict[str, Any], dict[str, Any]]:
        asked = require_messages(_content(body, strict=True), counts_only=counts_only)
        return asked, chat_completion(asked)

    is_large = len(body) > LARGE_BYTES
    asked, completion = await asyncio.to_thread(read) if is_large else read()
    return asked, completion, is_large


def _content(body: bytes, *, strict: bool = False) -> Any:
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as exc:
        if not strict:
            return None
        raise MalformedRequest(f"the body is not JSON: {exc}") from exc


async def _send_json(send: Send, status: int, content: Any, headers: list[tuple[bytes, bytes]]) -> None:
    written = to_json(content)
    headers += [
        (b"content-length", b"%d" % len(written)),
        (b"request-id", logs.request_id.get().encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": written})
