"""What a call is expected to use, and what it did use: tokens and money, by the same rules for streams and whole answers."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from analytics import media
from analytics.estimate import estimate_usage
from analytics.tariffs import names_of
from keys.limits import to_nano
from routing.call import Call, Endpoint, Target, Usage
from routing.plan import Branch, Node

if TYPE_CHECKING:
    from analytics.prices import Prices
    from routing.exchange import Exchange

# A request's JSON has about this many bytes a token of its text: the keys and quotes weigh little against the messages.
BYTES_PER_TOKEN = 4
# Reserved for the answer where the caller sets no bound.
DEFAULT_ANSWER_TOKENS = 512


@dataclass(frozen=True, slots=True)
class Bill:
    """The end of a call in numbers. `cost_usd` is None where there is no price; then `unpriced` says if tokens were used."""

    usage: Usage
    model: str
    cost_usd: Decimal | None
    unpriced: bool

    @property
    def tokens(self) -> int:
        return self.usage.prompt_tokens + self.usage.completion_tokens

    @property
    def cost_nano(self) -> int:
        return 0 if self.cost_usd is None else to_nano(self.cost_usd)


def estimate(call: Call, target: Target, prices: Prices) -> tuple[int, int]:
    """Tokens and nano-dollars to reserve before the call: the request's length and the bound on its answer."""
    tokens, cost_nano = _expected(call, target, prices)
    return tokens, cost_nano or 0


def expected_cost_nano(call: Call, target: Target, prices: Prices) -> int | None:
    """What the call would cost at this target in nano-dollars; None where there is no price."""
    return _expected(call, target, prices)[1]


def _expected(call: Call, target: Target, prices: Prices) -> tuple[int, int | None]:
    # Its length tells enough: to parse the text for a better guess would cost more than the rest of the admission.
    prompt = max(1, len(call.raw) // BYTES_PER_TOKEN)
    body = call.body
    bound = body.get("max_completion_tokens") or body.get("max_tokens") or body.get("max_output_tokens")
    answer = bound if isinstance(bound, int) and not isinstance(bound, bool) and bound > 0 else DEFAULT_ANSWER_TOKENS
    if call.endpoint == Endpoint.EMBEDDINGS:  # these answer with vectors, which are not billed
        answer = 0
    usage = Usage(input_tokens=prompt, output_tokens=answer, estimated=True, media=media.asked(call))
    cost = price(target, target.model or call.model, None, usage, prices, call.started_at_us)
    return prompt + answer, None if cost is None else to_nano(cost)


def first_target(node: Node) -> Target:
    """The target that a plan most likely begins with: what a call will cost is estimated by it."""
    while isinstance(node, Branch):
        node = node.children[0]
    return node


def begins_with(node: Node, target: Target) -> bool:
    """Whether a plan is sure to try this target first: no chance and no condition stands before it."""
    while isinstance(node, Branch):
        if node.mode not in {"single", "fallback"}:
            return False
        node = node.children[0]
    return node is target


def bill(exchange: Exchange, prices: Prices) -> Bill:
    """What the call used in the end. A failed call used nothing; of one that broke off, the parts that were seen count."""
    target, reply = exchange.target, exchange.reply
    usage, answered = _usage(exchange), None
    if reply is not None:
        answered = reply.translator.model if reply.translator is not None else reply.model
    if usage is not None:
        usage = media.measured(usage, exchange.call, None if reply is None else reply.body)
    if target is None or usage is None:
        return Bill(Usage(), answered or "", None if target is None else Decimal(0), unpriced=False)
    cost = price(target, target.model or exchange.call.model, answered, usage, prices, exchange.call.started_at_us)
    return Bill(usage, answered or "", cost, unpriced=cost is None and usage.is_used)


def together(parts: Sequence[Bill]) -> Bill:
    """One bill for all parts of an answer. Its cost is unknown where that of any part is."""
    usage = functools.reduce(operator.add, (part.usage for part in parts))
    costs = [part.cost_usd for part in parts]
    known = [cost for cost in costs if cost is not None]
    cost = sum(known, Decimal(0)) if len(known) == len(costs) else None
    return Bill(usage, parts[-1].model or parts[0].model, cost, unpriced=any(part.unpriced for part in parts))


def _usage(exchange: Exchange) -> Usage | None:
    reply = exchange.reply
    if reply is None:
        # The caller hung up on a provider that was at work: the prompt was read, the answer is unknown.
        pending = exchange.cancelled and exchange.reached_provider
        return estimate_usage(exchange.call.body, 0) if pending else None
    if reply.translator is None:
        known, deltas = reply.usage, 0
    else:
        known, deltas = reply.translator.usage, reply.translator.deltas
        if known is not None and not reply.translator.done and deltas > known.completion_tokens:
            known = None  # an early, partial count of a stream that broke off
    if known is not None:
        return known
    return estimate_usage(exchange.call.body, deltas)


def price(target: Target, asked: str, answered: str | None, usage: Usage, prices: Prices, at_us: int) -> Decimal | None:
    """The cost in USD, by the prices of the target's workspace."""
    names = names_of(target.provider, asked, answered)
    return prices.call_cost(target.provider, names, usage, at_us, target.tariffs)
