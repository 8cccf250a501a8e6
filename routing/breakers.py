"""Circuit breakers: a target that fails is left alone for a while, and one probe decides whether it is used again.

Every failure is counted in Redis, by a script that opens the breaker and announces it, so that all gateway processes leave the
target alone within milliseconds. Nobody waits for that: a call asks this process's memory only, where a breaker opens at once
when the failures that this process knows of are enough. The one exception is the probe, for which the processes must agree on
one call. While Redis is away, each process counts for itself.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from typing import Any, NamedTuple

import structlog

from keys.limits import RedisUnavailable
from routing.call import Breaker
from routing.errors import UpstreamError, UpstreamTimeout
from routing.patience import DEADLINE
from routing.redis import RedisPipe, Script

# A percentage is taken over the calls of this long, or of the cooldown where that is longer.
WINDOW_MS = 60_000
# What nobody asks for any more is forgotten after this, on top of the cooldown.
FORGOTTEN_MS = 3_600_000
# A probe that has not ended after this may be followed by another one: its process may be gone.
LEASE_MS = 30_000
# While another call probes, this process asks again after this.
ASK_AGAIN_S = 0.25
MAX_STATES = 10_000
INDEX = "gatehouse:{breakers}:open"

# What the scripts answer and publish: how it stands with a breaker.
CLOSED, OPEN, FAILING, GRANTED, TAKEN = range(5)

_NOW = """
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
"""
# KEYS: state, probe, index. ARGV: failures, successes, threshold, percentage in hundredths, minimum, cooldown, window and time
# to forget (ms), 1 for a probe, id, label, channel. Returns how it stands, for how many milliseconds an open one
# stays so, and the failures in a row.
REPORT = (
    _NOW
    + """
local failures, successes = tonumber(ARGV[1]), tonumber(ARGV[2])
local threshold, percentage, minimum = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local cooldown, window, forgotten, id = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[10]
local kept = redis.call('HMGET', KEYS[1], 'until', 'row', 'seen', 'failed', 'window')
local open_until = tonumber(kept[1])
local function open(failed)
  redis.call('HSET', KEYS[1], 'until', now + cooldown, 'since', now, 'failures', failed, 'label', ARGV[11])
  redis.call('PEXPIRE', KEYS[1], cooldown + forgotten)
  redis.call('ZADD', KEYS[3], now + cooldown, id)
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - forgotten)
  redis.call('PUBLISH', ARGV[12], '1 ' .. cooldown .. ' ' .. id)
  return {1, cooldown, failed}
end
if open_until then
  if ARGV[9] ~= '1' then return {1, math.max(open_until - now, 0), 0} end
  redis.call('DEL', KEYS[2])
  if failures > 0 then return open((tonumber(redis.call('HGET', KEYS[1], 'failures')) or 0) + failures) end
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', KEYS[3], id)
  redis.call('PUBLISH', ARGV[12], '0 0 ' .. id)
  return {0, 0, 0}
end
local row, seen, failed = tonumber(kept[2]) or 0, tonumber(kept[3]) or 0, tonumber(kept[4]) or 0
local since = tonumber(kept[5]) or now
if now - since > window then seen, failed, since = 0, 0, now end
local was_clean = row == 0
seen, failed = seen + failures + successes, failed + failures
row = failures > 0 and row + failures or 0
if (threshold > 0 and row >= threshold) or (percentage > 0 and seen >= minimum and failed * 10000 >= percentage * seen) then
  return open(math.max(row, failed))
end
redis.call('HSET', KEYS[1], 'row', row, 'seen', seen, 'failed', failed, 'window', since)
redis.call('PEXPIRE', KEYS[1], forgotten)
if row == 0 then return {0, 0, 0} end
if was_clean then redis.call('PUBLISH', ARGV[12], '2 0 ' .. id) end
return {2, 0, row}
"""
)
# KEYS: state, probe. ARGV: the prober's name, its lease (ms). Returns how it stands, and for how many milliseconds.
CLAIM = (
    _NOW
    + """
local open_until = tonumber(redis.call('HGET', KEYS[1], 'until'))
if not open_until then return {0, 0} end
if now < open_until then return {1, open_until - now} end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return {3, 0} end
return {4, 0}
"""
)
# KEYS: probe. ARGV: the prober's name.
RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
# KEYS: index. Returns each open breaker's id, and the milliseconds until its cooldown is over.
LIST = (
    _NOW
    + """
local found = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for i = 2, #found, 2 do found[i] = math.max(math.floor(found[i] - now), 0) end
return found
"""
)

log = structlog.get_logger(__name__)


class Subject(NamedTuple):
    """Whom a breaker is about: its id is the same in every process, the label is JSON for people."""

    id: str
    label: str


class _State:
    """One breaker as this process knows it. It is open while `open_until` (seconds of the clock) is not 0, until a probe has
    succeeded. `failing` says that failures are on the books, so that a success must be told, and `row` how many in a row.
    `alone` says that it opened while Redis was away, when `seen` and `failed` count for the share."""

    __slots__ = ("alone", "ask_again_at", "asking", "failed", "failing", "open_until", "probing", "row", "seen", "window")

    def __init__(self) -> None:
        self.open_until = 0.0
        self.probing = False
        self.ask_again_at = 0.0
        # How many counts are on their way to Redis.
        self.asking = 0
        self.close()

    def close(self) -> None:
        self.open_until = 0.0
        self.failing = self.alone = False
        self.row = self.seen = self.failed = 0
        self.window = 0.0


class Watch:
    """One try of a target with a breaker. Exactly one of its three ends is told."""

    __slots__ = ("_breaker", "_breakers", "_state", "_subject", "probe")

    def __init__(self, breakers: Breakers, subject: Subject, breaker: Breaker, state: _State, probe: str) -> None:
        self._breakers = breakers
        self._subject = subject
        self._breaker = breaker
        self._state = state
        # The name under which this try is the probe; empty for any other.
        self.probe = probe

    def failed(self) -> None:
        self._breakers.report(self._subject, self._breaker, self._state, self.probe, failures=1)

    def succeeded(self) -> None:
        self._breakers.report(self._subject, self._breaker, self._state, self.probe, failures=0)

    def next(self) -> Watch:
        """For what follows in the same answer once the probe has been told."""
        return Watch(self._breakers, self._subject, self._breaker, self._state, "")

    def left(self) -> None:
        """It says nothing about the target: the caller hung up, or the gateway itself refused."""
        if self.probe:
            self._breakers.release(self._subject, self._state, self.probe)

    def ended(self, error: BaseException | None) -> None:
        """The end that an error, or none, amounts to."""
        verdict = is_failure(error, self._breaker)
        (self.left if verdict is None else self.failed if verdict else self.succeeded)()


def is_failure(error: BaseException | None, breaker: Breaker) -> bool | None:
    """Whether it counts against the target; None where it says nothing about it."""
    if error is None:
        return False
    if not isinstance(error, UpstreamError) or error.code == DEADLINE:
        return None
    if error.is_network or isinstance(error, UpstreamTimeout):
        return True
    codes = breaker.failure_status_codes
    return error.status in codes if codes else error.status >= 500


class Breakers:
    """All breakers of a process, over one Redis connection. Lives on one event loop until `close`."""

    def __init__(self, pipe: RedisPipe, clock: Callable[[], float] = time.monotonic) -> None:
        self._pipe = pipe
        self._clock = clock
        # Redis publishes to all its databases.
        self._channel = f"gatehouse:breakers:news:{pipe.database}"
        self._states: dict[str, _State] = {}
        self._listening: asyncio.Task[None] | None = None
        self._report, self._claim, self._release, self._list = Script(REPORT), Script(CLAIM), Script(RELEASE), Script(LIST)

    def open_for_s(self, subject: Subject) -> float | None:
        """Seconds for which the target is left alone; None where a call may ask `admit`."""
        state = self._states.get(subject.id)
        if state is None or not state.open_until:
            return None
        now = self._clock()
        wait_s = max(state.open_until, state.ask_again_at) - now
        if state.probing:
            return max(wait_s, ASK_AGAIN_S)
        return wait_s if wait_s > 0 else None

    def is_open(self, subject: Subject) -> bool:
        """Whether it has opened and not closed since, cooldown over or not."""
        state = self._states.get(subject.id)
        return state is not None and state.open_until > 0

    async def admit(self, subject: Subject, breaker: Breaker) -> Watch | None:
        """The right to try a target; None where it is left alone. Waits for Redis only where the try would be the probe."""
        state = self._states.get(subject.id) or self._new_state(subject.id)
        if not state.open_until:
            return Watch(self, subject, breaker, state, "")
        if self.open_for_s(subject) is not None:
            return None
        state.probing = True  # from here on, no other call of this process asks
        name = secrets.token_hex(8)
        try:
            standing, wait_ms = await self._pipe.ask(
                self._claim, [state_key(subject.id), probe_key(subject.id)], [name, max(breaker.cooldown_ms, LEASE_MS)]
            )
        except RedisUnavailable:
            standing, wait_ms = GRANTED, 0
        except asyncio.CancelledError:
            self.release(subject, state, name)
            raise
        if standing == GRANTED:
            return Watch(self, subject, breaker, state, name)
        state.probing = False
        if standing == TAKEN:
            state.ask_again_at = self._clock() + ASK_AGAIN_S
            return None
        if state.alone and standing == CLOSED:  # opened while Redis was away: nobody else knows of it, so this is the probe
            state.probing = True
            return Watch(self, subject, breaker, state, name)
        self._stands(subject.id, standing, wait_ms)
        return None if standing == OPEN else Watch(self, subject, breaker, state, "")

    def report(self, subject: Subject, breaker: Breaker, state: _State, probe: str, *, failures: int) -> None:
        """Counts one outcome. A success on a clean book is not worth telling, unless the share of failures matters."""
        state.row = state.row + 1 if failures else 0
        if not failures and not probe and not state.failing and breaker.failure_threshold_percentage is None:
            return
        if failures and (probe or (breaker.failure_threshold and state.row >= breaker.failure_threshold)):
            if not state.open_until:
                log.warning("a breaker is open", target=subject.label, seconds=breaker.cooldown_ms / 1000)
            state.open_until = self._clock() + breaker.cooldown_ms / 1000
        keys = [state_key(subject.id), probe_key(subject.id), INDEX]
        args: list[int | str] = [failures, 1 - failures, breaker.failure_threshold or 0]
        args += [round((breaker.failure_threshold_percentage or 0) * 100), breaker.minimum_requests, breaker.cooldown_ms]
        args += [max(WINDOW_MS, breaker.cooldown_ms), FORGOTTEN_MS, int(bool(probe)), subject.id, subject.label, self._channel]
        state.asking += 1
        ask = self._pipe.ask if failures or probe else self._pipe.ask_later
        ask(self._report, keys, args).add_done_callback(partial(self._told, subject, breaker, state, probe, failures))

    def release(self, subject: Subject, state: _State, probe: str) -> None:
        """Lets another call be the probe."""
        state.probing = False
        self._pipe.ask(self._release, [probe_key(subject.id)], [probe]).add_done_callback(_seen)

    def listen(self) -> None:
        """Begins to hear of what other processes find out, if it has not yet."""
        if self._listening is None:
            self._listening = asyncio.get_running_loop().create_task(self._listen())

    async def close(self) -> None:
        # redis-py may take a cancellation that comes while it connects for a time-out of its own: then another one is needed.
        while self._listening is not None and not self._listening.done():
            self._listening.cancel()
            await asyncio.wait([self._listening], timeout=0.5)

    # --- What others say ---------------------------------------------------------------------------------------------

    def _told(
        self, subject: Subject, breaker: Breaker, state: _State, probe: str, failures: int, answer: asyncio.Future[Any]
    ) -> None:
        state.asking -= 1
        if probe:
            state.probing = False
        if answer.cancelled():
            return
        error = answer.exception()
        if error is None:
            standing, wait_ms, row = answer.result()
            if state.asking and not probe and standing != OPEN:
                return  # what has been told since is not in this answer
            state.row = row
            if state.alone and probe:  # Redis is back, and knows nothing of this opening
                self._count_alone(subject, breaker, state, probe, failures)
            elif standing == FAILING:  # another process has seen a success: what this one knew was not enough after all
                state.open_until = 0.0
            self._stands(subject.id, standing, wait_ms)
        else:
            if not isinstance(error, RedisUnavailable):
                log.error("a breaker's count was refused", error=str(error))
            self._count_alone(subject, breaker, state, probe, failures)

    def _stands(self, subject_id: str, standing: int, wait_ms: int) -> None:
        state = self._states.get(subject_id)
        if state is None:
            if standing == CLOSED:
                return
            state = self._new_state(subject_id)
        if standing == OPEN:
            if not state.open_until:
                log.warning("a breaker is open", target=subject_id, seconds=wait_ms / 1000)
            state.open_until = self._clock() + wait_ms / 1000
            state.alone = False
        elif standing == FAILING:
            state.failing = True
        elif not state.alone:
            if state.open_until:
                log.warning("a breaker is closed", target=subject_id)
            state.close()

    def _count_alone(self, subject: Subject, breaker: Breaker, state: _State, probe: str, failures: int) -> None:
        """The script's rules, over what this process has seen."""
        now = self._clock()
        if probe:
            if failures:
                state.open_until, state.alone = now + breaker.cooldown_ms / 1000, True
            else:
                state.close()
            return
        if now - state.window > max(WINDOW_MS, breaker.cooldown_ms) / 1000:
            state.seen, state.failed, state.window = 0, 0, now
        state.seen += 1
        state.failed += failures
        state.failing = state.row > 0
        share = 100 * state.failed / state.seen
        percentage = breaker.failure_threshold_percentage
        if (breaker.failure_threshold and state.row >= breaker.failure_threshold) or (
            percentage is not None and state.seen >= breaker.minimum_requests and share >= percentage
        ):
            if not state.open_until:
                log.warning("a breaker is open", target=subject.label, seconds=breaker.cooldown_ms / 1000)
            state.open_until, state.alone = now + breaker.cooldown_ms / 1000, True

    def _new_state(self, subject_id: str) -> _State:
        self.listen()
        if len(self._states) >= MAX_STATES:
            self._states = {key: state for key, state in self._states.items() if state.open_until}
        state = self._states[subject_id] = _State()
        return state

    async def _listen(self) -> None:
        """Follows what other processes report, and now and then compares notes, since a message can be lost."""
        async with aclosing(self._pipe.messages(self._channel)) as messages:
            async for message in messages:
                if message is None:
                    await self._compare()
                    continue
                try:
                    standing, wait_ms, subject_id = message.decode().split(" ", 2)
                    self._stands(subject_id, int(standing), int(wait_ms))
                except ValueError:
                    log.warning("somebody else speaks on the breakers' channel", message=message[:100])

    async def _compare(self) -> None:
        try:
            found = await self._pipe.ask(self._list, [INDEX], [])
        except RedisUnavailable:
            return
        opened = {found[index].decode(): int(found[index + 1]) for index in range(0, len(found), 2)}
        for subject_id, wait_ms in opened.items():
            self._stands(subject_id, OPEN, wait_ms)
        for subject_id, state in self._states.items():
            if state.open_until and subject_id not in opened:
                self._stands(subject_id, CLOSED, 0)


def state_key(subject_id: str) -> str:
    return f"gatehouse:{{breakers}}:state:{subject_id}"


def probe_key(subject_id: str) -> str:
    return f"gatehouse:{{breakers}}:probe:{subject_id}"


def _seen(answer: asyncio.Future[Any]) -> None:
    """A lease that could not be given back runs out."""
    if not answer.cancelled() and (error := answer.exception()) is not None:
        log.warning("a probe was not released", error=str(error))
