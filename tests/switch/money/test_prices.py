"""What calls cost: to the billionth of a dollar what genai-prices says, the settings before it and the catalogue after it."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from genai_prices import Usage as Theirs
from genai_prices import calc_price
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given, settings
from hypothesis import strategies as st

from switch.calls import Price
from switch.money.pricing import ByBook, Prices
from switch.money.rates import KINDS, flat
from switch.money.usage import Usage
from tests.switch.money.conftest import NOON, choice


@pytest.fixture
async def prices(settings_of) -> Prices:
    found = Prices(
        settings_of(
            switch_prices={"openai/gpt-4o-mini": {"input": 7.0, "output": 9.0}},
            providers={
                "mine": {"base_url": "https://api.anthropic.com/v1"},
                "mock": {"base_url": "http://127.0.0.1:9/v1"},
            },
        )
    )
    await found.load()
    return found


def theirs(usage: Usage) -> Theirs:
    return Theirs(**{name: getattr(usage, ours) for ours, name in KINDS.items()})


@st.composite
def usages(draw) -> Usage:
    read = draw(st.sampled_from([0, 1, 999, 32_001, 127_999, 128_000, 128_001, 200_000, 200_001, 272_001]))
    written = draw(st.integers(0, 70_000))
    cached = draw(st.integers(0, read))
    kept = draw(st.integers(0, read - cached))
    return Usage(
        input_tokens=read,
        output_tokens=written,
        cached_input_tokens=cached,
        cache_write_tokens=kept,
        cache_write_1h_tokens=draw(st.integers(0, kept)),
        input_audio_tokens=draw(st.integers(0, read - cached - kept)),
        output_audio_tokens=draw(st.integers(0, written // 2)),
        reasoning_tokens=draw(st.integers(0, written // 2)),
        web_searches=draw(st.integers(0, 3)),
    )


MODELS = [
    (provider, model)
    for provider in get_snapshot().providers
    for model in provider.models
    if {"input_mtok", "output_mtok"} & {kind for kind, usd in vars(model.get_prices(NOON)).items() if usd is not None}
]
models = st.integers(0, len(MODELS) - 1).map(MODELS.__getitem__)


@settings(max_examples=80, deadline=None)
@given(models, usages())
def test_every_price_is_exactly_that_of_genai_prices(listed, usage):
    provider, model = listed
    expected = model.calc_price(theirs(usage), provider, genai_request_timestamp=NOON).total_price
    found = ByBook(model, is_its_own=True).rates(NOON).nanousd(usage)
    assert abs(found - expected * 10**9) <= Decimal("0.5")


@settings(max_examples=40, deadline=None)
@given(models, usages())
def test_nothing_costs_more_than_the_most(listed, usage):
    rates = ByBook(listed[1], is_its_own=True).rates(NOON)
    searched = rates.nanousd(Usage(web_searches=usage.web_searches)) - rates.nanousd(Usage())
    most = rates.most_nanousd(usage.input_tokens, usage.output_tokens, is_audio=True)
    assert rates.nanousd(usage) - searched <= most + 1


@pytest.mark.parametrize(
    ("provider", "model", "usage"),
    [
        ("openai", "gpt-4o", Usage(1_000_000, 1_000_000, 400_000)),
        ("anthropic", "claude-sonnet-4-5", Usage(150_000, 5_000, 100_000, 20_000, 5_000)),
        ("anthropic", "claude-sonnet-4-5", Usage(250_000, 5_000, 100_000, 20_000)),
        ("google", "gemini-2.5-pro", Usage(200_001, 100)),
        ("mistral", "mistral-large-latest", Usage(123, 45)),
    ],
)
async def test_a_choice_costs_what_its_provider_takes(prices, provider, model, usage):
    priced = prices.of(choice(provider, model))
    expected = calc_price(theirs(usage), model, provider_id=provider, genai_request_timestamp=NOON).total_price
    assert priced.rates(NOON).nanousd(usage) == expected * 10**9


async def test_a_price_that_depends_on_the_hour_is_that_of_the_call(prices):
    priced, usage = prices.of(choice("deepseek", "deepseek-chat")), Usage(1_000_000, 1_000_000)
    at = [datetime(2025, 3, 1, hour, tzinfo=UTC) for hour in (12, 20)]
    expected = [
        calc_price(theirs(usage), "deepseek-chat", provider_id="deepseek", genai_request_timestamp=when).total_price
        for when in at
    ]
    assert expected[0] != expected[1]
    assert [priced.rates(when).nanousd(usage) for when in at] == [usd * 10**9 for usd in expected]


async def test_a_tier_of_service_has_its_own_price(prices):
    from genai_prices.types import ModelInfo

    def has_flex(model: ModelInfo) -> bool:
        return any(one.when == {"service_tier": "flex"} for one in model.price_variants or ())

    provider = next(one for one in get_snapshot().providers if one.id == "openai")
    model = next(one for one in provider.models if has_flex(one))
    priced, usage = prices.of(choice("openai", model.id)), Usage(1_000_000, 1_000_000)
    expected = model.calc_price(theirs(usage), provider, price_context={"service_tier": "flex"}).total_price
    assert priced.rates(datetime.now(UTC), "flex").nanousd(usage) == expected * 10**9
    assert priced.rates(datetime.now(UTC), "no-such-tier") == priced.rates(datetime.now(UTC))
    assert priced.rates(datetime.now(UTC), "flex") != priced.rates(datetime.now(UTC))


async def test_the_settings_come_before_everything(prices):
    assert prices.price(choice("openai", "gpt-4o-mini", price=Price(1.0, 1.0))) == Price(7.0, 9.0, 7.0)


async def test_a_provider_is_known_by_its_address_whatever_it_is_called(prices):
    assert prices.price(choice("mine", "claude-sonnet-4-5")) == Price(3.0, 15.0, 0.3)


async def test_the_catalogue_is_asked_last(prices):
    assert prices.price(choice("mock", "gpt", price=Price(0.2, 0.4, 0.1))) == Price(0.2, 0.4, 0.1)
    assert prices.price(choice("openai", "gpt-4o", price=Price(0.2, 0.4))) == Price(2.5, 10.0, 1.25)


async def test_what_nobody_knows_has_no_price(prices):
    assert prices.price(choice("mock", "gpt")) is None
    assert prices.price(choice("openai", "whisper-1")) is None


async def test_before_it_is_loaded_settings_and_catalogue_are_known(settings_of):
    prices = Prices(settings_of(switch_prices={"a/b": {"input": 1.0, "output": 2.0}}))
    assert prices.price(choice("a", "b")) == Price(1.0, 2.0, 1.0)
    assert prices.price(choice("openai", "gpt-4o", price=Price(0.2, 0.4))) == Price(0.2, 0.4, 0.2)
    assert prices.price(choice("openai", "gpt-4o")) is None
    await prices.load()
    assert prices.price(choice("openai", "gpt-4o")) == Price(2.5, 10.0, 1.25)


def test_prices_of_the_settings_keep_every_digit():
    assert flat(0.0375, 0.123456789).nanousd(Usage(1_000_000, 1_000_000)) == 37_500_000 + 123_456_789
    assert flat(1.0, 0.0, cached=0.1, kept=1.25).nanousd(Usage(1_000, 0, 400, 100)) == 500_000 + 40_000 + 125_000
