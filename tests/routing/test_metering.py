"""What a call is expected to use, and what it did use."""

from __future__ import annotations

import time
from decimal import Decimal

import orjson
import pytest

from analytics.prices import Prices
from keys.auth import Caller
from routing import metering
from routing.call import Call, Reply, Target, Usage
from routing.exchange import Exchange
from routing.metering import DEFAULT_ANSWER_TOKENS, bill, estimate
from routing.plan import Branch
from routing.providers import table

PRICES = Prices()
USAGE = Usage(input_tokens=1000, output_tokens=500)


class Translator:
    def __init__(self, usage=None, deltas=0, done=False, model=None):
        self.usage, self.deltas, self.done, self.model = usage, deltas, done, model


def call(body, endpoint="chat/completions"):
    return Call("id", endpoint, body, orjson.dumps(body), {}, "t", {}, time.monotonic(), time.time_ns() // 1000)


def chat(**fields):
    return call({"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}], **fields})


def target(provider="openai", **fields):
    return Target("config", table.find(provider), "https://llm.example/v1", **fields)


def exchange(reply=None, *, to=None, **fields):
    made = Exchange(chat(), Caller("w"), target=to or target(), reply=reply)
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def whole(usage, model="gpt-4o"):
    return Reply(200, b"{}", {}, usage, model)


def stream(**fields):
    return Reply(200, b"", {}, translator=Translator(**fields))


# --- Before the call -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ({}, DEFAULT_ANSWER_TOKENS),
        ({"max_tokens": 50}, 50),
        ({"max_completion_tokens": 60}, 60),
        ({"max_completion_tokens": 60, "max_tokens": 50}, 60),
        ({"max_tokens": 0}, DEFAULT_ANSWER_TOKENS),
        ({"max_tokens": -5}, DEFAULT_ANSWER_TOKENS),
        ({"max_tokens": True}, DEFAULT_ANSWER_TOKENS),
        ({"max_tokens": "50"}, DEFAULT_ANSWER_TOKENS),
        ({"input": "a chat with this field still answers"}, DEFAULT_ANSWER_TOKENS),
    ],
)
def test_the_estimate_is_the_requests_length_and_the_bound_on_its_answer(fields, answer):
    asked = chat(**fields)
    tokens, cost = estimate(asked, target(), PRICES)
    assert tokens == len(asked.raw) // 4 + answer
    assert cost > 0


def test_embeddings_answer_with_nothing_that_is_billed():
    asked = call({"model": "text-embedding-3-small", "input": "x" * 400}, "embeddings")
    assert estimate(asked, target(), PRICES)[0] == len(asked.raw) // 4


def test_the_estimate_is_priced_by_the_model_that_will_be_asked():
    cheap = estimate(chat(), target(override_params={"model": "gpt-4o-mini"}), PRICES)[1]
    assert 0 < cheap < estimate(chat(), target(), PRICES)[1]


def test_without_a_price_no_money_is_reserved():
    assert estimate(chat(model="a-model-of-our-own"), target(), PRICES)[1] == 0
    assert estimate(chat(), target("mock"), PRICES)[1] == 0


def test_the_first_target_stands_for_the_plan():
    first = target()
    tree = Branch("fallback", (Branch("loadbalance", (first, target("mock"))), target("mock")))
    assert metering.first_target(tree) is first
    assert metering.first_target(first) is first


# --- After it ----------------------------------------------------------------------------------------------------------------


def test_a_whole_answer_is_billed_by_what_the_provider_counted():
    done = bill(exchange(whole(USAGE)), PRICES)
    assert (done.usage, done.tokens, done.unpriced) == (USAGE, 1500, False)
    assert done.cost_usd == Decimal("0.0075")
    assert done.cost_nano == 7_500_000


def test_a_stream_is_billed_like_a_whole_answer():
    assert bill(exchange(stream(usage=USAGE, done=True, deltas=500)), PRICES).cost_usd == Decimal("0.0075")


def test_without_a_count_tokens_are_estimated_and_marked():
    for reply in (whole(None), stream(deltas=40, done=True)):
        usage = bill(exchange(reply), PRICES).usage
        assert usage.estimated
        assert usage.prompt_tokens > 0
    assert usage.completion_tokens >= 40


def test_an_early_count_of_a_stream_that_broke_off_is_not_trusted():
    partial = Usage(input_tokens=1000, output_tokens=1)
    assert bill(exchange(stream(usage=partial, deltas=40)), PRICES).usage.completion_tokens >= 40
    assert bill(exchange(stream(usage=partial, deltas=40, done=True)), PRICES).usage is partial
    assert bill(exchange(stream(usage=partial, deltas=1)), PRICES).usage is partial


def test_a_failed_call_used_nothing():
    done = bill(exchange(), PRICES)
    assert (done.tokens, done.cost_usd, done.unpriced) == (0, Decimal(0), False)
    refused = bill(exchange(target=None), PRICES)
    assert (refused.tokens, refused.cost_usd, refused.cost_nano) == (0, None, 0)


def test_a_caller_who_left_a_working_provider_pays_the_prompt():
    gone = exchange(cancelled=True, reached_provider=True)
    assert bill(gone, PRICES).usage.prompt_tokens > 0
    assert bill(gone, PRICES).usage.completion_tokens == 0
    assert bill(exchange(cancelled=True), PRICES).tokens == 0


def test_tokens_without_a_price_are_flagged_and_never_silently_free():
    unknown = target(override_params={"model": "a-model-of-our-own"})
    done = bill(exchange(whole(USAGE, "another-of-our-own"), to=unknown), PRICES)
    assert (done.cost_usd, done.cost_nano, done.unpriced) == (None, 0, True)


def test_the_name_that_the_provider_answered_with_helps_out():
    unknown = target(override_params={"model": "my-deployment"})
    assert bill(exchange(whole(USAGE, "gpt-4o"), to=unknown), PRICES).cost_usd == Decimal("0.0075")


def test_a_name_of_the_users_own_making_is_not_what_is_billed():
    """A deployment answers with its model; the caller could name any."""
    deployment = target("azure", override_params={"model": "gpt-4o-mini"})
    assert bill(exchange(whole(USAGE, "gpt-4o"), to=deployment), PRICES).cost_usd == Decimal("0.0075")
