"""What the Gemini API answers, whole and streamed: the odd cases that the captured pairs do not hold."""

import orjson
import pytest

from routing.call import Endpoint, Usage
from routing.errors import ProviderError
from routing.providers.table import find
from tests.routing.providers.pairs import make_call, make_target

DIALECT = find("google").dialect


# --- answers ---


def answered(data, strict=True, endpoint=Endpoint.CHAT, **body):
    call = make_call({"model": "asked", **body}, endpoint)
    answer = DIALECT.reply(call, make_target("google", strict=strict), orjson.dumps(data))
    return orjson.loads(answer.body), answer.usage


def said(*parts, reason="STOP", strict=True, **candidate):
    reply, _ = answered({"candidates": [{"content": {"parts": list(parts)}, "finishReason": reason, **candidate}]}, strict)
    return reply["choices"][0]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("SPII", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("RECITATION", "stop"),
        ("BRAND_NEW", "stop"),
        (None, "stop"),
    ],
)
def test_reasons_to_finish(reason, finish):
    assert said({"text": "x"}, reason=reason)["finish_reason"] == finish


def test_a_cut_call_is_no_tool_call():
    assert said({"functionCall": {"name": "f"}}, reason="MAX_TOKENS")["finish_reason"] == "length"


def test_a_blocked_answer_says_why():
    choice = said(reason="SAFETY")
    assert choice["message"] == {"role": "assistant", "content": None, "refusal": "The answer was blocked: SAFETY"}


def test_an_answer_that_only_counts_has_no_choices():
    reply, usage = answered({"usageMetadata": {"promptTokenCount": 4}})
    assert (reply["choices"], reply["model"], usage) == ([], "asked", Usage(input_tokens=4))


def test_a_program_and_its_output_are_shown():
    choice = said(
        {"executableCode": {"language": "PYTHON", "code": "print(1)\n"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n"}},
    )
    assert choice["message"]["content"] == "\n```python\nprint(1)\n```\n\n```\n1\n```\n"


def test_an_image_is_shown_to_strict_callers_too():
    message = said({"inlineData": {"mimeType": "image/png", "data": "AA=="}})["message"]
    assert message["images"] == [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]
    assert "content_blocks" not in message


def test_speech_is_put_together():
    pieces = [{"inlineData": {"mimeType": "audio/L16;rate=24000", "data": data}} for data in ("AQ==", "Ag==")]
    assert said(*pieces)["message"]["audio"] == {
        "id": "audio-call-1",
        "data": "AQI=",
        "expires_at": 1_700_000_000,
        "transcript": "",
    }


def test_a_strict_answer_holds_nothing_of_the_vendors_own():
    choice = said(
        {"text": "x"}, {"functionCall": {"name": "f"}, "thoughtSignature": "s"}, groundingMetadata={"a": 1}, safetyRatings=[1]
    )
    assert choice.keys() == {"index", "message", "logprobs", "finish_reason"}
    assert "thought_signature" not in choice["message"]["tool_calls"][0]["function"]


@pytest.mark.parametrize(
    ("metadata", "usage"),
    [
        (
            {"promptTokenCount": 5, "candidatesTokenCount": 7, "thoughtsTokenCount": 3, "totalTokenCount": 15},
            Usage(input_tokens=5, output_tokens=7, reasoning_tokens=3),
        ),
        (
            {"promptTokenCount": 5, "candidatesTokenCount": 7, "thoughtsTokenCount": 3, "totalTokenCount": 12},
            Usage(input_tokens=5, output_tokens=4, reasoning_tokens=3),
        ),
        ({"promptTokenCount": 5, "cachedContentTokenCount": 9}, Usage(cache_read_tokens=5)),
        ({"promptTokenCount": -1, "candidatesTokenCount": "x"}, Usage()),
        (
            {
                "promptTokenCount": 9,
                "candidatesTokenCount": 6,
                "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 4}],
                "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 5}],
            },
            Usage(input_tokens=5, audio_input_tokens=4, output_tokens=1, audio_output_tokens=5),
        ),
    ],
)
def test_usage_in_disjoint_classes(metadata, usage):
    assert answered({"candidates": [], "usageMetadata": metadata})[1] == usage


# --- streams ---


def stream(*events, strict=True, **body):
    translator = DIALECT.stream(make_call({"model": "m", "stream": True, **body}), make_target("google", strict=strict))
    return b"".join(translator.feed(b"data: " + orjson.dumps(event) + b"\r\n\r\n") for event in events), translator


def event(text=None, reason=None, index=0, **more):
    candidate = {"content": {"parts": [] if text is None else [{"text": text}]}, "index": index}
    return {"candidates": [{**candidate, **({"finishReason": reason} if reason else {})}], **more}


def test_a_stream_uses_what_the_same_answer_uses_unstreamed():
    metadata = {
        "promptTokenCount": 12,
        "cachedContentTokenCount": 5,
        "candidatesTokenCount": 4,
        "thoughtsTokenCount": 3,
        "totalTokenCount": 19,
    }
    _, translator = stream(
        event("a", usageMetadata={"promptTokenCount": 12, "candidatesTokenCount": 1}),
        event("b", "STOP", usageMetadata=metadata),
    )
    assert translator.usage == answered({"candidates": [], "usageMetadata": metadata})[1]
    assert translator.done


def test_a_blocked_question_is_a_stream_with_an_end():
    out, translator = stream({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 2}})
    assert b'"refusal":"The prompt was blocked: SAFETY"' in out
    assert b'"finish_reason":"content_filter"' in out
    assert out.endswith(b"data: [DONE]\n\n")
    assert translator.done


def test_fewer_answers_than_asked_for_end_with_the_body():
    _, translator = stream(event("a", "STOP"), n=2)
    assert (translator.done, translator.ends_with_body) == (False, True)
    _, translator = stream(event("a", "STOP"), event("b", index=1), n=2)
    assert (translator.done, translator.ends_with_body) == (False, False)


@pytest.mark.parametrize("asked", [{"n": 2}, {"candidate_count": 2}, {"generationConfig": {"candidateCount": 2}}])
def test_a_stream_ends_with_the_last_of_its_answers(asked):
    _, translator = stream(event("a", "STOP"), **asked)
    assert not translator.done
    assert translator.feed(b"data: " + orjson.dumps(event("b", "STOP", 1)) + b"\n\n").endswith(b"data: [DONE]\n\n")
    assert translator.done


def test_an_error_in_the_midst_keeps_its_status():
    error = {"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}}
    with pytest.raises(ProviderError, match="google error: The model is overloaded") as caught:
        stream(event("a"), error)
    assert (caught.value.status, caught.value.error_type, caught.value.error_code) == (503, "UNAVAILABLE", 503)


def test_an_event_without_candidates_is_passed_over():
    out, translator = stream({"modelVersion": "x"}, {"usageMetadata": {"promptTokenCount": 3}})
    assert (out, translator.usage, translator.done) == (b"", Usage(input_tokens=3), False)


def test_nothing_follows_the_end_of_a_candidate():
    out, _ = stream(event("a", "STOP"), event("b", index=0), event("c", index=1), n=2)
    assert b'"content":"b"' not in out
