"""Counters of limits against the ledger: rebuilt when Redis has lost them, compared and put right from time to time.

The ledger is the roll-ups, which are written in one transaction with the log. It lags behind the counters by what gateways have
still to ship, so a counter that is higher is not wrong for that. Redis is reached by redis-py: nothing here is on the hot path,
though a gateway calls `rebuild`, on a thread, when it finds the counters gone.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import redis
import structlog
from django.conf import settings

from analytics import ledger
from analytics.ledger import Sums
from keys.limits import scripts
from keys.limits.windows import NANO, OUTLIVES_S, Limit, Unit, place, prefix, window
from keys.models import Workspace

log = structlog.get_logger(__name__)

_TIMEOUT_S: Final = 5.0
# How many counters one command looks after.
_CHUNK: Final = 1000
# Before the ledger is read, gateways get this long to say what their running calls hold (keys/limits/admission.py, TICK_S) and
# to ship what they know. Not where limits fail open: nobody waits there, and calls go on meanwhile.
GRACE_S: Final = 2.5
_LOCK_S: Final = 30
# How long a look at a difference is remembered until the next one.
_LOOK_S: Final = 3600


@dataclass(frozen=True, slots=True)
class Truth:
    """What the ledger says about one counter. `start` and `end` bound its window, both 0 for a total."""

    limit: Limit
    start: int
    end: int
    value: int

    @property
    def place(self) -> str:
        return place(self.limit, self.start)

    @property
    def expiry(self) -> int:
        return self.end + OUTLIVES_S if self.end else 0


def client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S)


# --- Rebuilding ----------------------------------------------------------------------------------------------------------


def rebuild(workspace_id: str) -> None:
    """Makes the counters of a workspace whole, where Redis says that they are not; one process does, others wait for it.

    Raises `redis.RedisError` and django.db.Error.
    """
    with client() as server:
        if server.exists(f"{prefix(workspace_id)}epoch"):
            return
        lock = server.lock(f"{prefix(workspace_id)}rebuilding", timeout=_LOCK_S, blocking_timeout=_LOCK_S)
        with lock:
            if not server.exists(f"{prefix(workspace_id)}epoch"):
                _rebuild(server, workspace_id)


def rebuild_all() -> None:
    """The same for all workspaces. Raises alike."""
    with client() as server:
        ids = [str(one) for one in Workspace.objects.values_list("id", flat=True)]
        missing = [one for one in ids if not server.exists(f"{prefix(one)}epoch")]
    for workspace_id in missing:
        rebuild(workspace_id)


def _rebuild(server: redis.Redis, workspace_id: str) -> None:
    has_past = ledger.is_known(workspace_id)
    if has_past and settings.LIMITS_FAIL == "closed":
        time.sleep(GRACE_S)
    truths = [truth for truth in _truths(workspace_id, time.time()) if truth.value > 0] if has_past else []
    before = prefix(workspace_id)
    run = server.register_script(scripts.REBUILD)
    chunks: list[Sequence[Truth]] = [truths[at : at + _CHUNK] for at in range(0, len(truths), _CHUNK)] or [[]]
    for number, chunk in enumerate(chunks, 1):
        keys = [f"{before}epoch", f"{before}leases", *(before + truth.place for truth in chunk)]
        args: list[str | int] = [before, uuid.uuid4().hex if number == len(chunks) else "", ""]
        for truth in chunk:
            args += [truth.value, truth.expiry]
        run(keys=keys, args=args)
    log.info("counters of limits are whole", workspace=workspace_id, rebuilt=len(truths))


# --- Comparing -----------------------------------------------------------------------------------------------------------


def reconcile(workspace_id: str) -> dict[str, int]:
    """Compares the counters of tokens and money with the ledger, and corrects what two looks in a row have found wrong.

    A counter that is too low is raised by the smaller of both differences. One that is too high is lowered only where both are
    the same: else it is ahead of the ledger because calls go on. Answers the corrections by counter. Raises `redis.RedisError`.
    """
    before = prefix(workspace_id)
    now = time.time()
    truths = [truth for truth in _truths(workspace_id, now) if _is_comparable(truth)]
    with client() as server:
        if not server.exists(f"{before}epoch"):
            return {}  # they will be rebuilt
        seen = {name.decode(): int(value) for name, value in server.hgetall(f"{before}drift").items()}
        drifts: dict[str, int] = {}
        corrected: dict[str, int] = {}
        for truth, (counted, held) in zip(truths, look(server, workspace_id, truths), strict=True):
            drift = counted - held - truth.value
            if not drift:
                continue
            correction = _correction(drift, seen.get(truth.place, 0))
            if correction:
                server.register_script(scripts.CORRECT)(keys=[before + truth.place], args=[correction, truth.expiry])
                log.warning("a counter differed from the ledger", workspace=workspace_id, counter=truth.place, by=correction)
                corrected[truth.place] = correction
            if drift + correction:
                drifts[truth.place] = drift + correction
        server.delete(f"{before}drift")
        if drifts:
            server.hset(f"{before}drift", mapping={name: str(value) for name, value in drifts.items()})
            server.expire(f"{before}drift", _LOOK_S)
    return corrected


def _correction(drift: int, seen: int) -> int:
    if drift < 0 and seen < 0:
        return min(-drift, -seen)
    return -drift if drift == seen else 0


def _is_comparable(truth: Truth) -> bool:
    """Requests are not: those that were refused are in the log and in no counter. Nor are windows that sums by hour cut."""
    return truth.limit.unit in {Unit.TOKENS, Unit.COST} and truth.start % 3600 == 0


def look(server: redis.Redis, workspace_id: str, truths: Sequence[Truth]) -> Iterator[tuple[int, int]]:
    """What each counter says, and how much of that is estimates of calls under way."""
    before = prefix(workspace_id)
    run = server.register_script(scripts.LOOK)
    for at in range(0, len(truths), _CHUNK):
        keys = [f"{before}leases", *(before + truth.place for truth in truths[at : at + _CHUNK])]
        numbers: list[Any] = run(keys=keys, args=[before])
        yield from ((int(numbers[index]), int(numbers[index + 1])) for index in range(0, len(numbers), 2))


def give_back_lapsed() -> None:
    """Gives back what nobody has renewed; admissions do it too, but not where no call comes. Raises `redis.RedisError`."""
    with client() as server:
        run = server.register_script(scripts.SWEEP_ALL)
        for workspace_id in Workspace.objects.values_list("id", flat=True):
            before = prefix(str(workspace_id))
            given = run(keys=[f"{before}leases", f"{before}lapsed"], args=[before])
            if given:
                log.warning(
                    "calls ended without a word; what they held is given back", workspace=str(workspace_id), calls=given
                )


# --- What the ledger says ------------------------------------------------------------------------------------------------


def _truths(workspace_id: str, now: float) -> list[Truth]:
    """For each counter of now that the stored limits have, in units of the counter. Slots are nothing for the ledger."""
    book = ledger.Ledger(workspace_id)
    found: dict[str, Truth] = {}
    for limit in ledger.limits_of(workspace_id, book, now):
        if limit.unit is Unit.CONCURRENCY:
            continue
        start, end = window(limit.period, now, limit.zone)
        if (sums := book.sums(limit, start)) is not None:
            truth = Truth(limit, start, end, _value(limit.unit, sums))
            found[truth.place] = truth
    return list(found.values())


def _value(unit: Unit, sums: Sums) -> int:
    if unit is Unit.COST:
        return int((sums.cost_usd * NANO).to_integral_value())
    return sums.tokens if unit is Unit.TOKENS else sums.calls


def budgets(workspace_id: str, moments: Sequence[float]) -> list[Truth]:
    """The budgets' counters at some moments, without asking the ledger what is in them."""
    book = ledger.Ledger(workspace_id)
    found: dict[str, Truth] = {}
    for now in moments:
        for limit in ledger.limits_of(workspace_id, book, now):
            if limit.unit is Unit.COST:
                start, end = window(limit.period, now, limit.zone)
                found[f"{place(limit, start)} {limit.cap}"] = Truth(limit, start, end, 0)
    return list(found.values())
