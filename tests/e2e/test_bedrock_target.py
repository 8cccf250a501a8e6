"""OpenAI's words in, AWS's out, and back: through the SDKs, with a Bedrock that checks each signature."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import openai
import orjson
import pytest

from tests import vendors
from tests.e2e.product import STORED_KEY, Product, new_trace
from tests.fakes import Behaviour, Lane, Turn, head, sends
from tests.routing.providers import aws

Client = Callable[..., openai.OpenAI]
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
KEYS = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": SECRET, "aws_region": "eu-central-1"}
MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
ASK: dict[str, Any] = {"model": MODEL, "max_tokens": 100, "messages": [{"role": "user", "content": "Say hello."}]}
USAGE = {"inputTokens": 21, "outputTokens": 7, "totalTokens": 38, "cacheReadInputTokens": 10}
CONVERSED = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Hello."}]}},
    "stopReason": "end_turn",
    "usage": USAGE,
    "metrics": {"latencyMs": 1},
}
EVENTS = aws.events(
    ("messageStart", {"role": "assistant"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "He"}}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "llo."}}),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    ("messageStop", {"stopReason": "end_turn"}),
    ("metadata", {"usage": USAGE, "metrics": {"latencyMs": 1}}),
)


def bedrock(secret: str = SECRET, *, stream: bytes = EVENTS, answer: Any = CONVERSED, service: str = "bedrock") -> Behaviour:
    """Refuses a request whose signature does not hold, as AWS does; a stream comes in pieces of seven bytes."""

    async def behave(turn: Turn) -> None:
        asked = turn.received
        if not aws.signature_holds(asked.method, asked.path, asked.headers, asked.body, secret=secret, service=service):
            turn.whole(403, b'{"message": "The request signature we calculated does not match the signature you provided."}')
        elif asked.path.endswith("/converse-stream"):
            kind = {"content-type": "application/vnd.amazon.eventstream", "transfer-encoding": "chunked"}
            turn.write(head(200, kind))
            for at in range(0, len(stream), 7):
                piece = stream[at : at + 7]
                turn.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            turn.write(b"0\r\n\r\n")
        else:
            turn.whole(200, answer if isinstance(answer, bytes) else orjson.dumps(answer))

    return behave


@pytest.fixture
def bedrock_key(product: Product, lane: Lane) -> str:
    """Leads to this test's `lane`, which plays Bedrock."""
    lane.will(bedrock())
    return product.virtual_key(lane.root, "bedrock", key="", options=KEYS)


def test_a_chat_is_signed_and_asked_in_converses_words(openai_client: Client, lane: Lane, bedrock_key: str) -> None:
    answered = openai_client(virtual_key=bedrock_key).chat.completions.create(**ASK, stop="END", temperature=0.5)

    assert answered.choices[0].message.content == "Hello."
    assert answered.choices[0].finish_reason == "stop"
    assert answered.model == MODEL
    assert lane.last.path.endswith(f"/model/{MODEL}/converse")
    assert "Credential=AKIDEXAMPLE/" in lane.last.headers["authorization"]
    assert "/eu-central-1/bedrock/" in lane.last.headers["authorization"]
    assert lane.last.json == {
        "messages": [{"role": "user", "content": [{"text": "Say hello."}]}],
        "inferenceConfig": {"maxTokens": 100, "temperature": 0.5, "stopSequences": ["END"]},
    }


@pytest.mark.parametrize("model", ["arn:aws:bedrock:us-east-1:1234:inference-profile/us.amazon.nova-pro-v1:0", "a model+x"])
def test_any_name_of_a_model_is_signed_as_it_is_sent(openai_client: Client, lane: Lane, bedrock_key: str, model: str) -> None:
    answered = openai_client(virtual_key=bedrock_key).chat.completions.create(**{**ASK, "model": model})
    assert answered.choices[0].message.content == "Hello."


def test_a_stream_is_read_from_binary_pieces(product: Product, openai_client: Client, lane: Lane, bedrock_key: str) -> None:
    trace_id = new_trace()
    stream = openai_client(virtual_key=bedrock_key, trace_id=trace_id).chat.completions.create(
        **ASK, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)

    assert [chunk.choices[0].delta.content for chunk in chunks if chunk.choices] == ["", "He", "llo.", None]
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert (chunks[-1].usage.prompt_tokens, chunks[-1].usage.completion_tokens) == (31, 7)
    record = product.record(trace_id)
    assert (record["input_tokens"], record["cache_read_tokens"], record["output_tokens"]) == (21, 10, 7)
    assert record["cost_usd"] > 0


def test_a_stream_that_begins_with_an_exception_falls_back(
    product: Product, openai_client: Client, lane: Lane, other_lane: Lane, bedrock_key: str
) -> None:
    lane.will(bedrock(stream=aws.exception("throttlingException", "Too many tokens.")))
    config = product.config(
        {
            "strategy": {"mode": "fallback"},
            "targets": [
                {"virtual_key": bedrock_key},
                {"virtual_key": product.virtual_key(other_lane.url), "override_params": {"model": "gpt-4o-mini"}},
            ],
        }
    )
    chunks = list(openai_client(config=config).chat.completions.create(**ASK, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == vendors.TEXT


def test_a_wrong_secret_is_awss_own_no(product: Product, openai_client: Client, lane: Lane, bedrock_key: str) -> None:
    lane.will(bedrock(secret="another"))
    with pytest.raises(openai.PermissionDeniedError) as caught:
        openai_client(virtual_key=bedrock_key).chat.completions.create(**ASK)
    assert "bedrock error: The request signature" in caught.value.message
    assert SECRET not in caught.value.message


def test_a_role_is_taken_on_by_a_signed_request(product: Product, openai_client: Client, lane: Lane, other_lane: Lane) -> None:
    ends = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    answer = (
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIATEMPORARY</AccessKeyId>"
        "<SecretAccessKey>temporary/secret</SecretAccessKey><SessionToken>a/token</SessionToken>"
        f"<Expiration>{ends}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
    )
    other_lane.will(bedrock(answer=answer.encode(), service="sts"))
    lane.will(bedrock(secret="temporary/secret"))
    options = {**KEYS, "aws_role_arn": "arn:aws:iam::123456789012:role/e2e", "aws_sts_endpoint": other_lane.root}
    client = openai_client(virtual_key=product.virtual_key(lane.root, "bedrock", key="", options=options))

    for _ in range(2):
        assert client.chat.completions.create(**ASK).choices[0].message.content == "Hello."
    assert len(other_lane.received) == 1
    assert b"RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fe2e" in other_lane.last.body
    assert lane.last.headers["x-amz-security-token"] == "a/token"


def test_portkeys_sdk_gives_the_keys_with_the_call(portkey_client: Callable[..., Any], product: Product, lane: Lane) -> None:
    lane.will(bedrock())
    client = portkey_client(provider="bedrock", custom_host=lane.root, **KEYS)
    answered = client.chat.completions.create(**ASK)
    assert answered.choices[0].message.content == "Hello."


def test_an_api_key_is_a_bearers(product: Product, openai_client: Client, lane: Lane) -> None:
    lane.will(sends(orjson.dumps(CONVERSED)))
    key = product.virtual_key(lane.root, "bedrock", options={"aws_region": "us-west-2", "aws_auth_type": "apiKey"})
    openai_client(virtual_key=key).chat.completions.create(**ASK)
    assert lane.last.headers["authorization"] == f"Bearer {STORED_KEY}"


def test_missing_keys_are_named(product: Product) -> None:
    answered = product.call(ASK, {"x-portkey-provider": "bedrock", "x-portkey-aws-access-key-id": "AKIDEXAMPLE"})
    assert answered.status_code == 400
    assert answered.json()["error"]["code"] == "missing_provider_key"
    assert "aws_secret_access_key" in answered.json()["error"]["message"]


def test_what_converse_cannot_say_is_refused_before_anything_is_sent(product: Product, lane: Lane, bedrock_key: str) -> None:
    answered = product.call({**ASK, "n": 2}, virtual_key=bedrock_key)
    assert (answered.status_code, answered.json()["error"]["param"]) == (400, "n")
    assert lane.received == []


def test_embeddings_come_from_titan(openai_client: Client, lane: Lane, bedrock_key: str) -> None:
    lane.will(bedrock(answer={"embedding": [0.25, -0.5], "inputTextTokenCount": 3}))
    client = openai_client(virtual_key=bedrock_key)
    found = client.embeddings.create(model="amazon.titan-embed-text-v2:0", input="hello", dimensions=256)
    assert found.data[0].embedding == [0.25, -0.5]
    assert found.usage.prompt_tokens == 3
    assert lane.last.json == {"inputText": "hello", "dimensions": 256}


def test_callers_of_the_messages_api_are_served_too(product: Product, lane: Lane, bedrock_key: str) -> None:
    thought = {"reasoningContent": {"reasoningText": {"text": "A dot.", "signature": "c2ln"}}}
    message = {"role": "assistant", "content": [thought, {"text": "Hello."}]}
    lane.will(bedrock(answer={**CONVERSED, "output": {"message": message}}))
    thinking = {"type": "enabled", "budget_tokens": 1024}
    answered = product.call({**ASK, "thinking": thinking}, virtual_key=bedrock_key, path="/v1/messages")
    assert answered.status_code == 200, answered.text
    assert answered.json()["content"] == [
        {"type": "thinking", "thinking": "A dot.", "signature": "c2ln"},
        {"type": "text", "text": "Hello."},
    ]
    assert answered.json()["stop_reason"] == "end_turn"
    assert lane.last.json["additionalModelRequestFields"] == {"thinking": thinking}

    lane.will(bedrock())
    streamed = product.call({**ASK, "stream": True}, virtual_key=bedrock_key, path="/v1/messages")
    assert [line for line in streamed.text.splitlines() if line.startswith("event: ")][-1] == "event: message_stop"
    assert '"text":"llo."' in streamed.text
