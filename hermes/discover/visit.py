"""A process of its own that looks at pages with a real browser: `python -m hermes.discover.visit`, an Order on stdin, a Report on stdout.

What goes wrong in a browser, its driver or a page ends here, and all its memory with it. It reads text; it clicks on nothing, runs no
command and keeps no file.
"""

import asyncio
import contextlib
import sys
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, Page, Route, async_playwright
from playwright.async_api import Error as PlaywrightError

from hermes.discover.allowed import Allowed, Refused
from hermes.discover.extract import worth_following
from hermes.discover.gate import Gate
from hermes.discover.report import MOST_FOLLOWED, Order, Report, Seen, Trouble

QUIET_SECONDS = 5.0
"""How long a page may go on loading what its scripts ask for."""
NOT_LOADED = ("image", "media", "font")
ARGUMENTS = [
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--dns-prefetch-disable",
    "--no-pings",
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
            async with asyncio.timeout(self._order.page_seconds):
                seen = await self._read(url)
        except Refused as why:
            self._tell(url, "host_not_allowed", f"{why}; VX11_HERMES_DISCOVER_HOSTS can name it")
        except TimeoutError:
            self._tell(url, "page_late", f"it was not there within {self._order.page_seconds:g} seconds")
        except PlaywrightError as exc:
            self._tell(url, *self._why(exc))
        else:
            if seen is not None:
                self.pages.append(seen)
            return seen
        return None

    async def _read(self, url: str) -> Seen | None:
        page = await self._context.new_page()
        try:
            response = await page.goto(url, wait_until="domcontentloaded", timeout=0)
            self._allowed.check_url(page.url)  # where redirects led
            if self._gate.is_over:
                raise PlaywrightError("cut off")
            if response is not None and response.status >= 400:
                if response.status not in (404, 410):
                    self._tell(url, "page_refused", f"it answered {response.status}")
                return None
            with contextlib.suppress(PlaywrightError):  # a page that never rests is read as it is by then
                await page.wait_for_load_state("networkidle", timeout=QUIET_SECONDS * 1000)
            self._allowed.check_url(page.url)
            told: dict[str, Any] = await page.evaluate(READ)
            if self._gate.is_over:
                self._tell(url, *self._too_large())
            return Seen(url=page.url, **told)
        finally:
            await _close(page)

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

    def _why(self, exc: PlaywrightError) -> tuple[str, str]:
        if self._gate.is_over:
            return self._too_large()
        if "ERR_TUNNEL_CONNECTION_FAILED" in exc.message and self._gate.refused:
            return "host_not_allowed", "; ".join(self._gate.refused.values())
        found = [word for word in exc.message.split() if word.startswith("net::")]
        if "crash" in exc.message.lower():
            return "page_crashed", "the page made the browser crash"
        return "page_unreachable", f"it cannot be read ({found[0] if found else 'the browser could not load it'})"

    def _too_large(self) -> tuple[str, str]:
        limit = self._order.limit_bytes
        return "page_too_large", f"it has more than {limit} bytes; VX11_HERMES_DISCOVER_LIMIT_BYTES is the limit"

    def _tell(self, url: str, code: str, detail: str) -> None:
        self.troubles.append(Trouble(source=urlsplit(url).hostname or "page", code=code, detail=detail))


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
        said = [line.strip() for line in exc.message.splitlines() if line.strip()]
        return Report(pages=pages, troubles=troubles, broken=" ".join(said[:3])[:500])
    return Report(pages=pages, troubles=troubles)


def main() -> int:
    order = Order.model_validate_json(sys.stdin.buffer.read())
    report = asyncio.run(visit(order))
    sys.stdout.write(report.model_dump_json())
    return 0


if __name__ == "__main__":
    sys.exit(main())
