"""What a condition of a config may ask about a call."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from analytics.estimate import estimate_prompt_tokens
from routing.call import Call
from routing.configs.params import MISSING, Missing, Path, lookup

_TEXT_PARTS = frozenset({"text", "input_text", "output_text"})
_IMAGE_PARTS = frozenset({"image_url", "input_image", "image"})
_BOUNDS = ("max_completion_tokens", "max_tokens", "max_output_tokens")


class MetadataText(str):
    """A value of the metadata. It is kept as text, so it also equals a number or a truth value that is written like it."""

    __slots__ = ()


class Facts:
    """A call as conditions see it. Nothing is read from the call before a condition asks for it."""

    __slots__ = ("_input", "_tokens", "call")

    def __init__(self, call: Call) -> None:
        self.call = call
        self._input: str | None = None
        self._tokens: int | None = None

    @property
    def input(self) -> str:
        """The text of the last message of the user, its parts joined by line breaks; of a call without messages its prompt."""
        if self._input is None:
            self._input = _input(self.call.body)
        return self._input

    @property
    def model(self) -> str | None:
        """The model that the caller asked for."""
        return self.call.model or None

    @property
    def max_tokens(self) -> int | float | None:
        """The bound that the caller put on the answer, by any of its names."""
        return next((bound for name in _BOUNDS if (bound := _number(self.call.body.get(name))) is not None), None)

    @property
    def temperature(self) -> int | float | None:
        return _number(self.call.body.get("temperature"))

    @property
    def stream(self) -> bool:
        return self.call.stream

    @property
    def tokens(self) -> int:
        """The length of the request, estimated (see analytics/estimate.py)."""
        if self._tokens is None:
            self._tokens = estimate_prompt_tokens(self.call.body)
        return self._tokens

    @property
    def has_tools(self) -> bool:
        body = self.call.body
        return bool(body.get("tools") or body.get("functions"))

    @property
    def has_images(self) -> bool:
        messages = _messages(self.call.body)
        return any(part.get("type") in _IMAGE_PARTS for message in messages for part in _parts(message))

    @property
    def pathname(self) -> str:
        """The gateway's path, ``/v1/chat/completions``."""
        return f"/v1/{self.call.path or self.call.endpoint}"

    def metadata(self, key: str) -> MetadataText | Missing:
        value = self.call.metadata.get(key)
        return MISSING if value is None else MetadataText(value)

    def param(self, path: Path) -> Any:
        """A parameter of the caller's body, or `MISSING`."""
        return lookup(self.call.body, path)


def _number(value: Any) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _messages(body: dict[str, Any]) -> list[dict[str, Any]]:
    for name in ("messages", "input"):
        if isinstance(items := body.get(name), list):
            return [item for item in items if isinstance(item, dict)]
    return []


def _parts(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    content = message.get("content")
    if isinstance(content, list):
        yield from (part for part in content if isinstance(part, dict))


def _input(body: dict[str, Any]) -> str:
    for message in reversed(_messages(body)):
        if message.get("role") == "user" and not _is_tool_result(message):
            return _text(message.get("content"))
    return next((_text(body[name]) for name in ("input", "prompt", "query") if body.get(name)), "")


def _is_tool_result(message: dict[str, Any]) -> bool:
    """A message that stands in the user's name but holds what tools have found."""
    kinds = {part.get("type") for part in _parts(message)}
    return kinds == {"tool_result"}


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    texts = (item.get("text") if isinstance(item, dict) and item.get("type") in _TEXT_PARTS else item for item in content)
    return "\n".join(text for text in texts if isinstance(text, str))
