"""In which order targets are tried. Generators: each yields a target, is sent how it did, and returns the last outcome.

They do no I/O, so the same walk serves a real call (`walk`) and a dry run (`explain`). What they know of the world beside the
call is in the `Context`: chance, and what has been measured of the targets (`Live`). docs/routing.md says what each does.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

from routing import stickiness
from routing.call import Call, Outcome, Target
from routing.configs.facts import Facts
from routing.errors import InvalidRequest, UpstreamError
from routing.plan import Branch, Node

# A target is sent its outcome, or None where it was not tried after all; so is what the walk returns.
Walk = Generator[Target, Outcome | None, Outcome | None]

# The caller's mistake is the same mistake at the next provider, so a fallback passes it on unless its config lists 400. Nor is
# the refusal of a content filter routed round unasked, whatever its status.
_NEVER_BY_DEFAULT = 400
_FAILED = 500
_TIMED_OUT = frozenset({408, 504})
# What vendors call an answer that their content filter refused.
_FILTERED = ("content_filter", "content_policy_violation", "contentfilter", "responsibleaipolicyviolation")
# Load balancing needs spread, not secrecy.
_random = random.Random()  # noqa: S311


class Live(Protocol):
    """What is known of targets at this moment."""

    def open_for_s(self, target: Target) -> float | None:
        """Seconds for which the target's breaker keeps it out; None while it may be tried."""
        ...

    def latency_ms(self, target: Target) -> float | None:
        """How long its answers have taken to begin of late; None where that is not known, or not any more."""
        ...

    def busy(self, target: Target) -> int:
        """How many calls it is working on."""
        ...

    def cost_nano(self, target: Target, call: Call) -> int | None:
        """What the call is expected to cost there, in nano-dollars; None where there is no price."""
        ...


class _Blind:
    """Knows nothing: every target may be tried, and none is better than another."""

    def open_for_s(self, target: Target) -> float | None:
        return None

    def latency_ms(self, target: Target) -> float | None:
        return None

    def busy(self, target: Target) -> int:
        return 0

    def cost_nano(self, target: Target, call: Call) -> int | None:
        return None


BLIND: Live = _Blind()


@dataclass(frozen=True, slots=True)
class Step:
    """One target on a walk, and why it is there. `skipped` says which rule keeps it out: ``breaker``, ``fallback_on`` or
    ``most_tokens``; it is empty for a target that is tried. `wait_s` is how long an open breaker keeps it out."""

    target: Target
    reason: str
    skipped: str = ""
    wait_s: float = 0.0


class Context:
    """What a walk may ask. Afterwards, `skipped` has the targets that were passed over, and `measured` says that the order
    followed measurements, so that this call has to add its own."""

    __slots__ = ("_facts", "call", "draw", "live", "measured", "skipped", "steps", "thrifty", "why")

    def __init__(self, call: Call, live: Live = BLIND, draw: Callable[[], float] = _random.random) -> None:
        """`draw` gives numbers in [0, 1)."""
        self.call = call
        self.live = live
        self.draw = draw
        self.measured = False
        # The config's budget is near its end: branches that may look for the cheapest target do.
        self.thrifty = False
        self.skipped: Sequence[Step] = ()
        # Of a dry run: all targets in order, and what led to the branch at hand.
        self.steps: list[Step] | None = None
        self.why: list[str] = []
        self._facts: Facts | None = None

    def skip(self, step: Step) -> None:
        self.skipped = (*self.skipped, step)
        if self.steps is not None:
            self.steps.append(step)

    @property
    def facts(self) -> Facts:
        if self._facts is None:
            self._facts = Facts(self.call)
        return self._facts


_CHEAPEST = "least_cost"
# On a dry run: an outcome that every strategy moves on from.
_ANY_FAILURE = Outcome(_FAILED, UpstreamError("any failure", status=_FAILED))


def explain(root: Node, context: Context) -> list[Step]:
    """The targets that a call would try if each failed in a way that leads to the next, and those it would skip, in order.

    Nobody is called. Raises `InvalidRequest` where no condition of a conditional strategy holds, as the call itself would.
    """
    steps = context.steps = []
    walking = walk(root, context)
    try:
        next(walking)
        while True:
            walking.send(_ANY_FAILURE)
    except StopIteration:
        return steps


def walk(node: Node, context: Context, before: Outcome | None = None) -> Walk:
    """The targets of a plan in order. `before` is the outcome that a fallback above comes from.

    Returns None where no target was tried. Raises `InvalidRequest` where no condition of a conditional strategy holds.
    """
    if isinstance(node, Branch):
        mode = _CHEAPEST if context.thrifty and node.thrifty else node.mode
        return (yield from _STRATEGIES[mode](node, context, before))
    if (kept_out := _kept_out(node, context, before)) is not None:
        context.skip(kept_out)
        return None
    if context.steps is not None:
        context.steps.append(Step(node, "; ".join(context.why) or "the only target"))
    return (yield node)


def _go(child: Node, context: Context, before: Outcome | None, why: str) -> Walk:
    """Into a child of a dry run, noting why."""
    context.why.append(why)
    outcome = yield from walk(child, context, before)
    context.why.pop()
    return outcome


def _kept_out(target: Target, context: Context, before: Outcome | None) -> Step | None:
    """Why a target is passed over; None where it may be tried."""
    if target.fallback_on is not None and not (before is not None and _is_named(before, target.fallback_on)):
        kinds = ", ".join(sorted(map(str, target.fallback_on)))
        came = "no failure came before it" if before is None else f"the one before it has status {before.status}"
        return Step(target, f"it is used only after a failure of these kinds: {kinds}; {came}", "fallback_on")
    if target.most_tokens is not None and (asked := _asked_tokens(context.call)) is not None and asked > target.most_tokens:
        reason = f"it takes calls for at most {target.most_tokens} tokens, and this one asks for {asked}"
        return Step(target, reason, "most_tokens")
    if target.breaker is not None and (wait_s := context.live.open_for_s(target)) is not None:
        return Step(target, f"its breaker is open for another {wait_s:.1f} s", "breaker", wait_s)
    return None


def _asked_tokens(call: Call) -> int | None:
    """The caller's own bound on the answer, the largest where there are several."""
    bounds = [call.body.get(name) for name in ("max_completion_tokens", "max_tokens", "max_output_tokens")]
    numbers = [bound for bound in bounds if isinstance(bound, int) and not isinstance(bound, bool)]
    return max(numbers, default=None)


def _is_named(failure: Outcome, names: frozenset[str | int]) -> bool:
    """Whether a failure is of one of these kinds, or has one of these statuses."""
    if failure is _ANY_FAILURE:
        return True
    if failure.error is None:
        return False
    return failure.status in names or any(name in names and is_it(failure) for name, is_it in _KINDS.items())


def _is_filtered(failure: Outcome) -> bool:
    error = failure.error
    said = f"{getattr(error, 'error_code', '')} {getattr(error, 'error_type', '')}".lower() if error is not None else ""
    return any(name in said for name in _FILTERED)


# The kinds of failure that `fallback_on` can name. A connection that broke off has status 502 or 504.
_KINDS: dict[str, Callable[[Outcome], bool]] = {
    "rate_limit": lambda failure: failure.status == 429,
    "timeout": lambda failure: failure.status in _TIMED_OUT,
    "server_error": lambda failure: failure.status >= _FAILED,
    "content_filter": _is_filtered,
}


# --- The strategies ------------------------------------------------------------------------------------------------------


def _single(branch: Branch, context: Context, before: Outcome | None) -> Walk:
    return (yield from walk(branch.children[0], context, before))


def _fallback(branch: Branch, context: Context, before: Outcome | None) -> Walk:
    """The next child after each outcome that counts as a failure; the last outcome when all fail."""
    return (yield from _one_after_the_other(branch, branch.children, context, before))


def _one_after_the_other(branch: Branch, children: Sequence[Node], context: Context, before: Outcome | None) -> Walk:
    outcome: Outcome | None = None
    for number, child in enumerate(children, start=1):
        if outcome is not None and not _leads_to(branch, outcome, child):
            continue
        if context.steps is None:
            next_outcome = yield from walk(child, context, outcome or before)
        else:
            place = "first" if number == 1 else "next after a failure"
            next_outcome = yield from _go(child, context, outcome or before, f"{place} of {len(children)} in a {branch.mode}")
        outcome = next_outcome or outcome
    return outcome


def _leads_to(branch: Branch, outcome: Outcome, child: Node) -> bool:
    """Whether an outcome leads to this child. A target that names the failures it is for is led to by those and no others."""
    if isinstance(child, Target) and child.fallback_on is not None and outcome.error is not None:
        return True
    if branch.on_status_codes is None:
        return outcome.error is not None and outcome.status != _NEVER_BY_DEFAULT and not _is_filtered(outcome)
    # A list that names 500 means "the provider failed", and so does a connection that could not be had (portkey-wire 4.4).
    unreachable = isinstance(outcome.error, UpstreamError) and outcome.error.is_network
    listed = outcome.status in branch.on_status_codes or (unreachable and _FAILED in branch.on_status_codes)
    return listed or outcome is _ANY_FAILURE


def _loadbalance(branch: Branch, context: Context, before: Outcome | None) -> Walk:
    """One child, by weight: drawn, or chosen by the hash of what the call says. Its siblings are no fallback, but they share
    the calls of a child that is kept out."""
    left = [index for index, weight in enumerate(branch.weights) if weight > 0]
    key = stickiness.key(context.call, branch.sticky) if branch.sticky else None
    while left:
        index = _drawn(branch, left, context.draw()) if key is None else _hashed(branch, left, key)
        child = branch.children[index]
        if context.steps is None:
            outcome = yield from walk(child, context, before)
        else:
            how = "drawn" if key is None else f"chosen by {' and '.join(branch.sticky)}"
            share = branch.weights[index] / sum(branch.weights)
            outcome = yield from _go(child, context, before, f"{how} in a loadbalance, share {share:.1%}")
        if outcome is not None:
            return outcome
        left.remove(index)
    return None


def _drawn(branch: Branch, left: list[int], draw: float) -> int:
    point = draw * sum(branch.weights[index] for index in left)
    for index in left:
        point -= branch.weights[index]
        if point < 0:
            return index
    return left[-1]  # rounding may leave a crumb


def _hashed(branch: Branch, left: list[int], key: bytes) -> int:
    """The same child for the same key as long as it is there, whatever happens to the others."""
    names = {index: _name(branch.children[index]) for index in left}
    return max(left, key=lambda index: stickiness.score(key, names[index], branch.weights[index]))


def _name(node: Node) -> str:
    return (node.name if isinstance(node, Target) else None) or node.path


def _conditional(branch: Branch, context: Context, before: Outcome | None) -> Walk:
    """The child of the first rule that holds, else the default."""
    index, why = branch.default, "the default, since no condition holds"
    for rule in branch.rules:
        if rule.holds(context.facts):
            index, why = rule.child, f"the condition {rule.text} holds"
            break
    if index is None:
        raise InvalidRequest(
            "Query router did not resolve to any valid target: no condition holds, and there is no default.",
            param=f"{branch.path}.strategy.conditions",
            code="no_target",
        )
    if context.steps is None:
        return (yield from walk(branch.children[index], context, before))
    return (yield from _go(branch.children[index], context, before, why))


# Where a child stands in the order, best first; of equals, chance decides.
_Rank = Callable[[Context, Target], tuple[int, float]]


def _by_latency(context: Context, target: Target) -> tuple[int, float]:
    """The fastest first. One call at a time finds out about a target of which nothing is known, or nothing recent."""
    latency_ms = context.live.latency_ms(target)
    if latency_ms is not None:
        return 1, latency_ms
    busy = context.live.busy(target)
    return (2, busy) if busy else (0, 0.0)


def _by_cost(context: Context, target: Target) -> tuple[int, float]:
    """The cheapest first, those without a price last."""
    cost_nano = context.live.cost_nano(target, context.call)
    return (1, 0.0) if cost_nano is None else (0, float(cost_nano))


def _by_calls(context: Context, target: Target) -> tuple[int, float]:
    return 0, float(context.live.busy(target))


def _best_first(rank: _Rank) -> Callable[[Branch, Context, Outcome | None], Walk]:
    """A fallback whose order follows what is known of the targets. A branch is judged by its first target."""

    def strategy(branch: Branch, context: Context, before: Outcome | None) -> Walk:
        context.measured = True
        order = sorted(branch.children, key=lambda child: (*rank(context, _first_target(child)), context.draw()))
        return (yield from _one_after_the_other(branch, order, context, before))

    return strategy


def _first_target(node: Node) -> Target:
    while isinstance(node, Branch):
        node = node.children[0]
    return node


_STRATEGIES: dict[str, Callable[[Branch, Context, Outcome | None], Walk]] = {
    "single": _single,
    "fallback": _fallback,
    "loadbalance": _loadbalance,
    "conditional": _conditional,
    "least_latency": _best_first(_by_latency),
    _CHEAPEST: _best_first(_by_cost),
    "least_busy": _best_first(_by_calls),
}
