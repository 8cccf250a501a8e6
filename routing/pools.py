"""How many calls to a provider may be under way at once in this process. Who comes later waits in line, for a bounded time."""

from __future__ import annotations

import asyncio
import math
from collections import deque

from routing.call import Pool, Target
from routing.errors import RateLimited

# A longer line than this is refused at once: each who waits holds a request in memory.
MAX_WAITING = 1_000

Key = tuple[str, str, str]


class Slot:
    """The right to one connection, until `free` is called."""

    __slots__ = ("_key", "_pools")

    def __init__(self, pools: Pools, key: Key) -> None:
        self._pools = pools
        self._key = key

    def free(self) -> None:
        self._pools._give_back(self._key)


class _Line:
    __slots__ = ("taken", "waiting")

    def __init__(self) -> None:
        self.taken = 0
        self.waiting: deque[asyncio.Future[None]] = deque()


class Pools:
    """The pools of a process: one for each workspace, provider and base URL that a config bounds."""

    def __init__(self) -> None:
        self._lines: dict[Key, _Line] = {}

    async def take(self, workspace_id: str, target: Target, pool: Pool) -> Slot:
        """A slot, first come, first served. Raises `RateLimited` where none is free in time."""
        key = (workspace_id, target.provider.id, target.base_url)
        line = self._lines.setdefault(key, _Line())
        if line.taken < pool.max_connections and not line.waiting:
            line.taken += 1
            return Slot(self, key)
        if len(line.waiting) >= MAX_WAITING:
            raise _full(target, pool)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.waiting.append(turn)
        try:
            async with asyncio.timeout(pool.acquire_timeout_ms / 1000):
                await turn
        except (TimeoutError, asyncio.CancelledError) as error:
            if turn.done() and not turn.cancelled():  # the slot came in the very moment that the wait ended
                self._give_back(key)
            elif turn in line.waiting:
                line.waiting.remove(turn)
            if isinstance(error, TimeoutError):
                raise _full(target, pool) from None
            raise
        return Slot(self, key)

    def _give_back(self, key: Key) -> None:
        """Hands the slot to the one who has waited longest."""
        line = self._lines[key]
        while line.waiting:
            turn = line.waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        line.taken -= 1
        if not line.taken:
            del self._lines[key]


def _full(target: Target, pool: Pool) -> RateLimited:
    error = RateLimited(
        f"All {pool.max_connections} connections to {target.provider.id} are in use, and none was free within "
        f"{pool.acquire_timeout_ms}ms.",
        retry_after_s=max(1, math.ceil(pool.acquire_timeout_ms / 1000)),
    )
    error.code = "connection_pool_exhausted"
    return error
