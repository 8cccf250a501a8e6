"""Ollama's dialect: what is refused, what is left out, and the odd cases that the captured pairs do not hold."""

import base64
import struct

import orjson
import pytest

from routing.call import Endpoint, Usage
from routing.errors import InvalidRequest, ProviderError, Unsupported, UpstreamInvalid
from tests.routing.providers.pairs import KEY, make_call, make_target

USER = {"role": "user", "content": "Hi"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}


def asked(body, endpoint=Endpoint.CHAT, **target):
    call, target = make_call({"model": "m", **body}, endpoint), make_target("ollama", **target)
    return target.provider.dialect.request(call, target)


def sent(messages=None, **body):
    return orjson.loads(asked({"messages": messages or [USER], **body}).body)


def replied(body, endpoint=Endpoint.CHAT, **asked_for):
    call, target = make_call({"model": "asked", **asked_for}, endpoint), make_target("ollama")
    return target.provider.dialect.reply(call, target, orjson.dumps(body))


def streamed(*pieces):
    call, target = make_call({"model": "m", "stream": True}), make_target("ollama")
    translator = target.provider.dialect.stream(call, target)
    return b"".join(map(translator.feed, pieces)), translator


@pytest.mark.parametrize("base", ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/api", "http://h:1/v1/"])
def test_the_address_may_be_that_of_either_of_its_apis(base):
    assert asked({"messages": [USER]}, base_url=base).url == "http://h:1/api/chat"
    assert asked({"input": "x"}, Endpoint.EMBEDDINGS, base_url=base).url == "http://h:1/api/embed"
    assert asked({"prompt": "x"}, Endpoint.COMPLETIONS, base_url=base).url == "http://h:1/v1/completions"


def test_a_key_is_shown_to_a_server_that_wants_one_and_needed_by_none():
    assert asked({"messages": [USER]}).headers["authorization"] == f"Bearer {KEY}"
    assert "authorization" not in asked({"messages": [USER]}, api_key=None).headers


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"n": 2}, "n"),
        ({"logit_bias": {"1": 1}}, "logit_bias"),
        ({"surprise": 1}, "surprise"),
        ({"tools": [TOOL], "tool_choice": "required"}, "tool_choice"),
        ({"tools": [TOOL], "parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"tools": [{"type": "custom"}]}, "tools[0].type"),
        ({"response_format": {"type": "grammar"}}, "response_format.type"),
        ({"reasoning_effort": ["low"]}, "reasoning_effort"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages[0].content[0].type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x"}}]}]},
            "messages[0].content[0].image_url.url",
        ),
    ],
)
def test_it_refuses_what_the_vendor_cannot_express(body, param):
    with pytest.raises(Unsupported) as caught:
        sent(**body)
    assert caught.value.param == param
    request = asked({"messages": [USER], **body}, drop_unsupported=True)
    assert request.dropped == (param,)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": ["x"]}, "messages[0]"),
        ({"messages": [{"role": "user", "content": 7}]}, "messages[0].content"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {"arguments": "["}}]}]},
            "messages[0].tool_calls[0].function.arguments",
        ),
        ({"options": []}, "options"),
        ({"tools": {}}, "tools"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    ],
)
def test_it_names_what_is_wrong(body, param):
    with pytest.raises(InvalidRequest) as caught:
        asked({"messages": [USER], **body})
    assert caught.value.param == param


def test_its_own_options_win():
    assert sent(max_tokens=5, options={"num_predict": 9, "num_ctx": 1})["options"] == {"num_predict": 9, "num_ctx": 1}


def test_a_whole_answer_is_asked_for_by_name_since_the_vendor_streams_unasked():
    assert sent()["stream"] is False


@pytest.mark.parametrize(
    ("body", "think"),
    [
        ({"reasoning_effort": "none"}, False),
        ({"reasoning_effort": "high"}, "high"),
        ({"thinking": {"type": "enabled", "budget_tokens": 9}}, True),
        ({"thinking": {"type": "disabled"}}, False),
        ({"think": "low", "reasoning_effort": "high"}, "low"),
    ],
)
def test_thinking(body, think):
    assert sent(**body)["think"] == think


def test_json_mode_and_no_tools():
    body = sent(response_format={"type": "json_object"}, tools=[TOOL], tool_choice="none")
    assert body["format"] == "json"
    assert "tools" not in body


def test_a_server_without_counts_leaves_the_usage_open():
    answer = replied({"model": "m", "message": {"role": "assistant", "content": "Hi"}, "done": True})
    assert answer.usage is None
    assert "usage" not in orjson.loads(answer.body)


def test_a_prompt_that_was_cached_whole_counts_none():
    answer = replied({"model": "m", "message": {"content": "Hi"}, "done": True, "eval_count": 3})
    assert answer.usage == Usage(output_tokens=3)


def test_vectors_are_packed_for_those_who_ask():
    answer = replied({"model": "m", "embeddings": [[0.5, 0.25]]}, Endpoint.EMBEDDINGS, input="x", encoding_format="base64")
    packed = orjson.loads(answer.body)["data"][0]["embedding"]
    assert struct.unpack("<2f", base64.b64decode(packed)) == (0.5, 0.25)


@pytest.mark.parametrize("vectors", [None, [], {}, [["x"]], [[True]], [7]])
def test_only_vectors_are_vectors(vectors):
    if vectors == []:
        assert orjson.loads(replied({"embeddings": vectors}, Endpoint.EMBEDDINGS, input=[]).body)["data"] == []
        return
    with pytest.raises(UpstreamInvalid):
        replied({"embeddings": vectors}, Endpoint.EMBEDDINGS, input="x")


def test_tokens_are_no_texts():
    with pytest.raises(InvalidRequest):
        asked({"input": [1, 2]}, Endpoint.EMBEDDINGS)


LINE = b'{"model":"m","message":{"content":"Hi"},"done":false}\n'


def test_an_error_in_a_line_is_raised():
    with pytest.raises(ProviderError, match="ollama error: out of memory"):
        streamed(LINE, b'{"error":"out of memory"}\n')


@pytest.mark.parametrize("cut", [False, True])
def test_an_error_in_place_of_the_stream_is_raised(cut):
    body = b'{"error":"model not found"}'
    with pytest.raises(UpstreamInvalid):
        streamed(*([bytes([byte]) for byte in body] if cut else [body]))


@pytest.mark.parametrize("line", [b"[]\n", b"nonsense\n", b"{]\n"])
def test_a_line_that_is_no_object_is_invalid(line):
    with pytest.raises(UpstreamInvalid):
        streamed(LINE, line)


def test_a_line_without_end_is_not_kept_for_ever():
    with pytest.raises(UpstreamInvalid, match="larger than"):
        streamed(b'{"' + b"x" * (17 * 1024 * 1024))


def test_a_stream_that_breaks_off_is_not_done():
    out, translator = streamed(LINE)
    assert out
    assert (translator.done, translator.deltas, translator.usage) == (False, 1, None)
