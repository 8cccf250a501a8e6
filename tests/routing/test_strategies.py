"""In which order targets are tried."""

from __future__ import annotations

import collections
import itertools
import random

import pytest

from routing.call import Call, Outcome, Target
from routing.errors import InvalidRequest, ProviderError, UpstreamTimeout, UpstreamUnreachable
from routing.plan import Branch
from routing.providers import table
from routing.strategies import Context, walk

MOCK = table.find("mock")


def call(body=None, metadata=None):
    return Call("id", "chat/completions", body or {}, b"", {}, "trace", metadata or {}, 0.0, 0)


def target(name, **fields):
    return Target(name, MOCK, MOCK.base_url, **fields)


def single(*children):
    return Branch("single", nodes(children))


def fallback(*children, on=None):
    return Branch("fallback", nodes(children), on_status_codes=None if on is None else frozenset(on))


def balanced(*children, weights=None):
    return Branch("loadbalance", nodes(children), weights=weights or (1.0,) * len(children))


def nodes(children):
    return tuple(target(child) if isinstance(child, str) else child for child in children)


def outcome(status):
    """How a target did: a status, or an error of the gateway's own."""
    if isinstance(status, Outcome):
        return status
    if 200 <= status < 300:
        return Outcome(status)
    return Outcome(status, ProviderError("no", status=status, error_type=None, param=None, code=None))


def run(tree, outcomes, draw=lambda: 0.0):
    """The paths that were tried, and the last outcome."""
    walking = walk(tree, Context(call(), draw=draw))
    tried, answers = [], iter(outcomes)
    current = next(walking)
    while True:
        tried.append(current.path)
        try:
            current = walking.send(outcome(next(answers)))
        except StopIteration as end:
            assert next(answers, None) is None, "not all outcomes were asked for"
            return tried, end.value.status


NETWORK = Outcome(502, UpstreamUnreachable("gone"))
TIMEOUT = Outcome(408, UpstreamTimeout("late"))
CALLERS_FAULT = Outcome(400, InvalidRequest("no"))

ORDERS = [
    # (tree, outcomes, tried)
    (target("a"), [200], "a"),
    (target("a"), [500], "a"),
    (single("a", "b"), [200], "a"),
    (single("a", "b"), [500], "a"),
    (fallback("a"), [500], "a"),
    (fallback("a", "b"), [200], "a"),
    (fallback("a", "b"), [500, 200], "ab"),
    (fallback("a", "b", "c"), [500, 429, 200], "abc"),
    (fallback("a", "b", "c"), [500, 429, 503], "abc"),
    (fallback("a", "b"), [401, 200], "ab"),
    (fallback("a", "b"), [403, 200], "ab"),
    (fallback("a", "b"), [404, 200], "ab"),
    (fallback("a", "b"), [412, 200], "ab"),
    (fallback("a", "b"), [NETWORK, 200], "ab"),
    (fallback("a", "b"), [TIMEOUT, 200], "ab"),
    # The caller's own mistake stays one at the next provider.
    (fallback("a", "b"), [400], "a"),
    (fallback("a", "b"), [CALLERS_FAULT], "a"),
    # Listed statuses, and only those.
    (fallback("a", "b", on=[429]), [429, 200], "ab"),
    (fallback("a", "b", on=[429]), [500], "a"),
    (fallback("a", "b", on=[400]), [400, 200], "ab"),
    (fallback("a", "b", on=[200]), [200, 201], "ab"),
    (fallback("a", "b", on=[]), [500], "a"),
    (fallback("a", "b", "c", on=[429]), [429, 500], "ab"),
    # Nested.
    (fallback(single("a", "b"), "c"), [500, 200], "ac"),
    (fallback(fallback("a", "b"), "c"), [500, 500, 200], "abc"),
    (fallback(fallback("a", "b"), "c"), [500, 200], "ab"),
    (fallback(fallback("a", "b", on=[429]), "c"), [500, 200], "ac"),
    (fallback(fallback("a", "b"), "c", on=[429]), [500, 503], "ab"),
    (fallback("a", fallback("b", "c"), "d"), [500, 500, 500, 200], "abcd"),
    (single(fallback("a", "b")), [500, 200], "ab"),
    (fallback(balanced("a", "b"), "c"), [500, 200], "ac"),
    (balanced(fallback("a", "b"), "c"), [500, 500], "ab"),
    (fallback(single(single(balanced("a"))), "b"), [500, 200], "ab"),
]


@pytest.mark.parametrize(("tree", "outcomes", "tried"), ORDERS)
def test_the_order_of_tries(tree, outcomes, tried):
    paths, last = run(tree, outcomes)
    assert "".join(paths) == tried
    assert last == outcome(outcomes[-1]).status


@pytest.mark.parametrize(
    "weights", [(0.7, 0.3), (70, 30), (1, 1, 1, 1), (0.5, 0, 1.5), (0, 1), (1e9, 1e9), (1e-9, 3e-9), (5, 0.0, 0)]
)
def test_load_is_shared_by_weight(weights):
    draws = 10_000
    drawn = collections.Counter()
    random_numbers = random.Random(20260101)
    tree = balanced(*map(str, range(len(weights))), weights=weights)
    for _ in range(draws):
        drawn[next(walk(tree, Context(call(), draw=random_numbers.random))).path] += 1
    for index, weight in enumerate(weights):
        assert drawn[str(index)] / draws == pytest.approx(weight / sum(weights), abs=0.02)
        assert weight or str(index) not in drawn


@pytest.mark.parametrize("draw", [0.0, 0.999999999999, 1 - 2**-53])
@pytest.mark.parametrize("weights", [(0, 0.1, 0.7, 0), (0, 1e-300, 0), (0.1,) * 10, (0, 5e-324)])
def test_no_draw_ever_falls_on_weight_zero(weights, draw):
    tree = balanced(*map(str, range(len(weights))), weights=weights)
    assert weights[int(next(walk(tree, Context(call(), draw=lambda: draw))).path)] > 0


def test_one_draw_a_request_and_no_failover_to_siblings():
    draws = itertools.count()
    assert run(balanced("a", "b"), [500], lambda: next(draws) * 0.5) == (["a"], 500)
    assert next(draws) == 1


def test_draws_of_the_default_source_differ():
    tree = balanced("a", "b")
    assert {next(walk(tree, Context(call()))).path for _ in range(100)} == {"a", "b"}
