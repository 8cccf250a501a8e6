"""What a condition of a config may ask about a call."""

from __future__ import annotations

from dataclasses import dataclass

from routing.call import Call


@dataclass(frozen=True, slots=True)
class Facts:
    """A call as conditions see it. Nothing is read from the call before a condition asks for it."""

    call: Call
