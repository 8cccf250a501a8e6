"""The two steps over one Redis connection, and what a process does for the calls that it holds something for.

A reservation is a lease: whoever holds it renews it, and what nobody renews is given back by the next admission. So neither a
process that dies in mid-call nor a settlement that could not be sent leaves an estimate standing.
"""

from __future__ import annotations

import asyncio
import dataclasses
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final, Protocol

import structlog

from keys.limits import scripts
from keys.limits.refusals import refusal
from keys.limits.windows import OUTLIVES_S, Clock, Limit, Unit, place, prefix
from routing.errors import Unavailable

log = structlog.get_logger(__name__)

# How often a process looks after what it holds.
TICK_S: Final = 1.0
# How many calls may wait for being settled while Redis is away. Beyond that the oldest is left to its lease and to the ledger.
HELD_MAX: Final = 100_000
# Members in one command of the renewal.
_CHUNK: Final = 500
# How long a call waits for counters that are being rebuilt, where limits fail closed.
REBUILD_WAIT_S: Final = 5.0
# The epoch of what was let through while Redis was away. No script ever sets it.
_NO_EPOCH: Final = "?"


@dataclass(frozen=True, slots=True)
class Taken:
    """What a call took from one counter. `expiry` is the second at which the counter may go, 0 for never."""

    key: str
    unit: Unit
    amount: int
    expiry: int


@dataclass(frozen=True, slots=True)
class Reservation:
    """What was taken from which counters, so that settling can put the truth in its place.

    `near` says that 80 % of a config's budget are used or reserved.
    """

    id: str = ""
    workspace_id: str = ""
    member: str = ""
    counters: tuple[Taken, ...] = ()
    near: bool = False


NOTHING: Final = Reservation()


class Runner(Protocol):
    """Runs a script, given by its source, with `keys` and `args` as EVALSHA takes them. Raises `RedisUnavailable`."""

    def __call__(self, source: str, keys: Sequence[str], args: Sequence[int | str]) -> Awaitable[Any]: ...


class RedisUnavailable(Exception):
    """Redis did not answer in time, or is known not to."""


@dataclass(slots=True)
class _Holding:
    """A reservation of this process. `truths` are there once the call is over, in the order of the counters."""

    reservation: Reservation
    epoch: str
    renewed: float = field(default_factory=time.monotonic)
    truths: tuple[int, ...] | None = None
    sent: bool = False


class Limits:
    """`fail_closed` refuses limited calls while Redis is away, and while its counters are known to be lost.

    `run` sends a script at once, `later` when it suits; both keep the order of what they are given. `rebuild` makes the
    counters of a workspace whole again (analytics/reconcile.py); without it they are taken as they are found.
    """

    def __init__(
        self,
        run: Runner,
        later: Runner,
        *,
        fail_closed: bool,
        lease_s: int = 60,
        rebuild: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        self._run = run
        self._later = later
        self._fail_closed = fail_closed
        self._lease_s = lease_s
        self._rebuild = rebuild
        self._rebuilding: dict[str, asyncio.Future[None]] = {}
        self._clock = Clock()
        self._name = uuid.uuid4().hex[:16]
        self._numbers = count(1)
        self._held: dict[str, _Holding] = {}
        self._sending: set[asyncio.Future[Any]] = set()
        self._ticking: asyncio.Task[None] | None = None

    @property
    def held(self) -> int:
        """How many reservations this process looks after."""
        return len(self._held)

    async def admit(
        self, workspace_id: str, limits: Sequence[Limit], *, tokens: int, cost_nano: int, now: float
    ) -> Reservation:
        """Takes one request, `tokens` and `cost_nano` (both estimates) from every limit, or from none.

        Raises `RateLimited` or `BudgetExceeded` naming the limit and when it resets, and `Unavailable` under fail_closed.
        """
        return (await self.admit_each(workspace_id, (limits,), tokens=tokens, cost_nano=cost_nano, now=now))[0]

    async def admit_each(
        self, workspace_id: str, groups: Sequence[Sequence[Limit]], *, tokens: int, cost_nano: int, now: float
    ) -> list[Reservation]:
        """The same for several groups of limits in one step: each one's reservation is settled by itself."""
        amounts = {Unit.REQUESTS: 1, Unit.TOKENS: tokens, Unit.COST: cost_nano, Unit.CONCURRENCY: 1}
        made = [self._reservation(workspace_id, limits, amounts, now) for limits in groups]
        taken = [one for one in made if one is not NOTHING]
        if taken and await self._take(workspace_id, taken, [limit for limits in groups for limit in limits], now):
            made = [one if one is NOTHING else dataclasses.replace(one, near=True) for one in made]
        return made

    def settle(self, reservation: Reservation, *, tokens: int, cost_nano: int) -> None:
        """Replaces the estimates by the truth and frees the slots, in the background: now, or when Redis is back."""
        self._end(reservation, {Unit.REQUESTS: 1, Unit.TOKENS: tokens, Unit.COST: cost_nano})

    def release(self, reservation: Reservation) -> None:
        """Gives everything back, the request too: there was no call."""
        self._end(reservation, {})

    async def close(self) -> None:
        """Waits for what is being settled. Whatever Redis does not take now is given back when its lease ends."""
        if self._ticking is not None:
            # Again and again, because a client that is just connecting may swallow a cancellation.
            while not self._ticking.done():
                self._ticking.cancel()
                await asyncio.wait([self._ticking], timeout=0.1)
        if self._sending:
            await asyncio.wait(list(self._sending), timeout=1.0)

    # --- Taking ----------------------------------------------------------------------------------------------------------

    def _reservation(self, workspace_id: str, limits: Sequence[Limit], amounts: dict[Unit, int], now: float) -> Reservation:
        if not limits:
            return NOTHING
        before = prefix(workspace_id)
        name = f"{self._name}-{next(self._numbers)}"
        member = [name]
        counters = []
        for limit in limits:
            start, end = self._clock.window(limit.period, now, limit.zone)
            where, amount = place(limit, start), amounts[limit.unit]
            counters.append(Taken(before + where, limit.unit, amount, end + OUTLIVES_S if end else 0))
            member.append(f"{where}={amount}")
        return Reservation(name, workspace_id, "|".join(member), tuple(counters))

    async def _take(self, workspace_id: str, taken: list[Reservation], limits: list[Limit], now: float) -> bool:
        """One step for all of them; whether a config's budget is near its end. `limits` are those of all counters, in order."""
        before = prefix(workspace_id)
        keys = [f"{before}epoch", f"{before}leases", f"{before}lapsed"]
        members = [one.member for one in taken]
        args: list[int | str] = [before, self._lease_s, int(self._fail_closed and self._rebuild is not None)]
        args += [len(members), *members]
        counters = [counter for one in taken for counter in one.counters]
        for limit, one in zip(limits, counters, strict=True):
            keys.append(one.key)
            args += (limit.cap, one.amount, one.expiry)
        try:
            blocked, used, epoch = await self._answer(workspace_id, keys, args)
        except RedisUnavailable as error:
            self._hold(taken, _NO_EPOCH)
            if not self._fail_closed:
                return False
            for reservation in taken:
                self.release(reservation)  # it may have been taken all the same
            raise _unavailable("Limits cannot be checked right now", code="limits_unavailable") from error
        except asyncio.CancelledError:
            self._hold(taken, _NO_EPOCH)
            for reservation in taken:
                self.release(reservation)
            raise
        if blocked:
            raise refusal(limits[blocked - 1], int(used), now)
        self._hold(taken, epoch.decode() if isinstance(epoch, bytes) else epoch)
        if not epoch and self._rebuild is not None:
            self._ask_for_rebuild(workspace_id)
        return bool(used)

    async def _answer(self, workspace_id: str, keys: list[str], args: list[int | str]) -> Any:
        answer = await self._run(scripts.ADMIT, keys, args)
        if answer[0] == scripts.UNKNOWN:
            # Whether it came to an end, and how, the next answer tells.
            await asyncio.wait([self._ask_for_rebuild(workspace_id)], timeout=REBUILD_WAIT_S)
            answer = await self._run(scripts.ADMIT, keys, args)
            if answer[0] == scripts.UNKNOWN:
                raise _unavailable("The counters of the limits are being rebuilt", code="limits_rebuilding")
        return answer

    def _ask_for_rebuild(self, workspace_id: str) -> asyncio.Future[None]:
        assert self._rebuild is not None  # noqa: S101 - the callers have looked
        found = self._rebuilding.get(workspace_id)
        if found is None:
            found = self._rebuilding[workspace_id] = asyncio.ensure_future(self._rebuild(workspace_id))
            found.add_done_callback(lambda done: self._rebuilt(workspace_id, done))
        return found

    def _rebuilt(self, workspace_id: str, done: asyncio.Future[None]) -> None:
        del self._rebuilding[workspace_id]
        if not done.cancelled() and (error := done.exception()) is not None:
            log.error("counters could not be rebuilt", workspace=workspace_id, error=repr(error))

    # --- Giving back -----------------------------------------------------------------------------------------------------

    def _end(self, reservation: Reservation, truths: dict[Unit, int]) -> None:
        holding = self._held.get(reservation.id)
        if holding is None or holding.truths is not None:
            return
        holding.truths = tuple(truths.get(one.unit, 0) for one in reservation.counters)
        self._send(holding)

    def _send(self, holding: _Holding) -> None:
        """Settles one reservation. It stays held until Redis has answered; settling twice changes nothing."""
        one, truths = holding.reservation, holding.truths
        assert truths is not None  # noqa: S101 - only what is over is settled
        before = prefix(one.workspace_id)
        keys = [f"{before}epoch", f"{before}leases", f"{before}lapsed", f"{before}done:{one.id}"]
        args: list[int | str] = [one.member, holding.epoch]
        for counter, truth in zip(one.counters, truths, strict=True):
            keys.append(counter.key)
            args += (truth - counter.amount, truth, counter.expiry)
        holding.sent = True
        sending = asyncio.ensure_future(self._later(scripts.SETTLE, keys, args))
        self._sending.add(sending)
        sending.add_done_callback(lambda answer: self._settled(holding, answer))

    def _settled(self, holding: _Holding, answer: asyncio.Future[Any]) -> None:
        self._sending.discard(answer)
        if answer.cancelled() or answer.exception() is not None:
            holding.sent = False  # the next tick sends it again
        else:
            self._held.pop(holding.reservation.id, None)

    # --- Looking after what is held ----------------------------------------------------------------------------------------

    def _hold(self, taken: Iterable[Reservation], epoch: str) -> None:
        for one in taken:
            self._held[one.id] = _Holding(one, epoch)
        if len(self._held) > HELD_MAX:
            self._drop_oldest()
        if self._ticking is None:
            self._ticking = asyncio.get_running_loop().create_task(self._tick_for_ever())

    def _drop_oldest(self) -> None:
        waiting = next((name for name, one in self._held.items() if one.truths is not None and not one.sent), None)
        if waiting is not None:
            log.error("too many settlements wait for Redis: the ledger will put this one right", reservation=waiting)
            del self._held[waiting]

    async def _tick_for_ever(self) -> None:
        while True:
            await asyncio.sleep(min(TICK_S, self._lease_s / 3))
            await self.tick()

    async def tick(self) -> None:
        """Renews leases in time, takes again what Redis has lost, and sends settlements that did not get through."""
        now = time.monotonic()
        by_workspace: dict[str, list[_Holding]] = {}
        for one in list(self._held.values()):
            if one.truths is not None:
                if not one.sent:
                    self._send(one)
            else:
                by_workspace.setdefault(one.reservation.workspace_id, []).append(one)
        for workspace_id, held in by_workspace.items():
            try:
                await self._look_after(workspace_id, held, now)
            except RedisUnavailable:
                return  # the next tick looks again

    async def _look_after(self, workspace_id: str, held: list[_Holding], now: float) -> None:
        keys = [f"{prefix(workspace_id)}{name}" for name in ("epoch", "leases")]
        due = [one for one in held if now - one.renewed >= self._lease_s / 3]
        epoch = ""
        missing: list[_Holding] = []
        for start in range(0, max(1, len(due)), _CHUNK):
            chunk = due[start : start + _CHUNK]
            answer = await self._run(scripts.RENEW, keys, [self._lease_s, *(one.reservation.member for one in chunk)])
            epoch = _text(answer[0])
            absent = {int(index) for index in answer[1:]}
            for index, one in enumerate(chunk):
                if index in absent:
                    missing.append(one)
                else:
                    one.renewed = now
        lost = [one for one in held if one.epoch != epoch]
        for one in {id(each): each for each in (*missing, *lost)}.values():
            if one.truths is None:  # else it was settled meanwhile
                await self._hold_again(one)

    async def _hold_again(self, holding: _Holding) -> None:
        one = holding.reservation
        before = prefix(one.workspace_id)
        args: list[int | str] = [self._lease_s, one.member]
        for counter in one.counters:
            args += (counter.amount, counter.expiry)
        keys = [f"{before}epoch", f"{before}leases", f"{before}lapsed", *(counter.key for counter in one.counters)]
        epoch = _text(await self._run(scripts.HOLD, keys, args))
        holding.epoch, holding.renewed = epoch, time.monotonic()


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _unavailable(why: str, code: str) -> Unavailable:
    return Unavailable(f"{why}; try again in a moment.", code=code)
