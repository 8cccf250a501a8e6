"""Limits over a Redis that can be away, whose settlements can be waited for."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from keys.limits import Limits, RedisUnavailable, scripts


class Server:
    """Runs scripts one at a time; while it is `away` it answers nothing. `deaf` runs them and loses the answers."""

    def __init__(self, client: Redis):
        self.client = client
        self.away = False
        self.deaf = False
        self.ran: list[str] = []
        self.made: list[Limits] = []
        self._pending: list[asyncio.Future] = []

    async def run(self, source, keys, args):
        if self.away:
            raise RedisUnavailable("no answer")
        self.ran.append(source)
        answer = await self.client.eval(source, len(keys), *keys, *args)
        if self.deaf:
            raise RedisUnavailable("the answer was lost")
        return answer

    def later(self, source, keys, args):
        self._pending.append(asyncio.ensure_future(self.run(source, keys, args)))
        return self._pending[-1]

    async def settled(self):
        """Returns when everything that was sent is through, whatever became of it."""
        pending, self._pending = self._pending, []
        await asyncio.gather(*pending, return_exceptions=True)
        await asyncio.sleep(0)  # whoever waits for the answers is told before this goes on

    async def close(self):
        """Ends all limits that were made over this server, and the tasks that look after their leases."""
        for limits in self.made:
            await limits.close()

    def admissions(self) -> int:
        return self.ran.count(scripts.ADMIT)


def limits_over(server: Server, **options) -> Limits:
    server.made.append(Limits(server.run, server.later, **{"fail_closed": False, **options}))
    return server.made[-1]
