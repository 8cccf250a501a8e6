"""The wire formats of the vendors that tests/fakes.py plays, and the checks that they make of a request. No I/O.

The path tells which vendor is meant: ``/messages`` is Anthropic's, everything else OpenAI's. What it answers follows from the
request, as a reader of its documentation would expect: tools are called, JSON mode gives JSON, usage is counted.
"""

from __future__ import annotations

import base64
import itertools
import json
import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

TEXT = "Hello from the fake provider."
TOOL_INPUT = {"city": "Paris", "unit": "celsius"}
JSON_TEXT = '{"answer": 42}'
VECTOR = (0.25, -0.5, 0.125, 1.0)
# Vendors send many headers; these stand for those that callers read.
ANSWER_HEADERS = {"x-request-id": "req_fake_1", "openai-processing-ms": "12"}
MODEL_SUFFIX = "-2026-01-01"
_ANTHROPIC = ("/messages", "/messages/count_tokens")


@dataclass(frozen=True)
class Content:
    """What an answer says, and what it is said to have used. Cached and reasoning tokens are part of their totals."""

    text: str = TEXT
    prompt_tokens: int = 21
    completion_tokens: int = 7
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    usage: bool = True


def whole(path: str, body: dict[str, Any], content: Content | None) -> bytes:
    said = content or Content()
    if path.endswith("/messages"):
        return _dump(_message(body, said))
    if path.endswith("/count_tokens"):
        return _dump({"input_tokens": said.prompt_tokens})
    if path.endswith("/embeddings"):
        return _dump(_embeddings(body, said))
    if path.endswith("/models"):
        return _dump({"object": "list", "data": []})
    return _dump(_completion(path, body, said))


def events(path: str, body: dict[str, Any], content: Content | None) -> list[bytes]:
    """The events of a complete stream, in order."""
    said = content or Content()
    if path.endswith("/messages"):
        return [_named(event) for event in _message_events(body, said)]
    chunks = _text_chunks(body, said) if not path.endswith("/chat/completions") else _chat_chunks(body, said)
    return [*(b"data: " + _dump(chunk) + b"\n\n" for chunk in chunks), b"data: [DONE]\n\n"]


def error(path: str, message: str, kind: str) -> bytes:
    if path.endswith(_ANTHROPIC):
        return _dump({"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_fake_1"})
    return _dump({"error": {"message": message, "type": kind, "param": None, "code": None}})


def error_event(path: str, message: str) -> bytes:
    if path.endswith("/messages"):
        return _named({"type": "error", "error": {"type": "overloaded_error", "message": message}})
    return b"data: " + _dump({"error": {"message": message, "type": "server_error", "param": None, "code": None}}) + b"\n\n"


def type_of(status: int) -> str:
    return {401: "authentication_error", 429: "rate_limit_error", 529: "overloaded_error"}.get(
        status, "server_error" if status >= 500 else "invalid_request_error"
    )


def _dump(value: Any) -> bytes:
    return json.dumps(value).encode()


def _words(text: str) -> list[str]:
    return [word if not number else f" {word}" for number, word in enumerate(text.split(" "))]


def _halves(text: str) -> tuple[str, str]:
    return text[: len(text) // 2], text[len(text) // 2 :]


# --- OpenAI ----------------------------------------------------------------------------------------------------------


def _usage(said: Content) -> dict[str, Any]:
    return {
        "prompt_tokens": said.prompt_tokens,
        "completion_tokens": said.completion_tokens,
        "total_tokens": said.prompt_tokens + said.completion_tokens,
        "prompt_tokens_details": {"cached_tokens": said.cached_tokens, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": said.reasoning_tokens, "audio_tokens": 0},
    }


def _model(body: dict[str, Any]) -> str:
    return str(body["model"]) + MODEL_SUFFIX


def _text_of(body: dict[str, Any], said: Content) -> str:
    return JSON_TEXT if (body.get("response_format") or {}).get("type") in ("json_object", "json_schema") else said.text


def _calls_tool(body: dict[str, Any]) -> bool:
    """A vendor calls a tool that it is given, once: with the result, or where it must not, it answers in words."""
    results = any(
        message["role"] == "tool"
        or (isinstance(message.get("content"), list) and any(part["type"] == "tool_result" for part in message["content"]))
        for message in body["messages"]
    )
    return bool(body.get("tools")) and not results and body.get("tool_choice") not in ("none", {"type": "none"})


def _completion(path: str, body: dict[str, Any], said: Content) -> dict[str, Any]:
    answer: dict[str, Any] = {"id": "chatcmpl-fake1", "object": "chat.completion", "created": 1767225600, "model": _model(body)}
    if path.endswith("/chat/completions"):
        message: dict[str, Any] = {"role": "assistant", "content": _text_of(body, said), "refusal": None, "annotations": []}
        if calls := _calls_tool(body):
            name = body["tools"][0]["function"]["name"]
            call = {"id": "call_fake1", "type": "function", "function": {"name": name, "arguments": json.dumps(TOOL_INPUT)}}
            message |= {"content": None, "tool_calls": [call]}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls" if calls else "stop"}
    else:
        answer |= {"id": "cmpl-fake1", "object": "text_completion"}
        choice = {"index": 0, "text": said.text, "logprobs": None, "finish_reason": "stop"}
    answer["choices"] = [choice]
    if said.usage:
        answer["usage"] = _usage(said)
    return {**answer, "service_tier": "default", "system_fingerprint": "fp_fake"}


def _chat_chunks(body: dict[str, Any], said: Content) -> Iterable[dict[str, Any]]:
    wants_usage = said.usage and (body.get("stream_options") or {}).get("include_usage") is True

    def chunk(choices: list[dict[str, Any]], usage: dict[str, Any] | None = None) -> dict[str, Any]:
        made = {
            "id": "chatcmpl-fake1",
            "object": "chat.completion.chunk",
            "created": 1767225600,
            "model": _model(body),
            "service_tier": "default",
            "system_fingerprint": "fp_fake",
            "choices": choices,
        }
        return {**made, "usage": usage} if wants_usage else made

    def choice(delta: dict[str, Any], finish: str | None = None) -> list[dict[str, Any]]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]

    yield chunk(choice({"role": "assistant", "content": "", "refusal": None}))
    if calls := _calls_tool(body):
        function = {"name": body["tools"][0]["function"]["name"], "arguments": ""}
        yield chunk(choice({"tool_calls": [{"index": 0, "id": "call_fake1", "type": "function", "function": function}]}))
        for piece in _halves(json.dumps(TOOL_INPUT)):
            yield chunk(choice({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}))
    else:
        for word in _words(_text_of(body, said)):
            yield chunk(choice({"content": word}))
    yield chunk(choice({}, "tool_calls" if calls else "stop"))
    if wants_usage:
        yield chunk([], _usage(said))


def _text_chunks(body: dict[str, Any], said: Content) -> Iterable[dict[str, Any]]:
    made = {"id": "cmpl-fake1", "object": "text_completion", "created": 1767225600, "model": _model(body)}
    words = _words(said.text)
    for number, word in enumerate(words, start=1):
        finish = "stop" if number == len(words) else None
        yield {**made, "choices": [{"index": 0, "text": word, "logprobs": None, "finish_reason": finish}]}
    if said.usage and (body.get("stream_options") or {}).get("include_usage"):
        yield {**made, "choices": [], "usage": _usage(said)}


def _embeddings(body: dict[str, Any], said: Content) -> dict[str, Any]:
    given = body["input"]
    count = 1 if isinstance(given, str) or not isinstance(given[0], str | list) else len(given)
    packed: Any = list(VECTOR)
    if body.get("encoding_format") == "base64":
        packed = base64.b64encode(struct.pack(f"<{len(VECTOR)}f", *VECTOR)).decode()
    data = [{"object": "embedding", "index": index, "embedding": packed} for index in range(count)]
    usage = {"prompt_tokens": said.prompt_tokens, "total_tokens": said.prompt_tokens}
    return {"object": "list", "data": data, "model": _model(body), "usage": usage}


# --- Anthropic -------------------------------------------------------------------------------------------------------


def _anthropic_usage(said: Content, output: int) -> dict[str, Any]:
    """The cached tokens stand beside `input_tokens`, not inside them."""
    return {
        "input_tokens": said.prompt_tokens - said.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": said.cached_tokens,
        "output_tokens": output,
        "service_tier": "standard",
    }


def _message(body: dict[str, Any], said: Content) -> dict[str, Any]:
    blocks: list[dict[str, Any]] = [{"type": "text", "text": said.text}]
    if calls := _calls_tool(body):
        blocks.append({"type": "tool_use", "id": "toolu_fake1", "name": body["tools"][0]["name"], "input": TOOL_INPUT})
    return {
        "id": "msg_fake1",
        "type": "message",
        "role": "assistant",
        "model": _model(body),
        "content": blocks,
        "stop_reason": "tool_use" if calls else "end_turn",
        "stop_sequence": None,
        "usage": _anthropic_usage(said, said.completion_tokens),
    }


def _message_events(body: dict[str, Any], said: Content) -> Iterable[dict[str, Any]]:
    message = _message(body, said)
    yield {
        "type": "message_start",
        "message": {**message, "content": [], "stop_reason": None, "usage": _anthropic_usage(said, 1)},
    }
    for index, block in enumerate(message["content"]):
        is_text = block["type"] == "text"
        empty: dict[str, Any] = {"text": ""} if is_text else {"input": {}}
        yield {"type": "content_block_start", "index": index, "content_block": {**block, **empty}}
        if not index:
            yield {"type": "ping"}
        for piece in _words(said.text) if is_text else ("", *_halves(json.dumps(TOOL_INPUT))):
            delta = {"type": "text_delta", "text": piece} if is_text else {"type": "input_json_delta", "partial_json": piece}
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    delta = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": delta, "usage": {"output_tokens": said.completion_tokens}}
    yield {"type": "message_stop"}


def _named(event: dict[str, Any]) -> bytes:
    return b"event: " + event["type"].encode() + b"\ndata: " + _dump(event) + b"\n\n"


# --- What a vendor refuses -------------------------------------------------------------------------------------------

_CHAT_KEYS = frozenset(
    (
        *("messages", "model", "audio", "frequency_penalty", "logit_bias", "logprobs", "max_completion_tokens", "max_tokens"),
        *(
            "metadata",
            "modalities",
            "n",
            "parallel_tool_calls",
            "prediction",
            "presence_penalty",
            "prompt_cache_key",
            "reasoning_effort",
        ),
        *("response_format", "safety_identifier", "seed", "service_tier", "stop", "store", "stream", "stream_options"),
        *("temperature", "tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity"),
    )
)
_MESSAGES_KEYS = frozenset(
    (
        *("model", "messages", "max_tokens", "metadata", "output_config", "service_tier", "stop_sequences", "stream"),
        *("system", "temperature", "thinking", "tool_choice", "tools", "top_k", "top_p"),
    )
)
_COUNTED_KEYS = frozenset({"model", "messages", "output_config", "system", "thinking", "tool_choice", "tools"})
# Headers that concern the caller and the gateway, or that browsers send.
_OURS = ("x-portkey", "x-stainless", "cookie", "x-forwarded")


def problem(method: str, path: str, headers: dict[str, str], body: bytes) -> str | None:
    """Why a vendor would refuse this request, or what no gateway may send to it; None where all is well."""
    try:
        _check_headers(path, headers)
        if method == "POST":
            parsed = json.loads(body)
            _want(headers.get("content-type") == "application/json", "the content type is not application/json")
            _want(isinstance(parsed, dict) and isinstance(parsed.get("model"), str), "there is no model")
            if path.endswith(_ANTHROPIC):
                _check_messages(parsed, counting=path.endswith("/count_tokens"))
            elif path.endswith("/chat/completions"):
                _check_chat(parsed)
    except (AssertionError, ValueError, KeyError) as error:
        return f"{path}: {error}"
    return None


def _want(condition: Any, otherwise: str) -> None:
    if not condition:
        raise AssertionError(otherwise)


def _check_headers(path: str, headers: dict[str, str]) -> None:
    for name in headers:
        _want(not name.startswith(_OURS), f"the header {name} is not for vendors")
    _want(headers.get("host", "").startswith("127.0.0.1:"), "the host is another")
    if path.endswith(_ANTHROPIC):
        _want(headers.get("x-api-key"), "there is no x-api-key")
        _want(re.fullmatch(r"20\d\d-\d\d-\d\d", headers.get("anthropic-version", "")), "the anthropic-version is wrong")
        _want("authorization" not in headers, "authorization is not for this vendor")
    else:
        _want(headers.get("authorization", "").startswith("Bearer "), "there is no bearer token")
        _want("x-api-key" not in headers, "x-api-key is not for this vendor")


def _check_chat(body: dict[str, Any]) -> None:
    _want(not (unknown := body.keys() - _CHAT_KEYS), f"unrecognized request argument: {sorted(unknown)}")
    roles = [message["role"] for message in body["messages"]]
    _want(set(roles) <= {"system", "developer", "user", "assistant", "tool"}, f"the roles are {roles}")
    if (body.get("response_format") or {}).get("type") == "json_object":
        _want("json" in json.dumps(body["messages"]).lower(), "messages must contain the word json for json_object")
    for before, message in itertools.pairwise(body["messages"]):
        if message["role"] == "tool" and before["role"] != "tool":
            _want(before.get("tool_calls"), "a tool message must follow the call")


def _check_messages(body: dict[str, Any], *, counting: bool) -> None:
    known = _COUNTED_KEYS if counting else _MESSAGES_KEYS
    _want(not (unknown := body.keys() - known), f"extra inputs are not permitted: {sorted(unknown)}")
    _want(counting or (isinstance(body.get("max_tokens"), int) and body["max_tokens"] > 0), "max_tokens is missing")
    roles = [message["role"] for message in body["messages"]]
    _want(roles and roles[0] == "user" and set(roles) <= {"user", "assistant"}, f"the roles are {roles}")
    for tool in body.get("tools", []):
        _want(isinstance(tool["name"], str) and tool["input_schema"]["type"] == "object", "a tool without a schema")
    asked: set[str] = set()
    for message in body["messages"]:
        blocks = message["content"] if isinstance(message["content"], list) else [{"type": "text", "text": message["content"]}]
        for block in blocks:
            _want(block["type"] != "text" or block["text"], "text content blocks must be non-empty")
            _want(block["type"] != "tool_result" or block["tool_use_id"] in asked, "a result without its tool_use")
        asked = {block["id"] for block in blocks if block["type"] == "tool_use"}
