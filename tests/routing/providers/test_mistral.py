"""Mistral's dialect: against the models of the vendor's own SDK, and the odd cases that the captured pairs do not hold."""

import mistralai.client.models as models
import orjson
import pytest

from routing import sse
from routing.call import Endpoint
from routing.errors import InvalidRequest, Unsupported
from tests.routing.providers.pairs import PAIRS, make_call, make_target

USER = {"role": "user", "content": "Hi"}
SHAPES = {
    Endpoint.CHAT: (models.ChatCompletionRequest, models.ChatCompletionResponse),
    Endpoint.COMPLETIONS: (models.FIMCompletionRequest, models.FIMCompletionResponse),
    Endpoint.EMBEDDINGS: (models.EmbeddingRequest, models.EmbeddingResponse),
}


def asked(body, endpoint=Endpoint.CHAT, **target):
    call, target = make_call({"model": "m", **body}, endpoint), make_target("mistral-ai", **target)
    return target.provider.dialect.request(call, target)


def sent(messages=None, **body):
    return orjson.loads(asked({"messages": messages or [USER], **body}).body)


def streamed(endpoint, *chunks):
    call, target = make_call({"model": "m", "stream": True}, endpoint), make_target("mistral-ai")
    translator = target.provider.dialect.stream(call, target)
    out = b"".join(
        translator.feed(b"data: " + (one if isinstance(one, bytes) else orjson.dumps(one)) + b"\n\n") for one in chunks
    )
    return [event.data for event in sse.Decoder().feed(out)], translator


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if pair.provider == "mistral-ai"], ids=str)
def test_the_pairs_are_what_the_vendors_sdk_sends_and_reads(pair):
    request, answer = SHAPES[pair.call.endpoint]
    if "request" in pair.data:
        body = pair.data["request"].get("body", pair.data["call"])
        read = request.model_validate(body)
        # Nothing is lost on the way through the SDK, so that there is nothing in it that the vendor does not know.
        assert read.model_dump(exclude_unset=True, by_alias=True, mode="json").keys() == body.keys()
    if "answer" in pair.data:
        answer.model_validate(pair.data["answer"])
    if "stream" in pair.data:
        for event in sse.Decoder().feed(pair.stream)[:-1]:
            models.CompletionChunk.model_validate_json(event.data)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"logit_bias": {"1": 1}}, "logit_bias"),
        ({"modalities": ["audio"]}, "modalities"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"verbosity": "low"}, "verbosity"),
        ({"messages": [{"role": "function", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{**USER, "surprise": 1}]}, "messages[0].surprise"),
        ({"messages": [{"role": "assistant", "content": "x", "audio": {"id": "a"}}]}, "messages[0].audio"),
        ({"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "messages[0].content[0].type"),
    ],
)
def test_it_refuses_what_the_vendor_cannot_express(body, param):
    with pytest.raises(Unsupported) as caught:
        sent(**body)
    assert caught.value.param == param


def test_a_target_may_leave_it_out():
    request = asked({"messages": [USER], "logit_bias": {"1": 1}}, drop_unsupported=True)
    assert request.dropped == ("logit_bias",)
    assert "logit_bias" not in orjson.loads(request.body)


def test_response_format_stop_and_penalties_are_kept():
    body = sent(response_format={"type": "json_object"}, stop=["x"], n=2, presence_penalty=0.5, frequency_penalty=0.5)
    assert body["response_format"] == {"type": "json_object"}
    assert (body["stop"], body["n"], body["presence_penalty"], body["frequency_penalty"]) == (["x"], 2, 0.5, 0.5)


def test_a_good_id_of_a_call_stays_and_another_is_the_same_everywhere():
    given = ("D681PevKs", "call_1")
    calls = [{"id": one, "type": "function", "function": {"name": "f", "arguments": "{}"}} for one in given]
    turn = {"role": "assistant", "content": None, "tool_calls": calls}
    results = [{"role": "tool", "tool_call_id": one, "content": "x"} for one in given]
    _, assistant, first, second = sent([USER, turn, *results])["messages"]
    ids = [call["id"] for call in assistant["tool_calls"]]
    assert ids == [first["tool_call_id"], second["tool_call_id"]]
    assert ids[0] == "D681PevKs"
    assert len(ids[1]) == 9
    assert ids[1].isalnum()


def test_files_audio_and_prefixes_have_the_vendors_form():
    parts = [
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "aGk="}},
        {"type": "file", "file": {"file_id": "f1"}},
        {"type": "input_audio", "input_audio": {"data": "aGk=", "format": "mp3"}},
    ]
    user, assistant = sent([{"role": "user", "content": parts}, {"role": "assistant", "content": "So", "prefix": True}])[
        "messages"
    ]
    assert user["content"] == [
        {"type": "document_url", "document_url": "data:application/pdf;base64,aGk=", "document_name": "a.pdf"},
        {"type": "file", "file_id": "f1"},
        {"type": "input_audio", "input_audio": "aGk="},
    ]
    assert assistant == {"role": "assistant", "content": "So", "prefix": True}


def test_a_chat_fills_in_the_middle_where_the_target_says_so():
    request = asked(
        {"messages": [USER, {"role": "user", "content": "def f("}], "suffix": "return"},
        options={"mistral_fim_completion": "true"},
    )
    assert request.url == "https://api.mistral.ai/v1/fim/completions"
    assert orjson.loads(request.body) == {"model": "m", "prompt": "def f(", "suffix": "return"}


@pytest.mark.parametrize("prompt", [["a", "b"], [1, 2], None])
def test_only_a_single_text_has_a_middle(prompt):
    with pytest.raises(InvalidRequest) as caught:
        asked({"prompt": prompt}, Endpoint.COMPLETIONS)
    assert caught.value.param == "prompt"


def test_what_fills_in_comes_as_pieces_of_a_text():
    chunks = [
        orjson.dumps({"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})
        for delta, finish in (({"role": "assistant", "content": "a"}, None), ({"content": "b"}, "model_length"))
    ]
    events, translator = streamed(Endpoint.COMPLETIONS, *chunks, b"[DONE]")
    told = [orjson.loads(event) for event in events[:-1]]
    assert [one["object"] for one in told] == ["text_completion"] * 2
    assert [one["choices"][0]["text"] for one in told] == ["a", "b"]
    assert told[-1]["choices"][0]["finish_reason"] == "length"
    assert translator.done


def test_references_in_an_answer_leave_its_text_whole():
    content = [{"type": "text", "text": "a"}, {"type": "reference", "reference_ids": [1]}, {"type": "text", "text": "b"}]
    call, target = make_call({"model": "m"}), make_target("mistral-ai")
    body = orjson.dumps({"choices": [{"index": 0, "message": {"role": "assistant", "content": content}}]})
    answer = orjson.loads(target.provider.dialect.reply(call, target, body).body)
    assert answer["choices"][0]["message"]["content"] == "ab"
