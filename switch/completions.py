"""`POST /v1/chat/completions`: OpenAI's API, passed through as bytes. A plain ASGI app: every request of every client comes this way."""

import asyncio
from typing import Any

from pydantic_core import from_json
from starlette.types import Receive, Scope, Send

from config.auth import Caller
from config.errors import InvalidRequest, MalformedRequest, MethodNotAllowed
from switch.calls import Call, Choice
from switch.client_watch import ClientWatch, tell_nobody
from switch.events import WholeEvents, error_event
from switch.failures import Failure
from switch.flight import Flight
from switch.relay import Answered
from switch.service import Switch

PATH = "/v1/chat/completions"
MOST_MODEL_NAME = 512
LARGE_BYTES = (
    256 * 1024
)  # what is larger is read and written in a thread: a picture must not stop everybody else's words


class ChatCompletions:
    def __init__(self, switch: Switch, *, silence_seconds: float) -> None:
        self._switch, self._silence_seconds = switch, silence_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            raise MethodNotAllowed(f"{scope['method']} is not taken here", headers={"Allow": "POST"})
        state: dict[str, Any] = scope["state"]
        state["route"] = PATH
        caller: Caller = state["caller"]
        body = await _body(receive)
        is_large = len(body) > LARGE_BYTES
        parsed = await asyncio.to_thread(_parse, body) if is_large else _parse(body)
        call = Call(parsed, is_stream=parsed.get("stream") is True, is_large=is_large)
        with self._switch.flight(call, parsed.get("model", "auto"), caller=caller.id) as flight:
            with ClientWatch(receive) as client:
                answered = await flight.ask()
                if answered.exchange is None:
                    flight.land("answered" if answered.status < 400 else "refused")
                    await _send_whole(send, answered, flight)
                else:
                    await self._pass_on(send, answered, flight)
            if client.has_left:
                flight.land("cancelled")
                await tell_nobody(send)

    async def _pass_on(self, send: Send, answered: Answered, flight: Flight) -> None:
        exchange = answered.exchange
        assert exchange is not None
        events = WholeEvents()
        try:
            headers = _headers(flight, answered.choice, b"text/event-stream; charset=utf-8")
            headers.append((b"cache-control", b"no-cache"))
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            chunk = answered.first
            while chunk:
                if data := events.take(chunk):
                    await send({"type": "http.response.body", "body": data, "more_body": True})
                chunk = await exchange.more(self._silence_seconds)
            last = events.rest()
            if events.is_finished:
                flight.land("answered")
            else:
                flight.land("cut")
                last += error_event(f"{answered.choice.name} ended its answer without an end", "upstream_cut")
        except Failure as failure:
            flight.land("cut")
            last = error_event(answered.choice.backend.hide(failure.detail), "upstream_cut")
        finally:
            exchange.release()
        await send({"type": "http.response.body", "body": last})


async def _body(receive: Receive) -> bytes:
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
    if not isinstance(parsed.get("stream", False), bool | None):
        raise InvalidRequest("stream must be true or false", param="stream")
    return parsed


async def _send_whole(send: Send, answered: Answered, flight: Flight) -> None:
    headers = _headers(flight, answered.choice, b"application/json")
    headers.append((b"content-length", b"%d" % len(answered.first)))
    await send({"type": "http.response.start", "status": answered.status, "headers": headers})
    await send({"type": "http.response.body", "body": answered.first})


def _headers(flight: Flight, choice: Choice, content_type: bytes) -> list[tuple[bytes, bytes]]:
    return [
        (b"content-type", content_type),
        (b"x-vx11-model", choice.name.encode()),
        (b"x-vx11-decision", flight.decision_id.encode()),
    ]
