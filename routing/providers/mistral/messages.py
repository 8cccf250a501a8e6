"""A conversation in OpenAI's words as the vendor's."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from routing.call import Json
from routing.errors import InvalidRequest
from routing.providers.wishes import Wishes

# What the vendor knows of a message of each role; it refuses a request with anything else in it.
_FIELDS = {
    "system": ("role", "content"),
    "developer": ("role", "content"),
    "user": ("role", "content"),
    "assistant": ("role", "content", "tool_calls", "prefix"),
    "tool": ("role", "content", "tool_call_id", "name"),
}
# What OpenAI's SDK sends along with messages, and what says nothing to the model.
_SILENT = frozenset(
    (
        *("name", "refusal", "annotations", "reasoning_content", "content_blocks", "cache_control"),
        "provider_specific_fields",
    )
)
_CALL_ID = re.compile(r"[A-Za-z0-9]{9}")


def translated(messages: Any, wishes: Wishes) -> Any:
    """The messages; what is no list is the vendor's to refuse."""
    if not isinstance(messages, list):
        return messages
    return [_message(message, f"messages[{number}]", wishes) for number, message in enumerate(messages)]


def _message(message: Any, path: str, wishes: Wishes) -> Json:
    if not isinstance(message, dict):
        raise InvalidRequest(f"{path} must be an object.", param=path)
    role = message.get("role")
    known = _FIELDS.get(role) if isinstance(role, str) else None
    if known is None:
        wishes.refuse(f"{path}.role")
        return message
    for field in sorted(message.keys() - set(known) - _SILENT):
        if message[field] is not None:
            wishes.refuse(f"{path}.{field}")
    out = {key: message[key] for key in known if message.get(key) is not None}
    content = message.get("content")
    if isinstance(content, list):
        parts = [_part(part, f"{path}.content[{number}]", wishes) for number, part in enumerate(content)]
        out["content"] = [part for part in parts if part is not None]
    elif content is None and not out.get("tool_calls"):
        out["content"] = message.get("refusal") or ""
    if role == "assistant":
        _assistant(message, out)
    elif role == "tool" and isinstance(message.get("tool_call_id"), str):
        out["tool_call_id"] = call_id(message["tool_call_id"])
    return out


def _assistant(message: Json, out: Json) -> None:
    if isinstance(out.get("tool_calls"), list):
        out["tool_calls"] = [_call(call) for call in out["tool_calls"]]
    thought = message.get("reasoning_content")
    if isinstance(thought, str) and thought:
        content = out.get("content")
        said = content if isinstance(content, list) else [{"type": "text", "text": content}] if content else []
        out["content"] = [{"type": "thinking", "thinking": [{"type": "text", "text": thought}]}, *said]


def _call(call: Any) -> Any:
    return {**call, "id": call_id(call["id"])} if isinstance(call, dict) and isinstance(call.get("id"), str) else call


def call_id(given: str) -> str:
    """The id as the vendor takes it: the same for the same, whoever gave it."""
    return given if _CALL_ID.fullmatch(given) else hashlib.sha256(given.encode()).hexdigest()[:9]


def _part(part: Any, path: str, wishes: Wishes) -> Json | None:
    if not isinstance(part, dict):
        raise InvalidRequest(f"{path} must be an object.", param=path)
    kind = part.get("type")
    if kind in ("text", "image_url", "document_url", "reference", "thinking"):
        return {key: value for key, value in part.items() if key != "cache_control"}
    if kind == "refusal":
        return {"type": "text", "text": part.get("refusal")}
    if kind == "input_audio":
        audio = part.get("input_audio")
        return {"type": kind, "input_audio": audio.get("data") if isinstance(audio, dict) else audio}
    if kind == "file" and isinstance(file := part.get("file"), dict):
        return _file(file, path)
    wishes.refuse(f"{path}.type")
    return None


def _file(file: Json, path: str) -> Json:
    if isinstance(file.get("file_id"), str):
        return {"type": "file", "file_id": file["file_id"]}
    address = file.get("file_data") or file.get("file_url")
    if not isinstance(address, str):
        raise InvalidRequest(f"{path}.file needs file_data, file_url or file_id.", param=f"{path}.file")
    if not address.startswith(("data:", "http://", "https://")):
        address = f"data:{file.get('mime_type') or 'application/pdf'};base64,{address}"
    name = {"document_name": file["filename"]} if isinstance(file.get("filename"), str) else {}
    return {"type": "document_url", "document_url": address, **name}
