"""A conversation in OpenAI's words as Converse's: system blocks apart, and turns of content blocks.

- system and developer messages, wherever they stand, become system blocks in their order.
- Messages of the same side in a row become one turn, as the vendor demands.
- An empty text gives no block, because the vendor refuses one.
- `cache_control` on a part or a message becomes a cache point behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from routing.call import Json
from routing.errors import InvalidRequest, Unsupported
from routing.providers import reading
from routing.providers.bedrock.media import Media

_SIDES = {"user": "user", "tool": "user", "assistant": "assistant"}
# The vendor's own blocks, which pass as they are: an object with one of these keys and no `type`.
_NATIVE = frozenset(
    {
        "text",
        "image",
        "document",
        "video",
        "audio",
        "toolUse",
        "toolResult",
        "guardContent",
        "cachePoint",
        "reasoningContent",
        "citationsContent",
        "searchResult",
        "json",
    }
)
_IN_SYSTEM = frozenset({"text", "guardContent", "cachePoint"})


def conversation(messages: Any, label: str) -> tuple[list[Json], list[Json]]:
    """System blocks and turns. Raises `InvalidRequest` or `Unsupported` with the path of what is wrong."""
    if not isinstance(messages, list) or not messages:
        raise InvalidRequest("messages must be a list with at least one message.", param="messages")
    reader = _Reader(label)
    system: list[Json] = []
    turns: list[Json] = []
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        if not isinstance(message, dict):
            raise InvalidRequest(f"{path} must be an object.", param=path)
        role = message.get("role")
        if role in ("system", "developer"):
            system += reader.system(message, path)
            continue
        side = _SIDES.get(role) if isinstance(role, str) else None
        if side is None:
            raise Unsupported(f"{label} knows no role {role!r}.", param=f"{path}.role")
        read = {"tool": reader.tool, "assistant": reader.assistant}.get(str(role), reader.content)
        blocks = read(message, path)
        if side == "assistant" and not blocks and index < len(messages) - 1:
            continue  # the vendor refuses a message that says nothing
        if turns and turns[-1]["role"] == side:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": side, "content": blocks})
    return system, turns


def cache_point(source: Json) -> list[Json]:
    """The cache point that `cache_control` of a part, a message or a tool asks for."""
    control = source.get("cache_control")
    if not isinstance(control, dict):
        return []
    point: Json = {"type": "default"}
    if isinstance(control.get("ttl"), str):
        point["ttl"] = control["ttl"]
    return [{"cachePoint": point}]


class _Reader:
    """Reads the messages of one request."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._media = Media(label)
        self._kinds: dict[str, Callable[[Json, str], Json]] = {
            "image_url": self._media.image,
            "input_audio": self._media.audio,
            "file": self._media.file,
            "thinking": _thinking,
            "redacted_thinking": _redacted,
        }

    def system(self, message: Json, path: str) -> list[Json]:
        """What stands above the conversation: texts, and the vendor's own blocks for a guardrail."""
        blocks = self.content(message, path)
        for block in blocks:
            if not block.keys() <= _IN_SYSTEM:
                raise Unsupported(f"{self._label} takes only text in a system message.", param=f"{path}.content")
        return blocks

    def content(self, message: Json, path: str) -> list[Json]:
        """The content of any message as blocks."""
        content = message.get("content")
        if isinstance(content, str):
            blocks: list[Json] = [{"text": content}] if content else []
        elif isinstance(content, list):
            blocks = [block for place, part in enumerate(content) for block in self._part(part, f"{path}.content[{place}]")]
        else:
            raise InvalidRequest(f"{path}.content must be a text or a list of parts.", param=f"{path}.content")
        return blocks + (cache_point(message) if blocks else [])

    def assistant(self, message: Json, path: str) -> list[Json]:
        """What the model said, thought and called."""
        for field in ("function_call", "audio"):
            if message.get(field) is not None:
                raise Unsupported(f"{self._label} cannot express {field} of a message.", param=f"{path}.{field}")
        calls = message.get("tool_calls") or []
        if not isinstance(calls, list):
            raise InvalidRequest(f"{path}.tool_calls must be a list.", param=f"{path}.tool_calls")
        native = message.get("content_blocks")
        if isinstance(native, list) and native:
            # From a non-strict answer, thinking and its signature included.
            blocks = [
                block for place, part in enumerate(native) for block in self._part(part, f"{path}.content_blocks[{place}]")
            ]
        else:
            shown = message if message.get("content") is not None else {**message, "content": message.get("refusal") or ""}
            blocks = self.content(shown, path)
        return blocks + [self._tool_use(call, f"{path}.tool_calls[{place}]") for place, call in enumerate(calls)]

    def tool(self, message: Json, path: str) -> list[Json]:
        """The result of a call."""
        if not isinstance(message.get("tool_call_id"), str):
            raise InvalidRequest(f"{path}.tool_call_id must name the call.", param=f"{path}.tool_call_id")
        shown = message if message.get("content") is not None else {**message, "content": ""}
        result: Json = {"toolUseId": message["tool_call_id"], "content": self.content({**shown, "cache_control": None}, path)}
        if message.get("is_error") is True:
            result["status"] = "error"
        return [{"toolResult": result}, *cache_point(message)]

    def _tool_use(self, call: Any, path: str) -> Json:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict):
            raise Unsupported(f"{self._label} has only calls of functions.", param=path)
        arguments = function.get("arguments")
        try:
            parsed = arguments if isinstance(arguments, dict) else reading.loads(arguments or "{}")
        except (orjson.JSONDecodeError, TypeError):
            parsed = None
        if not isinstance(parsed, dict):
            raise InvalidRequest(f"{path}.function.arguments must be a JSON object.", param=f"{path}.function.arguments")
        return {"toolUse": {"toolUseId": call.get("id"), "name": function.get("name"), "input": parsed}}

    def _part(self, part: Any, path: str) -> list[Json]:
        """One part as its block and the cache point behind it; an empty text as nothing."""
        if not isinstance(part, dict):
            raise InvalidRequest(f"{path} must be an object.", param=path)
        kind = part.get("type")
        if kind is None and len(part) == 1 and part.keys() <= _NATIVE:
            return [part]
        if kind in ("text", "refusal"):
            text = part.get(kind)
            if not isinstance(text, str):
                raise InvalidRequest(f"{path}.{kind} must be a text.", param=f"{path}.{kind}")
            return [{"text": text}, *cache_point(part)] if text else []
        read = self._kinds.get(kind) if isinstance(kind, str) else None
        if read is None:
            raise Unsupported(f"{self._label} cannot read a content part of type {kind!r}.", param=f"{path}.type")
        return [read(part, path), *cache_point(part)]


def _thinking(part: Json, path: str) -> Json:
    if not isinstance(part.get("thinking"), str):
        raise InvalidRequest(f"{path}.thinking must be a text.", param=f"{path}.thinking")
    text: Json = {"text": part["thinking"]}
    if part.get("signature"):
        text["signature"] = part["signature"]
    return {"reasoningContent": {"reasoningText": text}}


def _redacted(part: Json, path: str) -> Json:
    if not isinstance(part.get("data"), str):
        raise InvalidRequest(f"{path}.data must be a text.", param=f"{path}.data")
    return {"reasoningContent": {"redactedContent": part["data"]}}
