"""Which price a model has: the one in the settings, else genai-prices', else the catalogue's.

genai-prices takes 0.4 s and 25 MB to import, so it is done in a thread when the first call that may cost money is made. Its prices are
those of the release that is installed; nothing is fetched. A price may hold from a day on, or at some hours only: which one holds is asked
for each call, and what it means is worked out once (`rates.py`).
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from config.clock import utc_now
from switch.calls import Choice, Price
from switch.money.rates import Rates, flat, probed
from switch.providers import catalogue
from switch.settings import SwitchSettings

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice

MOST_KNOWN = 10_000
"""Models whose price is kept in memory; names beyond that are looked up again."""
PER_TOKEN = frozenset({"input_mtok", "output_mtok"})

log = structlog.get_logger()


class Priced(Protocol):
    """A model whose price is known."""

    def rates(self, at: datetime, service_tier: str = "") -> Rates:
        """What its tokens cost in a call that was made then, in that tier of the provider's."""


class Prices:
    """`load` once, then ask for the price `of` a choice. Before that only the settings and the catalogue are known."""

    def __init__(self, settings: SwitchSettings) -> None:
        self._given: Mapping[str, Priced] = {
            name: Always(flat(usd["input"], usd["output"], cached=usd.get("cached_input"), kept=usd.get("cache_write")))
            for name, usd in settings.switch_prices.items()
        }
        self._addresses = {
            name: provider.base_url for name, provider in settings.providers.items() if provider.base_url
        }
        self._known: dict[tuple[str, str], Priced | None] = {}
        self._of_price: dict[Price, Priced] = {}
        self._book: _Book | None = None
        self._loading: asyncio.Task[_Book] | None = None

    @property
    def is_loaded(self) -> bool:
        return self._book is not None

    async def load(self) -> None:
        """Make genai-prices known. Raises ImportError."""
        if self._book is None:
            self._loading = self._loading or asyncio.create_task(asyncio.to_thread(_Book))
            try:
                self._book = await asyncio.shield(self._loading)
            except ImportError:
                self._loading = None
                raise

    def of(self, choice: Choice) -> Priced | None:
        name = (choice.backend.name, choice.model)
        try:
            found = self._known[name]
        except KeyError:
            found = self._look_up(choice)
        if found is None and choice.facts.price is not None:
            return self._of_catalogue(choice.facts.price)
        return found

    def price(self, choice: Choice) -> Price | None:
        """US dollars for a million tokens, now."""
        found = self.of(choice)
        return None if found is None else found.rates(utc_now()).price

    def _look_up(self, choice: Choice) -> Priced | None:
        provider, model = choice.backend.name, choice.model
        found = self._given.get(f"{provider}/{model}")
        if self._book is None:
            return found
        if found is None:
            found = self._book.find(provider, self._address_of(provider), model)
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known[provider, model] = found
        return found

    def _address_of(self, provider: str) -> str:
        entry = catalogue.entries().get(provider)
        return self._addresses.get(provider, "" if entry is None else entry.base_url)

    def _of_catalogue(self, price: Price) -> Priced:
        found = self._of_price.get(price)
        if found is None:
            if len(self._of_price) >= MOST_KNOWN:
                self._of_price.clear()
            found = self._of_price[price] = Always(flat(price.input, price.output, cached=price.cached_input))
        return found


class Always:
    """The same rates at any time."""

    def __init__(self, rates: Rates) -> None:
        self._rates = rates

    def rates(self, at: datetime, service_tier: str = "") -> Rates:
        return self._rates


class _Book:
    """genai-prices, imported."""

    def __init__(self) -> None:
        from genai_prices.data_snapshot import get_snapshot

        self._snapshot = get_snapshot()
        catalogue.entries()

    def find(self, provider: str, address: str, model: str) -> Priced | None:
        """The price of a model of whoever is at that address, or else has that name; None where it is not known, or not by tokens."""
        for place in ({"provider_api_url": address}, {"provider_id": provider}):
            if not all(place.values()):
                continue
            asked: Any = {"provider_api_url": None, "provider_id": None} | place
            try:
                owner, found = self._snapshot.find_provider_model(model, None, **asked)
                by_book = ByBook(found, is_its_own=any(found is one for one in owner.models))
                by_book.rates(utc_now())
            except LookupError:
                continue
            except ValueError as exc:
                log.warning("price_not_understood", provider=provider, model=model, error=str(exc))
                continue
            return by_book
        return None


class ByBook:
    """A model of genai-prices."""

    def __init__(self, model: "ModelInfo", *, is_its_own: bool) -> None:
        self._model = model
        self._tiers = frozenset(
            variant.when["service_tier"]
            for variant in (model.price_variants or () if is_its_own else ())
            if set(variant.when) == {"service_tier"}
        )
        self._rates: dict[tuple[int, str], Rates] = {}

    def rates(self, at: datetime, service_tier: str = "") -> Rates:
        """Raises ValueError for a price that is not one of tokens."""
        if service_tier not in self._tiers:
            service_tier = ""
        standard = self._model.get_prices(at)
        found = self._rates.get((id(standard), service_tier))  # a model has a handful of them, for as long as it lives
        if found is None:
            price = self._model.get_prices(at, {"service_tier": service_tier}) if service_tier else standard
            found = self._rates[id(standard), service_tier] = _rates(price)
        return found


def _rates(price: "ModelPrice") -> Rates:
    from genai_prices import Usage as Theirs
    from genai_prices.types import TieredPrices

    prices = {kind: value for kind, value in vars(price).items() if value is not None}
    if not prices.keys() & PER_TOKEN:
        raise LookupError("this model has no price for tokens")
    starts = [tier.start for value in prices.values() if isinstance(value, TieredPrices) for tier in value.tiers]
    return probed(lambda usage: price.calc_price(Theirs(**usage))["total_price"], starts)
