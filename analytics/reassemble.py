"""Turns a stored event stream into the one JSON message that it amounts to, for the log's detail view.

Done when a log is read: few are, and what is stored stays what went over the wire.
"""

from __future__ import annotations

from typing import Any

import orjson

from analytics.reassemble_events import reassemble_events
from routing.errors import UpstreamInvalid
from routing.sse import Decoder

Json = dict[str, Any]

_WHOLE = {"chat.completion.chunk": "chat.completion"}
# Fields of a delta whose pieces follow one another; of all others the last value counts.
_GROWING = frozenset({"content", "refusal", "reasoning", "reasoning_content", "arguments", "text"})


def reassemble(stream: str) -> Json | None:
    """The whole answer, or None where the text holds no chunk of one.

    A stream that was cut, by the content limit or on the wire, gives what had come until then, without a finish reason.
    """
    answer: Json = {}
    choices: dict[int, Json] = {}
    chunks = _chunks(stream)
    if any("choices" not in chunk and "type" in chunk for chunk in chunks):
        return reassemble_events(chunks)
    for chunk in chunks:
        listed = chunk.pop("choices", None)
        answer |= {name: value for name, value in chunk.items() if value is not None}
        for choice in listed if isinstance(listed, list) else []:
            if isinstance(choice, dict) and isinstance(index := choice.get("index", 0), int):
                _add_choice(choices.setdefault(index, {"index": index}), choice)
    if not answer and not choices:
        return None
    if "object" in answer:
        answer["object"] = _WHOLE.get(answer["object"], answer["object"])
    answer["choices"] = [_finished(choices[index]) for index in sorted(choices)]
    return answer


def _chunks(stream: str) -> list[Json]:
    """The JSON objects that the events hold; what is none (``[DONE]``, comments) is left out."""
    found = []
    try:
        events = Decoder().feed(stream.encode())
    except UpstreamInvalid:
        return []  # one event beyond every bound: nothing that could be shown
    for event in events:
        try:
            chunk = orjson.loads(event.data)
        except orjson.JSONDecodeError:
            continue
        if isinstance(chunk, dict):
            found.append(chunk)
    return found


def _add_choice(choice: Json, piece: Json) -> None:
    for name, value in piece.items():
        if name == "delta":
            _merge(choice.setdefault("message", {}), value if isinstance(value, dict) else {})
        elif name == "text":
            _merge(choice, {name: value})
        elif name == "logprobs" and isinstance(value, dict):
            _add_logprobs(choice, value)
        elif name != "index" and (value is not None or name not in choice):
            choice[name] = value


def _add_logprobs(choice: Json, piece: Json) -> None:
    """Every list in a piece continues the one before."""
    whole = choice["logprobs"] = choice.get("logprobs") or {}
    for name, value in piece.items():
        whole[name] = [*(whole.get(name) or []), *value] if isinstance(value, list) else whole.get(name, value)


def _merge(whole: Json, piece: Json) -> None:
    """Adds a piece of a message to what came before it."""
    for name, value in piece.items():
        before = whole.get(name)
        if name in _GROWING and isinstance(before, str) and isinstance(value, str):
            whole[name] = before + value
        elif isinstance(value, dict) and isinstance(before, dict):
            _merge(before, value)
        elif isinstance(value, list) and all(isinstance(item, dict) for item in value):
            _merge_by_index(whole, name, value)
        elif value is not None or name not in whole:
            whole[name] = value


def _merge_by_index(whole: Json, name: str, pieces: list[Json]) -> None:
    """Lists such as `tool_calls`, whose items come in pieces that say which item they belong to."""
    items = whole.get(name)
    if not isinstance(items, list):
        items = whole[name] = []
    for piece in pieces:
        index = piece.get("index")
        item = next((item for item in items if index is not None and item.get("index") == index), None)
        if item is None:
            items.append(dict(piece))
        else:
            _merge(item, piece)


def _finished(choice: Json) -> Json:
    """A choice as it stands in a whole answer: tool calls in order and without the index that only streams have."""
    calls = choice.get("message", {}).get("tool_calls")
    if isinstance(calls, list):
        calls.sort(key=lambda call: call.get("index") or 0)
        for call in calls:
            call.pop("index", None)
    choice.setdefault("finish_reason", None)
    return choice
