"""Streams of the Messages and Responses APIs, put together for the log's detail view."""

from __future__ import annotations

import json

from analytics.reassemble import reassemble


def stream(*events):
    return "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)


def piece(index, **delta):
    return {"type": "content_block_delta", "index": index, "delta": delta}


MESSAGE = (
    {"type": "message_start", "message": {"id": "msg_1", "role": "assistant", "content": [], "usage": {"input_tokens": 9}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": "", "signature": ""}},
    piece(0, type="thinking_delta", thinking="Hm"),
    piece(0, type="thinking_delta", thinking="."),
    piece(0, type="signature_delta", signature="EqQB"),
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    piece(1, type="text_delta", text="Good"),
    piece(1, type="text_delta", text=" day"),
    {"type": "content_block_start", "index": 2, "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}}},
    piece(2, type="input_json_delta", partial_json='{"a"'),
    piece(2, type="input_json_delta", partial_json=":1}"),
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 7}},
    {"type": "message_stop"},
)


def test_a_message_is_put_together():
    assert reassemble(stream(*MESSAGE)) == {
        "id": "msg_1",
        "role": "assistant",
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 9, "output_tokens": 7},
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "EqQB"},
            {"type": "text", "text": "Good day"},
            {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}},
        ],
    }


def test_a_cut_message_shows_what_had_come():
    cut = reassemble(stream(*MESSAGE[:12]))
    assert cut is not None
    assert cut["content"][2]["input"] == '{"a"'
    assert "stop_reason" not in cut


ITEM = {"type": "message", "id": "m", "content": [{"type": "output_text", "text": "Good day"}]}
RESPONSE = (
    {"type": "response.created", "response": {"id": "resp_1", "status": "in_progress", "output": []}},
    {"type": "response.output_text.delta", "delta": "Good day"},
    {"type": "response.output_item.done", "output_index": 0, "item": ITEM},
    {"type": "response.completed", "response": {"id": "resp_1", "status": "completed", "output": [ITEM]}},
)


def test_a_response_is_that_of_its_last_event():
    assert reassemble(stream(*RESPONSE)) == {"id": "resp_1", "status": "completed", "output": [ITEM]}


def test_a_cut_response_shows_the_items_that_had_ended():
    assert reassemble(stream(*RESPONSE[:3])) == {"id": "resp_1", "status": "in_progress", "output": [ITEM]}


def test_events_of_neither_api_are_nothing_to_show():
    assert reassemble(stream({"type": "transcript.text.delta", "delta": "x"})) is None
