"""What a limit is, and the calendar window in which it counts."""

from __future__ import annotations

import datetime as dt
import enum
import hashlib
import math
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

NANO: Final = 1_000_000_000
UTC: Final = "UTC"


class Unit(enum.StrEnum):
    """What a limit counts. `CONCURRENCY` counts the calls that are under way."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    COST = "cost"
    CONCURRENCY = "concurrency"


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
    """At most `cap` of `unit` (requests, tokens, nano-dollars or calls at once) in each `period` for one owner.

    `owner` is the counter's name, such as ``key:<id>``; `label` names it in messages ("API key 'ci'"). Days, weeks and months
    are those of `zone`. `alert` is a threshold of the owner's own, in percent. `named` is what an owner with a hash for a name
    stands for.
    """

    owner: str
    label: str
    unit: Unit
    period: Period
    cap: int
    zone: str = UTC
    alert: float | None = None
    named: str = ""


_LENGTH_S = {Period.MINUTE: 60, Period.HOUR: 3600, Period.DAY: 86_400, Period.WEEK: 604_800}
_MONDAY = 4 * 86_400  # 1970-01-05, the first Monday of the epoch
# A counter outlives its window by this long: calls settle that began in it, and events are noticed.
OUTLIVES_S = 60


def window(period: Period, now: float, zone: str = UTC) -> tuple[int, int]:
    """The start and end of the window that `now` falls into, in seconds since 1970; (0, 0) for a total."""
    if period is Period.TOTAL:
        return 0, 0
    if zone != UTC and period in {Period.DAY, Period.WEEK, Period.MONTH}:
        return _local_window(period, now, ZoneInfo(zone))
    if period is Period.MONTH:
        return _local_window(period, now, dt.UTC)
    length = _LENGTH_S[period]
    offset = _MONDAY if period is Period.WEEK else 0
    start_s = int((now - offset) // length) * length + offset
    return start_s, start_s + length


def _local_window(period: Period, now: float, zone: dt.tzinfo) -> tuple[int, int]:
    """By the clocks of a place: a day on which they change has 23 or 25 hours."""
    today = dt.datetime.fromtimestamp(now, zone).date()
    if period is Period.MONTH:
        first = today.replace(day=1)
        following = (first + dt.timedelta(days=32)).replace(day=1)
    else:
        first = today - dt.timedelta(days=today.weekday() if period is Period.WEEK else 0)
        following = first + dt.timedelta(days=7 if period is Period.WEEK else 1)
    start, end = (dt.datetime.combine(day, dt.time(), zone).timestamp() for day in (first, following))
    return int(start), int(end)


class Clock:
    """Windows, remembered as long as they last: calendars cost more than the rest of an admission."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[tuple[Period, str], tuple[int, int]] = {}

    def window(self, period: Period, now: float, zone: str) -> tuple[int, int]:
        found = self._known.get((period, zone))
        if found is None or not (found[0] <= now < found[1] or period is Period.TOTAL):
            found = self._known[(period, zone)] = window(period, now, zone)
        return found


def prefix(workspace_id: str) -> str:
    """What the names of all counters of a workspace begin with. The braces put them into one slot of a cluster."""
    return f"gatehouse:limit:{{{workspace_id}}}:"


def place(limit: Limit, start: int) -> str:
    """A counter's name within its workspace."""
    return f"{limit.owner}:{limit.unit.value}:{limit.period.value}:{start}"


def counter(workspace_id: str, limit: Limit, now: float) -> tuple[str, int]:
    """The Redis key of a limit's current window, and the second since 1970 at which that key may go (0 = never)."""
    start, end = window(limit.period, now, limit.zone)
    return prefix(workspace_id) + place(limit, start), end + OUTLIVES_S if end else 0


@lru_cache(maxsize=8192)
def hashed(*words: str) -> str:
    """A name for a counter out of texts that anybody may have chosen."""
    return hashlib.blake2b("\0".join(words).encode(errors="replace"), digest_size=12).hexdigest()


def until(end: float, now: float) -> int:
    """Whole seconds until a window ends, one at least."""
    return max(1, math.ceil(end - now))


def to_nano(usd: Decimal) -> int:
    return int((usd * NANO).to_integral_value())
