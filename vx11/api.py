"""The fleet as a client sees it: HTTP to the gateway with a token, and its errors as sentences."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import httpx

from config.settings import FleetSettings
from vx11.errors import CommandFailed

FINAL = frozenset({"DONE", "ERROR", "CANCELLED"})
TIMEOUT = httpx.Timeout(30.0, connect=5.0)
WAITING = httpx.Timeout(90.0, connect=5.0)
"""For answers that madre may hold back for up to a minute, and for uploads."""


PASSING = frozenset({502, 503, 504})
MOST_FAILURES = 30
"""In a row and a second apart, before a job whose service is gone is given up."""


class ApiError(CommandFailed):
    """The gateway answered with an error; `status` is its HTTP status, `code` the stable one."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        self.status, self.code, self.detail = status, code, detail
        super().__init__(detail)


class ConnectionBroke(CommandFailed):
    """The gateway was reached, and then no more: in the middle of an answer."""


class Api:
    """Requests to one gateway. Raises ApiError for what it refuses, CommandFailed when it cannot be reached."""

    def __init__(self, url: str, token: str, *, transport: httpx.BaseTransport | None = None) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=self.url, headers={"X-VX11-Token": token}, timeout=TIMEOUT, transport=transport, trust_env=False
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        return self._ask("GET", path, params={name: value for name, value in params.items() if value is not None})

    def post(
        self, path: str, body: dict[str, Any] | None = None, *, timeout_seconds: float | None = None
    ) -> dict[str, Any]:
        timeout = WAITING if timeout_seconds is None else httpx.Timeout(timeout_seconds, connect=5.0)
        return self._ask("POST", path, json=body if body is not None else {}, timeout=timeout)

    def delete(self, path: str) -> dict[str, Any]:
        return self._ask("DELETE", path)

    def upload(self, file: Path) -> dict[str, Any]:
        """The new asset. The file is sent as it is read."""
        try:
            with file.open("rb") as content:
                return self._ask(
                    "POST",
                    "/shub/assets",
                    params={"name": file.name},
                    content=content,
                    headers={"Content-Type": "application/octet-stream", "Content-Length": str(file.stat().st_size)},
                    timeout=WAITING,
                )
        except OSError as exc:
            raise CommandFailed(f"{file}: {exc.strerror}") from exc

    @contextmanager
    def content(self, asset_id: str) -> Iterator[Iterator[bytes]]:
        """An asset's bytes, as they come."""
        with self._reaching(), self._http.stream("GET", f"/shub/assets/{asset_id}/content", timeout=WAITING) as answer:
            if answer.is_error:
                answer.read()
                raise _error(answer)
            yield answer.iter_bytes()

    def ended_plan(self, plan_id: str, told: Callable[[dict[str, Any]], None] = lambda _event: None) -> dict[str, Any]:
        """The plan once it has ended; `told` gets each of its events as it comes."""
        seen = 0
        while True:
            plan = self.get(f"/madre/plans/{plan_id}")
            if plan["status"] in FINAL:
                return plan
            for event in self._events(f"/madre/plans/{plan_id}/events", after=seen):
                seen = event["seq"]
                told(event)

    def ended_job(self, spawn_id: str, wrote: Callable[[str, str], None]) -> dict[str, Any]:
        """The job's record once it has ended; `wrote` gets `stdout` or `stderr`, and each piece of text as it comes."""
        seen = ""
        while True:
            for number, name, data in self._named_events(f"/spawner/spawn/{spawn_id}/events", after=seen):
                seen = number or seen
                if name in ("stdout", "stderr"):
                    wrote(name, data["text"])
            job = self.get(f"/spawner/spawn/{spawn_id}/status")
            if job["status"] in FINAL:
                return job

    def ended_work(self, module: str, job_id: str, told: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """A module's job once it has ended; `told` gets each of its states as it comes. A module that starts again is waited for."""
        path, seen, failures = f"/{module}/jobs/{quote(job_id, safe='')}", "", 0
        while True:
            try:
                for number, _, job in self._named_events(f"{path}/events", after=seen):
                    seen, failures = number or seen, 0
                    told(job)
                job = self.get(path)
            except (ApiError, ConnectionBroke) as exc:
                failures += 1
                if (isinstance(exc, ApiError) and exc.status not in PASSING) or failures > MOST_FAILURES:
                    raise
                time.sleep(1.0)
                continue
            if job["status"] in FINAL:
                return job

    def _ask(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        with self._reaching():
            answer = self._http.request(method, path, **options)
        if answer.is_error:
            raise _error(answer)
        if not answer.content:
            return {}
        try:
            found = answer.json()
        except ValueError as exc:
            raise CommandFailed(f"{self.url} answered {method} {path} with something that is not JSON") from exc
        return found if isinstance(found, dict) else {"items": found}

    def _events(self, path: str, *, after: int) -> Iterator[dict[str, Any]]:
        for _, _, data in self._named_events(path, after=str(after)):
            yield data

    def _named_events(self, path: str, *, after: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Id, name and data of a stream's events until it ends; a stream that a stopping service closed ends too."""
        headers = {"Last-Event-ID": after} if after else {}
        with self._reaching(), self._http.stream("GET", path, headers=headers, timeout=WAITING) as answer:
            if answer.is_error:
                answer.read()
                raise _error(answer)
            fields = dict[str, str]()
            for line in _lines(answer):
                name, _, value = line.partition(":")
                if name:
                    fields[name] = value.removeprefix(" ")
                    continue
                if not line and "data" in fields:
                    yield fields.get("id", ""), fields.get("event", "message"), json.loads(fields["data"])
                    fields.clear()

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except httpx.ConnectError as exc:
            raise CommandFailed(f"nobody answers at {self.url}: is the fleet running? (`vx11 up`)") from exc
        except httpx.TimeoutException as exc:
            raise CommandFailed(f"{self.url} did not answer in time") from exc
        except httpx.InvalidURL as exc:
            raise CommandFailed(f"{self.url} is not an address: {exc}") from exc
        except httpx.TransportError as exc:
            raise ConnectionBroke(f"the connection to {self.url} broke: {exc}") from exc


def connect(settings: FleetSettings, url: str | None, token: str | None) -> Api:
    """The gateway of the settings unless another is named. Raises CommandFailed where no token is to be had."""
    return Api(url or settings.url_of("gateway"), token or owner_token(settings))


def owner_token(settings: FleetSettings) -> str:
    """The token of VX11_TOKEN, or of the first start's file. Raises CommandFailed; makes no new one."""
    if settings.token is not None:
        return settings.token.get_secret_value()
    file = settings.secrets_dir / "token"
    try:
        return file.read_text().strip()
    except FileNotFoundError as exc:
        raise CommandFailed(
            f"there is no token in {file} yet: start the fleet first (`vx11 up`), or give --token"
        ) from exc
    except OSError as exc:
        raise CommandFailed(f"the token in {file} cannot be read: {exc.strerror}") from exc


def _lines(answer: httpx.Response) -> Iterator[str]:
    """Its lines as our services end them: httpx ends one at a U+2028 or U+0085 in the text of a message too."""
    rest = ""
    for text in answer.iter_text():
        *whole, rest = (rest + text).split("\n")
        yield from whole


def _error(answer: httpx.Response) -> ApiError:
    try:
        problem = answer.json()
        code = str(problem["type"]).removeprefix("/errors/")
        return ApiError(answer.status_code, code, f"{problem['detail']} ({answer.status_code} {code})")
    except (ValueError, KeyError, TypeError):
        return ApiError(answer.status_code, "", f"{answer.request.url} answered {answer.status_code}")
