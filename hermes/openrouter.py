"""OpenRouter's catalogue of models that run elsewhere, with their prices. Kept for some minutes: it is one large answer."""

import asyncio
import json
import math
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import structlog

from config.contracts.hermes_db import LARGEST_INTEGER
from config.settings import MIB
from config.tls import trusted
from hermes.errors import CatalogueUnavailable
from hermes.settings import HermesSettings

PATH = "/api/v1/models"
CACHE_SECONDS = 600.0
LARGEST_ANSWER_BYTES = 32 * MIB
MOST_PAGES, MOST_MODELS = 50, 20_000

log = structlog.get_logger()


@dataclass(frozen=True)
class CatalogueModel:
    """A model of the catalogue. Prices are in USD per token; None where they vary or are not told."""

    model_id: str
    name: str
    description: str
    created_at: datetime | None
    context_length: int | None
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    supports: tuple[str, ...]
    price_prompt: float | None
    price_completion: float | None


class OpenRouter:
    """Asks for the catalogue. Raises CatalogueUnavailable."""

    def __init__(self, settings: HermesSettings) -> None:
        self._url = settings.hermes_openrouter_url.rstrip("/")
        self._seconds = settings.hermes_hub_timeout.total_seconds()
        self._lock = asyncio.Lock()
        self._kept: tuple[float, list[CatalogueModel]] | None = None

    async def models(self) -> list[CatalogueModel]:
        """All models of the catalogue, of now or of some minutes ago."""
        async with self._lock:  # who comes second finds what the first one read
            if self._kept is None or time.monotonic() - self._kept[0] > CACHE_SECONDS:
                self._kept = (time.monotonic(), await self._read())
            return self._kept[1]

    async def _read(self) -> list[CatalogueModel]:
        try:
            async with asyncio.timeout(self._seconds), await asyncio.to_thread(self._client) as http:
                rows = await self._rows(http)
        except TimeoutError:
            raise self._unavailable(f"did not answer within {self._seconds:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise self._unavailable(f"cannot be reached ({type(exc).__name__})") from exc
        found = [model for row in rows if (model := read_row(row)) is not None]
        if rows and not found:
            raise self._unavailable("answers what is no catalogue")
        return found

    def _client(self) -> httpx.AsyncClient:
        """In a thread: the first one reads all certificates."""
        return httpx.AsyncClient(timeout=self._seconds, verify=trusted())

    async def _rows(self, http: httpx.AsyncClient) -> list[Any]:
        rows: list[Any] = []
        page: str | None = self._url + PATH
        asked: set[str] = set()
        while page is not None and page not in asked and len(asked) < MOST_PAGES and len(rows) < MOST_MODELS:
            asked.add(page)
            body = await self._page(http, page)
            rows += body["data"]
            page = self._next(page, body)
        return rows

    async def _page(self, http: httpx.AsyncClient, url: str) -> dict[str, Any]:
        content = bytearray()
        async with http.stream("GET", url) as answer:
            if answer.status_code != 200:
                later = answer.headers.get("retry-after")
                wait = f"; it asks to wait {later} s" if answer.status_code == 429 and str(later).isdecimal() else ""
                raise self._unavailable(f"answers {answer.status_code}{wait}")
            async for piece in answer.aiter_bytes():
                content += piece
                if len(content) > LARGEST_ANSWER_BYTES:
                    raise self._unavailable("sends more than a catalogue can hold")
        try:
            body = await asyncio.to_thread(json.loads, content)
        except (ValueError, RecursionError) as exc:
            raise self._unavailable("answers what is not JSON") from exc
        if not isinstance(body, dict) or not isinstance(body.get("data"), list):
            raise self._unavailable("answers what is no catalogue")
        return body

    def _next(self, page: str, body: dict[str, Any]) -> str | None:
        """The next page, on the same host: another one is not asked."""
        links = body.get("links")
        following = links.get("next") if isinstance(links, dict) else None
        if not isinstance(following, str) or not following:
            return None
        try:
            url = urljoin(page, following)
            is_here = urlsplit(url)[:2] == urlsplit(self._url)[:2]
        except ValueError:  # what urllib takes for no address
            is_here = False
        if not is_here:
            log.warning("catalogue_leads_away", to=following[:200])
            return None
        return url

    def _unavailable(self, what: str) -> CatalogueUnavailable:
        return CatalogueUnavailable(f"{self._url} {what}; VX11_HERMES_OPENROUTER_URL says where the catalogue is")


def read_row(row: Any) -> CatalogueModel | None:
    """A model of the catalogue; None for what is none. A field that cannot be what it should be is as if it were not there."""
    if not isinstance(row, dict) or not _is_text(row.get("id"), 300):
        return None
    architecture = _dict(row.get("architecture"))
    pricing = _dict(row.get("pricing"))
    return CatalogueModel(
        model_id=row["id"],
        name=row["name"] if _is_text(row.get("name"), 300) else row["id"],
        description=row["description"][:4000] if isinstance(row.get("description"), str) else "",
        created_at=_instant(row.get("created")),
        context_length=_count(row.get("context_length"))
        or _count(_dict(row.get("top_provider")).get("context_length")),
        inputs=_words(architecture.get("input_modalities")),
        outputs=_words(architecture.get("output_modalities")),
        supports=_words(row.get("supported_parameters")),
        price_prompt=price(pricing.get("prompt")),
        price_completion=price(pricing.get("completion")),
    )


def price(text: Any) -> float | None:
    """USD per token out of the catalogue's text. Negative is its way to say that it varies."""
    if not isinstance(text, str | int | float) or isinstance(text, bool):
        return None
    try:
        value = float(text)
    except (ValueError, OverflowError):
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_text(value: Any, longest: int) -> bool:
    return isinstance(value, str) and 0 < len(value) <= longest and value.isprintable()


def _words(value: Any) -> tuple[str, ...]:
    return tuple(one for one in value if _is_text(one, 100))[:64] if isinstance(value, list) else ()


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= LARGEST_INTEGER else None


def _instant(value: Any) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 7e9:
        return None
    return datetime.fromtimestamp(value, UTC)
