from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest
from genai_prices import Usage as TheirUsage
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelPrice

from analytics.prices import FREE, Prices
from routing.call import Usage

NOW = dt.datetime(2026, 3, 4, 18, 30, tzinfo=dt.UTC)
NOW_US = int(NOW.timestamp()) * 1_000_000
EVERY_CLASS = Usage(1000, 300, 50, 40, 700, 90, 20)

MODELS = [(provider, model) for provider in get_snapshot().providers for model in provider.models]


def theirs(usage: Usage) -> TheirUsage:
    """The same usage in genai-prices' words, where a class contains its parts."""
    return TheirUsage(
        input_tokens=usage.prompt_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        input_audio_tokens=usage.audio_input_tokens,
        output_tokens=usage.completion_tokens,
        output_reasoning_tokens=usage.reasoning_tokens,
        output_audio_tokens=usage.audio_output_tokens,
        # Our classes are disjoint: nothing is both cached and audio. It wants to be told.
        cache_audio_read_tokens=0,
        cache_audio_write_tokens=0,
        output_audio_reasoning_tokens=0,
    )


@pytest.mark.parametrize("moment", [NOW, NOW.replace(hour=3), dt.datetime(2024, 1, 1, tzinfo=dt.UTC)])
@pytest.mark.parametrize("factor", [1, 500])
def test_it_agrees_with_genai_prices_on_every_model(moment, factor):
    usage = Usage(*(value * factor for value in (1000, 300, 50, 40, 700, 90, 20)))
    prices, compared = Prices(), 0
    for provider, model in MODELS:
        entry = prices._remember((provider.id, model.id))
        if entry is None or entry._model is not model:
            continue  # the id is also matched by an earlier model, which is the one that calls get
        ours = entry.at(int(moment.timestamp()) * 1_000_000).cost(usage)
        if ours is None:
            continue
        expected = model.calc_price(theirs(usage), provider, genai_request_timestamp=moment).total_price
        assert ours == pytest.approx(expected, abs=Decimal("1e-15")), (provider.id, model.id)
        compared += 1
    assert compared > 1000


def test_every_model_with_token_prices_gets_a_cost():
    prices, usage = Prices(), Usage(input_tokens=10, output_tokens=10)
    for provider, model in MODELS:
        listed = [model.prices] if isinstance(model.prices, ModelPrice) else [row.prices for row in model.prices]
        reachable = provider.find_model(model.id) is model
        if reachable and all(price.input_mtok is not None and price.output_mtok is not None for price in listed):
            assert prices.cost(provider.id, model.id, usage, NOW_US) is not None


def test_a_known_price():
    # gpt-4o: $2.50 a million of input, $1.25 cached, $10 output (openai.com/api/pricing, 2025).
    usage = Usage(input_tokens=1_000_000, cache_read_tokens=1_000_000, output_tokens=100_000, reasoning_tokens=100_000)
    assert Prices().cost("openai", "gpt-4o-2024-08-06", usage, NOW_US) == Decimal("5.75")


def test_the_tier_is_chosen_by_the_whole_prompt():
    prices = Prices()
    below = prices.cost("google", "gemini-2.5-pro", Usage(input_tokens=150_000, cache_read_tokens=50_000), NOW_US)
    above = prices.cost("google", "gemini-2.5-pro", Usage(input_tokens=150_000, cache_read_tokens=50_001), NOW_US)
    assert below is not None
    assert above is not None
    assert above > below * Decimal("1.9")


@pytest.mark.parametrize(
    ("provider", "model"), [("openai", "no-such-model"), ("no-such-vendor", "gpt-4o"), ("openai", "x" * 100_000)]
)
def test_an_unknown_model_has_no_cost(provider, model):
    assert Prices().cost(provider, model, EVERY_CLASS, NOW_US) is None


def test_tokens_of_a_class_without_a_price_make_the_cost_unknown():
    # An embedding model has a price for its input only.
    prices = Prices()
    assert prices.cost("openai", "text-embedding-3-small", Usage(input_tokens=5), NOW_US) is not None
    assert prices.cost("openai", "whisper-1", Usage(input_tokens=5), NOW_US) is None


def test_the_mock_provider_is_free():
    assert Prices().cost(FREE, "anything", EVERY_CLASS, NOW_US) == 0


def test_a_model_that_says_free_is_free():
    assert Prices().cost("openrouter", "deepseek/deepseek-r1:free", EVERY_CLASS, NOW_US) == 0


def test_off_peak_prices_change_with_the_hour():
    timed = [
        (provider, model)
        for provider, model in MODELS
        if not isinstance(model.prices, ModelPrice)
        and any("TimeOfDate" in type(row.constraint).__name__ for row in model.prices)
    ]
    provider, model = timed[0]
    entry = Prices()._remember((provider.id, model.id))
    assert entry is not None
    start = int(dt.datetime(2025, 6, 1, tzinfo=dt.UTC).timestamp()) * 1_000_000
    costs = {entry.at(start + hour * 3_600_000_000).cost(Usage(input_tokens=1000, output_tokens=1000)) for hour in range(24)}
    assert len(costs) == 2


def test_names_from_callers_do_not_grow_the_table_without_end():
    prices = Prices()
    for number in range(5000):
        prices.cost("openai", f"made-up-{number}", EVERY_CLASS, NOW_US)
    assert len(prices._entries) <= 4096
