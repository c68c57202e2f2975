"""Looking at pages with a real Chromium: what hermes asks of `hermes.discover.visit`, and what it makes of the answer.

Chromium keeps its own sandbox, unless hermes runs as root: it then refuses to start with it, and goes without. A fleet that is not
started by root, as in the containers, has it.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import structlog
from pydantic import ValidationError

from config.contracts.hermes import DiscoveredCli, DiscoverMethod
from hermes.discover.allowed import Allowed
from hermes.discover.errors import BrowserBroken, BrowserMissing
from hermes.discover.extract import install_commands, is_about
from hermes.discover.findings import Findings, Link
from hermes.discover.registry import published_names
from hermes.discover.report import MOST_FOLLOWED, Order, Report, Seen
from hermes.settings import HermesSettings

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
START_SECONDS = 30.0
REMOVAL_TRIES, REMOVAL_PAUSE_SECONDS = 50, 0.1

log = structlog.get_logger()


def find_browser(settings: HermesSettings) -> str:
    """The browser's program. Raises BrowserMissing."""
    if (named := settings.hermes_chromium) is not None:
        if os.access(named, os.X_OK) and named.is_file():
            return str(named)
        raise BrowserMissing(f"VX11_HERMES_CHROMIUM names {named}, and there is no program there")
    for name in BROWSERS:
        if (found := shutil.which(name)) is not None:
            return found
    raise BrowserMissing(
        "looking at pages needs Chromium: install it (on Debian and Ubuntu: apt install chromium), or name a browser in "
        "VX11_HERMES_CHROMIUM; the method registry needs none"
    )


async def look_at_pages(cli_name: str, settings: HermesSettings) -> DiscoveredCli:
    """What the pages of the settings say. A page that fails is a warning. Raises BrowserMissing, BrowserBroken."""
    findings = Findings(cli_name, DiscoverMethod.BROWSER)
    published = published_names(cli_name)
    names = [name for name in (cli_name, published.python, published.npm) if name is not None]
    pages = [page.replace("{name}", quote(cli_name, safe="")) for page in settings.hermes_discover_pages]
    allowed = Allowed.of(pages, settings.hermes_discover_hosts)
    order = Order(
        pages=pages,
        names=names,
        public=sorted(allowed.public),
        named=sorted(allowed.named),
        browser=find_browser(settings),
        is_sandboxed=os.geteuid() != 0,
        page_seconds=settings.hermes_discover_timeout.total_seconds(),
        limit_bytes=settings.hermes_discover_limit_bytes,
    )
    report = await _report(order)
    for trouble in report.troubles:
        findings.warn(trouble.source, trouble.code, trouble.detail)
    if report.broken is not None:
        if not report.pages:
            raise BrowserBroken(report.broken)
        findings.warn("browser", "browser_broken", report.broken)
    await asyncio.to_thread(_tell_all, findings, report.pages, names)  # pages may have a million lines
    return findings.result()


def _tell_all(findings: Findings, pages: Sequence[Seen], names: Sequence[str]) -> None:
    for page in pages:
        _tell(findings, page, names)


def _tell(findings: Findings, page: Seen, names: Sequence[str]) -> None:
    findings.source(page.url)
    for block in page.blocks:
        for command in install_commands(block, names, page.url):
            findings.install(command.text, command.manager, page.url, command.confidence)
    if is_about(page.url, names):
        findings.facts(trust=0.5, description=page.description, version=None, license_=None)
        findings.links(Link(label, url) for label, url in page.links)


async def _report(order: Order) -> Report:
    """What the visit's own process saw. It, its driver and its browser are gone when this returns. Raises BrowserBroken."""
    limit_seconds = START_SECONDS + len(order.pages) * (1 + MOST_FOLLOWED) * (order.page_seconds + 2.0)
    home = tempfile.mkdtemp(prefix="vx11-browser-")
    try:
        process = await asyncio.to_thread(_start, home)
        try:
            work = asyncio.create_task(asyncio.to_thread(process.communicate, order.model_dump_json().encode()))
            try:
                async with asyncio.timeout(limit_seconds):
                    stdout, stderr = await asyncio.shield(work)
            finally:
                _kill(process)
                await asyncio.gather(work, return_exceptions=True)
        except TimeoutError as exc:
            raise BrowserBroken(f"the browser did not come to an end within {limit_seconds:g} seconds") from exc
    finally:
        await asyncio.shield(asyncio.to_thread(_remove, home))
    try:
        return Report.model_validate_json(stdout)
    except ValidationError as exc:
        log.warning("browser_broke", exit_code=process.returncode, said=stderr.decode(errors="replace")[-2000:])
        raise BrowserBroken(f"the browser's process ended with {process.returncode} and no report") from exc


def _start(home: str) -> "subprocess.Popen[bytes]":
    """In a thread: CPython starts it with vfork, where uvloop would stop the service for a fork."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": home,
        "TMPDIR": home,
        "XDG_CONFIG_HOME": home,
        "XDG_CACHE_HOME": home,
        "LANG": "C.UTF-8",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "hermes.discover.visit"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        env=environment,
        start_new_session=True,
    )


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """The process and its driver; the browser, a group of its own, ends when its driver's pipe closes."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def _remove(home: str) -> None:
    """Remove the browser's folder; one that is just being killed may still write in it."""
    for _ in range(REMOVAL_TRIES):
        shutil.rmtree(home, ignore_errors=True)
        if not os.path.exists(home):
            return
        time.sleep(REMOVAL_PAUSE_SECONDS)
    log.warning("browser_folder_left", folder=home)
