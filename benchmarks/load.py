"""Asks one URL as fast as its answers come, over CLIENTS kept connections, and prints what came of it as one JSON object.

`python benchmarks/load.py URL TOKEN MODEL CLIENTS SECONDS [--stream] [--requests N] [--header="name: value"]`: chat completions of about
70 bytes, for so many seconds or until so many were sent. A process of its own, on bare asyncio and httptools, so that the one who measures
costs less than what is measured. A streamed answer must end with `[DONE]`.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from urllib.parse import urlsplit

import httptools
import uvloop


class Client(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._answered: asyncio.Future[bool] | None = None
        self._tail = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def ask(self, request: bytes) -> "asyncio.Future[bool]":
        self._answered, self._tail = asyncio.get_running_loop().create_future(), b""
        self.transport.write(request)  # type: ignore[attr-defined]
        return self._answered

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._tail = (self._tail + body)[-32:] if len(body) < 32 else body[-32:]

    def on_message_complete(self) -> None:
        assert self._answered is not None
        is_good = self._parser.get_status_code() == 200 and self._tail.rstrip().endswith((b"}", b"[DONE]"))
        self._answered.set_result(is_good)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(exc or ConnectionResetError("the connection was closed in the middle"))


async def measure(
    url: str, token: str, model: str, clients: int, seconds: float, *, stream: bool, headers: list[str], most: int
) -> dict[str, float]:
    """Answers per second, median and 99th percentile of their times in ms, and how many were no good."""
    parts = urlsplit(url)
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}]} | ({"stream": True} if stream else {})
    content = json.dumps(body).encode()
    request = (
        f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nAccept: */*\r\nUser-Agent: load\r\nContent-Length: {len(content)}\r\n"
        f"{''.join(f'{header}{chr(13)}{chr(10)}' for header in headers)}\r\n"
    ).encode() + content
    loop = asyncio.get_running_loop()
    times, failures = list[float](), 0
    began = time.perf_counter()

    async def one() -> None:
        nonlocal failures
        _, client = await loop.create_connection(Client, parts.hostname or "127.0.0.1", parts.port or 80)
        while (asked := time.perf_counter()) < began + seconds and (not most or len(times) < most):
            if not await client.ask(request):
                failures += 1
            times.append(time.perf_counter() - asked)
        client.transport.close()

    await asyncio.gather(*(one() for _ in range(clients)))
    passed = time.perf_counter() - began
    ranked = sorted(times)
    return {
        "rate": len(times) / passed,
        "answers": len(times),
        "median_ms": statistics.median(times) * 1000,
        "p99_ms": ranked[int(len(ranked) * 0.99)] * 1000,
        "failures": failures,
    }


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, kind in (("url", str), ("token", str), ("model", str), ("clients", int), ("seconds", float)):
        arguments.add_argument(name, type=kind)
    arguments.add_argument("--stream", action="store_true")
    arguments.add_argument("--requests", type=int, default=0, help="end after so many; 0: only by time")
    arguments.add_argument("--header", action="append", default=[], help="another header of every request")
    wanted = arguments.parse_args()
    found = uvloop.run(
        measure(
            wanted.url,
            wanted.token,
            wanted.model,
            wanted.clients,
            wanted.seconds,
            stream=wanted.stream,
            headers=wanted.header,
            most=wanted.requests,
        )
    )
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
