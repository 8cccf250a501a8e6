"""What may be stored as limits, and what is refused with its path."""

from __future__ import annotations

import math

import pytest

from keys import validation
from keys.limits import NANO, Limit, Period, Unit, bodies
from routing.errors import InvalidRequest


@pytest.mark.parametrize(
    ("limits", "path"),
    [
        ({"rate_limits": [{"type": "requests", "unit": "rpm", "value": 0}]}, ".rate_limits[0].value"),
        ({"rate_limits": [{"type": "requests", "unit": "rpm", "value": -1}]}, ".rate_limits[0].value"),
        ({"rate_limits": [{"type": "tokens", "unit": "rpd", "value": math.nan}]}, ".rate_limits[0].value"),
        ({"rate_limits": [{"type": "tokens", "unit": "rpd", "value": 10**30}]}, ".rate_limits[0].value"),
        ({"rate_limits": [{"type": "tokens", "unit": "rpd", "value": True}]}, ".rate_limits[0].value"),
        ({"rate_limits": [{"type": "tokens", "value": 5}]}, ".rate_limits[0].unit"),
        ({"rate_limits": [{"type": "concurrency", "unit": "rpm", "value": 5}]}, ".rate_limits[0].unit"),
        ({"rate_limits": [{"type": "concurrency", "value": 5}, {"type": "concurrency", "value": 6}]}, ".rate_limits[1]"),
        ({"rate_limits": [{"type": "tokens", "unit": "rpd", "value": 5, "timezone": "Mars/Base"}]}, ".rate_limits[0].timezone"),
        ({"usage_limits": {"credit_limit": -1}}, ".usage_limits.credit_limit"),
        ({"usage_limits": {"credit_limit": math.nan}}, ".usage_limits.credit_limit"),
        ({"usage_limits": {"credit_limit": "Infinity"}}, ".usage_limits.credit_limit"),
        ({"usage_limits": {"credit_limit": 10**12}}, ".usage_limits.credit_limit"),
        ({"usage_limits": [{"credit_limit": 1}, {"credit_limit": 0}]}, ".usage_limits[1].credit_limit"),
        ({"usage_limits": [{"credit_limit": 1}, {"credit_limit": 2}]}, ".usage_limits[1]"),
        ({"usage_limits": {"credit_limit": 1, "timezone": "../etc/passwd"}}, ".usage_limits.timezone"),
        ({"usage_limits": {"credit_limit": 1, "colour": "red"}}, ".usage_limits.colour"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_path(limits, path):
    for whole, before in (
        (limits, ""),
        ({"models": {"gpt-4o": limits}}, "models.gpt-4o"),
        ({"metadata": [{"key": "_user", **limits}]}, "metadata[0]"),
    ):
        with pytest.raises(InvalidRequest) as caught:
            validation.workspace_limits(whole, "")
        assert caught.value.param == f"{before}{path}".removeprefix(".")


@pytest.mark.parametrize(
    ("limits", "path"),
    [
        ({"model": {}}, "model"),
        ({"models": {"gpt-4o": {}}}, "models.gpt-4o"),
        ({"metadata": [{"rate_limits": []}]}, "metadata[0].key"),
        ({"metadata": {"key": "_user"}}, "metadata"),
        ({"metadata": [{"key": "a", "usage_limits": {"credit_limit": 1}}] * 2}, "metadata[1]"),
    ],
)
def test_rules_of_a_workspace_are_whole(limits, path):
    with pytest.raises(InvalidRequest) as caught:
        validation.workspace_limits(limits, "")
    assert caught.value.param == path


def test_several_budgets_and_limits_stand_on_one_object():
    rates = validation.rate_limits(
        [{"type": "requests", "unit": "rpm", "value": 3}, {"type": "concurrency", "value": 2}], "rate_limits"
    )
    budgets = validation.usage_limits(
        [
            {"credit_limit": 100},
            {"credit_limit": 0.5, "periodic_reset": "daily", "timezone": "Asia/Tokyo", "alert_threshold": 90},
        ],
        "usage_limits",
    )
    assert list(bodies.parse("key:1", "API key 'a'", rates, budgets)) == [
        Limit("key:1", "API key 'a'", Unit.REQUESTS, Period.MINUTE, 3),
        Limit("key:1", "API key 'a'", Unit.CONCURRENCY, Period.TOTAL, 2),
        Limit("key:1", "API key 'a'", Unit.COST, Period.TOTAL, 100 * NANO),
        Limit("key:1", "API key 'a'", Unit.COST, Period.DAY, NANO // 2, "Asia/Tokyo", 90),
    ]


def test_a_rule_for_one_value_comes_before_the_rule_for_all():
    rules = bodies.of_workspace(
        "w",
        "Team",
        {
            "models": {"*": {"usage_limits": {"credit_limit": 1}}, "gpt-4o": {"usage_limits": {"credit_limit": 2}}},
            "metadata": [
                {"key": "_user", "value": "ann", "usage_limits": {"credit_limit": 9}},
                {"key": "_user", "usage_limits": {"credit_limit": 3}},
            ],
        },
    )

    def caps(limits):
        return [limit.cap // NANO for limit in limits]

    assert caps(rules.of_model("gpt-4o")) == [2]
    assert caps(rules.of_model("other")) == [1]
    assert rules.of_model("other")[0].owner != rules.of_model("another")[0].owner
    assert caps(rules.of_metadata({"_user": "ann"})) == [9]
    assert caps(rules.of_metadata({"_user": "bob", "team": "x"})) == [3]
    assert rules.of_metadata({"team": "x"}) == ()
