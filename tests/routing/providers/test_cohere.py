"""Cohere's dialect: what its own SDK makes of it, what is refused, and the odd cases that the captured pairs do not hold."""

import cohere
import httpx
import orjson
import pytest

from routing import sse
from routing.call import Endpoint, Usage
from routing.errors import InvalidRequest, ProviderError, Unsupported, UpstreamInvalid
from routing.providers.table import find
from tests.routing.providers.pairs import KEY, PAIRS, make_call, make_target

DIALECT = find("cohere").dialect
USER = {"role": "user", "content": "Hi"}
TOOLS = [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}} for name in ("f", "g")]
COHERE = [pair for pair in PAIRS if pair.provider == "cohere" and "request" in pair.data]


def request(messages=None, *, endpoint=Endpoint.CHAT, target=None, **body):
    if endpoint == Endpoint.CHAT:
        body["messages"] = [USER] if messages is None else messages
    return DIALECT.request(make_call({"model": "command-a-03-2025", **body}, endpoint), make_target("cohere", **(target or {})))


def sent(messages=None, **body):
    return orjson.loads(request(messages, **body).body)


# --- the vendor's own SDK ---


def sdk(answer, kept):
    """The SDK's client over a wire that keeps the request and answers with these bytes."""

    def handle(asked):
        kept.append(asked)
        kind = "text/event-stream" if b"data:" in answer else "application/json"
        return httpx.Response(200, content=answer, headers={"content-type": kind})

    return cohere.ClientV2(api_key=KEY, httpx_client=httpx.Client(transport=httpx.MockTransport(handle)))


@pytest.mark.parametrize("pair", COHERE, ids=str)
def test_the_vendors_sdk_sends_the_same_and_reads_the_answer(pair):
    ours = pair.target.provider.dialect.request(pair.call, pair.target)
    body = orjson.loads(ours.body)
    given = {key: value for key, value in body.items() if key != "stream"}
    kept = []
    if "stream" in pair.data:
        events = list(sdk(pair.stream, kept).chat_stream(**given))
        assert [event.type for event in events] == [
            orjson.loads(event.data)["type"] for event in sse.Decoder().feed(pair.stream) if event.data != b"[DONE]"
        ]
        billed = events[-1].delta.usage.billed_units
    elif pair.call.endpoint == Endpoint.EMBEDDINGS:
        billed = sdk(orjson.dumps(pair.data["answer"]), kept).embed(**given).meta.billed_units
    else:
        billed = sdk(orjson.dumps(pair.data["answer"]), kept).chat(**given).usage.billed_units
    [theirs] = kept
    assert (str(theirs.url), theirs.headers["authorization"]) == (ours.url, ours.headers["authorization"])
    asked = orjson.loads(theirs.content)
    assert {key: value for key, value in asked.items() if key != "stream"} == given
    assert asked.get("stream", False) is body.get("stream", False)
    assert billed.input_tokens == pair.usage.prompt_tokens
    assert (billed.output_tokens or 0) == pair.usage.completion_tokens


# --- refused by name ---


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"n": 2}, "n"),
        ({"logit_bias": {"1": 2}}, "logit_bias"),
        ({"logprobs": True}, "logprobs"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"reasoning_effort": "medium"}, "reasoning_effort"),
        ({"tools": TOOLS, "parallel_tool_calls": False}, "parallel_tool_calls"),
    ],
)
def test_what_the_vendor_cannot_say_is_refused_or_left_out_and_named(body, param):
    with pytest.raises(Unsupported) as caught:
        request(**body)
    assert caught.value.param == param
    without = request(**body, target={"drop_unsupported": True})
    assert without.dropped == (param,)
    assert orjson.loads(without.body) == sent(**{key: value for key, value in body.items() if key == "tools"})


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([], "messages"),
        ("x", "messages"),
        (["x"], "messages[0]"),
        ([{"role": "critic", "content": "x"}], "messages[0].role"),
        ([{"role": "user", "content": None}], "messages[0].content"),
        ([{"role": "user", "content": [7]}], "messages[0].content[0]"),
        ([{"role": "user", "content": [{"type": "input_audio"}]}], "messages[0].content[0].type"),
        ([{"role": "tool", "content": "x"}], "messages[0].tool_call_id"),
        ([{"role": "assistant", "function_call": {}}], "messages[0].function_call"),
        ([{"role": "assistant", "tool_calls": {"a": 1}}], "messages[0].tool_calls"),
        ([{"role": "assistant", "tool_calls": [{"type": "custom"}]}], "messages[0].tool_calls[0]"),
    ],
)
def test_a_conversation_that_cannot_be_said_is_refused_with_its_path(messages, param):
    with pytest.raises(InvalidRequest) as caught:
        request(messages)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"tools": "x"}, "tools"),
        ({"tools": [{"type": "custom", "custom": {}}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function.name"),
        ({"tools": TOOLS, "tool_choice": "sometimes"}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "h"}}}, "tool_choice.function.name"),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": {"type": "grammar"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
    ],
)
def test_other_parameters_that_cannot_be_said_are_refused(body, param):
    with pytest.raises(InvalidRequest) as caught:
        request(**body)
    assert caught.value.param == param


def test_other_endpoints_are_refused():
    with pytest.raises(Unsupported):
        request(endpoint=Endpoint.COMPLETIONS, prompt="x")


# --- how things are said ---


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"max_tokens": 5, "max_completion_tokens": 6}, {"max_tokens": 6}),
        ({"stop": "a"}, {"stop_sequences": ["a"]}),
        ({"n": 1, "store": True, "user": "u", "metadata": {"a": "b"}, "logprobs": False}, {}),
        ({"tools": [], "tool_choice": "auto"}, {}),
        ({"frequency_penalty": 0.1, "seed": 4, "temperature": 0.2}, {"frequency_penalty": 0.1, "seed": 4, "temperature": 0.2}),
        ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        ({"reasoning_effort": "high"}, {"thinking": {"type": "enabled"}}),
        ({"reasoning_effort": "low", "thinking": {"type": "enabled", "token_budget": 9}},
         {"thinking": {"type": "enabled", "token_budget": 9}}),
        ({"response_format": {"type": "json_object"}}, {"response_format": {"type": "json_object"}}),
        ({"citation_options": {"mode": "OFF"}}, {"citation_options": {"mode": "OFF"}}),
        ({"tools": TOOLS, "tool_choice": "required"}, {"tools": TOOLS, "tool_choice": "REQUIRED"}),
        ({"tools": TOOLS, "tool_choice": "none"}, {"tools": TOOLS, "tool_choice": "NONE"}),
        ({"tools": TOOLS, "tool_choice": "auto"}, {"tools": TOOLS}),
        ({"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "g"}}},
         {"tools": TOOLS[1:], "tool_choice": "REQUIRED"}),
    ],
)  # fmt: skip
def test_parameters(body, expected):
    assert sent(**body) == {"model": "command-a-03-2025", "messages": [USER], **expected}


def test_what_a_lenient_answer_gave_can_be_sent_back():
    message = {
        "role": "assistant",
        "content": [{"type": "thinking", "thinking": "t"}, {"type": "text", "text": "a"}],
        "tool_plan": "p",
        "tool_calls": [{"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        "citations": [{"start": 0, "end": 1, "text": "a"}],
    }
    body = orjson.dumps({"id": "i", "finish_reason": "TOOL_CALL", "message": message})
    answer = DIALECT.reply(make_call({"model": "m"}), make_target("cohere", strict=False), body)
    said = orjson.loads(answer.body)["choices"][0]["message"]
    assert sent([USER, said])["messages"][1] == message


def test_an_empty_answer_of_the_assistants_stays_one():
    assert sent([USER, {"role": "assistant", "content": None}, USER])["messages"][1] == {"role": "assistant", "content": ""}
    refused = {"role": "assistant", "content": None, "refusal": "No"}
    assert sent([USER, refused, USER])["messages"][1] == {"role": "assistant", "content": "No"}


# --- answers ---


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("COMPLETE", "stop"),
        ("STOP_SEQUENCE", "stop"),
        ("MAX_TOKENS", "length"),
        ("TOOL_CALL", "tool_calls"),
        ("ERROR", "stop"),
        ("TIMEOUT", "stop"),
        ("NEW", "stop"),
        (None, "stop"),
    ],
)
def test_reasons_to_finish(reason, finish):
    body = orjson.dumps({"id": "i", "finish_reason": reason, "message": {"content": [{"type": "text", "text": "a"}]}})
    answer = DIALECT.reply(make_call({"model": "m"}), make_target("cohere"), body)
    assert orjson.loads(answer.body)["choices"][0]["finish_reason"] == finish


@pytest.mark.parametrize(
    ("usage", "recorded", "shown"),
    [
        ({"tokens": {"input_tokens": 9, "output_tokens": 2}}, Usage(9, output_tokens=2), 11),
        ({"billed_units": {"input_tokens": 4, "output_tokens": 2}}, Usage(4, output_tokens=2), 6),
        ({"billed_units": {"input_tokens": 4.0}, "tokens": {"input_tokens": 9.0}}, Usage(4), 9),
        ({"billed_units": {"search_units": 1}}, None, None),
        ({"tokens": {"input_tokens": -1, "output_tokens": True}}, Usage(0), 0),
        (None, None, None),
    ],
)
def test_the_record_has_what_is_billed_and_the_caller_sees_what_was_read(usage, recorded, shown):
    body = orjson.dumps({"id": "i", "message": {"content": []}, "usage": usage})
    answer = DIALECT.reply(make_call({"model": "m"}), make_target("cohere"), body)
    assert answer.usage == recorded
    assert orjson.loads(answer.body).get("usage", {}).get("total_tokens") == shown


# --- streams ---


def stream(*events, strict=True):
    translator = DIALECT.stream(make_call({"model": "m", "stream": True}), make_target("cohere", strict=strict))
    return [translator.feed(b"data: " + orjson.dumps(event) + b"\n\n") for event in events], translator


START = {"type": "message-start", "id": "c1", "delta": {"message": {"role": "assistant"}}}


def test_citations_stand_in_a_lenient_stream():
    citation = {"type": "citation-start", "index": 0, "delta": {"message": {"citations": {"start": 0, "end": 2, "text": "ab"}}}}
    out, translator = stream(START, citation, strict=False)
    assert b'"citations":{"start":0,"end":2,"text":"ab"}' in out[1]
    assert b'"delta":{}' in stream(START, citation)[0][1]
    assert not translator.done


def test_unknown_events_are_passed_over():
    assert stream(START, {"type": "debug", "prompt": "x"}, {"type": "brand-new"})[0][1:] == [b"", b""]


@pytest.mark.parametrize(
    "event",
    [
        {"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "x"}}}},
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}},
    ],
)
def test_a_stream_must_start_with_a_message(event):
    with pytest.raises(UpstreamInvalid):
        stream(event)


@pytest.mark.parametrize(
    "events",
    [
        [START, {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "It broke"}}],
        [{"message": "It broke"}],
        [START, {"type": "error", "message": "It broke"}],
    ],
)
def test_an_error_in_a_stream_is_no_clean_end(events):
    with pytest.raises(ProviderError, match="cohere error: It broke") as caught:
        stream(*events)
    assert caught.value.status == 502


# --- embeddings and ranking ---


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("a", {"texts": ["a"]}),
        ([{"image": "data:image/png;base64,AA"}], {"images": ["data:image/png;base64,AA"]}),
        ([{"image": {"url": "https://x.example/a.png"}}], {"images": ["https://x.example/a.png"]}),
        ([{"text": "a", "image": "data:x"}, "b"],
         {"inputs": [{"content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:x"}}]},
                     {"content": [{"type": "text", "text": "b"}]}]}),
        ([{"content": [{"type": "text", "text": "a"}]}], {"inputs": [{"content": [{"type": "text", "text": "a"}]}]}),
    ],
)  # fmt: skip
def test_inputs_of_embeddings(given, expected):
    body = sent(endpoint=Endpoint.EMBEDDINGS, input=given)
    assert body == {"model": "command-a-03-2025", "input_type": "search_document", "embedding_types": ["float"], **expected}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": [1, 2]}, "input[0]"),
        ({"input": [{"sound": "x"}]}, "input[0]"),
        ({"input": [{"text": "a"}, 3]}, "input[1]"),
        ({}, "input"),
        ({"input": "a", "embedding_types": ["float", "int8"]}, "embedding_types"),
    ],
)
def test_embeddings_that_cannot_be_asked_for_are_refused(body, param):
    with pytest.raises(InvalidRequest) as caught:
        request(endpoint=Endpoint.EMBEDDINGS, **body)
    assert caught.value.param == param


RANKED = {"id": "r", "results": [{"index": 1, "relevance_score": 0.9}], "meta": {"billed_units": {"search_units": 1}}}


def test_a_ranking_takes_texts_and_gives_them_back_if_asked():
    asked = {"query": "q", "documents": ["a", {"text": "b"}], "top_n": 1, "return_documents": True}
    assert sent(endpoint=Endpoint.RERANK, **asked) == {
        "model": "command-a-03-2025", "query": "q", "documents": ["a", "b"], "top_n": 1
    }  # fmt: skip
    call = make_call({"model": "rerank-v3.5", **asked}, Endpoint.RERANK)
    answer = orjson.loads(DIALECT.reply(call, make_target("cohere"), orjson.dumps(RANKED)).body)
    assert answer["results"] == [{"index": 1, "relevance_score": 0.9, "document": {"text": "b"}}]
    assert (answer["id"], answer["model"]) == ("r", "rerank-v3.5")
    without = make_call({"model": "rerank-v3.5", **asked, "return_documents": False}, Endpoint.RERANK)
    assert (
        orjson.loads(DIALECT.reply(without, make_target("cohere"), orjson.dumps(RANKED)).body)["results"] == RANKED["results"]
    )


def test_the_vendors_sdk_ranks_alike():
    kept = []
    sdk(orjson.dumps(RANKED), kept).rerank(model="rerank-v3.5", query="q", documents=["a"], top_n=1)
    ours = request(endpoint=Endpoint.RERANK, model="rerank-v3.5", query="q", documents=["a"], top_n=1)
    assert (str(kept[0].url), orjson.loads(kept[0].content)) == (ours.url, orjson.loads(ours.body))


@pytest.mark.parametrize(("documents", "param"), [([], "documents"), (None, "documents"), ([{"title": "a"}], "documents[0]")])
def test_a_ranking_without_documents_is_refused(documents, param):
    with pytest.raises(InvalidRequest) as caught:
        request(endpoint=Endpoint.RERANK, query="q", documents=documents)
    assert caught.value.param == param


def test_an_answer_without_a_ranking_is_invalid():
    with pytest.raises(UpstreamInvalid):
        DIALECT.reply(make_call({"model": "m", "documents": ["a"]}, Endpoint.RERANK), make_target("cohere"), b"{}")
