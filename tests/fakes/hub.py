"""A model hub on real sockets, faithful to the routes and headers of the real one: well-behaved unless it is told to misbehave.

Large files lie on a second address (`cdn_url`), behind a redirect; whoever shows that one the hub's token is refused and remembered in
`leaked`. `inject` makes a path misbehave. `asked` and `sent_bytes` tell what was asked and how much went out.
"""

import hashlib
import json
import mmap
import re
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, cast
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

GOOD_TOKEN = "hf_tokenOfTheTests0123456789"
LARGE = (".gguf", ".safetensors", ".onnx", ".bin", ".pt", ".pkl", ".ckpt", ".h5", ".msgpack")
PIECE_BYTES = 64 * 1024

Content = bytes | Path
Kind = Literal[
    "corrupt",  # the right number of bytes, one of them wrong (at `at_byte`, the middle by default)
    "truncate",  # fewer bytes, and a Content-Length that says so
    "cut",  # the connection breaks after `at_byte` bytes of the body
    "hold",  # `at_byte` bytes, then nothing until `go_on` is set
    "slow",  # piece by piece with `pause_seconds` between
    "silent",  # not even a head until `go_on` is set
    "close",  # the connection ends without an answer
    "status",  # `status`, with `headers`
    "not_json",  # 200 and a page of a captive portal
    "nonsense",  # 200 and JSON that is no answer to the question: `body`
    "long_length",  # a Content-Length larger than the body, then the end of the connection
    "endless",  # no Content-Length, and more bytes than the file has
    "redirect_loop",  # to itself
    "ignore_range",  # 200 and the whole file
]


@dataclass
class Fault:
    kind: Kind
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    at_byte: int | None = None
    pause_seconds: float = 0.01
    times: int | None = None
    """How many requests it lasts for; None: all."""


@dataclass
class Asked:
    """One request as it came, and how many bytes of body were sent for it."""

    server: Literal["hub", "cdn"]
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    status: int = 0
    sent_bytes: int = 0

    @property
    def range(self) -> str | None:
        return self.headers.get("range")


@dataclass(frozen=True)
class File:
    """A file of a revision. `size_bytes` and `sha256` are what the hub says of it, whatever the content is."""

    content: Content
    size_bytes: int
    sha256: str
    git_oid: str
    is_large: bool

    @staticmethod
    def of(path: str, content: Content) -> "File":
        whole = _view(content)
        git = hashlib.sha1(b"blob %d\x00" % len(whole))
        git.update(whole)
        is_large = path.lower().endswith(LARGE)
        return File(content, len(whole), hashlib.sha256(whole).hexdigest(), git.hexdigest(), is_large)

    @property
    def etag(self) -> str:
        return self.sha256 if self.is_large else self.git_oid

    def view(self) -> memoryview:
        return _view(self.content)


@dataclass
class Repository:
    model_id: str
    facts: dict[str, Any]
    revisions: dict[str, dict[str, File]]
    """By commit, oldest first; the last one is `main`."""
    gated: Literal["auto", "manual", False] = False
    is_private: bool = False
    granted: set[str] = field(default_factory=set)
    """Tokens whose owners accepted the licence."""

    @property
    def sha(self) -> str:
        return list(self.revisions)[-1]

    def files_of(self, revision: str) -> dict[str, File] | None:
        return self.revisions.get(self.sha if revision == "main" else revision)


class FakeHub:
    """The hub and its content host. `with fake_hub() as hub: hub.add("owner/name", {"a.gguf": gguf()})`."""

    def __init__(self) -> None:
        self.models: dict[str, Repository] = {}
        self.tokens = {GOOD_TOKEN}
        self.page_size = 1000
        self.asked: list[Asked] = []
        self.leaked: list[str] = []
        self.go_on = threading.Event()
        self.arrived = threading.Event()
        """Set when a request waits in `hold` or `silent`."""
        self.faults: list[tuple[str, Fault]] = []
        self.lock = threading.Lock()
        self._servers = [_Server(self, "hub"), _Server(self, "cdn")]
        self.url, self.cdn_url = (server.url for server in self._servers)
        self._threads = [
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
            for server in self._servers
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self.go_on.set()
        for server in self._servers:
            server.shutdown()
            server.close_all()
            server.server_close()

    def reset(self) -> None:
        """As it was at first: no models, no faults, nothing asked."""
        self.go_on.set()  # who still waits goes on
        self.go_on, self.arrived = threading.Event(), threading.Event()
        self.models.clear()
        self.faults.clear()
        self.asked.clear()
        self.leaked.clear()
        self.tokens, self.page_size = {GOOD_TOKEN}, 1000

    # --- content ----------------------------------------------------------------------------------------------------

    def add(
        self,
        model_id: str,
        files: Mapping[str, Content],
        *,
        license: str | None = "apache-2.0",  # noqa: A002 (the hub's own word)
        tags: list[str] | None = None,
        downloads: int = 1000,
        likes: int = 50,
        pipeline_tag: str | None = "text-generation",
        library_name: str | None = None,
        created_at: str = "2025-01-01T00:00:00.000Z",
        last_modified: str | None = None,
        gated: Literal["auto", "manual", False] = False,
        is_private: bool = False,
        **more: Any,
    ) -> Repository:
        """Publish a model; `more` are further facts as the hub names them, such as `gguf={"context_length": 4096}`."""
        facts = {
            "downloads": downloads,
            "likes": likes,
            "tags": [*(tags or []), *([f"license:{license}"] if license else [])],
            "pipeline_tag": pipeline_tag,
            "library_name": library_name,
            "createdAt": created_at,
            "lastModified": last_modified or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            **more,
        }
        repository = Repository(model_id, facts, {}, gated, is_private)
        self.models[model_id] = repository
        self.commit(model_id, files)
        return repository

    def commit(self, model_id: str, files: Mapping[str, Content]) -> str:
        """A new revision with exactly these files; its sha."""
        repository = self.models[model_id]
        made = {path: File.of(path, content) for path, content in files.items()}
        tree = json.dumps([model_id, len(repository.revisions), {path: file.sha256 for path, file in made.items()}])
        sha = hashlib.sha1(tree.encode()).hexdigest()
        repository.revisions[sha] = made
        return sha

    def lie(self, model_id: str, path: str, *, size_bytes: int | None = None, sha256: str | None = None) -> None:
        """Let the hub say something else of a file than what it serves."""
        files = self.models[model_id].revisions[self.models[model_id].sha]
        told = files[path]
        files[path] = File(
            told.content,
            told.size_bytes if size_bytes is None else size_bytes,
            told.sha256 if sha256 is None else sha256,
            told.git_oid,
            told.is_large,
        )

    # --- misbehaving ------------------------------------------------------------------------------------------------

    def inject(self, pattern: str, kind: Kind, **options: Any) -> Fault:
        """Let requests whose path fits the pattern (`*` and `?`; the path is not percent-encoded) misbehave.

        Paths are `/api/models…`, `/{model}/resolve/{sha}/{file}` and, on the content host, `/cdn/{sha256}/{file}`. The last one that was
        injected and still lasts is the one that counts.
        """
        fault = Fault(kind, **options)
        self.faults.append((pattern, fault))
        return fault

    def fault_for(self, path: str) -> Fault | None:
        with self.lock:
            for pattern, fault in reversed(self.faults):
                if fault.times != 0 and fnmatchcase(path, pattern):
                    if fault.times is not None:
                        fault.times -= 1
                    return fault
        return None

    # --- what was asked ---------------------------------------------------------------------------------------------

    def requests(self, pattern: str = "*", method: str | None = None) -> list[Asked]:
        with self.lock:
            return [one for one in self.asked if fnmatchcase(one.path, pattern) and method in (None, one.method)]

    def sent_bytes(self, pattern: str = "*") -> int:
        """Bytes of bodies that went out for paths that fit."""
        return sum(one.sent_bytes for one in self.requests(pattern))


@contextmanager
def fake_hub() -> Iterator[FakeHub]:
    hub = FakeHub()
    try:
        yield hub
    finally:
        hub.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, hub: FakeHub, name: Literal["hub", "cdn"]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub, self.name = hub, name
        self._open: set[socket.socket] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def close_all(self) -> None:
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server
    asked: Asked

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the name of the overridden method)
        """Nothing: what was asked is in `asked`."""

    def do_GET(self) -> None:
        self._work()

    do_HEAD = do_GET

    def _work(self) -> None:
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        path = unquote(parts.path)
        self.asked = Asked(self.server.name, self.command, path, parse_qs(parts.query), headers)
        with self._hub.lock:
            self._hub.asked.append(self.asked)
        fault = self._hub.fault_for(path)
        if fault is not None and self._misbehave(fault):
            return
        if self.server.name == "cdn":
            self._cdn(path, fault)
        elif (token := self._token) is not None and token not in self._hub.tokens:
            self._refuse(401, None, "Invalid credentials in Authorization header")
        elif path == "/api/models":
            self._search()
        elif found := re.fullmatch(
            r"/api/models/(?P<id>.+?)(?:/revision/(?P<info>[^/]+)|/tree/(?P<tree>[^/]+))?", path
        ):
            self._info_or_tree(found["id"], found["info"], found["tree"])
        elif found := re.fullmatch(r"/(?P<id>.+?)/resolve/(?P<revision>[^/]+)/(?P<file>.+)", path):
            self._resolve(found["id"], found["revision"], found["file"], fault)
        else:
            self._refuse(404, None, "Sorry, we can't find the page you are looking for.")

    @property
    def _hub(self) -> FakeHub:
        return self.server.hub

    @property
    def _token(self) -> str | None:
        return self.headers["Authorization"].removeprefix("Bearer ") if "Authorization" in self.headers else None

    # --- routes -----------------------------------------------------------------------------------------------------

    def _search(self) -> None:
        query = self.asked.query
        words = query.get("search", [""])[0].lower().split()
        wanted = {*query.get("filter", []), *query.get("pipeline_tag", [])}
        found = [
            one
            for one in self._hub.models.values()
            if (not one.is_private or self._token in self._hub.tokens)
            and all(word in one.model_id.lower() for word in words)
            and wanted <= {*one.facts["tags"], one.facts["pipeline_tag"], one.facts["library_name"]}
        ]
        if sort := query.get("sort", [""])[0]:
            found.sort(key=lambda one: one.facts.get(sort) or 0, reverse=True)
        start = int(query.get("cursor", ["0"])[0])
        limit = min(int(query.get("limit", ["1000"])[0]), self._hub.page_size)
        shown = [self._listed(one) for one in found[start : start + limit]]
        more = {}
        if start + limit < len(found):
            left = {**query, "cursor": [str(start + limit)]}
            more["Link"] = f'<{self._hub.url}/api/models?{urlencode(left, doseq=True)}>; rel="next"'
        self._json(shown, more)

    def _listed(self, one: Repository) -> dict[str, Any]:
        """A model as the list shows it: little, all with `full`, or what `expand` names."""
        everything = self._described(one, one.sha)
        always = {"_id", "id", "modelId"}
        if expand := self.asked.query.get("expand"):
            return {key: value for key, value in everything.items() if key in {*expand, *always}}
        little = {"likes", "private", "downloads", "tags", "pipeline_tag", "library_name", "createdAt"}
        if "full" in self.asked.query:
            little |= {"author", "sha", "lastModified", "gated", "disabled", "siblings"}
        return {key: value for key, value in everything.items() if key in {*little, *always}}

    def _described(self, one: Repository, sha: str) -> dict[str, Any]:
        blobs = self.asked.query.get("blobs", ["false"])[0].lower() in ("true", "1")
        return {
            "_id": hashlib.md5(one.model_id.encode(), usedforsecurity=False).hexdigest()[:24],
            "id": one.model_id,
            "modelId": one.model_id,
            "author": one.model_id.partition("/")[0],
            "sha": sha,
            "private": one.is_private,
            "gated": one.gated,
            "disabled": False,
            **one.facts,
            "siblings": [_sibling(path, file, blobs) for path, file in one.revisions[sha].items()],
        }

    def _known(self, model_id: str) -> Repository | None:
        """The model, when it is there and this token may see it; otherwise the answer has been sent."""
        one = self._hub.models.get(model_id)
        if one is not None and (not one.is_private or self._token in self._hub.tokens):
            return one
        if self._token is None:  # without a token the real one does not tell whether it is there
            self._refuse(401, "RepoNotFound", "Invalid username or password.")
        else:
            self._refuse(404, "RepoNotFound", "Repository not found")
        return None

    def _info_or_tree(self, model_id: str, info: str | None, tree: str | None) -> None:
        one = self._known(model_id)
        if one is None:
            return
        revision = info or tree or "main"
        files = one.files_of(revision)
        if files is None:
            return self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if tree is None:
            described = self._described(one, one.sha if revision == "main" else revision)
            if expand := self.asked.query.get("expand"):
                described = {key: value for key, value in described.items() if key in {*expand, "_id", "id"}}
            return self._json(described)
        rows = [_row(path, file) for path, file in files.items()]
        start = int(self.asked.query.get("cursor", ["0"])[0])
        more = {}
        if start + self._hub.page_size < len(rows):
            left = {**self.asked.query, "cursor": [str(start + self._hub.page_size)]}
            where = f"{self._hub.url}{urlsplit(self.path).path}?{urlencode(left, doseq=True)}"
            more["Link"] = f'<{where}>; rel="next"'
        self._json(rows[start : start + self._hub.page_size], more)

    def _resolve(self, model_id: str, revision: str, path: str, fault: Fault | None) -> None:
        one = self._known(model_id)
        if one is None:
            return
        files = one.files_of(revision)
        if files is None:
            return self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        commit = {"X-Repo-Commit": one.sha if revision == "main" else revision}
        if path not in files:
            return self._refuse(404, "EntryNotFound", "Entry not found", commit)
        if one.gated and self._token not in one.granted:
            where = f"{self._hub.url}/{model_id}"
            status, why = (401, "You must have access to it and be authenticated to access it. Please log in.")
            if self._token is not None:
                status, why = (403, f"and you are not in the authorized list. Visit {where} to ask for access.")
            return self._refuse(status, "GatedRepo", f"Access to model {model_id} is restricted {why}")
        file = files[path]
        commit |= {"ETag": f'"{file.etag}"', "Accept-Ranges": "bytes"}
        if not file.is_large:
            return self._file(file, commit, fault)
        commit |= {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": str(file.size_bytes)}
        where = f"{self._hub.cdn_url}/cdn/{file.sha256}/{quote(path)}?Signature=s&Expires=9999999999"
        self._send(302, b"", {**commit, "Location": where})

    def _cdn(self, path: str, fault: Fault | None) -> None:
        if self._token is not None:
            self._hub.leaked.append(path)
            return self._refuse(400, None, "Only one auth mechanism allowed")
        sha256 = path.split("/")[2]
        file = next(
            (
                file
                for one in self._hub.models.values()
                for files in one.revisions.values()
                for file in files.values()
                if file.sha256 == sha256
            ),
            None,
        )
        if file is None:
            return self._refuse(404, None, "NoSuchKey")
        self._file(file, {"ETag": f'"{file.sha256}"', "Accept-Ranges": "bytes"}, fault)

    # --- wire -------------------------------------------------------------------------------------------------------

    def _misbehave(self, fault: Fault) -> bool:
        """Do what replaces the answer; False where only the body of a file is touched."""
        match fault.kind:
            case "close":
                self.close_connection = True
            case "silent":
                self._wait()
                self.close_connection = True
            case "status":
                self._send(fault.status, fault.body, dict(fault.headers))
            case "not_json":
                self._send(200, b"<html>welcome to the captive portal</html>", {"Content-Type": "text/html"})
            case "nonsense":
                self._send(200, fault.body, {"Content-Type": "application/json"})
            case "redirect_loop":
                self._send(302, b"", {"Location": self.path})
            case _:
                return False
        return True

    def _wait(self) -> None:
        self._hub.arrived.set()
        self._hub.go_on.wait(60)

    def _file(self, file: File, headers: dict[str, str], fault: Fault | None) -> None:
        """The file, or the part of it that Range asks for."""
        kind = fault.kind if fault is not None else None
        body = file.view()
        size = len(body)
        if kind == "corrupt" and size:
            at = size // 2 if fault is None or fault.at_byte is None else fault.at_byte
            body = memoryview(b"".join((body[:at], bytes([body[at] ^ 0xFF]), body[at + 1 :])))
        if kind == "truncate":
            body = body[: size // 2]
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.asked.range or "")
        same = self.headers.get("If-Range") in (None, headers["ETag"])
        if wanted is None or not same or kind == "ignore_range":
            return self._send(200, body, headers, fault)
        first, last = int(wanted[1]), min(int(wanted[2] or len(body) - 1), len(body) - 1)
        if first >= len(body):
            return self._send(416, b"", {**headers, "Content-Range": f"bytes */{len(body)}"})
        headers["Content-Range"] = f"bytes {first}-{last}/{len(body)}"
        return self._send(206, body[first : last + 1], headers, fault)

    def _json(self, content: Any, headers: Mapping[str, str] | None = None) -> None:
        self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _refuse(self, status: int, code: str | None, message: str, headers: Mapping[str, str] | None = None) -> None:
        more = {"X-Error-Code": code} if code else {}
        body = json.dumps({"error": message}).encode()
        self._send(
            status, body, {"Content-Type": "application/json", **more, "X-Error-Message": message, **(headers or {})}
        )

    def _send(self, status: int, body: bytes | memoryview, headers: dict[str, str], fault: Fault | None = None) -> None:
        kind = fault.kind if fault is not None else None
        length = len(body) * 2 + 1 if kind == "long_length" else len(body)
        self.asked.status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if kind == "endless":
            self.send_header("Connection", "close")
            self.close_connection = True
            body = bytes(body) * 3
        else:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command == "HEAD":
            return
        pieces = _pieces(body, fault)
        for piece in pieces:
            if piece is None:
                self._wait()
            else:
                self.wfile.write(piece)
                with self._hub.lock:
                    self.asked.sent_bytes += len(piece)
            if kind == "slow":
                self._hub.go_on.wait(cast(Fault, fault).pause_seconds)
        if kind in ("cut", "long_length"):
            self.close_connection = True


def _view(content: Content) -> memoryview:
    """A file of any size, without reading it into memory."""
    if isinstance(content, bytes) or content.stat().st_size == 0:
        return memoryview(content if isinstance(content, bytes) else b"")
    with content.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _pieces(body: bytes | memoryview, fault: Fault | None) -> Iterator[memoryview | None]:
    """The body in pieces; None is a wait."""
    size = PIECE_BYTES
    if fault is not None and fault.kind in ("cut", "hold"):
        at = len(body) // 2 if fault.at_byte is None else fault.at_byte
        yield from _split(body[:at], size)
        if fault.kind == "cut":
            return
        yield None
        body = body[at:]
    if fault is not None and fault.kind == "slow":
        size = max(1, len(body) // 20)
    yield from _split(body, size)


def _split(body: bytes | memoryview, size: int) -> Iterator[memoryview]:
    view = memoryview(body)
    for start in range(0, len(body), size):
        yield view[start : start + size]


def _sibling(path: str, file: File, blobs: bool) -> dict[str, Any]:
    if not blobs:
        return {"rfilename": path}
    lfs = {"sha256": file.sha256, "size": file.size_bytes, "pointerSize": 134}
    return {
        "rfilename": path,
        "size": file.size_bytes,
        "blobId": file.git_oid,
        **({"lfs": lfs} if file.is_large else {}),
    }


def _row(path: str, file: File) -> dict[str, Any]:
    lfs = {"oid": file.sha256, "size": file.size_bytes, "pointerSize": 134}
    return {
        "type": "file",
        "oid": file.git_oid,
        "size": file.size_bytes,
        "path": path,
        **({"lfs": lfs} if file.is_large else {}),
    }
