"""The frames of a WebSocket as bodies: the caller's are the request's, the provider's are the answer's.

So a WebSocket is a call like any other, with the same plan, limits, tries and record. A frame is one piece; its class tells the
text from the binary ones.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple, Protocol


class Text(bytes):
    """A text frame, in UTF-8. A piece of another class is a binary frame."""


class Opened(bytes):
    """No frame: the first piece of an answer, which says that the provider has taken the connection."""


class Closing(NamedTuple):
    """How one side closed the connection (RFC 6455, 7.4)."""

    code: int
    reason: str


class Frames(Protocol):
    """The body of a request that opens a WebSocket: an `Upload` that can be read once.

    `left` is how the caller closed the connection, `closed` how the provider did; each is set when it happens.
    """

    left: Closing | None
    closed: Closing | None

    def chunks(self) -> AsyncIterator[bytes]:
        """The caller's frames until it closes the connection."""
        ...
