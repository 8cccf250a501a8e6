"""Credentials that must be fetched before they can be shown: bearer tokens of an identity service, a role's keys.

One fetch serves all calls that wait for the same credential, and what it brought is kept until shortly before it ends. Nothing
here knows a vendor, and nothing here is written to a log: keys are hashes, values are never printed.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

# A token that ends while the call is on its way fails it: this much before its end it is fetched anew.
MARGIN_S = 300.0
# Nothing is trusted for longer, whatever its source says.
LONGEST_S = 24 * 3600.0
# Of a short life the margin takes no more than this part.
MARGIN_PART = 0.2
MAX_ENTRIES = 1024

# Of this process alone, so that a hash says nothing to whoever reads it.
_PEPPER = secrets.token_bytes(32)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fresh(Generic[T]):
    """What a fetch brought: the value, and for how many seconds from now it is good. Zero or less: for this call only."""

    value: T = field(repr=False)
    lifetime_s: float


def credential_key(*parts: str) -> str:
    """The name under which a credential is kept: a keyed hash over all that the fetch depends on. Order and cuts matter."""
    digest = hashlib.blake2b(key=_PEPPER, digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


class TokenCache(Generic[T]):
    """Lives on one event loop. Keeps at most `max_entries` values, and gives up the one that was used longest ago."""

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._max_entries = max_entries
        # The value and when it stops being used, in seconds since 1970: a machine that slept must not trust its old tokens.
        self._kept: OrderedDict[str, tuple[T, float]] = OrderedDict()
        self._under_way: dict[str, asyncio.Task[T]] = {}

    async def get(self, key: str, fetch: Callable[[], Awaitable[Fresh[T]]]) -> T:
        """The value kept under `key`, else what `fetch` brings. Raises what `fetch` raises; a failure is not kept.

        A caller who hangs up does not end the fetch for those who wait with it.
        """
        kept = self._kept.get(key)
        if kept is not None and time.time() < kept[1]:
            self._kept.move_to_end(key)
            return kept[0]
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.create_task(self._fetch(key, fetch))
            task.add_done_callback(_look_at)
        return await asyncio.shield(task)

    async def _fetch(self, key: str, fetch: Callable[[], Awaitable[Fresh[T]]]) -> T:
        try:
            fresh = await fetch()
        finally:
            del self._under_way[key]
        lifetime_s = min(fresh.lifetime_s, LONGEST_S)
        used_s = lifetime_s - min(MARGIN_S, lifetime_s * MARGIN_PART)
        self._kept.pop(key, None)
        if used_s > 0:
            self._kept[key] = (fresh.value, time.time() + used_s)
            if len(self._kept) > self._max_entries:
                self._kept.popitem(last=False)
        return fresh.value


def _look_at(task: asyncio.Task[object]) -> None:
    """Takes note of a failure for which nobody waits any more; asyncio would print it, with all it holds."""
    if not task.cancelled():
        task.exception()
