from __future__ import annotations

import json

import pytest

from analytics.reassemble import reassemble


def stream(*chunks, done=True):
    events = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return "".join(events) + ("data: [DONE]\n\n" if done else "")


def chunk(*choices, **fields):
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": list(choices), **fields}


def delta(index=0, finish_reason=None, **fields):
    return {"index": index, "delta": fields, "finish_reason": finish_reason}


def test_text_usage_and_finish_reason():
    answer = reassemble(
        stream(
            chunk(delta(role="assistant", content="")),
            chunk(delta(content="Good")),
            chunk(delta(content=" day")),
            chunk(delta(finish_reason="stop")),
            chunk(usage={"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}),
        )
    )
    assert answer == {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Good day"}, "finish_reason": "stop"}],
    }


def test_tool_calls_that_come_in_pieces():
    answer = reassemble(
        stream(
            chunk(
                delta(
                    role="assistant",
                    content=None,
                    tool_calls=[{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}],
                )
            ),
            chunk(delta(tool_calls=[{"index": 0, "function": {"arguments": '{"x"'}}])),
            chunk(
                delta(tool_calls=[{"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}}])
            ),
            chunk(delta(tool_calls=[{"index": 0, "function": {"arguments": ":1}"}}])),
            chunk(delta(finish_reason="tool_calls")),
        )
    )
    assert answer is not None
    assert answer["choices"][0]["message"] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
            {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        ],
    }


def test_several_choices_and_log_probabilities():
    one = {"index": 1, "delta": {"content": "b"}, "logprobs": {"content": [{"token": "b"}]}, "finish_reason": None}
    two = {"index": 1, "delta": {"content": "c"}, "logprobs": {"content": [{"token": "c"}]}, "finish_reason": "length"}
    answer = reassemble(stream(chunk(one), chunk(delta(content="a")), chunk(two)))
    assert answer is not None
    assert [choice["message"]["content"] for choice in answer["choices"]] == ["a", "bc"]
    assert answer["choices"][1]["logprobs"] == {"content": [{"token": "b"}, {"token": "c"}]}


def test_completions_carry_text():
    pieces = [{"object": "text_completion", "choices": [{"index": 0, "text": text, "finish_reason": None}]} for text in "ab"]
    answer = reassemble(stream(*pieces))
    assert answer == {"object": "text_completion", "choices": [{"index": 0, "text": "ab", "finish_reason": None}]}


def test_a_stream_cut_anywhere_gives_what_had_come():
    whole = stream(
        chunk(delta(role="assistant", content="Good")), chunk(delta(content=" day")), chunk(delta(finish_reason="stop"))
    )
    for length in range(len(whole)):
        answer = reassemble(whole[:length])
        if answer is not None and answer["choices"]:
            assert "Good day".startswith(answer["choices"][0]["message"]["content"])


@pytest.mark.parametrize(
    "text", ["", "data: [DONE]\n\n", ": comment\n\n", "data: not json\n\n", 'data: "text"\n\n', "{}", "\n\n\n"]
)
def test_what_holds_no_chunk_gives_nothing(text):
    assert reassemble(text) is None


@pytest.mark.parametrize("choices", [None, 5, [None], [{"index": "x"}], [{"delta": 5}], [{"delta": {"tool_calls": [{}]}}]])
def test_strange_chunks_do_no_harm(choices):
    assert reassemble(stream({"id": "x", "choices": choices}, {"id": "x", "choices": choices})) is not None
