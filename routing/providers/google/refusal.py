"""What the vendor has no words for: refused by name, or left out and remembered where the target allows that."""

from __future__ import annotations

from routing.call import Target
from routing.errors import Unsupported


class Refusal:
    """Called with the path of a field and what is wrong with it. One for each request; `dropped` is what was left out."""

    def __init__(self, target: Target) -> None:
        self.label = target.provider.label
        self._drop = target.drop_unsupported
        self._dropped: dict[str, None] = {}

    def __call__(self, path: str, complaint: str) -> None:
        """Raises `Unsupported`, or returns where the field may be left out; the caller then goes on without it."""
        if not self._drop:
            raise Unsupported(f"{self.label} {complaint}", param=path)
        self._dropped[path] = None

    @property
    def dropped(self) -> tuple[str, ...]:
        return tuple(self._dropped)
