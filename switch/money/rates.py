"""What tokens of one model cost, as whole numbers, so that a call's cost is exact and takes a microsecond.

genai-prices works a price out in a tenth of a millisecond, from all it knows of units and how they overlap. But within one tier a price is
a sum of numbers of tokens times constants; so the constants are found once by asking genai-prices for the price of one token more of each
kind, and from then on only multiplied. A part of the input that has its own price (cached tokens) has here what it costs beyond what it
costs as input: less than nothing, mostly.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Final

from switch.calls import Needs, Price
from switch.money.usage import Usage

NANO: Final = 10**9
ATTO_PER_NANO: Final = 10**9
ATTO: Final = 10**18
MILLION: Final = 1_000_000

KINDS: Final = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cached_input_tokens": "cache_read_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "cache_write_1h_tokens": "cache_write_1h_tokens",
    "input_audio_tokens": "input_audio_tokens",
    "cached_audio_tokens": "cache_audio_read_tokens",
    "output_audio_tokens": "output_audio_tokens",
    "reasoning_tokens": "output_reasoning_tokens",
    "web_searches": "web_searches",
}
"""Numbers of a `Usage`, and what genai-prices calls them."""
SOME: Final = {
    "output_tokens": 1000,
    "cache_read_tokens": 300,
    "cache_write_tokens": 200,
    "cache_write_1h_tokens": 50,
    "input_audio_tokens": 100,
    "cache_audio_read_tokens": 30,
    "output_audio_tokens": 100,
    "output_reasoning_tokens": 100,
    "web_searches": 10,
}
"""A usage in which one more of anything fits; it has this many tokens of input beyond those of its parts at least."""
SOME_INPUT: Final = 1000


@dataclass(frozen=True, slots=True)
class Row:
    """Attodollars (10^-18) for one of each; `request` for the call as such."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    input_audio_tokens: int = 0
    cached_audio_tokens: int = 0
    output_audio_tokens: int = 0
    reasoning_tokens: int = 0
    web_searches: int = 0
    request: int = 0


@dataclass(frozen=True, slots=True)
class Rates:
    """A row for every tier: the number of input tokens above which it holds, the highest first. The last one holds above -1."""

    tiers: tuple[tuple[int, Row], ...]

    def nanousd(self, usage: Usage) -> int:
        """What the usage costs, to the nearest billionth of a dollar."""
        row = self._row(usage.input_tokens)
        attousd = (
            row.request
            + row.input_tokens * usage.input_tokens
            + row.output_tokens * usage.output_tokens
            + row.cached_input_tokens * usage.cached_input_tokens
            + row.cache_write_tokens * usage.cache_write_tokens
            + row.cache_write_1h_tokens * usage.cache_write_1h_tokens
            + row.input_audio_tokens * usage.input_audio_tokens
            + row.cached_audio_tokens * usage.cached_audio_tokens
            + row.output_audio_tokens * usage.output_audio_tokens
            + row.reasoning_tokens * usage.reasoning_tokens
            + row.web_searches * usage.web_searches
        )
        return (attousd + ATTO_PER_NANO // 2) // ATTO_PER_NANO

    def most_nanousd(self, input_tokens: int, output_tokens: int, *, is_audio: bool) -> int:
        """The most that so many tokens can cost, whatever they turn out to be. Rounded up."""
        row = self._row(input_tokens)
        dearer = max(0, row.cache_write_tokens, row.cache_write_tokens + row.cache_write_1h_tokens)
        read, written = row.input_tokens + dearer, row.output_tokens + max(0, row.reasoning_tokens)
        if is_audio:
            read = max(read, row.input_tokens + row.input_audio_tokens)
            written = max(written, row.output_tokens + row.output_audio_tokens)
        return -(-(row.request + read * input_tokens + written * output_tokens) // ATTO_PER_NANO)

    @property
    def price(self) -> Price:
        """In the first tier."""
        row = self.tiers[-1][1]
        per_million = ATTO // MILLION
        return Price(
            input=row.input_tokens / per_million,
            output=row.output_tokens / per_million,
            cached_input=(row.input_tokens + row.cached_input_tokens) / per_million,
        )

    def _row(self, input_tokens: int) -> Row:
        if len(self.tiers) > 1:
            for above, row in self.tiers:
                if input_tokens > above:
                    return row
        return self.tiers[-1][1]


def flat(read: float, written: float, *, cached: float | None = None, kept: float | None = None) -> Rates:
    """Rates out of dollars for a million tokens: of input, of output, of input that was cached, of input that is written to the cache.
    What is not given costs what other input costs."""
    usual = _atto(read)
    row = Row(
        input_tokens=usual,
        output_tokens=_atto(written),
        cached_input_tokens=0 if cached is None else _atto(cached) - usual,
        cache_write_tokens=0 if kept is None else _atto(kept) - usual,
    )
    return Rates(((-1, row),))


def probed(price_of: Callable[[dict[str, int]], Decimal], starts: list[int]) -> Rates:
    """Rates out of a function that prices a usage in dollars (by the names of genai-prices), linear between the `starts` of its tiers.

    Raises ValueError for a tier that is too narrow to be looked at.
    """
    tiers = list[tuple[int, Row]]()
    bounds = [-1, *sorted(set(starts))]
    for above, until in zip(bounds, [*bounds[1:], None], strict=True):
        some = SOME | {"input_tokens": max(above + 1, SOME_INPUT)}
        if until is not None and some["input_tokens"] >= until:
            raise ValueError(f"no tokens fit between {above} and {until}")
        whole = price_of(some)
        each = {name: price_of(some | {theirs: some[theirs] + 1}) - whole for name, theirs in KINDS.items()}
        rest = whole - sum((each[name] * some[theirs] for name, theirs in KINDS.items()), Decimal(0))
        tiers.append((above, Row(**{name: _whole(usd * ATTO) for name, usd in (each | {"request": rest}).items()})))
    return Rates(tuple(reversed(tiers)))


def most_read(needs: Needs) -> int:
    """Tokens of input that a call uses at most, as far as can be told: the estimate, which may be wrong by a quarter."""
    return needs.input_tokens + needs.input_tokens // 4 + 16


def _atto(usd_per_million: float) -> int:
    return _whole(Decimal(repr(usd_per_million)) * (ATTO // MILLION))


def _whole(value: Decimal) -> int:
    return int(value.to_integral_value())


assert set(KINDS) == {one.name for one in fields(Row)} - {"request"} <= set(Usage._fields)
