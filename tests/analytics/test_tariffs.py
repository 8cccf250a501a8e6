"""A workspace's own prices, and the one function that every cost comes from."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from analytics.prices import Prices
from analytics.tariffs import Tariff, compile_tariff, in_order
from routing.call import Media, Usage
from routing.providers import table

OPENAI = table.PROVIDERS["openai"]
NOW_US = 1_770_000_000_000_000
TOKENS = Usage(input_tokens=1000, output_tokens=200)


def tariff(model: str = "*", provider: str = "*", discount: str = "0", **more: Any) -> Tariff:
    times = {name: more.pop(name) for name in ("starts_us", "ends_us") if name in more}
    return compile_tariff(provider=provider, model=model, prices=more, discount_percent=Decimal(discount), **times)


def cost(*tariffs: Tariff, usage: Usage = TOKENS, names: tuple[str, ...] = ("gpt-4o",), at_us: int = NOW_US) -> Decimal | None:
    return Prices().call_cost(OPENAI, names, usage, at_us, in_order(tariffs))


def test_without_a_tariff_the_list_decides() -> None:
    assert cost() == Prices().cost("openai", "gpt-4o", TOKENS, NOW_US) == Decimal("0.0045")


def test_a_tariff_stands_in_place_of_the_list() -> None:
    assert cost(tariff(input="1", output="10")) == Decimal("0.003")


def test_a_discount_is_taken_off_the_list() -> None:
    assert cost(tariff(discount="15")) == Decimal("0.003825")


def test_a_discount_is_taken_off_own_prices_too() -> None:
    assert cost(tariff(discount="50", input="1", output="10")) == Decimal("0.0015")


def test_a_discount_of_all_makes_a_call_free() -> None:
    assert cost(tariff(discount="100")) == 0


def test_a_discount_on_a_model_that_the_list_does_not_know_gives_no_price() -> None:
    assert cost(tariff(discount="15"), names=("in-house",)) is None


def test_every_class_has_a_price_of_its_own() -> None:
    usage = Usage(1_000_000, 1_000_000, 1_000_000, 1_000_000, 1_000_000, 1_000_000, 1_000_000)
    own = tariff(input="1", cache_read="2", cache_write="4", audio_input="8", output="16", reasoning="32", audio_output="64")
    assert cost(own, usage=usage) == 127


def test_a_class_without_one_costs_what_its_kind_does() -> None:
    usage = Usage(cache_read_tokens=1_000_000, reasoning_tokens=1_000_000)
    assert cost(tariff(input="3", output="5"), usage=usage) == 8
    assert cost(tariff(input="3", cache_read="0", output="5"), usage=usage) == 5


def test_a_class_without_any_price_leaves_the_call_unpriced() -> None:
    assert cost(tariff(input="3")) is None


def test_prices_rise_with_the_length_of_the_prompt_past_each_threshold() -> None:
    own = tariff(input={"base": "1", "tiers": [{"above": 200_000, "price": "2"}, {"above": 500_000, "price": "4"}]}, output="0")
    costs = [cost(own, usage=Usage(input_tokens=tokens)) for tokens in (200_000, 200_001, 1_000_000)]
    assert costs == [Decimal("0.2"), Decimal("0.400002"), Decimal(4)]


def test_the_tier_is_that_of_the_whole_prompt() -> None:
    own = tariff(input={"base": "1", "tiers": [{"above": 100, "price": "2"}]}, cache_read="0", output="0")
    assert cost(own, usage=Usage(input_tokens=60, cache_read_tokens=60)) == Decimal("0.00012")


def test_a_request_can_cost_something_by_itself() -> None:
    assert cost(tariff(request="0.01")) == Decimal("0.01")
    assert cost(tariff(request="0.01", input="1", output="0")) == Decimal("0.011")


def test_images_cost_by_size_and_quality() -> None:
    rows = [
        {"size": "1024x1024", "quality": "hd", "price": "0.08"},
        {"size": "1024x1024", "price": "0.04"},
        {"size": "512x512", "price": "0.018"},
    ]
    own = tariff(image=rows)
    costs = [
        cost(own, usage=Usage(media=Media(images=3, size=size, quality=quality)))
        for size, quality in (("1024x1024", "hd"), ("1024x1024", "standard"), ("512x512", "hd"), ("2048x2048", "hd"))
    ]
    assert costs == [Decimal("0.24"), Decimal("0.12"), Decimal("0.054"), None]


def test_audio_costs_by_the_minute_or_by_its_tokens() -> None:
    by_minute = tariff(audio_minute="0.006")
    assert cost(by_minute, usage=Usage(media=Media(seconds=Decimal("90.5")))) == Decimal("0.00905")
    by_token = tariff(audio_input="6", output="0")
    assert cost(by_token, usage=Usage(audio_input_tokens=500, media=Media())) == Decimal("0.003")


def test_audio_of_unknown_length_is_not_free() -> None:
    assert cost(tariff(audio_minute="0.006"), usage=Usage(media=Media())) is None


def test_spoken_text_costs_by_the_character() -> None:
    assert cost(tariff(characters="15"), usage=Usage(media=Media(characters=2000))) == Decimal("0.03")


def test_what_a_tariff_says_nothing_of_is_unpriced_and_not_free() -> None:
    assert cost(tariff(image="0.04")) is None
    assert cost(tariff(input="1", output="1"), usage=Usage(media=Media(characters=10))) is None


def test_the_most_exact_tariff_wins() -> None:
    prices = {"input": "0", "output": "0"}
    tariffs = [
        tariff(request="1", **prices),
        tariff("gpt-*", request="2", **prices),
        tariff("gpt-4*", request="3", **prices),
        tariff("gpt-4o", request="4", **prices),
        tariff("*", "openai", request="5", **prices),
    ]
    assert cost(*tariffs) == 5
    assert cost(*tariffs[:4]) == 4
    assert cost(*tariffs[:3]) == 3
    assert cost(*tariffs[:2]) == 2
    assert cost(*tariffs[:2], names=("o3",)) == 1


def test_a_tariff_for_another_provider_does_not_count() -> None:
    assert cost(tariff("*", "anthropic", request="9")) == Decimal("0.0045")


def test_the_name_that_was_asked_for_goes_before_the_answered_one() -> None:
    own = (tariff("alias", request="1"), tariff("gpt-4o-2024*", request="2"))
    assert cost(*own, names=("alias", "gpt-4o-2024-08-06")) == 1
    assert cost(*own, names=("gpt-4o", "gpt-4o-2024-08-06")) == 2


def test_a_tariff_counts_from_its_start_until_before_its_end() -> None:
    own = tariff(request="1", input="0", output="0", starts_us=NOW_US, ends_us=NOW_US + 10)
    assert [cost(own, at_us=NOW_US + at) for at in (-1, 0, 9, 10)] == [Decimal("0.0045"), 1, 1, Decimal("0.0045")]


def test_the_later_start_wins() -> None:
    old, new = tariff(request="1", input="0", output="0"), tariff(request="2", input="0", output="0", starts_us=NOW_US)
    assert (cost(old, new), cost(old, new, at_us=NOW_US - 1)) == (2, 1)


def test_every_cost_is_a_whole_number_of_nano_dollars() -> None:
    found = cost(tariff(discount="33.3333", input="0.1", output="0.3"), usage=Usage(input_tokens=7, output_tokens=3))
    assert found == Decimal("0.000001067")


def test_a_pattern_takes_no_long_time_on_a_name_made_to_hurt() -> None:
    own = tariff("*a*a*a*a*a*a*a*a*a*a*b", request="1")
    assert cost(own, names=("a" * 5000,)) is None
