"""What the mock says: the same request always gets the same answer, and a stream has the whole answer's content and usage."""

from __future__ import annotations

import base64
import hashlib
import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from routing import sse
from routing.call import Json
from routing.providers.mock.behaviour import Behaviour
from routing.providers.mock.schema import sample

# Fixed, so that two answers to the same request are equal byte for byte.
CREATED = 1_700_000_000
# What the list of models shows; every other name works too.
MODELS = ("mock", "mock-echo", "mock-tool")
DEFAULT_DIMENSIONS = 256
MAX_DIMENSIONS = 4096
_QUOTED_WORDS = 30

# A token of the mock: a word with the space before it. Long words are cut, so that text without spaces comes in pieces too.
_PIECE = re.compile(r"\s*\S{1,12}|\s+")
_WORD = re.compile(r"\w+")


class BadRequest(ValueError):
    """The request cannot be answered; the text says why."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the body as it goes over the wire. `content` is true for the pieces that carry some of the answer."""

    data: bytes
    content: bool = False


@dataclass(frozen=True, slots=True)
class _Answer:
    """What every choice holds: pieces of text, or the pieces of a tool's arguments."""

    pieces: list[str]
    finish: str
    tool: str | None = None


def completion(body: Json, behaviour: Behaviour, *, chat: bool) -> list[Part]:
    """The body of an answer to chat or text completions: one part when whole, one for each event of a stream."""
    answer = _chat_answer(body, behaviour) if chat else _text_answer(body, behaviour)
    prompts = 1 if chat else len(_prompts(body.get("prompt")))
    count = whole_number(body, "n", 1, 128) * prompts
    prompt_tokens = sum(len(pieces_of(text)) + 1 for text in _texts(body))
    cached = min(behaviour.cached, prompt_tokens)
    usage = _usage(prompt_tokens, len(answer.pieces) * count, cached)
    head = {"id": _id(body, chat), "created": CREATED, "model": body["model"]}
    if body.get("stream") is not True:
        kind = "chat.completion" if chat else "text_completion"
        choices = [_choice(index, answer, chat) for index in range(count)]
        whole = head | {"object": kind, "choices": choices} | ({} if behaviour.nousage else {"usage": usage})
        return [Part(orjson.dumps(whole), content=True)]
    asked = _object(body, "stream_options").get("include_usage") is True and not behaviour.nousage
    head["object"] = "chat.completion.chunk" if chat else "text_completion"
    return list(_events(head, answer, count, chat, usage if asked else None))


def embeddings(body: Json) -> list[Part]:
    """Vectors in which texts with the same words lie close together, so that they are good for more than their shape."""
    inputs = _prompts(body.get("input"))
    dimensions = whole_number(body, "dimensions", DEFAULT_DIMENSIONS, MAX_DIMENSIONS)
    as_text = body.get("encoding_format") == "base64"
    data = []
    for index, text in enumerate(inputs):
        vector = vector_of(text, dimensions)
        packed: Any = base64.b64encode(struct.pack(f"<{dimensions}f", *vector)).decode() if as_text else vector
        data.append({"object": "embedding", "index": index, "embedding": packed})
    tokens = sum(len(pieces_of(text)) for text in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return [Part(orjson.dumps({"object": "list", "data": data, "model": body["model"], "usage": usage}), content=True)]


def models() -> list[Part]:
    names = MODELS
    data = [{"id": name, "object": "model", "created": CREATED, "owned_by": "mock"} for name in names]
    return [Part(orjson.dumps({"object": "list", "data": data}), content=True)]


def error(message: str, *, kind: str, code: str | int | None = None) -> bytes:
    """An error body in OpenAI's shape."""
    return orjson.dumps({"error": {"message": message, "type": kind, "param": None, "code": code}})


# --- what it says ---


def _chat_answer(body: Json, behaviour: Behaviour) -> _Answer:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("`messages` must be a list with at least one message.")
    function = _tool_to_call(body, behaviour, messages[-1])
    if function is not None:
        arguments = orjson.dumps(sample(function.get("parameters") or {"type": "object"})).decode()
        return _Answer(pieces_of(arguments), "tool_calls", tool=str(function.get("name")))
    users = [message for message in messages if isinstance(message, dict) and message.get("role") in ("user", "tool")]
    said = _text(users[-1].get("content")) if users else ""
    return _limited(_formatted(_said(said, body, behaviour), _object(body, "response_format")), body)


def _text_answer(body: Json, behaviour: Behaviour) -> _Answer:
    return _limited(_said(_prompts(body.get("prompt"))[0], body, behaviour), body)


def _said(text: str, body: Json, behaviour: Behaviour) -> str:
    if behaviour.chunks is not None:
        return " ".join(f"word{number}" for number in range(1, behaviour.chunks + 1))
    if behaviour.echo:
        return text
    words = text.split()
    quoted = " ".join(words[:_QUOTED_WORDS]) + (" ..." if len(words) > _QUOTED_WORDS else "")
    return f"Hello from {body['model']}. You said: {quoted}"


def _formatted(text: str, response_format: Json) -> str:
    kind = response_format.get("type")
    if kind == "json_object":
        return orjson.dumps({"answer": text}).decode()
    if kind == "json_schema":
        return orjson.dumps(sample(_object(response_format, "json_schema").get("schema"))).decode()
    return text


def _limited(text: str, body: Json) -> _Answer:
    pieces = pieces_of(text)
    limit = body.get("max_completion_tokens", body.get("max_tokens"))
    if isinstance(limit, int) and 0 <= limit < len(pieces):
        return _Answer(pieces[:limit], "length")
    return _Answer(pieces, "stop")


def _tool_to_call(body: Json, behaviour: Behaviour, last: Any) -> Json | None:
    """The function to call: the one that is forced, or the first where the model's name asks and no result has come yet."""
    tools = body.get("tools") or []
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise BadRequest("`tools` must be a list of objects.")
    functions = [_object(tool, "function") for tool in tools]
    choice = body.get("tool_choice")
    if not functions or choice == "none":
        return None
    if isinstance(choice, dict):
        wanted = _object(choice, "function").get("name")
        return next((function for function in functions if function.get("name") == wanted), None)
    answered = isinstance(last, dict) and last.get("role") == "tool"
    return functions[0] if choice == "required" or (behaviour.tool and not answered) else None


# --- how it is written ---


def _choice(index: int, answer: _Answer, chat: bool) -> Json:
    text = "".join(answer.pieces)
    if not chat:
        return {"index": index, "text": text, "logprobs": None, "finish_reason": answer.finish}
    message: Json = {"role": "assistant", "content": text, "refusal": None}
    if answer.tool is not None:
        function = {"name": answer.tool, "arguments": text}
        message |= {"content": None, "tool_calls": [{"id": _call_id(index), "type": "function", "function": function}]}
    return {"index": index, "message": message, "logprobs": None, "finish_reason": answer.finish}


def _events(head: Json, answer: _Answer, count: int, chat: bool, usage: Json | None) -> Iterator[Part]:
    def chunk(index: int, shown: Json, finish: str | None = None, *, content: bool = False) -> Part:
        choice = {"index": index, **({"delta": shown} if chat else shown), "logprobs": None, "finish_reason": finish}
        tail = {"usage": None} if usage is not None else {}
        return Part(sse.encode(orjson.dumps(head | {"choices": [choice]} | tail)), content)

    if chat:
        for index in range(count):
            yield chunk(index, {"role": "assistant", "content": None if answer.tool else ""})
            if answer.tool:
                function = {"name": answer.tool, "arguments": ""}
                call = {"index": 0, "id": _call_id(index), "type": "function", "function": function}
                yield chunk(index, {"tool_calls": [call]})
    for piece in answer.pieces:
        for index in range(count):
            yield chunk(index, _piece_shown(piece, answer, chat), content=True)
    for index in range(count):
        yield chunk(index, {} if chat else {"text": ""}, answer.finish)
    if usage is not None:
        yield Part(sse.encode(orjson.dumps(head | {"choices": [], "usage": usage})))
    yield Part(sse.encode(b"[DONE]"))


def _piece_shown(piece: str, answer: _Answer, chat: bool) -> Json:
    if not chat:
        return {"text": piece}
    return {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]} if answer.tool else {"content": piece}


def _usage(prompt: int, completion: int, cached: int) -> Json:
    usage: Json = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    return usage | ({"prompt_tokens_details": {"cached_tokens": cached}} if cached else {})


def _id(body: Json, chat: bool) -> str:
    digest = hashlib.sha256(orjson.dumps(body, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return f"{'chatcmpl' if chat else 'cmpl'}-mock-{digest[:24]}"


def _call_id(index: int) -> str:
    return f"call_mock_{index}"


# --- what it reads ---


def pieces_of(text: str) -> list[str]:
    return _PIECE.findall(text)


def _texts(body: Json) -> list[str]:
    messages = body.get("messages")
    if isinstance(messages, list):
        return [_text(message.get("content")) for message in messages if isinstance(message, dict)]
    return _prompts(body.get("prompt"))


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict) and part.get("type") == "text")
    return content if isinstance(content, str) else ""


def _prompts(value: Any) -> list[str]:
    """A text, texts, the tokens of a text, or lists of tokens, as texts."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value:
        if all(isinstance(item, int) for item in value):
            return [" ".join(map(str, value))]
        if all(isinstance(item, str | list) for item in value):
            return [item if isinstance(item, str) else " ".join(map(str, item)) for item in value]
    raise BadRequest("The input must be a text, a list of texts, or a list of tokens.")


def _object(data: Json, key: str) -> Json:
    """The object at `key`, an empty one where there is none."""
    value = data.get(key)
    if value is not None and not isinstance(value, dict):
        raise BadRequest(f"`{key}` must be an object.")
    return value or {}


def whole_number(body: Json, key: str, default: int, most: int) -> int:
    value = body.get(key)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise BadRequest(f"`{key}` must be a whole number from 1 to {most}.")
    return value


def vector_of(text: str, dimensions: int) -> list[float]:
    """A unit vector: each word adds or takes one at a few places that its hash names."""
    vector = [0.0] * dimensions
    for word in _WORD.findall(text.lower()) or [""]:
        digest = hashlib.sha256(word.encode()).digest()
        for place in range(0, 32, 4):
            number = int.from_bytes(digest[place : place + 4], "big")
            vector[number % dimensions] += 1.0 if number & 0x80000000 else -1.0
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    if not any(vector):
        vector[0] = 1.0
    return [value / length for value in vector]
