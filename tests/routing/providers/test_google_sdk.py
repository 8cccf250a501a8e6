"""Google's own SDK as the judge: it sends what we send, and reads what our captured answers hold."""

import re
import warnings
from urllib.parse import unquote

import anthropic
import orjson
import pytest

from routing import sse
from routing.call import Endpoint
from routing.providers.table import find
from tests.fakes import FakeProvider, sends
from tests.routing.providers.pairs import PAIRS, make_call, make_target

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the SDK's own
    from google import genai
    from google.genai import types

DIALECT = find("google").dialect
PNG = b"\x89PNG\r\n"
SCHEMA = {"type": "object", "properties": {"city": {"type": "string", "enum": ["Paris", "Lyon"]}}, "required": ["city"]}
ANSWER = orjson.dumps({"candidates": [{"content": {"role": "model", "parts": [{"text": "Hi"}]}, "finishReason": "STOP"}]})


@pytest.fixture(scope="module")
def provider():
    with FakeProvider() as fake:
        yield fake


@pytest.fixture
def sdk(provider):
    """What the SDK sends for a call of its own: path and body."""
    lane = provider.lane().will(sends(ANSWER))

    def ask(config, contents, model="gemini-2.5-flash"):
        client = genai.Client(api_key="key", http_options=types.HttpOptions(base_url=lane.root, api_version="v1beta"))
        client.models.generate_content(model=model, contents=contents, config=types.GenerateContentConfig(**config))
        client.close()
        return lane.last

    return ask


def ours(messages, **body):
    call = make_call({"model": "gemini-2.5-flash", "messages": messages, **body})
    return DIALECT.request(call, make_target("google"))


def plain(value):
    """One spelling of what the vendor reads in two: names with underscores or humps, and types in any case."""
    if isinstance(value, dict):
        humps = {re.sub(r"_([a-z])", lambda found: found[1].upper(), key): one for key, one in value.items()}
        return {key: one.lower() if key == "type" and isinstance(one, str) else plain(one) for key, one in humps.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def same(request, received):
    mine, theirs = orjson.loads(request.body), received.json
    # The SDK gives the instruction a role that means nothing, has an order of its own among tools, and sends empty settings.
    theirs.get("systemInstruction", {}).pop("role", None)
    for body in (mine, theirs):
        body.get("tools", []).sort(key=str)
    theirs = {key: value for key, value in theirs.items() if value != {}}
    assert plain(mine) == plain(theirs)
    assert "x-goog-api-key" in request.headers
    assert "x-goog-api-key" in received.headers
    assert "key=" not in received.path


def test_parameters_system_and_image(sdk):
    image = types.Part.from_bytes(data=PNG, mime_type="image/png")
    received = sdk(
        {
            "system_instruction": "Be brief.",
            "temperature": 0.5,
            "top_p": 0.9,
            "max_output_tokens": 50,
            "stop_sequences": ["END"],
            "seed": 7,
            "candidate_count": 2,
            "presence_penalty": 0.25,
            "response_logprobs": True,
            "logprobs": 2,
            "thinking_config": types.ThinkingConfig(include_thoughts=True, thinking_budget=100),
        },
        [types.Content(role="user", parts=[types.Part.from_text(text="Look"), image])],
    )
    request = ours(
        [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Look"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0K"}},
                ],
            },
        ],
        temperature=0.5,
        top_p=0.9,
        max_tokens=50,
        stop="END",
        seed=7,
        n=2,
        presence_penalty=0.25,
        logprobs=True,
        top_logprobs=2,
        thinking={"type": "enabled", "budget_tokens": 100},
    )
    assert received.path.endswith("/v1beta/models/gemini-2.5-flash:generateContent")
    assert request.url.endswith("/v1beta/models/gemini-2.5-flash:generateContent")
    same(request, received)


def test_tools_and_their_results(sdk):
    declaration = types.FunctionDeclaration(name="weather", description="Of a city.", parameters=SCHEMA)
    received = sdk(
        {
            "tools": [types.Tool(function_declarations=[declaration]), types.Tool(google_search=types.GoogleSearch())],
            "tool_config": types.ToolConfig(
                function_calling_config=types.FunctionCallingConfig(mode="ANY", allowed_function_names=["weather"])
            ),
            "automatic_function_calling": types.AutomaticFunctionCallingConfig(disable=True),
        },
        [
            types.Content(role="user", parts=[types.Part.from_text(text="Weather?")]),
            types.Content(role="model", parts=[types.Part.from_function_call(name="weather", args={"city": "Paris"})]),
            types.Content(role="user", parts=[types.Part.from_function_response(name="weather", response={"output": "18"})]),
        ],
    )
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Paris"}'}}
    function = {"name": "weather", "description": "Of a city.", "parameters": SCHEMA, "strict": True}
    request = ours(
        [
            {"role": "user", "content": "Weather?"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "18"},
        ],
        tools=[{"type": "function", "function": function}],
        web_search_options={},
        tool_choice={"type": "function", "function": {"name": "weather"}},
    )
    same(request, received)


def test_a_schema_for_the_answer(sdk):
    received = sdk({"response_mime_type": "application/json", "response_schema": SCHEMA}, "Where?")
    form = {"type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": SCHEMA}}
    same(ours([{"role": "user", "content": "Where?"}], response_format=form), received)


def test_texts_to_embed(provider):
    lane = provider.lane().will(sends(b'{"embeddings": [{"values": [0.5]}, {"values": [1.0]}]}'))
    client = genai.Client(api_key="key", http_options=types.HttpOptions(base_url=lane.root, api_version="v1beta"))
    config = types.EmbedContentConfig(output_dimensionality=1, task_type="RETRIEVAL_QUERY")
    client.models.embed_content(model="gemini-embedding-001", contents=["a", "b"], config=config)
    client.close()
    body = {"model": "gemini-embedding-001", "input": ["a", "b"], "dimensions": 1, "task_type": "RETRIEVAL_QUERY"}
    request = DIALECT.request(make_call(body, Endpoint.EMBEDDINGS), make_target("google"))
    assert request.url.endswith(lane.last.path.removeprefix(lane.last.path.partition("/v1beta")[0]))
    theirs = lane.last.json
    for one in theirs["requests"]:
        assert one["content"].pop("role") == "user"
    assert orjson.loads(request.body) == theirs


def test_anthropics_sdk_sends_the_same_to_vertex(provider):
    lane = provider.lane().will(sends(b'{"id": "m", "type": "message", "role": "assistant", "content": []}'))
    client = anthropic.AnthropicVertex(region="us-east5", project_id="proj-1", access_token="t", base_url=f"{lane.root}/v1")
    message = {"role": "user", "content": "Hi"}
    client.messages.create(model="claude-sonnet-4-5@20250929", max_tokens=9, messages=[message], stop_sequences=["END"])
    client.close()
    theirs = {key: one for key, one in lane.last.json.items() if key != "stream" or one}
    # The SDK goes with the newest version of the API, the gateway with the one that its translation was written for.
    version = theirs["anthropic_version"]
    body = {"model": "anthropic.claude-sonnet-4-5@20250929", "max_tokens": 9, "messages": [message], "stop": "END"}
    call = make_call({**body, "anthropic_version": version})
    target = make_target("vertex-ai", options={"vertex_project_id": "proj-1", "vertex_region": "us-east5"})
    request = target.provider.dialect.request(call, target)
    assert orjson.loads(request.body) == theirs
    assert request.url.partition("/v1/")[2] == unquote(lane.last.path).partition("/v1/")[2]


GEMINI = [
    pair
    for pair in PAIRS
    if pair.provider in ("google", "vertex-ai") and "claude" not in pair.case and "llama" not in pair.case
]


@pytest.mark.parametrize("pair", [pair for pair in GEMINI if pair.call.endpoint == Endpoint.CHAT], ids=str)
def test_the_captured_answers_are_what_the_sdk_reads(pair):
    if "answer" in pair.data:
        read = types.GenerateContentResponse.model_validate(pair.data["answer"])
        assert read.model_version == pair.data["model"]
    if "stream" in pair.data:
        for event in sse.Decoder().feed(pair.file("in.sse")):
            assert types.GenerateContentResponse.model_validate_json(event.data).candidates
    for tool in pair.data.get("request", {}).get("body", {}).get("tools", []):
        types.Tool.model_validate(tool)
