"""Which targets a call may go to, who is best of them, and what a dry run says of it."""

from __future__ import annotations

import collections
import random
import subprocess
import sys

import pytest

from routing.call import Breaker, Outcome
from routing.errors import InvalidRequest, ProviderError, UpstreamTimeout, UpstreamUnreachable
from routing.plan import Branch, Rule
from routing.strategies import BLIND, Context, explain, walk
from tests.routing.test_strategies import balanced, call, fallback, nodes, outcome, target


class Known:
    """What is known of targets, by their paths."""

    def __init__(self, latency=None, busy=None, cost=None, opened=None):
        self.latency, self.working, self.cost, self.opened = latency or {}, busy or {}, cost or {}, opened or {}

    def open_for_s(self, target):
        return self.opened.get(target.path)

    def latency_ms(self, target):
        return self.latency.get(target.path)

    def busy(self, target):
        return self.working.get(target.path, 0)

    def cost_nano(self, target, call):
        return self.cost.get(target.path)


def tried(tree, outcomes, *, body=None, metadata=None, live=BLIND, draw=lambda: 0.0):
    """The paths that were tried, joined, and the walk's last outcome; None among the outcomes is a target left alone."""
    walking = walk(tree, Context(call(body, metadata), live, draw))
    paths, given = "", iter(outcomes)
    try:
        current = next(walking)
        while True:
            paths += current.path
            status = next(given)
            current = walking.send(None if status is None else outcome(status))
    except StopIteration as end:
        assert next(given, "none left") == "none left"
        return paths, end.value and end.value.status


def filtered(code="content_filter"):
    return Outcome(400, ProviderError("no", status=400, error_type=None, param=None, code=code))


NETWORK = Outcome(502, UpstreamUnreachable("gone"))
LATE = Outcome(504, UpstreamUnreachable("late", status=504))
TIMEOUT = Outcome(408, UpstreamTimeout("late"))


def after(*kinds, name="b", **fields):
    return target(name, fallback_on=frozenset(kinds), **fields)


# --- After a failure of a kind -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kinds", "failure", "used"),
    [
        (["rate_limit"], 429, True),
        (["rate_limit"], 500, False),
        (["timeout"], TIMEOUT, True),
        (["timeout"], LATE, True),
        (["timeout"], 408, True),
        (["timeout"], 500, False),
        (["timeout"], NETWORK, False),
        (["server_error"], 500, True),
        (["server_error"], 529, True),
        (["server_error"], NETWORK, True),
        (["server_error"], 429, False),
        ([404], 404, True),
        ([404], 403, False),
        (["rate_limit", 500], 500, True),
        (["content_filter"], filtered(), True),
        (["content_filter"], filtered("content_policy_violation"), True),
        (["content_filter"], 400, False),
        ([400], 400, True),
        (["rate_limit"], 200, False),
    ],
)
def test_a_target_is_used_only_after_a_failure_that_it_names(kinds, failure, used):
    outcomes = [failure, 200] if used else [failure]
    assert tried(fallback("a", after(*kinds)), outcomes)[0] == ("ab" if used else "a")


@pytest.mark.parametrize("status", [400, 403, 502])
def test_a_content_filter_is_not_routed_round_unasked(status):
    refusal = Outcome(status, ProviderError("no", status=status, error_type=None, param=None, code="content_filter"))
    assert tried(fallback("a", "b"), [refusal])[0] == "a"
    assert tried(fallback("a", "b", on=[status]), [refusal, 200])[0] == "ab"


def test_the_failure_that_counts_is_the_last_one_before_it():
    tree = fallback("a", "b", after("rate_limit", name="c"))
    assert tried(tree, [429, 500])[0] == "ab"
    assert tried(tree, [500, 429, 200])[0] == "abc"


def test_a_target_that_names_no_failure_of_this_kind_is_passed_over_for_the_next():
    assert tried(fallback("a", after("rate_limit"), "c"), [500, 200]) == ("ac", 200)


def test_a_branch_hands_the_failure_down():
    tree = fallback("a", balanced(after("rate_limit")), "c")
    assert tried(tree, [429, 200])[0] == "ab"
    assert tried(tree, [500, 200])[0] == "ac"


def test_what_a_target_names_goes_before_the_list_of_its_strategy():
    tree = fallback("a", "b", after("server_error", name="c"), on=[429])
    assert tried(tree, [500, 200])[0] == "ac"


@pytest.mark.parametrize("tree", [after("timeout"), fallback(after("timeout"), after(500, name="c")), balanced(after(429))])
def test_without_a_failure_before_it_nobody_is_tried(tree):
    walking = walk(tree, context := Context(call()))
    with pytest.raises(StopIteration) as end:
        next(walking)
    assert end.value.value is None
    assert {step.skipped for step in context.skipped} == {"fallback_on"}


# --- Only for small calls ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "a"),
        ({"max_tokens": 4096}, "a"),
        ({"max_tokens": 4097}, "b"),
        ({"max_completion_tokens": 5000}, "b"),
        ({"max_tokens": 10, "max_completion_tokens": 5000}, "b"),
        ({"max_output_tokens": 5000}, "b"),
        ({"max_tokens": "many"}, "a"),
        ({"max_tokens": True}, "a"),
        ({"max_tokens": None}, "a"),
    ],
)
def test_a_target_takes_only_calls_that_ask_for_no_more_than_it_gives(body, path):
    assert tried(fallback(target("a", most_tokens=4096), "b"), [200], body=body)[0] == path


def test_siblings_of_a_loadbalance_share_the_calls_of_one_that_may_not_be_tried():
    tree = balanced(target("a", most_tokens=1), "b", "c", weights=(8.0, 1.0, 1.0))
    drawn = collections.Counter()
    numbers = random.Random(1)
    for _ in range(4000):
        drawn[tried(tree, [200], body={"max_tokens": 2}, draw=numbers.random)[0]] += 1
    assert drawn.keys() == {"b", "c"}
    assert drawn["b"] == pytest.approx(2000, abs=200)


# --- Breakers ----------------------------------------------------------------------------------------------------------


def test_a_target_whose_breaker_is_open_is_passed_over():
    guarded = [target(name, breaker=Breaker(1)) for name in "abc"]
    live = Known(opened={"a": 7.0})
    assert tried(fallback(*guarded), [500, 200], live=live)[0] == "bc"
    assert tried(balanced(*guarded, weights=(1.0, 0.0, 1.0)), [200], live=live)[0] == "c"
    assert tried(fallback("a", "b"), [200], live=live)[0] == "a", "without a breaker nobody asks"


def test_a_target_that_was_left_alone_after_all_counts_as_not_tried():
    assert tried(fallback("a", "b"), [None, 500]) == ("ab", 500)
    assert tried(fallback("a", "b"), [500, None]) == ("ab", 500)
    assert tried(balanced("a", "b"), [None, 200]) == ("ab", 200)
    assert tried(balanced("a", "b"), [None, None]) == ("ab", None)
    assert tried(target("a"), [None]) == ("a", None)


# --- Conditions --------------------------------------------------------------------------------------------------------


def conditional(*rules, default=None):
    made = tuple(Rule(holds, child, f"rule {number}") for number, (holds, child) in enumerate(rules))
    return Branch("conditional", nodes("abc"), rules=made, default=default)


def model_is(name):
    return lambda facts: facts.call.model == name


def test_the_first_rule_that_holds_decides():
    tree = conditional((model_is("x"), 1), (model_is("x"), 2), (model_is("y"), 0), default=2)
    assert [tried(tree, [200], body={"model": name})[0] for name in ("x", "y", "z")] == ["b", "a", "c"]


def test_the_child_of_a_condition_has_no_fallback():
    assert tried(conditional((model_is("x"), 1), default=0), [500], body={"model": "x"}) == ("b", 500)


@pytest.mark.parametrize("wrap", [lambda tree: tree, lambda tree: fallback("a", tree)], ids=["alone", "in a fallback"])
def test_no_rule_and_no_default_is_the_callers_error(wrap):
    outcomes = [500] if wrap(target("x")) != target("x") else []
    with pytest.raises(InvalidRequest, match="Query router did not resolve to any valid target"):
        tried(wrap(conditional((model_is("x"), 1))), outcomes)


# --- Sticky ------------------------------------------------------------------------------------------------------------


def sticky(*fields, weights=(0.7, 0.3), names="ab"):
    return Branch("loadbalance", nodes(names), weights=weights, sticky=fields)


def paths_of(tree, calls, draw=random.random):
    return [next(walk(tree, Context(one, draw=draw))).path for one in calls]


def users(count):
    return [
        call({"user": f"user-{number}"}, {"_user": f"user-{number}", "team": f"team-{number % 7}"}) for number in range(count)
    ]


@pytest.mark.parametrize("field", ["user", "metadata._user", "params.user"])
def test_a_user_sticks_to_a_target_and_targets_get_their_shares(field):
    tree = sticky(field)
    first, second = paths_of(tree, users(10_000)), paths_of(tree, users(10_000))
    assert first == second
    assert first.count("a") / 10_000 == pytest.approx(0.7, abs=0.02)


def test_calls_that_agree_on_the_field_stay_together():
    by_team = collections.defaultdict(set)
    for one, path in zip(users(500), paths_of(sticky("metadata.team"), users(500)), strict=True):
        by_team[one.metadata["team"]].add(path)
    assert [len(paths) for paths in by_team.values()] == [1] * 7


def test_users_stay_where_they_are_when_another_target_goes():
    whole, smaller = sticky("user", weights=(1, 1, 1), names="abc"), sticky("user", weights=(1, 1, 0), names="abc")
    before, later = paths_of(whole, users(1000)), paths_of(smaller, users(1000))
    assert [path for path in before if path != "c"] == [new for old, new in zip(before, later, strict=True) if old != "c"]


def test_a_call_that_says_nothing_is_left_to_chance():
    assert set(paths_of(sticky("user", "metadata.session"), [call()] * 100)) == {"a", "b"}
    assert len(set(paths_of(sticky("user", "metadata.session"), [call({"user": "u"})] * 50))) == 1


def test_the_choice_is_the_same_in_every_process():
    code = (
        "from routing.stickiness import key, score; from routing.call import Call;"
        "one = Call('i', 'e', {'user': 'ünï'}, b'', {}, 't', {'k': 'v'}, 0.0, 0);"
        "print(*(score(key(one, ['user', 'metadata.k']), name, 1.0) for name in 'abc'))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1


# --- The best first ----------------------------------------------------------------------------------------------------


def best(mode, *children):
    return Branch(mode, nodes(children or "abc"))


@pytest.mark.parametrize(
    ("tree", "live", "order"),
    [
        (best("least_latency"), Known(latency={"a": 300, "b": 100, "c": 200}), "bca"),
        (best("least_latency"), Known(latency={"a": 300, "c": 200}), "bca"),
        (best("least_latency"), Known(latency={"a": 300, "c": 200}, busy={"b": 1}), "cab"),
        (best("least_cost"), Known(cost={"a": 3, "b": 1, "c": 2}), "bca"),
        (best("least_cost"), Known(cost={"a": 3, "c": 2}), "cab"),
        (best("least_cost"), Known(cost={"a": 0, "c": 2}), "acb"),
        (best("least_busy"), Known(busy={"a": 2, "b": 1}), "cba"),
        (best("least_busy", fallback("a", "b"), "c"), Known(busy={"c": 1, "b": 5}), "abc"),
    ],
)
def test_the_best_comes_first_and_the_next_best_after_a_failure(tree, live, order):
    assert tried(tree, [500, 503, 200], live=live)[0] == order
    assert tried(tree, [200], live=live)[0] == order[0]


def test_a_callers_mistake_ends_it_there():
    assert tried(best("least_busy"), [400])[0] == "a"


def test_between_equals_chance_decides():
    numbers = random.Random(1)
    firsts = collections.Counter(tried(best("least_cost"), [200], draw=numbers.random)[0] for _ in range(300))
    assert min(firsts.values()) > 70


def test_a_walk_by_measurements_asks_for_more_of_them():
    contexts = [Context(call()), Context(call())]
    next(walk(best("least_latency"), contexts[0]))
    next(walk(fallback("a", "b"), contexts[1]))
    assert [context.measured for context in contexts] == [True, False]


# --- Dry run -----------------------------------------------------------------------------------------------------------


def explained(tree, **said):
    live = said.pop("live", BLIND)
    return explain(tree, Context(call(**said), live, draw=lambda: 0.0))


def test_a_dry_run_lists_everyone_in_order_with_the_reasons():
    tree = fallback(
        target("a", breaker=Breaker(1)),
        target("b", most_tokens=10),
        balanced("c", "d", weights=(0.75, 0.25)),
        after("content_filter", name="e"),
        on=[429],
    )
    steps = explained(tree, body={"max_tokens": 11}, live=Known(opened={"a": 7.0}))
    assert [(step.target.path, step.skipped) for step in steps] == [
        ("a", "breaker"),
        ("b", "most_tokens"),
        ("c", ""),
        ("e", ""),
    ]
    assert steps[0].wait_s == 7.0
    assert "open for another 7.0 s" in steps[0].reason
    assert "at most 10 tokens, and this one asks for 11" in steps[1].reason
    assert "share 75.0%" in steps[2].reason
    assert "fallback" in steps[3].reason


def test_a_dry_run_of_one_target_is_short():
    (step,) = explained(target("a"))
    assert (step.target.path, step.reason, step.skipped) == ("a", "the only target", "")


def test_a_dry_run_names_the_condition():
    (step,) = explained(conditional((model_is("x"), 1), default=0), body={"model": "x"})
    assert "rule 0" in step.reason
    (step,) = explained(conditional((model_is("x"), 1), default=0), body={"model": "y"})
    assert "default" in step.reason
    with pytest.raises(InvalidRequest):
        explained(conditional((model_is("x"), 1)))


def test_a_dry_run_of_nobody_says_why():
    (step,) = explained(fallback(after("timeout")))
    assert (step.skipped, "timeout" in step.reason) == ("fallback_on", True)
