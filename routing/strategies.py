"""In which order targets are tried. Generators: each yields a target, is sent its outcome, and returns the last one.

They do no I/O, so the same walk serves a real call and a dry run.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator

from routing.call import Outcome, Target
from routing.errors import UpstreamError
from routing.plan import Branch, Node

Walk = Generator[Target, Outcome, Outcome]

# The caller's mistake is the same mistake at the next provider, so a fallback passes it on unless its config lists 400.
_NEVER_BY_DEFAULT = 400
_FAILED = 500
# Load balancing needs spread, not secrecy.
_random = random.Random()  # noqa: S311


def walk(node: Node, draw: Callable[[], float] = _random.random) -> Walk:
    """The targets of a plan in order. `draw` gives numbers in [0, 1)."""
    if isinstance(node, Target):
        return (yield node)
    return (yield from _STRATEGIES[node.mode](node, draw))


def _single(branch: Branch, draw: Callable[[], float]) -> Walk:
    return (yield from walk(branch.children[0], draw))


def _fallback(branch: Branch, draw: Callable[[], float]) -> Walk:
    """The next child after each outcome that counts as a failure; the last child's outcome when all fail."""
    children = iter(branch.children)
    outcome = yield from walk(next(children), draw)
    for child in children:
        if not _falls_back(branch, outcome):
            break
        outcome = yield from walk(child, draw)
    return outcome


def _falls_back(branch: Branch, outcome: Outcome) -> bool:
    if branch.on_status_codes is None:
        return outcome.error is not None and outcome.status != _NEVER_BY_DEFAULT
    # A list that names 500 means "the provider failed", and so does a connection that could not be had (portkey-wire 4.4).
    unreachable = isinstance(outcome.error, UpstreamError) and outcome.error.is_network
    return outcome.status in branch.on_status_codes or (unreachable and _FAILED in branch.on_status_codes)


def _loadbalance(branch: Branch, draw: Callable[[], float]) -> Walk:
    """One child, drawn by weight; its siblings are no fallback."""
    point = draw() * sum(branch.weights)
    for child, weight in zip(branch.children, branch.weights, strict=True):
        point -= weight
        if point < 0:
            return (yield from walk(child, draw))
    # Rounding may leave a crumb: it belongs to the last child that has a weight at all.
    last = max(index for index, weight in enumerate(branch.weights) if weight > 0)
    return (yield from walk(branch.children[last], draw))


_STRATEGIES: dict[str, Callable[[Branch, Callable[[], float]], Walk]] = {
    "single": _single,
    "fallback": _fallback,
    "loadbalance": _loadbalance,
}
