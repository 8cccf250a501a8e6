"""OpenAI's words in, Gemini's words out, and back: through the SDK, with a provider that refuses what Google's types refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jwt
import openai
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests import gemini, vendors
from tests.e2e.product import STORED_KEY, Product, new_trace, sse
from tests.e2e.test_openai_sdk import WEATHER
from tests.fakes import Lane, answer

Client = Callable[..., openai.OpenAI]
ASK: dict[str, Any] = {
    "model": "gemini-2.5-flash",
    "max_tokens": 100,
    "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hello."}],
}


@pytest.fixture
def google_key(product: Product, lane: Lane) -> str:
    """Leads to this test's `lane`, which speaks as Gemini."""
    lane.will(gemini.gemini())
    return product.virtual_key(lane.root, "google")


@pytest.fixture(scope="module")
def signing_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def service_account(signing_key: rsa.RSAPrivateKey, other_lane: Lane) -> dict[str, str]:
    """One whose tokens come from `other_lane`."""
    other_lane.will(gemini.gives_token("ya29.fetched-token"))
    pem = signing_key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {
        "type": "service_account",
        "project_id": "own-project",
        "private_key": pem.decode(),
        "client_email": f"{other_lane.root.rpartition('/')[2]}@own-project.iam.gserviceaccount.com",
        "token_uri": f"{other_lane.root}/token",
    }


def test_a_chat_is_asked_in_geminis_words(product: Product, openai_client: Client, lane: Lane, google_key: str) -> None:
    trace_id = new_trace()

    answered = openai_client(virtual_key=google_key, trace_id=trace_id).chat.completions.create(
        **ASK, stop="END", temperature=0.5, user="u-1"
    )

    assert answered.choices[0].message.content == vendors.TEXT
    assert answered.choices[0].finish_reason == "stop"
    assert answered.usage is not None
    assert (answered.usage.prompt_tokens, answered.usage.completion_tokens, answered.usage.total_tokens) == (40, 12, 52)
    assert lane.last.path.endswith("/v1beta/models/gemini-2.5-flash:generateContent")
    assert lane.last.headers["x-goog-api-key"] == STORED_KEY
    assert lane.last.json == {
        "contents": [{"role": "user", "parts": [{"text": "Say hello."}]}],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "generationConfig": {"temperature": 0.5, "maxOutputTokens": 100, "stopSequences": ["END"]},
    }
    record = product.record(trace_id)
    assert (record["input_tokens"], record["cache_read_tokens"], record["output_tokens"], record["reasoning_tokens"]) == (
        24,
        16,
        7,
        5,
    )
    assert record["cost_usd"] > 0


def test_a_stream_becomes_chunks_with_an_end_and_the_same_usage(
    product: Product, openai_client: Client, lane: Lane, google_key: str
) -> None:
    trace_id = new_trace()
    client = openai_client(virtual_key=google_key, trace_id=trace_id)

    with client.chat.completions.create(**ASK, stream=True, stream_options={"include_usage": True}) as stream:
        chunks = list(stream)

    pieces = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert [piece for piece in pieces if piece] == ["Hello", " from", " the", " fake", " provider."]
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 52
    record = product.record(trace_id)
    assert (record["input_tokens"], record["cache_read_tokens"], record["output_tokens"], record["reasoning_tokens"]) == (
        24,
        16,
        7,
        5,
    )
    assert record["estimated"] is False


def test_a_broken_stream_has_no_end(product: Product, lane: Lane, google_key: str) -> None:
    lane.will(gemini.gemini(broken_after=3))

    answered = "".join(product.pieces(google_key, new_trace(), ASK))

    assert "Hello" in answered
    assert "[DONE]" not in answered
    assert json.loads(sse(answered)[-1])["error"]["type"] == "upstream_error"


@pytest.mark.parametrize("streamed", [False, True])
def test_tools_go_both_ways_with_their_signature(openai_client: Client, lane: Lane, google_key: str, streamed: bool) -> None:
    client = openai_client(virtual_key=google_key)
    messages: list[Any] = [{"role": "user", "content": "What is the weather in Paris?"}]
    settings: dict[str, Any] = {"model": "gemini-3-pro-preview", "tools": [WEATHER]}

    if streamed:
        with client.chat.completions.stream(messages=messages, **settings) as stream:
            first: Any = stream.get_final_completion()
    else:
        first = client.chat.completions.create(messages=messages, tool_choice="required", **settings)
        assert lane.last.json["toolConfig"] == {"functionCallingConfig": {"mode": "ANY"}}

    (call,) = first.choices[0].message.tool_calls or []
    assert first.choices[0].finish_reason == "tool_calls"
    assert json.loads(call.function.arguments) == vendors.TOOL_INPUT

    said = first.choices[0].message.model_dump(exclude_none=True, exclude={"parsed"})
    for one in said["tool_calls"]:
        one["function"].pop("parsed_arguments", None)
    messages += [said, {"role": "tool", "tool_call_id": call.id, "content": "18 degrees"}]
    second = client.chat.completions.create(messages=messages, **settings)

    assert second.choices[0].message.content == vendors.TEXT
    made = {"functionCall": {"name": "weather", "args": vendors.TOOL_INPUT}, "thoughtSignature": gemini.SIGNATURE}
    result = {"functionResponse": {"name": "weather", "response": {"output": "18 degrees"}}}
    assert lane.last.json["contents"][1:] == [{"role": "model", "parts": [made]}, {"role": "user", "parts": [result]}]


def test_pictures_and_a_schema_are_sent(openai_client: Client, lane: Lane, google_key: str) -> None:
    schema = {"type": "object", "properties": {"answer": {"type": "integer"}}, "additionalProperties": False}
    parts: Any = [
        {"type": "text", "text": "How many?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
    ]

    openai_client(virtual_key=google_key).chat.completions.create(
        model="gemini-2.5-flash",
        messages=[{"role": "user", "content": parts}],
        response_format={"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}},
    )

    assert lane.last.json["contents"][0]["parts"][1] == {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}
    assert lane.last.json["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseSchema": {"type": "object", "properties": {"answer": {"type": "integer"}}},
    }


def test_thoughts_are_shown_to_those_who_are_not_strict(openai_client: Client, lane: Lane, google_key: str) -> None:
    client = openai_client(virtual_key=google_key, strict_open_ai_compliance="false")

    message: Any = client.chat.completions.create(**ASK).choices[0].message

    assert message.content_blocks[0] == {"type": "thinking", "thinking": "They want a greeting."}


def test_texts_are_embedded(openai_client: Client, lane: Lane, google_key: str) -> None:
    made = openai_client(virtual_key=google_key).embeddings.create(model="gemini-embedding-001", input=["one", "two"])

    assert [one.embedding for one in made.data] == [list(vendors.VECTOR)] * 2
    assert made.usage.prompt_tokens > 0
    assert lane.last.path.endswith(":batchEmbedContents")


def test_what_gemini_has_no_words_for_is_refused_by_name(openai_client: Client, lane: Lane, google_key: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        openai_client(virtual_key=google_key).chat.completions.create(**ASK, logit_bias={"1": 5})

    assert (caught.value.param, caught.value.code) == ("logit_bias", "unsupported")
    assert lane.received == []


@pytest.mark.parametrize("streamed", [False, True])
def test_its_error_comes_in_openais_shape(product: Product, lane: Lane, google_key: str, streamed: bool) -> None:
    lane.will(gemini.fails(429, "RESOURCE_EXHAUSTED", f"Quota exceeded for {STORED_KEY}."))

    answered = product.call({**ASK, "stream": streamed}, virtual_key=google_key)

    assert answered.status_code == 429
    assert answered.json() == {
        "error": {
            "message": "google error: Quota exceeded for [redacted].",
            "type": "RESOURCE_EXHAUSTED",
            "param": None,
            "code": 429,
        },
        "provider": "google",
    }


def test_a_fallback_takes_over_in_another_dialect(product: Product, lane: Lane, other_lane: Lane, google_key: str) -> None:
    lane.will(gemini.fails(503, "UNAVAILABLE", "The model is overloaded."))
    other_lane.will(answer())
    targets = [
        {"virtual_key": google_key},
        {"virtual_key": product.virtual_key(other_lane.url), "override_params": {"model": "gpt-4o-mini"}},
    ]

    answered = product.call(ASK, config=product.config({"strategy": {"mode": "fallback"}, "targets": targets}))

    assert answered.status_code == 200
    assert answered.json()["choices"][0]["message"]["content"] == vendors.TEXT
    assert (len(lane.received), len(other_lane.received)) == (1, 1)


def test_a_caller_may_bring_a_key_of_their_own(product: Product, lane: Lane) -> None:
    lane.will(gemini.gemini())
    headers = {"x-portkey-provider": "gemini", "authorization": "Bearer AIza-own", "x-portkey-custom-host": lane.root}

    answered = product.call(ASK, headers)

    assert answered.status_code == 200
    assert lane.last.headers["x-goog-api-key"] == "AIza-own"
    assert "authorization" not in lane.last.headers


# --- Vertex AI -------------------------------------------------------------------------------------------------------


def test_a_service_account_is_traded_for_a_token_once(
    product: Product,
    openai_client: Client,
    lane: Lane,
    other_lane: Lane,
    service_account: dict[str, str],
    signing_key: rsa.RSAPrivateKey,
) -> None:
    lane.will(gemini.gemini())
    key = product.virtual_key(
        lane.root,
        "vertex-ai",
        key="",
        options={"vertex_region": "europe-west4", "vertex_service_account_json": service_account},
    )
    client = openai_client(virtual_key=key)

    for _ in range(3):
        answered = client.chat.completions.create(**ASK)

    assert answered.choices[0].message.content == vendors.TEXT
    place = "/v1/projects/own-project/locations/europe-west4/publishers/google/models/gemini-2.5-flash:generateContent"
    assert lane.last.path.endswith(place)
    assert lane.last.headers["authorization"] == "Bearer ya29.fetched-token"
    (asked,) = other_lane.received
    claims = jwt.decode(
        gemini.assertion_in(asked.body), signing_key.public_key(), ["RS256"], audience=service_account["token_uri"]
    )
    assert claims["iss"] == service_account["client_email"]


def test_a_refused_service_account_is_a_wrong_key(
    product: Product, lane: Lane, other_lane: Lane, service_account: dict[str, str]
) -> None:
    body = b'{"error": "invalid_grant", "error_description": "Invalid grant: account not found"}'
    other_lane.will(gemini.sends(body, code=400))
    options = {"vertex_region": "global", "vertex_service_account_json": service_account}

    answered = product.call(ASK, virtual_key=product.virtual_key(lane.root, "vertex-ai", key="", options=options))

    assert answered.status_code == 401
    assert answered.json()["error"]["code"] == "invalid_grant"
    assert "PRIVATE KEY" not in answered.text
    assert lane.received == []


def test_a_callers_account_cannot_send_the_gateway_elsewhere(
    product: Product, lane: Lane, other_lane: Lane, service_account: dict[str, str]
) -> None:
    headers = {
        "x-portkey-provider": "vertex-ai",
        "x-portkey-custom-host": lane.root,
        "x-portkey-vertex-region": "global",
        "x-portkey-vertex-service-account-json": json.dumps(service_account),
    }

    answered = product.call(ASK, headers)

    assert answered.status_code == 400
    assert answered.json()["error"]["param"] == "vertex_service_account_json.token_uri"
    assert (lane.received, other_lane.received) == ([], [])


@pytest.mark.parametrize(
    ("missing", "named"),
    [
        ("x-portkey-vertex-region", "vertex_region"),
        ("x-portkey-vertex-project-id", "vertex_project_id"),
        ("authorization", "vertex_service_account_json"),
    ],
)
def test_what_a_call_lacks_is_named(product: Product, lane: Lane, missing: str, named: str) -> None:
    headers = {
        "x-portkey-provider": "vertex-ai",
        "x-portkey-custom-host": lane.root,
        "x-portkey-vertex-region": "global",
        "x-portkey-vertex-project-id": "p",
        "authorization": "Bearer ya29.own",
    }
    del headers[missing]

    answered = product.call(ASK, headers)

    assert answered.status_code == 400
    assert answered.json()["error"]["param"] == named
    assert lane.received == []


def test_an_access_token_of_the_callers_embeds(product: Product, lane: Lane) -> None:
    lane.will(gemini.gemini())
    headers = {
        "x-portkey-provider": "vertex-ai",
        "x-portkey-custom-host": lane.root,
        "x-portkey-vertex-region": "us-central1",
        "x-portkey-vertex-project-id": "p",
        "authorization": "Bearer ya29.own",
    }

    answered = product.call({"model": "text-embedding-005", "input": ["one", "two"]}, headers, path="/v1/embeddings")

    assert [one["embedding"] for one in answered.json()["data"]] == [list(vendors.VECTOR)] * 2
    assert answered.json()["usage"]["prompt_tokens"] == 6
    assert lane.last.headers["authorization"] == "Bearer ya29.own"
    assert lane.last.path.endswith("/publishers/google/models/text-embedding-005:predict")
