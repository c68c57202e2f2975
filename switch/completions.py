"""`POST /v1/chat/completions`: OpenAI's API, passed through as bytes. A plain ASGI app: every request of every client comes this way."""

import asyncio
import time
from typing import Any

from pydantic_core import from_json
from starlette.types import Receive, Scope, Send

from config.auth import Caller
from config.errors import InvalidRequest, MalformedRequest, MethodNotAllowed
from switch import needs
from switch.cache import AnswerCache, Kept
from switch.calls import GENERAL, Call, Choice
from switch.client_watch import ClientWatch, tell_nobody
from switch.events import WholeEvents, error_event, without_usage
from switch.extras import Extras, taken_from
from switch.failures import Failure
from switch.flight import Flight
from switch.headers import header_value
from switch.relay import Answered
from switch.service import Switch

PATH = "/v1/chat/completions"
MOST_MODEL_NAME = 512
OVERSPEND = "switch:overspend"
LARGE_BYTES = (
    256 * 1024
)  # what is larger is read and written in a thread: a picture must not stop everybody else's words


class ChatCompletions:
    def __init__(self, switch: Switch, cache: AnswerCache, *, silence_seconds: float) -> None:
        self._switch, self._cache, self._silence_seconds = switch, cache, silence_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            raise MethodNotAllowed(f"{scope['method']} is not taken here", headers={"Allow": "POST"})
        state: dict[str, Any] = scope["state"]
        state["route"] = PATH
        caller: Caller = state["caller"]
        body = await whole_body(receive)
        is_large = len(body) > LARGE_BYTES
        parsed = await asyncio.to_thread(_parse, body) if is_large else _parse(body)
        extras = taken_from(parsed)
        cached = None
        if extras.cache_seconds and parsed.get("stream") is not True:  # streams are not kept
            asked = (caller.id, parsed, extras.task_type or "")
            cached = await asyncio.to_thread(AnswerCache.key, *asked) if is_large else AnswerCache.key(*asked)
        if cached is not None and (kept := self._cache.get(cached, max_age_seconds=extras.cache_seconds)) is not None:
            self._switch.meters.cached.inc()
            await _send_kept(send, kept)
            return
        call = call_of(parsed, extras, caller, is_large=is_large)
        with self._switch.flight(call, parsed.get("model", "auto")) as flight:
            with ClientWatch(receive) as client:
                answered = await flight.ask()
                if answered.exchange is None:
                    flight.land("answered" if answered.status < 400 else "refused")
                    if cached is not None and answered.status < 400:
                        self._keep(cached, answered, flight)
                    await _send_whole(send, answered, flight, is_cacheable=cached is not None)
                else:
                    await self._pass_on(send, answered, flight)
            if client.has_left:
                flight.land("cancelled")
                await tell_nobody(send)

    def _keep(self, key: bytes, answered: Answered, flight: Flight) -> None:
        choice = answered.choice
        self._cache.put(
            key, answered.first, model=choice.name, provider=choice.backend.name, decision_id=flight.decision_id
        )

    async def _pass_on(self, send: Send, answered: Answered, flight: Flight) -> None:
        exchange, seen = answered.exchange, flight.streamed
        assert exchange is not None
        assert seen is not None
        events, hide = WholeEvents(), answered.choice.backend.hide
        asks_for_usage = _asks_for_usage(flight.call.body)
        try:
            headers = headers_of(flight, answered.choice, b"text/event-stream; charset=utf-8")
            headers.append((b"cache-control", b"no-cache"))
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            chunk = answered.first
            while chunk:
                if data := events.take(chunk):
                    seen.take(data)
                    if not asks_for_usage and b'"usage"' in data:
                        data = without_usage(data)
                    if b'"error"' in data:  # in the provider's own words
                        data = hide(data.decode(errors="replace")).encode()
                    await send({"type": "http.response.body", "body": data, "more_body": True})
                chunk = await exchange.more(self._silence_seconds)
            last = events.rest()
            seen.take(last)
            if events.has_failed:
                flight.land("cut")
            elif events.is_finished:
                flight.land("answered")
            else:
                flight.land("cut")
                last += error_event(f"{answered.choice.name} ended its answer without an end", "upstream_cut")
        except Failure as failure:
            flight.land("cut")
            last = error_event(hide(failure.detail), "upstream_cut")
        finally:
            exchange.release()
        await send({"type": "http.response.body", "body": last})


def call_of(body: dict[str, Any], extras: Extras, caller: Caller, *, is_large: bool) -> Call:
    """What `body` asks for, and what it needs."""
    call = Call(
        body,
        is_stream=body.get("stream") is True,
        priority=extras.priority,
        is_large=is_large,
        caller=caller.id,
        may_overspend=OVERSPEND in caller.scopes,
        session_id=extras.session_id,
        task_type=extras.task_type or GENERAL,
        needs=needs.of(body, max_latency_ms=extras.max_latency_ms, max_cost_usd=extras.max_cost_usd),
    )
    if extras.max_latency_ms is not None:
        call.deadline = time.monotonic() + extras.max_latency_ms / 1000
    return call


async def whole_body(receive: Receive) -> bytes:
    """The body of a request. Raises MalformedRequest when the client leaves in the middle of it."""
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        parts = [body]
        while message.get("more_body"):
            message = await receive()
            parts.append(message.get("body", b""))
        body = b"".join(parts)
    if message["type"] == "http.disconnect":
        raise MalformedRequest("the client left in the middle of its request")
    return body


def _parse(body: bytes) -> dict[str, Any]:
    """The request, as far as we must understand it; everything else is for the model. Raises MalformedRequest and InvalidRequest."""
    try:
        parsed = from_json(body, allow_inf_nan=False)
    except ValueError as exc:
        raise MalformedRequest(f"the body is not JSON: {exc}") from exc
    if not isinstance(parsed, dict):
        raise InvalidRequest("the body must be a JSON object")
    messages, model = parsed.get("messages"), parsed.get("model", "auto")
    if not isinstance(messages, list) or not messages or not all(isinstance(one, dict) for one in messages):
        raise InvalidRequest("messages must be a list of at least one message", param="messages")
    if not isinstance(model, str) or not 0 < len(model) <= MOST_MODEL_NAME:
        raise InvalidRequest(f"model must be a name of 1 to {MOST_MODEL_NAME} characters", param="model")
    stream = parsed.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise InvalidRequest("stream must be true or false", param="stream")
    return parsed


def _asks_for_usage(body: dict[str, Any]) -> bool:
    options = body.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


async def _send_whole(send: Send, answered: Answered, flight: Flight, *, is_cacheable: bool) -> None:
    headers = headers_of(flight, answered.choice, b"application/json")
    headers.append((b"content-length", b"%d" % len(answered.first)))
    if flight.cost_usd is not None:
        headers.append((b"x-vx11-cost-usd", b"%.9f" % flight.cost_usd))
    if is_cacheable:
        headers.append((b"x-vx11-cache", b"miss"))
    await send({"type": "http.response.start", "status": answered.status, "headers": headers})
    await send({"type": "http.response.body", "body": answered.first})


async def _send_kept(send: Send, kept: Kept) -> None:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(kept.answer)),
        (b"x-vx11-model", header_value(kept.model)),
        (b"x-vx11-provider", kept.provider.encode()),
        (b"x-vx11-decision", kept.decision_id.encode()),
        (b"x-vx11-cost-usd", b"%.9f" % 0.0),
        (b"x-vx11-cache", b"hit"),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": kept.answer})


def headers_of(flight: Flight, choice: Choice, content_type: bytes) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", content_type),
        (b"x-vx11-model", header_value(choice.name)),
        (b"x-vx11-provider", choice.backend.name.encode()),
        (b"x-vx11-decision", flight.call.decision_id.encode()),
        (b"x-vx11-queue-ms", b"%.3f" % flight.call.queue_ms),
        (b"x-vx11-overhead-ms", b"%.3f" % flight.overhead_ms),
    ]
