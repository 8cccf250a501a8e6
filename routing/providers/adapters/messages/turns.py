"""The turns of a Messages call as the messages of a chat.

- Results of tools become messages of their own, before what the user says in the same turn, as OpenAI demands.
- Thinking goes back to the provider that wrote it, and to those that read Anthropic's blocks; another one has no use for it.
- Blocks of tools that ran on the vendor's side are refused: nobody else can read them.
"""

from __future__ import annotations

from typing import Any

import orjson

from routing.call import Json
from routing.errors import InvalidRequest
from routing.providers.adapters.chat import (
    Conversation,
    Reader,
    a_list,
    a_name,
    an_object,
    image_part,
    refused,
    text_part,
)
from routing.providers.foreign import unmarked


def conversation(system: Any, messages: Any, reader: Reader) -> list[Json]:
    """The chat's messages. Raises `Unsupported` or `InvalidRequest` with the path of the block."""
    chat = Conversation()
    if system:
        _system(chat, system, "system", reader)
    for number, given in enumerate(a_list(messages, "messages")):
        path = f"messages[{number}]"
        message = an_object(given, path)
        role, content = message.get("role"), message.get("content")
        blocks = [text_part(content, f"{path}.content")] if isinstance(content, str) else a_list(content, f"{path}.content")
        if role == "user":
            _user(chat, blocks, path, reader)
        elif role == "assistant":
            _assistant(chat, blocks, path, reader)
        elif role == "system":
            _system(chat, content, f"{path}.content", reader)
        else:
            raise InvalidRequest(f"{path}.role must be user or assistant.", param=f"{path}.role")
    chat.flush()
    return chat.messages


def _system(chat: Conversation, given: Any, path: str, reader: Reader) -> None:
    if isinstance(given, str):
        chat.say("system", [text_part(given, path)])
        return
    parts = [_text(an_object(block, f"{path}[{n}]"), f"{path}[{n}]", reader) for n, block in enumerate(a_list(given, path))]
    if not reader.blocks:  # one text, which every server reads
        parts = [{"type": "text", "text": "\n\n".join(part["text"] for part in parts)}]
    if parts:
        chat.say("system", parts)


def _user(chat: Conversation, blocks: list[Any], path: str, reader: Reader) -> None:
    parts: list[Json] = []
    for number, given in enumerate(blocks):
        where = f"{path}.content[{number}]"
        block = an_object(given, where)
        if block.get("type") == "tool_result":
            _result(chat, block, where, reader)
        else:
            parts += _parts(block, where, reader)
    if parts:
        chat.say("user", chat.take() + parts)


def _result(chat: Conversation, block: Json, path: str, reader: Reader) -> None:
    content = block.get("content")
    parts: list[Json] = []
    if isinstance(content, str):
        parts = [text_part(content, f"{path}.content")]
    elif content is not None:
        for number, inner in enumerate(a_list(content, f"{path}.content")):
            parts += _parts(an_object(inner, f"{path}.content[{number}]"), f"{path}.content[{number}]", reader)
    extra: Json = {}
    if block.get("is_error") is True:
        if reader.blocks:
            extra["is_error"] = True
        else:
            parts.insert(0, {"type": "text", "text": "Error:"})
    chat.result(a_name(block.get("tool_use_id"), f"{path}.tool_use_id"), parts, extra)


def _assistant(chat: Conversation, blocks: list[Any], path: str, reader: Reader) -> None:
    texts: list[str] = []
    thoughts: list[Json] = []
    calls: list[tuple[str, str, str]] = []
    for number, given in enumerate(blocks):
        where = f"{path}.content[{number}]"
        block = an_object(given, where)
        kind = block.get("type")
        if kind == "text":
            texts.append(_text(block, where, reader)["text"])
        elif kind in ("thinking", "redacted_thinking"):
            thoughts.append(block)
        elif kind == "tool_use":
            name, call_id = a_name(block.get("name"), f"{where}.name"), a_name(block.get("id"), f"{where}.id")
            calls.append((call_id, name, orjson.dumps(an_object(block.get("input"), f"{where}.input")).decode()))
        else:
            raise refused(reader, f"block of type {kind!r} from the assistant", f"{where}.type")
    reasoning, native = _thoughts(thoughts, reader)
    text = "".join(texts)
    if native and text:
        native.append({"type": "text", "text": text})
    chat.answer(text if text or not calls else None, reasoning=reasoning, blocks=native)
    for call in calls:
        chat.call(*call)


def _thoughts(blocks: list[Json], reader: Reader) -> tuple[Json, list[Json]]:
    """The reasoning that this provider wrote, by the name of its field, and the blocks that it reads."""
    reasoning: Json = {}
    native: list[Json] = []
    for block in blocks:
        ours = unmarked(block.get("signature"))
        if ours is None:
            native += [block] if reader.blocks else []
        elif ours.provider == reader.provider.id and isinstance(block.get("thinking"), str):
            reasoning[ours.field] = reasoning.get(ours.field, "") + block["thinking"]
    return reasoning, native


def _parts(block: Json, path: str, reader: Reader) -> list[Json]:
    """A block of the user's, or of a tool's result, as parts."""
    kind = block.get("type")
    if kind == "text":
        return [_text(block, path, reader)]
    if kind == "image":
        return [_cached(block, image_part(_image(block, path, reader), f"{path}.source"), reader)]
    if kind == "document":
        return [_cached(block, part, reader) for part in _document(block, path, reader)]
    if kind == "search_result":
        head = f"{block.get('title') or ''}\n{block.get('source') or ''}\n"
        content = a_list(block.get("content"), f"{path}.content")
        texts = [_text(an_object(one, f"{path}.content[{n}]"), f"{path}.content[{n}]", reader) for n, one in enumerate(content)]
        return [{"type": "text", "text": head + "\n".join(part["text"] for part in texts)}]
    raise refused(reader, f"block of type {kind!r} from the user", f"{path}.type")


def _text(block: Json, path: str, reader: Reader) -> Json:
    if block.get("type") != "text":
        raise refused(reader, f"block of type {block.get('type')!r} here", f"{path}.type")
    return _cached(block, text_part(block.get("text"), f"{path}.text"), reader)


def _cached(block: Json, part: Json, reader: Reader) -> Json:
    """With the wish to be cached, for dialects that know it; the answer is as good without it."""
    if block.get("cache_control") is not None and reader.blocks:
        part["cache_control"] = block["cache_control"]
    return part


def _image(block: Json, path: str, reader: Reader) -> str:
    source = an_object(block.get("source"), f"{path}.source")
    if source.get("type") == "base64":
        return _data_url(source, path)
    if source.get("type") == "url":
        return a_name(source.get("url"), f"{path}.source.url")
    raise refused(reader, f"image from a source of type {source.get('type')!r}", f"{path}.source.type")


def _document(block: Json, path: str, reader: Reader) -> list[Json]:
    citations = block.get("citations")
    if isinstance(citations, dict) and citations.get("enabled"):
        raise refused(reader, "citations", f"{path}.citations")
    source = an_object(block.get("source"), f"{path}.source")
    kind, title = source.get("type"), block.get("title")
    head = [{"type": "text", "text": text} for text in (title, block.get("context")) if isinstance(text, str) and text]
    if kind == "text":
        return [*head, text_part(source.get("data"), f"{path}.source.data")]
    if kind == "content":
        content = source.get("content")
        if isinstance(content, str):
            return [*head, {"type": "text", "text": content}]
        inner = f"{path}.source.content"
        found = [
            _parts(an_object(one, f"{inner}[{n}]"), f"{inner}[{n}]", reader) for n, one in enumerate(a_list(content, inner))
        ]
        return [*head, *(part for parts in found for part in parts)]
    file: Json = {"filename": title if isinstance(title, str) and title else "document.pdf"}
    if kind == "base64":
        file["file_data"] = _data_url(source, path)
    elif kind == "url":
        file["file_url"] = a_name(source.get("url"), f"{path}.source.url")
    else:
        raise refused(reader, f"document from a source of type {kind!r}", f"{path}.source.type")
    return [*head[1 if isinstance(title, str) and title else 0 :], {"type": "file", "file": file}]


def _data_url(source: Json, path: str) -> str:
    media_type = a_name(source.get("media_type"), f"{path}.source.media_type")
    data = a_name(source.get("data"), f"{path}.source.data")
    return f"data:{media_type};base64,{data}"
