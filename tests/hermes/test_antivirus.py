"""A clamd on a real socket reads every file before its model is registered."""

import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.fakes.model_files import gguf


class Clamd(socketserver.ThreadingUnixStreamServer):
    """Speaks INSTREAM; finds what holds `virus`, and gives up after `most_bytes`."""

    daemon_threads = True

    def __init__(self, address: Path) -> None:
        super().__init__(str(address), _Handler)
        self.read: list[bytes] = []
        self.virus, self.most_bytes = b"EICAR", 10**9


class _Handler(socketserver.StreamRequestHandler):
    server: Clamd

    def handle(self) -> None:
        assert self.rfile.read(10) == b"zINSTREAM\0"
        content = b""
        while size := struct.unpack(">I", self.rfile.read(4))[0]:
            content += self.rfile.read(size)
            if len(content) > self.server.most_bytes:
                self.wfile.write(b"INSTREAM size limit exceeded. ERROR\0")
                return
        self.server.read.append(content)
        is_bad = self.server.virus in content
        self.wfile.write(b"stream: Win.Test.EICAR_HDB-1 FOUND\0" if is_bad else b"stream: OK\0")


@contextmanager
def clamd_at(address: Path) -> Iterator[Clamd]:
    with Clamd(address) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


async def outcome(hermes, model_id: str) -> dict:
    job = (await hermes.http.post("/hermes/download", json={"model_id": model_id})).json()
    return await hermes.finished(job["job_id"])


def kept(hermes) -> list[Path]:
    models = hermes.settings.state_dir / "models"
    return [*models.glob("*--*"), *(models / ".parts").iterdir()]


async def test_every_file_is_read_by_the_antivirus_and_a_hit_refuses_and_removes_all(hermes_at, hub, tmp_path):
    clean, bad = gguf(seed=1), gguf(seed=2) + b"EICAR"
    hub.add("clam/good", {"a.gguf": clean, "config.json": b"{}"})
    hub.add("clam/bad", {"a.gguf": bad})
    with clamd_at(tmp_path / "clamd") as clamd:
        async with hermes_at(hermes_clamd_socket=tmp_path / "clamd") as hermes:
            job = await outcome(hermes, "clam/bad")
            assert job["error"].startswith("virus_found: ")
            assert "Win.Test.EICAR_HDB-1 in a.gguf" in job["error"]
            assert kept(hermes) == []
            clamd.read.clear()
            assert (await outcome(hermes, "clam/good"))["status"] == "DONE"
            assert sorted(clamd.read) == sorted([clean, b"{}"])


async def test_without_the_antivirus_s_word_nothing_is_registered(hermes_at, hub, tmp_path):
    hub.add("clam/unread", {"a.gguf": gguf(seed=3)})
    async with hermes_at(hermes_clamd_socket=tmp_path / "clamd") as hermes:
        job = await outcome(hermes, "clam/unread")
        assert job["error"].startswith("scanner_problem: ")
        assert "VX11_HERMES_CLAMD_SOCKET" in job["error"]
        with clamd_at(tmp_path / "clamd") as clamd:
            clamd.most_bytes = 10
            job = await outcome(hermes, "clam/unread")
            assert "StreamMaxLength" in job["error"]
            assert (await hermes.http.get("/hermes/models")).json()["count"] == 0
            clamd.most_bytes = 10**9
            assert (await outcome(hermes, "clam/unread"))["status"] == "DONE"
    assert len(hub.requests("/cdn/*")) == 1  # what was proved is not fetched again
