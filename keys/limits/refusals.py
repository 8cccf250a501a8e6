"""What a caller is told whose call does not fit into a limit."""

from __future__ import annotations

import datetime as dt

from keys.limits.windows import NANO, Limit, Period, Unit, until, window
from routing.errors import BudgetExceeded, GatewayError, RateLimited

# When a call comes to its end is anybody's guess: it is worth looking again soon.
_ONE_ENDS_S = 1


def refusal(limit: Limit, used: int, now: float) -> GatewayError:
    """Names the limit and when it resets. 412 for a budget, 429 for any other limit."""
    if limit.unit is Unit.CONCURRENCY:
        return RateLimited(
            f"{limit.label} has reached a limit: {limit.cap} calls at once. Try again when one of them has ended.",
            retry_after_s=_ONE_ENDS_S,
        )
    _, end = window(limit.period, now, limit.zone)
    resets = dt.datetime.fromtimestamp(end, dt.UTC).isoformat().replace("+00:00", "Z") if end else None
    if limit.unit is Unit.COST:
        when = f"It resets at {resets}." if resets else "It does not reset by itself: raise it in the console."
        return BudgetExceeded(f"The budget of {limit.label} is used up: {amount(limit)}. {when}")
    seconds = until(end, now)
    return RateLimited(
        f"{limit.label} has reached a limit: {amount(limit)}, {used} used. It resets at {resets}.",
        retry_after_s=seconds,
        rate_headers={
            f"x-ratelimit-limit-{limit.unit}": str(limit.cap),
            f"x-ratelimit-remaining-{limit.unit}": str(max(0, limit.cap - used)),
            f"x-ratelimit-reset-{limit.unit}": f"{seconds}s",
        },
    )


def amount(limit: Limit) -> str:
    """The limit for people: "5 USD per month", "60 requests a minute"."""
    if limit.unit is Unit.CONCURRENCY:
        return f"{limit.cap} calls at once"
    if limit.unit is not Unit.COST:
        return f"{limit.cap} {limit.unit} a {limit.period}"
    period = "" if limit.period is Period.TOTAL else f" per {limit.period}"
    return f"{limit.cap / NANO:.12g} USD{period}"
