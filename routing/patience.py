"""How long to wait: before the next try, for a try to begin and to end, and for the call as a whole."""

from __future__ import annotations

import asyncio
import email.utils
import math
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass

from routing.call import Retry, Target
from routing.errors import UpstreamError, UpstreamTimeout

# The wishes of Retry-After are followed while all those of a call together stay below this (portkey-wire 4.3).
MAX_RETRY_AFTER_S = 60.0
JITTER = 0.2
# The code of the error that ends a call whose own deadline is over. It says nothing about the provider.
DEADLINE = "deadline_exceeded"

_BEYOND_EVERY_DELAY = 100.0
_jitter = random.Random()  # noqa: S311 - spreads retries, guards nothing


def delay_s(retry: Retry, number: int, error: UpstreamError, waited_s: float) -> tuple[float, bool] | None:
    """Seconds before the try after try `number` (from 0), and whether the provider wished for them; None where waiting makes
    no sense. `waited_s` is how long the call has waited for such wishes already."""
    if retry.use_retry_after and error.status == 429 and error.retry_after_s is not None:
        wish_s = error.retry_after_s
        return (wish_s, True) if waited_s + wish_s < MAX_RETRY_AFTER_S else None
    planned_ms = backoff_ms(retry, number)
    longest_ms = min(planned_ms * (1 + JITTER), retry.max_delay_ms)
    return _jitter.uniform(planned_ms * (1 - JITTER), longest_ms) / 1000, False


def backoff_ms(retry: Retry, number: int) -> float:
    """The wait after try `number` (from 0) without its jitter."""
    if number * math.log(max(retry.backoff_factor, 1)) > _BEYOND_EVERY_DELAY:
        return retry.max_delay_ms  # the power itself may be more than a float can hold
    return min(retry.initial_delay_ms * retry.backoff_factor**number, retry.max_delay_ms)


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds from retry-after-ms, x-ms-retry-after-ms or retry-after (seconds or an HTTP date); never negative, never NaN."""
    get = headers.get
    try:
        if milliseconds := get("retry-after-ms") or get("x-ms-retry-after-ms"):
            return _sound(float(milliseconds) / 1000)
        if not (value := get("retry-after")):
            return None
        if value.strip().replace(".", "", 1).isdigit():
            return _sound(float(value))
        return _sound(email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None  # a header that says nothing


def _sound(seconds: float) -> float | None:
    return None if math.isnan(seconds) else max(0.0, seconds)


@dataclass(frozen=True, slots=True)
class Deadline:
    """When a call is over as a whole, in the loop's time, and the milliseconds that its config gives it."""

    at: float
    ms: int

    @classmethod
    def of(cls, ms: int, started: float) -> Deadline:
        """That of a call which began at `started` on the monotonic clock."""
        return cls(asyncio.get_running_loop().time() + ms / 1000 - (time.monotonic() - started), ms)

    def left_s(self) -> float:
        return self.at - asyncio.get_running_loop().time()

    def error(self) -> UpstreamTimeout:
        return UpstreamTimeout(f"The call exceeded the deadline of its config: {self.ms}ms", code=DEADLINE)


@dataclass(frozen=True, slots=True)
class Bound:
    """A moment in the loop's time, and what is wrong when it comes."""

    at: float
    message: str
    code: str

    def error(self) -> UpstreamTimeout:
        return UpstreamTimeout(self.message, code=self.code)


@dataclass(frozen=True, slots=True)
class Clock:
    """The bounds of one try: `begin` for its first token or whole answer, `end` for its last byte, `idle_ms` for a silence
    in between. A silence before the first token is one too, unless the config `bounds_beginning` by itself."""

    begin: Bound | Deadline | None
    end: Bound | Deadline | None
    idle_ms: int | None
    bounds_beginning: bool = False

    def idle_error(self) -> UpstreamTimeout:
        return UpstreamTimeout(f"The provider was silent for {self.idle_ms}ms in the middle of its answer", code="idle_timeout")


def clock(target: Target, deadline: Deadline | None, *, stream: bool) -> Clock | None:
    """The bounds of a try that starts now; None where nothing bounds it."""
    given = target.timeouts
    attempt_ms, idle_ms, total_ms = given.attempt_ms, given.idle_ms, given.total_ms
    first_ms = given.first_token_ms if stream else None
    if attempt_ms is None and idle_ms is None and total_ms is None and first_ms is None and deadline is None:
        return None
    now = asyncio.get_running_loop().time()
    end: list[Bound | Deadline] = [] if deadline is None else [deadline]
    if total_ms is not None:
        end.append(Bound(now + total_ms / 1000, f"The answer was not complete within {total_ms}ms", code="total_timeout"))
    begin = list(end)
    if attempt_ms is not None:
        message = f"Request exceeded the timeout sent in the request: {attempt_ms}ms"
        begin.append(Bound(now + attempt_ms / 1000, message, UpstreamTimeout.code))
    if first_ms is not None:
        message = f"The first token did not come within {first_ms}ms"
        begin.append(Bound(now + first_ms / 1000, message, code="first_token_timeout"))
    bounds_beginning = attempt_ms is not None or first_ms is not None
    return Clock(min(begin, key=_at, default=None), min(end, key=_at, default=None), idle_ms, bounds_beginning)


def _at(bound: Bound | Deadline) -> float:
    return bound.at
