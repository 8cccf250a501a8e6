"""Streams whose events name their type, as one message of Anthropic's or one response of OpenAI's, for the log's detail."""

from __future__ import annotations

from typing import Any

import orjson

Json = dict[str, Any]

# The field of a block that each kind of piece makes longer; the input of a tool comes as the text of its JSON.
_GROWS = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "signature_delta": "signature",
    "input_json_delta": "partial_json",
}


def reassemble_events(events: list[Json]) -> Json | None:
    """The whole answer as far as it came; None where these are the events of neither API."""
    kinds = [event.get("type") for event in events]
    if "message_start" in kinds:
        return _message(events)
    responses = [event["response"] for event in events if isinstance(event.get("response"), dict)]
    return _response(responses[-1], events) if responses else None


def _message(events: list[Json]) -> Json:
    message: Json = {}
    blocks: dict[Any, Json] = {}
    for event in events:
        kind, index = event.get("type"), event.get("index")
        if kind == "message_start" and isinstance(event.get("message"), dict):
            message = dict(event["message"])
        elif kind == "content_block_start" and isinstance(event.get("content_block"), dict):
            blocks[index] = dict(event["content_block"])
        elif kind == "content_block_delta" and isinstance(event.get("delta"), dict):
            _grow(blocks.setdefault(index, {}), event["delta"])
        elif kind == "message_delta":
            message |= _object(event.get("delta"))
            message["usage"] = {**_object(message.get("usage")), **_object(event.get("usage"))}
    message["content"] = [_finished(block) for block in blocks.values()]
    return message


def _grow(block: Json, delta: Json) -> None:
    field = _GROWS.get(str(delta.get("type")))
    if field is not None and isinstance(piece := delta.get(field), str):
        block[field] = str(block.get(field) or "") + piece


def _finished(block: Json) -> Json:
    """The block with the input of its tool read; the text of it where that was cut."""
    text = block.pop("partial_json", None)
    if text:
        try:
            block["input"] = orjson.loads(text)
        except orjson.JSONDecodeError:
            block["input"] = text
    return block


def _response(last: Json, events: list[Json]) -> Json:
    """The last event's response; of one that was cut, with the items that had ended."""
    if last.get("output"):
        return last
    return {**last, "output": [event["item"] for event in events if event.get("type") == "response.output_item.done"]}


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}
