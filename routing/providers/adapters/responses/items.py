"""The items of a Responses call as the messages of a chat.

- Calls of functions join the assistant's message before them; their outputs follow at once.
- Reasoning that this gateway gave out (`encrypted_content`) goes back to the provider that wrote it, and to no other.
"""

from __future__ import annotations

from typing import Any

from routing.call import Json
from routing.errors import InvalidRequest
from routing.providers.adapters.chat import (
    Conversation,
    Reader,
    a_list,
    a_name,
    an_object,
    image_part,
    named,
    refused,
    text_part,
)
from routing.providers.foreign import unmarked

_ROLES = {"user": "user", "system": "system", "developer": "system"}


def conversation(instructions: Any, given: Any, reader: Reader) -> list[Json]:
    """The chat's messages. Raises `Unsupported` or `InvalidRequest` with the path of the item."""
    chat = Conversation()
    if isinstance(instructions, list):
        _add(chat, instructions, "instructions", reader)
    elif instructions is not None:
        chat.say("system", [text_part(instructions, "instructions")])
    if isinstance(given, str):
        chat.say("user", [text_part(given, "input")])
    else:
        _add(chat, a_list(given, "input"), "input", reader)
    chat.flush()
    return chat.messages


def _add(chat: Conversation, items: list[Any], path: str, reader: Reader) -> None:
    reasoning: Json = {}
    for number, one in enumerate(items):
        where = f"{path}[{number}]"
        item = an_object(one, where)
        kind = item.get("type") or "message"
        if kind == "reasoning":
            reasoning |= _reasoning(item, reader)
            continue
        if kind == "message" and item.get("role") == "assistant":
            chat.answer(_assistant(item, where, reader), reasoning=reasoning)
        elif kind == "message":
            _message(chat, item, where, reader)
        elif kind == "function_call":
            if reasoning:
                chat.answer(None, reasoning=reasoning)
            call_id, name = (a_name(item.get(key), f"{where}.{key}") for key in ("call_id", "name"))
            chat.call(call_id, name, text_part(item.get("arguments"), f"{where}.arguments")["text"])
        elif kind == "function_call_output":
            call_id = a_name(item.get("call_id"), f"{where}.call_id")
            chat.result(call_id, _parts(item.get("output"), f"{where}.output", reader), {})
        elif kind == "item_reference":
            raise refused(reader, "stored items", f"{where}.type", "Send the item itself.")
        else:
            raise refused(reader, f"item of type {kind!r}", f"{where}.type")
        reasoning = {}


def _message(chat: Conversation, item: Json, path: str, reader: Reader) -> None:
    role = item.get("role")
    if (known := named(_ROLES, role)) is None:
        raise InvalidRequest(f"{path}.role must be user, assistant, system or developer.", param=f"{path}.role")
    chat.say(known, _parts(item.get("content"), f"{path}.content", reader))


def _assistant(item: Json, path: str, reader: Reader) -> str:
    return "".join(part["text"] for part in _parts(item.get("content"), f"{path}.content", reader) if part["type"] == "text")


def _reasoning(item: Json, reader: Reader) -> Json:
    ours = unmarked(item.get("encrypted_content"))
    return {ours.field: ours.text} if ours is not None and ours.provider == reader.provider.id else {}


def _parts(content: Any, path: str, reader: Reader) -> list[Json]:
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    found = a_list(content, path)
    return [_part(an_object(one, f"{path}[{n}]"), f"{path}[{n}]", reader) for n, one in enumerate(found)]


def _part(part: Json, path: str, reader: Reader) -> Json:
    kind = part.get("type")
    if kind in ("input_text", "output_text", "text"):
        return text_part(part.get("text"), f"{path}.text")
    if kind == "refusal":
        return text_part(part.get("refusal"), f"{path}.refusal")
    if kind == "input_image":
        if part.get("image_url") is None:
            raise refused(reader, "stored files", f"{path}.file_id", "Send the picture as image_url.")
        detail = part.get("detail")
        return image_part(part["image_url"], f"{path}.image_url", None if detail == "auto" else detail)
    if kind == "input_audio":
        return {"type": "input_audio", "input_audio": an_object(part.get("input_audio"), f"{path}.input_audio")}
    if kind == "input_file":
        if part.get("file_id") is not None:
            raise refused(reader, "stored files", f"{path}.file_id", "Send the file as file_data.")
        file = {key: part[key] for key in ("filename", "file_data", "file_url") if part.get(key) is not None}
        return {"type": "file", "file": file}
    raise refused(reader, f"content of type {kind!r}", f"{path}.type")
