"""A conversation in OpenAI's words as the vendor's: system blocks apart, and turns of content blocks.

- system and developer messages, wherever they stand, become system blocks in their order: the vendor has one place for them.
- Messages of the same side in a row become one turn. The vendor demands it for tool results, which must all follow the turn
  that asked for them, and reads it so for all others.
- Empty texts are left out, and a message of the assistant that says nothing unless it is the last: the vendor refuses both.
- A text alone stays a text. `cache_control` is carried from a part or a message, whole.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import orjson

from routing.call import Json
from routing.errors import InvalidRequest, Unsupported
from routing.providers import reading

# The vendor's own kinds of content, which pass as they are: callers send back what a non-strict answer gave them.
_NATIVE = frozenset(
    {
        "image",
        "document",
        "search_result",
        "thinking",
        "redacted_thinking",
        "tool_use",
        "tool_result",
        "server_tool_use",
        "web_search_tool_result",
        "web_fetch_tool_result",
        "code_execution_tool_result",
        "bash_code_execution_tool_result",
        "text_editor_code_execution_tool_result",
        "tool_search_tool_result",
        "mcp_tool_use",
        "mcp_tool_result",
        "container_upload",
        "compaction",
    }
)
_SIDES = {"user": "user", "tool": "user", "assistant": "assistant"}


def conversation(messages: Any, label: str) -> tuple[list[Json], list[Json]]:
    """System blocks and turns. Raises `InvalidRequest` or `Unsupported` with the path of what is wrong."""
    if not isinstance(messages, list) or not messages:
        raise InvalidRequest("messages must be a list with at least one message.", param="messages")
    system: list[Json] = []
    turns: list[Json] = []
    for index, message in enumerate(messages):
        path = f"messages[{index}]"
        if not isinstance(message, dict):
            raise InvalidRequest(f"{path} must be an object.", param=path)
        role = message.get("role")
        if role in ("system", "developer"):
            system += _blocks(message, path, label)
            continue
        side = _SIDES.get(role) if isinstance(role, str) else None
        if side is None:
            raise Unsupported(f"{label} knows no role {role!r}.", param=f"{path}.role")
        content = _content(role, message, path, label)
        if side == "assistant" and not content and index < len(messages) - 1:
            continue
        if turns and turns[-1]["role"] == side:
            turns[-1]["content"] = _as_blocks(turns[-1]["content"]) + _as_blocks(content)
        else:
            turns.append({"role": side, "content": content})
    return system, turns


def _content(role: Any, message: Json, path: str, label: str) -> str | list[Json]:
    if role == "tool":
        return [_tool_result(message, path, label)]
    if role == "assistant":
        return _assistant(message, path, label)
    content = message.get("content")
    return content if isinstance(content, str) and "cache_control" not in message else _blocks(message, path, label)


def _assistant(message: Json, path: str, label: str) -> str | list[Json]:
    for field in ("function_call", "audio"):
        if message.get(field) is not None:
            raise Unsupported(f"{label} cannot express {field} of a message.", param=f"{path}.{field}")
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list):
        raise InvalidRequest(f"{path}.tool_calls must be a list.", param=f"{path}.tool_calls")
    native = message.get("content_blocks")
    if isinstance(native, list) and native:
        # From a non-strict answer, thinking and its signature included. The calls come from tool_calls.
        blocks = [block for block in native if not (calls and isinstance(block, dict) and block.get("type") == "tool_use")]
    elif isinstance(content := message.get("content"), str) and not calls and "cache_control" not in message:
        return content
    else:
        shown = message if message.get("content") is not None else {**message, "content": message.get("refusal") or ""}
        blocks = _blocks(shown, path, label)
    return blocks + [_tool_use(call, f"{path}.tool_calls[{place}]", label) for place, call in enumerate(calls)]


def _tool_use(call: Any, path: str, label: str) -> Json:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        raise Unsupported(f"{label} has only calls of functions.", param=path)
    arguments = function.get("arguments")
    try:
        parsed = arguments if isinstance(arguments, dict) else reading.loads(arguments or "{}")
    except (orjson.JSONDecodeError, TypeError):
        parsed = None
    if not isinstance(parsed, dict):
        raise InvalidRequest(f"{path}.function.arguments must be a JSON object.", param=f"{path}.function.arguments")
    block: Json = {"type": "tool_use", "id": call.get("id"), "name": function.get("name"), "input": parsed}
    return _carry(call, block)


def _tool_result(message: Json, path: str, label: str) -> Json:
    if not isinstance(message.get("tool_call_id"), str):
        raise InvalidRequest(f"{path}.tool_call_id must name the call.", param=f"{path}.tool_call_id")
    block: Json = {"type": "tool_result", "tool_use_id": message["tool_call_id"]}
    content = message.get("content")
    if isinstance(content, list):
        block["content"] = _parts(content, path, label)
    elif content is not None:
        block["content"] = content
    if message.get("is_error") is not None:
        block["is_error"] = message["is_error"]
    return _carry(message, block)


def _blocks(message: Json, path: str, label: str) -> list[Json]:
    """The content of a message as blocks; an empty text gives none, because the vendor refuses empty blocks."""
    content = message.get("content")
    if isinstance(content, list):
        return _parts(content, path, label)
    if not isinstance(content, str):
        raise InvalidRequest(f"{path}.content must be a text or a list of parts.", param=f"{path}.content")
    return [_carry(message, {"type": "text", "text": content})] if content else []


def _as_blocks(content: str | list[Json]) -> list[Json]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content


def _parts(content: list[Any], path: str, label: str) -> list[Json]:
    parts = (_part(part, f"{path}.content[{place}]", label) for place, part in enumerate(content))
    return [part for part in parts if part.get("type") != "text" or part.get("text") != ""]


def _part(part: Any, path: str, label: str) -> Json:
    if not isinstance(part, dict):
        raise InvalidRequest(f"{path} must be an object.", param=path)
    kind = part.get("type")
    if kind == "text":
        return part
    if kind == "refusal":
        return {"type": "text", "text": part.get("refusal")}
    if kind == "image_url":
        image = part.get("image_url")
        address = image.get("url") if isinstance(image, dict) else image
        return _carry(part, _from_url(address, f"{path}.image_url.url"))
    if kind == "file":
        return _carry(part, _file(part.get("file"), f"{path}.file"))
    if isinstance(kind, str) and kind in _NATIVE:
        return part
    raise Unsupported(f"{label} cannot read a content part of type {kind!r}.", param=f"{path}.type")


def _file(file: Any, path: str) -> Json:
    if not isinstance(file, dict):
        raise InvalidRequest(f"{path} must be an object.", param=path)
    data, name = file.get("file_data"), file.get("filename")
    if isinstance(file.get("file_id"), str):
        # An id of the vendor's own files; another vendor's means nothing there, which it says.
        block: Json = {"type": "document", "source": {"type": "file", "file_id": file["file_id"]}}
    elif isinstance(file.get("file_url"), str):
        block = {"type": "document", "source": {"type": "url", "url": file["file_url"]}}
    elif isinstance(data, str) and data.startswith("data:"):
        block = _from_url(data, f"{path}.file_data")
    elif isinstance(data, str):
        block = _embedded(str(file.get("mime_type") or "application/pdf"), data, f"{path}.file_data")
    else:
        raise InvalidRequest(f"{path} needs file_data, file_url or file_id.", param=path)
    if isinstance(name, str) and block["type"] == "document":
        block["title"] = name
    return block


def _from_url(address: Any, path: str) -> Json:
    if isinstance(address, str) and address.startswith(("http://", "https://")):
        return {"type": "image", "source": {"type": "url", "url": address}}
    head, comma, data = address.partition(",") if isinstance(address, str) else ("", "", "")
    if not head.startswith("data:") or not comma or not head.endswith(";base64"):
        raise InvalidRequest(f"{path} must be an http(s) address or a base64 data URL.", param=path)
    # Parameters such as ;charset=utf-8 stand between the type and ;base64.
    return _embedded(head.removeprefix("data:").split(";")[0].lower(), data, path)


def _embedded(media_type: str, data: str, path: str) -> Json:
    if media_type.startswith("image/"):
        return {"type": "image", "source": {"type": "base64", "media_type": media_type, "data": data}}
    if media_type != "text/plain":
        return {"type": "document", "source": {"type": "base64", "media_type": media_type, "data": data}}
    try:
        text = base64.b64decode(data, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise InvalidRequest(f"{path} is not base64 of UTF-8 text.", param=path) from None
    return {"type": "document", "source": {"type": "text", "media_type": media_type, "data": text}}


def _carry(source: Json, block: Json) -> Json:
    if source.get("cache_control") is not None:
        block["cache_control"] = source["cache_control"]
    return block
