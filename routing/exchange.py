"""One call on its way through the gateway: what each step found out, for the next step, the answer's headers and the record."""

from __future__ import annotations

import dataclasses
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from keys.limits import NOTHING, Reservation
from keys.limits.bodies import NO_LIMITS, WorkspaceLimits
from routing.call import Attempt, Call, Reply, Target

if TYPE_CHECKING:
    from keys.auth import Caller
    from routing.errors import GatewayError
    from routing.metering import Bill
    from routing.patience import Deadline
    from routing.plan import Plan


# Of a header that lists names; servers and proxies bound all headers together to 8 KiB or more.
_NAMES_MAX = 1024


@dataclass(slots=True)
class Exchange:
    """Filled in from top to bottom as the call goes on; `finished` guards that it is settled and recorded once."""

    call: Call
    caller: Caller
    plan: Plan = field(init=False)
    reservation: Reservation = NOTHING
    target_reservation: Reservation = NOTHING
    # Whom `target_reservation` is for.
    reserved_for: Target | None = None
    workspace_limits: WorkspaceLimits = NO_LIMITS
    target: Target | None = None
    attempts: list[Attempt] = field(default_factory=list)
    retry_count: int = 0
    # How long it has waited because providers wished it to, in seconds.
    waited_s: float = 0.0
    deadline: Deadline | None = None
    # How it stood with the breaker of the target: closed, open, or half-open for a probe; empty where there is none.
    breaker: str = ""
    # How many of the targets that the walk passed over have been looked at for `attempts`.
    skips_noted: int = 0
    # What the parts of a resumed stream used that came before the last one.
    parts: list[Bill] = field(default_factory=list)
    # The parameters that the last target could not express and was allowed to leave out.
    dropped: tuple[str, ...] = ()
    reached_provider: bool = False
    reply: Reply | None = None
    error: GatewayError | None = None
    cancelled: bool = False
    first_byte: float | None = None
    finished: bool = False

    def mark_first_byte(self) -> None:
        if self.first_byte is None:
            self.first_byte = time.monotonic()

    def mark_broken(self, error: GatewayError) -> None:
        """The last try had begun to answer, and broke."""
        if self.attempts and self.attempts[-1].error is None:
            self.attempts[-1] = dataclasses.replace(self.attempts[-1], error=f"{error.code}: {error.message}")

    def headers(self) -> dict[str, str]:
        """The response headers that tell what happened (portkey-wire 2.3)."""
        told = {"x-portkey-trace-id": self.call.trace_id, "x-portkey-cache-status": "DISABLED"}
        if self.target is not None:
            told["x-portkey-last-used-option-index"] = self.target.path
            told["x-portkey-provider"] = self.target.provider.id
            told["x-portkey-retry-attempt-count"] = str(self.retry_count)
        if self.dropped:
            names = ", ".join(self.dropped).encode("ascii", "backslashreplace").decode()
            told["x-gatehouse-dropped-params"] = "".join(filter(str.isprintable, names))[:_NAMES_MAX]
        if self.breaker:
            told["x-gatehouse-breaker"] = self.breaker
        return told
