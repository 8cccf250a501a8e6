"""A gateway on one's own machine, where no key is required: the caller's own provider key is all it takes."""

from __future__ import annotations

import pytest

from tests import vendors
from tests.e2e.product import HELLO, Product, new_trace
from tests.fakes import Lane

pytestmark = pytest.mark.xdist_group("open gateway")


def test_a_provider_and_ones_own_key_are_enough(open_product: Product, lane: Lane) -> None:
    """The first lines of Portkey's own documentation, with curl."""
    trace_id = new_trace()
    headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": lane.url, "authorization": "Bearer sk-own"}

    answered = open_product.call(key=None, headers=headers, trace_id=trace_id)

    assert answered.json()["choices"][0]["message"]["content"] == vendors.TEXT
    assert lane.last.headers["authorization"] == "Bearer sk-own"
    record = open_product.record(trace_id)
    assert (record["status"], record["api_key_id"]) == (200, None)


def test_the_mock_needs_nothing_at_all(open_product: Product) -> None:
    answered = open_product.call({**HELLO, "model": "mock"}, {"x-portkey-provider": "mock"}, key=None)

    assert answered.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [{"x-portkey-virtual-key": "mock"}, {"x-portkey-config": "pc-any"}, {"x-portkey-config": '{"virtual_key": "mock"}'}],
    ids=["a virtual key", "a saved config", "a virtual key in a config"],
)
def test_what_is_stored_still_needs_a_key(open_product: Product, headers: dict[str, str]) -> None:
    """Anybody on the machine can reach the port; the team's credentials are not theirs."""
    answered = open_product.call(key=None, headers=headers)

    assert answered.status_code == 401


def test_a_wrong_key_is_refused_all_the_same(open_product: Product) -> None:
    """Who gives a key wants to be known; passing for nobody would hide the mistake."""
    answered = open_product.call({**HELLO, "model": "mock"}, {"x-portkey-provider": "mock"}, key="gh-wrong")

    assert answered.status_code == 401


def test_a_good_key_counts_as_ever(open_product: Product) -> None:
    trace_id = new_trace()

    assert open_product.call({**HELLO, "model": "mock"}, virtual_key="mock", trace_id=trace_id).status_code == 200
    assert open_product.record(trace_id)["api_key_id"] is not None


def test_models_of_the_team_are_not_shown_to_strangers(open_product: Product) -> None:
    assert open_product.call(path="/v1/models", method="GET", key=None).json() == {"object": "list", "data": []}
