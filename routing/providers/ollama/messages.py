"""A conversation in OpenAI's words as the vendor's: texts with pictures beside them, and tools named by their function."""

from __future__ import annotations

from typing import Any

import orjson

from routing.call import Json
from routing.errors import InvalidRequest
from routing.providers import reading
from routing.providers.wishes import Wishes

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}


def translated(messages: Any, wishes: Wishes) -> list[Json]:
    """The messages. Raises `Unsupported` or `InvalidRequest` with the path of the part."""
    if not isinstance(messages, list) or not messages:
        raise InvalidRequest("messages must be a list with at least one message.", param="messages")
    names: dict[Any, Any] = {}  # of the functions, by the id of the call
    out: list[Json] = []
    for number, message in enumerate(messages):
        path = f"messages[{number}]"
        if not isinstance(message, dict):
            raise InvalidRequest(f"{path} must be an object.", param=path)
        role = message.get("role")
        if not isinstance(role, str) or role not in _ROLES:
            wishes.refuse(f"{path}.role")
            continue
        said = {"role": _ROLES[role], **_content(message, path, wishes)}
        if role == "assistant":
            said |= _assistant(message, path, names, wishes)
        elif role == "tool":
            call_id = message.get("tool_call_id")
            said |= {"tool_call_id": call_id} | (
                {"tool_name": names[call_id]} if isinstance(call_id, str) and call_id in names else {}
            )
        out.append(said)
    return out


def _content(message: Json, path: str, wishes: Wishes) -> Json:
    content = message.get("content")
    if content is None:
        return {"content": message.get("refusal") or ""}
    if isinstance(content, str):
        return {"content": content}
    if not isinstance(content, list):
        raise InvalidRequest(f"{path}.content must be a text or a list of parts.", param=f"{path}.content")
    texts: list[str] = []
    images: list[str] = []
    for number, part in enumerate(content):
        where = f"{path}.content[{number}]"
        kind = part.get("type") if isinstance(part, dict) else None
        if kind in ("text", "refusal"):
            texts.append(str(part.get(kind) or ""))
        elif kind == "image_url":
            images += _image(part.get("image_url"), where, wishes)
        else:
            wishes.refuse(f"{where}.type")
    return {"content": "\n".join(texts), **({"images": images} if images else {})}


def _image(image: Any, path: str, wishes: Wishes) -> list[str]:
    """The picture as base64, which is all that the vendor takes: it fetches nothing."""
    address = image.get("url") if isinstance(image, dict) else image
    head, comma, data = address.partition(",") if isinstance(address, str) else ("", "", "")
    if head.startswith("data:") and head.endswith(";base64") and comma:
        return [data]
    wishes.refuse(f"{path}.image_url.url", f"{wishes.label} takes pictures as data URLs only.")
    return []


def _assistant(message: Json, path: str, names: dict[Any, Any], wishes: Wishes) -> Json:
    out: Json = {}
    for field in ("function_call", "audio"):
        if message.get(field) is not None:
            wishes.refuse(f"{path}.{field}")
    thought = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(thought, str):
        out["thinking"] = thought
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list):
        raise InvalidRequest(f"{path}.tool_calls must be a list.", param=f"{path}.tool_calls")
    if calls:
        out["tool_calls"] = [_call(call, f"{path}.tool_calls[{place}]", names) for place, call in enumerate(calls)]
    return out


def _call(call: Any, path: str, names: dict[Any, Any]) -> Json:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        raise InvalidRequest(f"{path}.function must be an object.", param=f"{path}.function")
    arguments = function.get("arguments")
    try:
        parsed = arguments if isinstance(arguments, dict) else reading.loads(arguments or "{}")
    except (orjson.JSONDecodeError, TypeError):
        parsed = None
    if not isinstance(parsed, dict):
        raise InvalidRequest(f"{path}.function.arguments must be a JSON object.", param=f"{path}.function.arguments")
    if isinstance(call.get("id"), str):
        names[call["id"]] = function.get("name")
    return {"id": call.get("id"), "function": {"name": function.get("name"), "arguments": parsed}}
