"""Who must hear how one try goes: the pool that lent a connection, the breaker, the measurements. Most tries have none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from routing.call import Reply, Target
from routing.errors import GatewayError, UpstreamError

if TYPE_CHECKING:
    from routing.breakers import Watch
    from routing.gateway import Gateway
    from routing.health import View
    from routing.measures import Measuring
    from routing.pools import Slot


class Witnesses:
    """Of one try, from its place in the pool to the last byte of its answer."""

    __slots__ = ("_measuring", "_slot", "_watch")

    def __init__(self, slot: Slot | None, watch: Watch | None, measuring: Measuring | None) -> None:
        self._slot = slot
        self._watch = watch
        self._measuring = measuring

    def began(self, failure: GatewayError | None, reply: Reply | None) -> None:
        """The answer has begun, or will not. Of a stream, `ended` follows."""
        if self._measuring is not None and (reply is not None or _is_the_targets(failure)):
            self._measuring.began(failed=reply is None)
        if reply is None:
            self.ended(failure if failure is not None else GeneratorExit())
        elif isinstance(reply.body, bytes):
            self.ended(None)
        elif self._watch is not None and self._watch.probe:
            # The first token is enough to close a breaker; a break later on counts as any other.
            self._watch.succeeded()
            self._watch = self._watch.next()

    def ended(self, error: BaseException | None) -> None:
        """The answer is over: complete where `error` is None; a caller who left says nothing about the target."""
        if self._slot is not None:
            self._slot.free()
        if self._watch is not None:
            self._watch.ended(error)
        if self._measuring is not None:
            self._measuring.ended()


async def gather(workspace_id: str, target: Target, gateway: Gateway, watch: Watch | None, view: View | None) -> Witnesses:
    """Waits for a connection where the target has a pool. Raises `RateLimited` where none is free in time."""
    slot = None if target.pool is None else await gateway.pools.take(workspace_id, target, target.pool)
    return Witnesses(slot, watch, None if view is None else gateway.health.measures.begin(view.name(target)))


def _is_the_targets(failure: GatewayError | None) -> bool:
    """Whether a failure says how the target does. The caller's own mistakes come back fast from the best of them."""
    return isinstance(failure, UpstreamError) and (failure.status >= 500 or failure.status in (408, 429))
