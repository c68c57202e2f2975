"""A real Chromium reads local pages; what they say is data, and where it may go is decided here."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hermes.discover.browser import BROWSERS
from tests.fakes.site import Site, site
from tests.hermes.conftest import Hermes, problem, until

needs_chromium = pytest.mark.skipif(
    not any(shutil.which(name) for name in BROWSERS),
    reason="no Chromium on this machine: apt install chromium",
)

PROJECT = """<!doctype html><html><head><title>boxer</title>
<meta name="description" content="Boxes for everybody"></head><body>
<nav><a href="/help/docs">Docs of the site</a></nav>
<main>
  <h1>boxer</h1>
  <pre><code>$ brew install boxer
npm install -g @team/boxer</code></pre>
  <p>Or <code>curl -fsSL https://boxer.example/i.sh | sh</code>, then <code>boxer run</code>.</p>
  <div id="later"></div>
  <a href="https://boxer.example/docs/start">Getting started</a> <a href="/team/boxer/api">API</a> <a href="/x">x</a>
  <img src="/picture.png"><link rel="stylesheet" href="/style.css">
  <script>
    document.getElementById('later').innerHTML = '<pre>pipx install boxer</pre>';
    fetch('OTHER/from-script').catch(() => 0);
    navigator.serviceWorker && navigator.serviceWorker.register('/worker.js').catch(() => 0);
  </script>
</main></body></html>"""
SEARCH = (
    '<main><a href="/team/boxer">team/boxer</a><a href="/other/thing">other</a><code>brew install other</code></main>'
)
HTML = {"Content-Type": "text/html; charset=utf-8"}


def page(body: str) -> tuple[int, bytes, dict[str, str]]:
    return 200, body.encode(), HTML


@pytest.fixture
def host() -> Iterator[Site]:
    with site() as its:
        yield its


@pytest.fixture
def other() -> Iterator[Site]:
    """A server that nobody allowed."""
    with site({"/boxer": page(PROJECT)}) as its:
        yield its


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder with a short name: a browser has sockets in it, whose names may have a hundred letters."""
    with tempfile.TemporaryDirectory(prefix="vx11-") as folder:
        yield Path(folder)


@pytest.fixture
def browsing(hermes_at: Callable[..., Any], host: Site) -> Callable[..., Any]:
    """`async with browsing(path, …) as hermes`: its discoveries look at these paths of the host."""

    def start(*paths: str, **settings: Any) -> Any:
        pages = [path if "://" in path else host.url + path for path in paths]
        chosen = {"hermes_discover_pages": pages, "hermes_discover_hosts": [host.host]} | settings
        return hermes_at(**chosen)

    return start


async def discovered(hermes: Hermes, cli_name: str = "boxer") -> dict[str, Any]:
    request = {"cli_name": cli_name, "method": "browser", "wait_seconds": 0}
    answer = await hermes.http.post("/hermes/cli/discover", json=request)
    assert answer.status_code == 202, answer.text
    job = await hermes.finished(answer.json()["job_id"])
    assert job["status"] == "DONE", job
    result: dict[str, Any] = job["result"]
    return result


def processes_with(word: str) -> list[str]:
    """Command lines of processes whose arguments or environment have this word."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            told = folder.joinpath("cmdline").read_bytes() + folder.joinpath("environ").read_bytes()
            state = folder.joinpath("stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if word.encode() in told and state != "Z":
            found.append(told.decode(errors="replace")[:200])
    return found


@needs_chromium
async def test_a_page_of_results_leads_to_the_tools_own_page_whose_commands_and_links_are_read(
    browsing, host, other, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("VX11_TOKEN", "a-secret-of-ours")
    host.answers |= {
        "/search?q=boxer": page(SEARCH),
        "/team/boxer": page(PROJECT.replace("OTHER", other.url)),
        "/picture.png": b"\x89PNG",
        "/style.css": (200, b"p {}", {"Content-Type": "text/css"}),
        "/worker.js": (200, b"fetch('/by-worker')", {"Content-Type": "text/javascript"}),
    }
    async with browsing("/search?q={name}") as hermes:
        result = await discovered(hermes)
    page_url = f"{host.url}/team/boxer"
    assert {(one["command"], one["manager"], one["confidence"]) for one in result["installs"]} == {
        ("brew install boxer", "brew", 0.85),
        ("pipx install boxer", "pipx", 0.85),
        ("npm install -g @team/boxer", "npm", 0.7),
        ("curl -fsSL https://boxer.example/i.sh | sh", "script", 0.2),
    }
    assert {one["source_url"] for one in result["installs"]} == {page_url}
    assert result["description"] == "Boxes for everybody"
    assert result["documentation_urls"] == ["https://boxer.example/docs/start"]
    assert result["api_urls"] == [f"{page_url}/api"]
    assert result["sources"] == [f"{host.url}/search?q=boxer", page_url]
    assert result["warnings"] == []
    assert other.asked == []
    assert {"/picture.png", "/worker.js", "/by-worker", "/other/thing"}.isdisjoint(host.paths)
    assert "a-secret" not in str(host.asked)


@needs_chromium
async def test_pages_that_misbehave_cost_only_themselves_and_nothing_leads_to_a_host_that_is_not_allowed(
    browsing, host, other
) -> None:
    away = {
        "/away/boxer": (302, b"", {"Location": f"{other.url}/boxer"}),
        "/script/boxer": page(f"<script>location = '{other.url}/boxer'</script>"),
        "/frame/boxer": page(
            f"<iframe src='{other.url}/boxer'></iframe><script>new WebSocket('ws://{other.host}/boxer')</script>"
            "<pre>brew install boxer</pre>"
        ),
    }
    unwell = {
        "/big/boxer": page("<pre>brew install boxer</pre><!--" + "x" * 300_000),
        "/unwell/boxer": (500, b"<pre>brew install boxer</pre>", HTML),
        "/file/boxer": (200, b"MZ", {"Content-Type": "application/octet-stream", "Content-Disposition": "attachment"}),
        "/good/boxer": page(
            "<pre>apt install boxer</pre><pre>pip install \x1b]0;boxer</pre><a href='http://[bad/docs'>docs</a>"
            "<script>alert(1); window.open('/good/boxer')</script>"
        ),
    }
    host.answers |= away | unwell
    local = f"http://localhost:{host.host.partition(':')[2]}"  # by this name it is nobody's business
    nowhere = "127.0.0.1:1"
    async with browsing(
        *(*away, f"{other.url}/{{name}}", f"{local}/frame/boxer"),
        *(*unwell, "/not/there/boxer", f"http://{nowhere}/boxer"),
        hermes_discover_limit_bytes=100_000,
        hermes_discover_hosts=[host.host, nowhere],
    ) as hermes:
        result = await discovered(hermes)
    assert other.asked == []
    found = {one["command"]: one["source_url"] for one in result["installs"]}
    assert found == {"brew install boxer": f"{host.url}/frame/boxer", "apt install boxer": f"{host.url}/good/boxer"}
    codes = [(one["source"], one["code"]) for one in result["warnings"]]
    assert codes[:4] == [("127.0.0.1", "host_not_allowed")] * 3 + [("localhost", "host_not_allowed")]
    assert [code for _, code in codes[4:]] == ["page_too_large", "page_refused", "page_unreachable", "page_unreachable"]
    assert f"{host.url}/good/boxer" in result["sources"]


@needs_chromium
async def test_a_page_that_never_comes_to_an_end_is_given_up(browsing, host) -> None:
    host.answers["/late/boxer"] = page("<script>while (true) {}</script><pre>brew install boxer</pre>")
    async with browsing("/late/boxer", hermes_discover_timeout=1) as hermes:
        result = await discovered(hermes)
    assert result["installs"] == []
    assert [one["code"] for one in result["warnings"]] == ["page_late"]


@needs_chromium
async def test_a_discovery_that_is_cancelled_takes_its_browser_along(
    browsing, host, tmp_path, short, monkeypatch
) -> None:
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{tmp_path}/the-mark")  # to know its processes by
    monkeypatch.setattr(tempfile, "tempdir", str(short))
    host.answers["/boxer"] = page("<script>while (true) {}</script>")
    async with browsing("/boxer", hermes_discover_timeout=300) as hermes:
        request = {"cli_name": "boxer", "method": "browser", "wait_seconds": 0}
        job = (await hermes.http.post("/hermes/cli/discover", json=request)).json()
        await until(lambda: _is_asked(host, "/boxer"))
        assert await asyncio.to_thread(processes_with, f"{tmp_path}/the-mark")
        cancelled = await hermes.http.post(f"/hermes/jobs/{job['job_id']}/cancel")
        assert cancelled.json()["status"] == "CANCELLED"
        await until(lambda: _are_gone(f"{tmp_path}/the-mark"))
        assert [one.name for one in _folders(short) if one.name.startswith("vx11-browser-")] == []


KILLED = """
import asyncio, sys
from hermes.discover.browser import look_at_pages
from hermes.settings import HermesSettings
page, host = sys.argv[1:]
settings = HermesSettings(hermes_discover_pages=[page], hermes_discover_hosts=[host], hermes_discover_timeout=300, _env_file=None)
asyncio.run(look_at_pages("boxer", settings))
"""


@needs_chromium
async def test_a_hermes_that_is_killed_takes_its_browser_along(host, tmp_path, short) -> None:
    host.answers["/boxer"] = page("<script>while (true) {}</script>")
    environment = {
        "PATH": f"{os.environ['PATH']}:{tmp_path}/the-mark",
        "TMPDIR": str(short),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    killed = await asyncio.to_thread(
        subprocess.Popen, [sys.executable, "-c", KILLED, f"{host.url}/boxer", host.host], env=environment, cwd=tmp_path
    )
    try:
        await until(lambda: _is_asked(host, "/boxer"))
    finally:
        killed.kill()
        await asyncio.to_thread(killed.wait)
    await until(lambda: _are_gone(f"{tmp_path}/the-mark"))


async def test_without_a_browser_that_is_said_with_what_to_install(hermes_at, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    request = {"cli_name": "boxer", "method": "browser"}
    async with hermes_at() as hermes:
        told = problem(await hermes.http.post("/hermes/cli/discover", json=request), 503, "browser_missing")
        assert "chromium" in told["detail"]
        assert (await hermes.http.get("/hermes/jobs")).json()["items"] == []


async def test_a_browser_that_breaks_fails_the_job_and_nothing_else(hermes_at, tmp_path) -> None:
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\necho no display here >&2\nexit 7\n")
    broken.chmod(0o755)
    async with hermes_at(hermes_chromium=str(broken), hermes_discover_pages=["http://127.0.0.1:1/{name}"]) as hermes:
        request = {"cli_name": "boxer", "method": "browser", "wait_seconds": 60}
        job = (await hermes.http.post("/hermes/cli/discover", json=request)).json()
        assert job["status"] == "ERROR"
        assert job["error"].startswith("browser_broken: ")
        assert "no display here" in job["error"]
        assert (await hermes.http.get("/health")).status_code == 200


def _folders(parent: Path) -> list[Path]:
    return list(parent.iterdir())


async def _is_asked(host: Site, path: str) -> bool | None:
    return True if path in host.paths else None


async def _are_gone(word: str) -> bool | None:
    found = await asyncio.to_thread(processes_with, word)
    return None if found else True
