"""A process of its own that looks at pages with a real browser: `python -m hermes.discover.visit`, an Order on stdin, a Report on stdout.

What goes wrong in a browser, its driver or a page ends here, and all its memory with it. It reads text; it clicks on nothing, runs no
command and keeps no file.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import Coroutine
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, Page, Request, Route, async_playwright
from playwright.async_api import Error as PlaywrightError

from hermes.discover.allowed import Allowed, Refused
from hermes.discover.extract import worth_following
from hermes.discover.gate import Gate
from hermes.discover.report import MOST_FOLLOWED, Order, Report, Seen, Trouble

QUIET_SECONDS = 5.0
"""How long a page may go on loading what its scripts ask for."""
LOOK_SECONDS = 2.0
"""How often is looked whether hermes is still there."""
NOT_LOADED = ("image", "media", "font")
ARGUMENTS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--dns-prefetch-disable",
    "--no-pings",
    "--disable-gpu",  # what is drawn, nobody looks at
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
]

READ = """() => {
  const line = (text, most) => (text || '').slice(0, most);
  const blocks = [];
  const add = (text) => { if (text && blocks.length < 400) blocks.push(line(text, 4000)); };
  for (const one of document.querySelectorAll('pre, code, kbd, samp')) {
    if (one.parentElement && one.parentElement.closest('pre, code, kbd, samp')) continue;
    add(one.innerText || one.textContent);
  }
  for (const one of document.querySelectorAll('[data-clipboard-text], clipboard-copy[value], input[readonly][value]'))
    add(one.getAttribute('data-clipboard-text') || one.getAttribute('value'));
  const root = document.querySelector('main, [role=main], article') || document.body || document.documentElement;
  const links = [];
  for (const one of root.querySelectorAll('a[href]')) {
    if (links.length >= 1000) break;
    if (!one.closest('header, footer, nav')) links.push([line(one.textContent.trim(), 200), line(one.href, 2000)]);
  }
  const told = document.querySelector('meta[name=description], meta[property="og:description"]');
  return {description: told ? line(told.content, 1000) : null, blocks, links};
}"""


class _Over(Exception):
    """The page had all the bytes it may have."""


class Visit:
    """One browser context and what it saw."""

    def __init__(self, order: Order, allowed: Allowed, gate: Gate, context: BrowserContext) -> None:
        self._order, self._allowed, self._gate, self._context = order, allowed, gate, context
        self.pages: list[Seen] = []
        self.troubles: list[Trouble] = []

    async def all(self) -> None:
        await self._context.route("**/*", self._decide)
        for url in self._order.pages:
            seen = await self.look(url)
            if seen is not None:
                links = [link for _, link in seen.links]
                for further in worth_following(links, self._order.names, seen.url, most=MOST_FOLLOWED):
                    await self.look(further)

    async def look(self, url: str) -> Seen | None:
        """Read one page. What is wrong with it becomes a trouble; a page that is not there is none."""
        self._gate.begin()
        try:
            self._allowed.check_url(url)
            seen = await self._unless_over(self._read(url))
        except Refused as why:
            self._tell(url, "host_not_allowed", str(why))
        except _Over:
            limit = f"{self._order.limit_bytes} bytes; VX11_HERMES_DISCOVER_LIMIT_BYTES is the limit"
            self._tell(url, "page_too_large", f"it has more than {limit}")
        except TimeoutError:
            self._tell(url, "page_late", f"it was not there within {self._order.page_seconds:g} seconds")
        except PlaywrightError as exc:
            self._tell(url, *_why(exc))
        else:
            if seen is not None:
                self.pages.append(seen)
            return seen
        return None

    async def _unless_over(self, reading: Coroutine[Any, Any, Seen | None]) -> Seen | None:
        """What `reading` returns. Raises TimeoutError, and _Over as soon as the page has had all its bytes: Chromium may wait for more."""
        work, over = asyncio.create_task(reading), asyncio.create_task(self._gate.over.wait())
        try:
            async with asyncio.timeout(self._order.page_seconds):
                await asyncio.wait((work, over), return_when=asyncio.FIRST_COMPLETED)
            if self._gate.over.is_set():
                raise _Over
            return await work
        finally:
            work.cancel()
            over.cancel()
            await asyncio.gather(work, over, return_exceptions=True)

    async def _read(self, url: str) -> Seen | None:
        page = await self._context.new_page()
        try:
            hops = [url]
            status = await self._open(page, url, hops)
            self._require_allowed(hops)
            if status >= 400:
                if status not in (404, 410):
                    self._tell(url, "page_refused", f"it answered {status}")
                return None
            with contextlib.suppress(PlaywrightError):  # a page that never rests is read as it is by then
                await page.wait_for_load_state("networkidle", timeout=QUIET_SECONDS * 1000)
            self._require_allowed([*hops, page.url])
            told: dict[str, Any] = await page.evaluate(READ)
            return Seen(url=page.url, **told)
        finally:
            await _close(page)

    async def _open(self, page: Page, url: str, hops: list[str]) -> int:
        """Load a page; the status of its answer. Where it leads, now and later, is added to `hops`."""
        statuses = [200]
        page.on("request", lambda asked: hops.append(asked.url) if _is_the_page(asked, page) else None)
        page.on("response", lambda told: statuses.append(told.status) if _is_the_page(told.request, page) else None)
        try:
            await page.goto(url, wait_until="domcontentloaded", timeout=0)
        except PlaywrightError as exc:
            self._require_allowed(hops)
            if "ERR_HTTP_RESPONSE_CODE_FAILURE" not in exc.message or statuses[-1] < 400:
                raise  # that is what Chromium says of an error without a body, such as a bare 404
        return statuses[-1]

    def _require_allowed(self, hops: list[str]) -> None:
        """Raises Refused for a page that led to where it may not, by a redirect, a script or a form."""
        for url in hops:
            if (why := self._gate.refusal(url)) is not None:
                raise why

    async def _decide(self, route: Route) -> None:
        """Top of each request of a page, before it goes anywhere; redirects of it are decided at the gate."""
        try:
            self._allowed.check_url(route.request.url)
        except Refused as why:
            self._gate.refuse(route.request.url, why)
            await route.abort("blockedbyclient")
            return
        if route.request.resource_type in NOT_LOADED:
            await route.abort("blockedbyclient")
        else:
            await route.continue_()

    def _tell(self, url: str, code: str, detail: str) -> None:
        self.troubles.append(Trouble(source=urlsplit(url).hostname or "page", code=code, detail=detail))


def _last_words(exc: PlaywrightError) -> str:
    """What the driver says of it, and the last lines that the browser wrote itself; its command line in between is long."""
    lines = exc.message.splitlines()
    written = [line.partition("[err]")[2].strip() for line in lines if "[err]" in line]
    return "; ".join([lines[0] if lines else type(exc).__name__, *(line[:300] for line in written[-3:])])


def _why(exc: PlaywrightError) -> tuple[str, str]:
    if "crash" in exc.message.lower():
        return "page_crashed", "the page made the browser crash"
    found = [word for word in exc.message.split() if word.startswith("net::")]
    return "page_unreachable", f"it cannot be read ({found[0] if found else 'the browser could not load it'})"


def _is_the_page(asked: Request, page: Page) -> bool:
    return asked.is_navigation_request() and asked.frame == page.main_frame


async def _close(page: Page) -> None:
    with contextlib.suppress(PlaywrightError, TimeoutError):  # a page that hangs goes with the browser
        async with asyncio.timeout(2.0):
            await page.close()


async def visit(order: Order) -> Report:
    """Look at all pages of the order."""
    allowed = Allowed(frozenset(order.public), frozenset(order.named))
    pages: list[Seen] = []
    troubles: list[Trouble] = []
    try:
        async with Gate(allowed, order.limit_bytes) as gate, async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=order.browser,
                chromium_sandbox=order.is_sandboxed,
                proxy={"server": gate.url},
                args=ARGUMENTS,
            )
            context = await browser.new_context(accept_downloads=False, service_workers="block", locale="en-US")
            work = Visit(order, allowed, gate, context)
            pages, troubles = work.pages, work.troubles
            await work.all()
            await browser.close()
    except PlaywrightError as exc:
        return Report(pages=pages, troubles=troubles, broken=_last_words(exc))
    return Report(pages=pages, troubles=troubles)


def main() -> int:
    order = Order.model_validate_json(sys.stdin.buffer.read())
    report = asyncio.run(_unless_alone(visit(order)))
    if report is None:
        return 1
    sys.stdout.write(report.model_dump_json())
    return 0


async def _unless_alone(visiting: Coroutine[Any, Any, Report]) -> Report | None:
    """The report; None as soon as whoever wants it is gone, killed in the middle: then the browser goes too."""
    parent, work = os.getppid(), asyncio.create_task(visiting)
    while not work.done() and os.getppid() == parent:
        await asyncio.wait((work,), timeout=LOOK_SECONDS)
    if not work.done():
        work.cancel()
        await asyncio.wait((work,), timeout=LOOK_SECONDS)
        return None
    return work.result()


if __name__ == "__main__":
    sys.exit(main())
