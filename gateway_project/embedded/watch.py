"""Keeps children running: one that dies is started again, later and later while it keeps dying."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from gateway_project.embedded.process import Child

_FIRST_DELAY, _LONGEST_DELAY = 0.2, 30.0
# A process that ran this long counts as healthy: its next death is a first one again.
_HEALTHY_SECONDS = 30.0


@dataclass(slots=True)
class _Watched:
    child: Child
    started: float
    deaths: int = 0
    due: float | None = None


class Watch:
    """The children that shall live. `tick` does the work and never blocks."""

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._clock = clock
        self._watched: list[_Watched] = []

    def start(self, child: Child) -> None:
        child.start()
        self._watched.append(_Watched(child, started=self._clock()))

    def forget(self, children: list[Child]) -> None:
        """From now on they may end."""
        self._watched = [watched for watched in self._watched if watched.child not in children]

    def tick(self) -> float:
        """Starts what is due; returns the seconds until something is due again."""
        now = self._clock()
        for watched in self._watched:
            if watched.due is None and not watched.child.running():
                self._plan(watched, now)
            if watched.due is not None and watched.due <= now:
                self._restart(watched, now)
        return min((watched.due - now for watched in self._watched if watched.due is not None), default=60.0)

    def worst(self) -> tuple[Child, int] | None:
        """The child that died most often without a healthy time in between."""
        worst = max(self._watched, key=lambda watched: watched.deaths, default=None)
        return None if worst is None else (worst.child, worst.deaths)

    def _plan(self, watched: _Watched, now: float) -> None:
        if now - watched.started > _HEALTHY_SECONDS:
            watched.deaths = 0
        watched.deaths += 1
        delay = min(_FIRST_DELAY * 2 ** (watched.deaths - 1), _LONGEST_DELAY)
        watched.due = now + delay
        self._say(f"{watched.child.name} {watched.child.ending()}; starting it again in {delay:.1f} s")

    def _restart(self, watched: _Watched, now: float) -> None:
        try:
            watched.child.start()
        except BlockingIOError:
            watched.due = now + _FIRST_DELAY  # the rest of the dead process, such as PostgreSQL's backends, is still ending
            return
        watched.started, watched.due = now, None
