"""A stream whose model is billed under another name."""

from __future__ import annotations

from routing.call import Usage
from routing.providers.base import StreamTranslator


class Billed:
    """See `StreamTranslator`: all that `inner` gives and tells, but for the model."""

    def __init__(self, inner: StreamTranslator, model: str) -> None:
        self.usage: Usage | None = inner.usage
        self.model: str | None = model
        self.done = inner.done
        self.deltas = inner.deltas
        self.ends_with_body = inner.ends_with_body
        self._inner = inner

    def feed(self, data: bytes) -> bytes:
        inner = self._inner
        try:
            return inner.feed(data)
        finally:
            self.usage, self.done = inner.usage, inner.done
            self.deltas, self.ends_with_body = inner.deltas, inner.ends_with_body
