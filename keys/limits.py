"""Rate limits and budgets: reserved before a call in one atomic step in Redis, settled to the truth after it.

Counters are fixed windows aligned to the calendar in UTC (a minute, an hour, a day, a week from Monday, a month), kept under
one hash tag per workspace so that one script call reaches them all on a cluster too. Money is counted in nano-dollars, whole
numbers that stay exact in Lua up to nine million dollars.
"""

from __future__ import annotations

import datetime as dt
import enum
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Protocol

from routing.errors import BudgetExceeded, GatewayError, RateLimited, Unavailable

NANO: Final = 1_000_000_000


class Unit(enum.StrEnum):
    """What a limit counts."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    COST = "cost"


class Period(enum.StrEnum):
    """The window in which it counts."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `cap` of `unit` (requests, tokens or nano-dollars) in each `period` for one owner.

    `owner` is the counter's name, such as ``key:<id>``; `label` names it in messages ("API key 'ci'").
    """

    owner: str
    label: str
    unit: Unit
    period: Period
    cap: int


@dataclass(frozen=True, slots=True)
class Reservation:
    """What was taken from which counters, so that settling can put the truth in its place."""

    counters: tuple[tuple[str, Unit], ...] = ()
    tokens: int = 0
    cost_nano: int = 0


NOTHING: Final = Reservation()


class RedisScript(Protocol):
    """Runs the script: ``keys`` and ``args`` as EVALSHA takes them. Raises `RedisUnavailable` when Redis does not answer."""

    def __call__(self, keys: Sequence[str], args: Sequence[int]) -> Awaitable[Any]: ...


class RedisUnavailable(Exception):
    """Redis did not answer in time, or is known not to."""


# KEYS: one counter a limit. ARGV: cap, amount, seconds to live; three for each. Nothing is taken unless everything fits.
ADMIT: Final = """
for i = 1, #KEYS do
  local used = tonumber(redis.call('GET', KEYS[i]) or '0')
  local cap, amount = tonumber(ARGV[3*i-2]), tonumber(ARGV[3*i-1])
  if used + amount > cap or (amount == 0 and used >= cap) then return {i, used} end
end
for i = 1, #KEYS do
  redis.call('INCRBY', KEYS[i], ARGV[3*i-1])
  if ARGV[3*i] ~= '0' then redis.call('EXPIRE', KEYS[i], ARGV[3*i]) end
end
return {0, 0}
"""
# KEYS: counters. ARGV: one difference for each. A counter that has expired meanwhile stays gone.
SETTLE: Final = """
for i = 1, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 1 then redis.call('INCRBY', KEYS[i], ARGV[i]) end
end
return 0
"""

_LENGTH_S = {Period.MINUTE: 60, Period.HOUR: 3600, Period.DAY: 86_400, Period.WEEK: 604_800}
_MONDAY = 4 * 86_400  # 1970-01-05, the first Monday of the epoch


def window(period: Period, now: float) -> tuple[int, int]:
    """The start and end of the window that `now` falls into, in seconds since 1970; (0, 0) for a total."""
    if period is Period.TOTAL:
        return 0, 0
    if period is Period.MONTH:
        today = dt.datetime.fromtimestamp(now, dt.UTC)
        start = today.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        following = (start + dt.timedelta(days=32)).replace(day=1)
        return int(start.timestamp()), int(following.timestamp())
    length = _LENGTH_S[period]
    offset = _MONDAY if period is Period.WEEK else 0
    start_s = int((now - offset) // length) * length + offset
    return start_s, start_s + length


def counter(workspace_id: str, limit: Limit, now: float) -> tuple[str, int]:
    """The Redis key of a limit's current window, and the seconds until that key may go (0 = never)."""
    start, end = window(limit.period, now)
    ttl = 0 if limit.period is Period.TOTAL else math.ceil(end - now) + 60
    return f"gatehouse:limit:{{{workspace_id}}}:{limit.owner}:{limit.unit}:{limit.period}:{start}", ttl


def to_nano(usd: Decimal) -> int:
    return int((usd * NANO).to_integral_value())


class Limits:
    """The two steps over one Redis connection. `fail_closed` refuses limited calls while Redis is away."""

    def __init__(
        self, admit: RedisScript, settle: Callable[[Sequence[str], Sequence[int]], None], *, fail_closed: bool
    ) -> None:
        self._admit = admit
        self._settle = settle
        self._fail_closed = fail_closed

    async def admit(
        self, workspace_id: str, limits: Sequence[Limit], *, tokens: int, cost_nano: int, now: float
    ) -> Reservation:
        """Takes one request, `tokens` and `cost_nano` (both estimates) from every limit, or from none.

        Raises `RateLimited` or `BudgetExceeded` naming the limit and when it resets, and `Unavailable` under fail_closed.
        """
        if not limits:
            return NOTHING
        amounts = {Unit.REQUESTS: 1, Unit.TOKENS: tokens, Unit.COST: cost_nano}
        keys: list[str] = []
        args: list[int] = []
        for limit in limits:
            key, ttl = counter(workspace_id, limit, now)
            keys.append(key)
            args += (limit.cap, amounts[limit.unit], ttl)
        try:
            blocked, used = await self._admit(keys, args)
        except RedisUnavailable as error:
            if self._fail_closed:
                raise Unavailable(
                    "Limits cannot be checked right now; try again in a moment.", code="limits_unavailable"
                ) from error
            return NOTHING
        if blocked:
            raise _refusal(limits[blocked - 1], int(used), now)
        return Reservation(tuple((key, limit.unit) for key, limit in zip(keys, limits, strict=True)), tokens, cost_nano)

    def settle(self, reservation: Reservation, *, tokens: int, cost_nano: int) -> None:
        """Replaces the estimates by the truth, in the background."""
        difference = {Unit.TOKENS: tokens - reservation.tokens, Unit.COST: cost_nano - reservation.cost_nano}
        changed = [(key, difference[unit]) for key, unit in reservation.counters if difference.get(unit)]
        if changed:
            self._settle([key for key, _ in changed], [amount for _, amount in changed])


def _refusal(limit: Limit, used: int, now: float) -> GatewayError:
    _, end = window(limit.period, now)
    resets = dt.datetime.fromtimestamp(end, dt.UTC).isoformat().replace("+00:00", "Z") if end else None
    if limit.unit is Unit.COST:
        when = f"It resets at {resets}." if resets else "It does not reset by itself: raise it in the console."
        period = "" if limit.period is Period.TOTAL else f" per {limit.period}"
        return BudgetExceeded(f"The budget of {limit.label} is used up: {limit.cap / NANO:g} USD{period}. {when}")
    return RateLimited(
        f"{limit.label} has reached a limit: {limit.cap} {limit.unit} a {limit.period}, {used} used. It resets at {resets}.",
        retry_after_s=max(1, math.ceil(end - now)),
        rate_headers={
            f"x-ratelimit-limit-{limit.unit}": str(limit.cap),
            f"x-ratelimit-remaining-{limit.unit}": str(max(0, limit.cap - used)),
            f"x-ratelimit-reset-{limit.unit}": f"{max(1, math.ceil(end - now))}s",
        },
    )
