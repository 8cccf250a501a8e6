"""Rate limits and budgets: reserved before a call in one atomic step in Redis, settled to the truth after it."""

from keys.limits.admission import NOTHING, Limits, RedisUnavailable, Reservation
from keys.limits.windows import NANO, Limit, Period, Unit, counter, to_nano, window

__all__ = [
    "NANO",
    "NOTHING",
    "Limit",
    "Limits",
    "Period",
    "RedisUnavailable",
    "Reservation",
    "Unit",
    "counter",
    "to_nano",
    "window",
]
