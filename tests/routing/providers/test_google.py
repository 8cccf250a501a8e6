"""The Gemini API: what is refused, what is left out, and the odd cases that the captured pairs do not hold."""

import base64
import struct

import orjson
import pytest

from routing.call import Endpoint
from routing.errors import InvalidRequest, ProviderError, Unsupported, UpstreamInvalid
from routing.providers.google.messages import NO_SIGNATURE
from routing.providers.table import find
from tests.routing.providers.pairs import make_call, make_target

DIALECT = find("gemini").dialect
USER = {"role": "user", "content": "Hi"}


def request(messages=None, endpoint=Endpoint.CHAT, settings=None, **body):
    if endpoint == Endpoint.CHAT:
        body = {"messages": [USER] if messages is None else messages, **body}
    call = make_call({"model": "gemini-2.5-flash", **body}, endpoint)
    return DIALECT.request(call, make_target("google", **(settings or {})))


def sent(messages=None, **body):
    return orjson.loads(request(messages, **body).body)


def generation(**body):
    return sent(**body).get("generationConfig")


def part(content):
    return sent([{"role": "user", "content": [content]}])["contents"][0]["parts"][0]


def assistant(**fields):
    return {"role": "assistant", "content": None, **fields}


def call_of(arguments, **fields):
    return {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": arguments}, **fields}


# --- refused by name, or left out and named ---

REFUSED = [
    ({"logit_bias": {"1": 2}}, "logit_bias"),
    ({"functions": [{"name": "f"}]}, "functions"),
    ({"function_call": {"name": "f"}}, "function_call"),
    ({"verbosity": "low"}, "verbosity"),
    ({"parallel_tool_calls": False}, "parallel_tool_calls"),
    ({"service_tier": "scale"}, "service_tier"),
    ({"service_tier": 1}, "service_tier"),
    ({"reasoning_effort": "extreme"}, "reasoning_effort"),
    ({"reasoning_effort": ["low"]}, "reasoning_effort"),
    ({"response_format": {"type": "grammar"}}, "response_format.type"),
    ({"tool_choice": "sometimes"}, "tool_choice"),
    ({"tool_choice": {"type": "custom"}}, "tool_choice"),
    ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "tools[0]"),
    ({"web_search_options": {"user_location": {"type": "approximate"}}}, "web_search_options.user_location"),
    ({"web_search_options": {"search_context_size": "high"}}, "web_search_options.search_context_size"),
    ({"audio": {"voice": "Kore", "format": "mp3"}}, "audio.format"),
    ({"messages": [USER, {"role": ["user"], "content": "x"}]}, "messages[1].role"),
    ({"messages": [USER, assistant(content="", function_call={"name": "f"})]}, "messages[1].function_call"),
    ({"messages": [USER, assistant(content="", audio={"id": "a"})]}, "messages[1].audio"),
    (
        {"messages": [{"role": "user", "content": [{"type": "hologram"}, {"type": "text", "text": "x"}]}]},
        "messages[0].content[0].type",
    ),
]


@pytest.mark.parametrize(("body", "param"), REFUSED)
def test_it_refuses_what_it_cannot_express(body, param):
    with pytest.raises(Unsupported) as caught:
        sent(**body)
    assert caught.value.param == param
    assert "Google Gemini" in caught.value.message


@pytest.mark.parametrize(("body", "param"), [(body, param) for body, param in REFUSED if "messages" not in body])
def test_it_leaves_out_what_it_may_and_names_it(body, param):
    made = request(settings={"drop_unsupported": True}, **body)
    assert made.dropped == (param,)
    assert orjson.loads(made.body)["contents"][0]["role"] == "user"


@pytest.mark.parametrize(("body", "param"), [(body, param) for body, param in REFUSED if "messages" in body])
def test_a_part_of_the_conversation_is_never_left_out(body, param):
    with pytest.raises(Unsupported) as caught:
        request(settings={"drop_unsupported": True}, **body)
    assert caught.value.param == param


def test_nothing_is_left_out_unnamed():
    assert request(user="u", seed=1, n=2).dropped == ()


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "x"}, "messages"),
        ({"messages": ["x"]}, "messages[0]"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [7]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "ftp://x"}}]}]},
            "messages[0].content[0].image_url.url",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "data:text/plain,hi"}]}]},
            "messages[0].content[0].image_url.url",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].image_url.url"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}, "messages[0].content[0].input_audio.data"),
        ({"messages": [{"role": "user", "content": [{"type": "file"}]}]}, "messages[0].content[0].file"),
        ({"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]}, "messages[0].content[0].file"),
        ({"messages": [USER, assistant(tool_calls={"a": 1})]}, "messages[1].tool_calls"),
        ({"messages": [USER, assistant(tool_calls=["x"])]}, "messages[1].tool_calls[0]"),
        ({"messages": [USER, assistant(tool_calls=[call_of("{")])]}, "messages[1].tool_calls[0].function.arguments"),
        ({"messages": [USER, assistant(tool_calls=[call_of("[]")])]}, "messages[1].tool_calls[0].function.arguments"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [USER, {"role": "tool", "tool_call_id": "gone", "content": "x"}]}, "messages[1].tool_call_id"),
        ({"tools": {}}, "tools"),
        ({"tools": ["x"]}, "tools[0]"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": 1}}]}, "tools[0].function.parameters"),
        ({"response_format": "json"}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"thinking": "hard"}, "thinking"),
        ({"modalities": "text"}, "modalities"),
        ({"audio": {}}, "audio.voice"),
        ({"web_search_options": True}, "web_search_options"),
        ({"generation_config": 7}, "generation_config"),
        ({"model": "../secret"}, "model"),
        ({"model": "m:countTokens?x="}, "model"),
    ],
)
def test_it_names_what_is_wrong(body, param):
    with pytest.raises(InvalidRequest) as caught:
        sent(**body)
    assert caught.value.param == param


def test_what_json_cannot_hold_is_the_callers_mistake():
    deep = '{"a":' + "[" * 300 + "]" * 300 + "}"
    with pytest.raises(InvalidRequest):
        sent([USER, assistant(tool_calls=[call_of(deep)])])


# --- parameters ---


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, None),
        ({"temperature": None, "stop": None, "response_format": {"type": "text"}, "modalities": ["text"]}, None),
        ({"user": "u", "safety_identifier": "s", "metadata": {}, "store": True, "prediction": {}}, None),
        ({"max_tokens": 7}, {"maxOutputTokens": 7}),
        ({"max_completion_tokens": 9, "max_tokens": 7}, {"maxOutputTokens": 9}),
        ({"stop": ["a", "b"]}, {"stopSequences": ["a", "b"]}),
        ({"response_format": {"type": "json_object"}}, {"responseMimeType": "application/json"}),
        ({"top_k": 3, "candidate_count": 2}, {"topK": 3, "candidateCount": 2}),
        ({"generation_config": {"topK": 1, "seed": 2}, "seed": 3}, {"topK": 1, "seed": 3}),
        (
            {"response_modalities": ["IMAGE"], "imageConfig": {"aspectRatio": "1:1"}},
            {"responseModalities": ["IMAGE"], "imageConfig": {"aspectRatio": "1:1"}},
        ),
        (
            {"modalities": ["audio"], "audio": {"voice": "Kore", "format": "pcm16"}},
            {"responseModalities": ["AUDIO"], "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}}},
        ),
        ({"thinking": {"type": "disabled"}}, {"thinkingConfig": {"includeThoughts": False, "thinkingBudget": 0}}),
        ({"thinking": {"type": "adaptive"}}, {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": -1}}),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 0}, "reasoning_effort": "high"},
            {"thinkingConfig": {"includeThoughts": False, "thinkingBudget": 0}},
        ),
        (
            {"reasoning_effort": "medium", "thinking_config": {"include_thoughts": True}},
            {"thinkingConfig": {"include_thoughts": True, "thinkingBudget": 8192}},
        ),
        ({"reasoning_effort": "none"}, {"thinkingConfig": {"thinkingBudget": 0}}),
        ({"reasoning_effort": "minimal", "model": "gemini-3-flash-preview"}, {"thinkingConfig": {"thinkingLevel": "minimal"}}),
    ],
)
def test_parameters_of_generation(body, expected):
    assert generation(**body) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"cached_content": "cachedContents/1"}, {"cachedContent": "cachedContents/1"}),
        ({"service_tier": "auto"}, {}),
        ({"service_tier": "default"}, {"serviceTier": "standard"}),
        ({"future_parameter": {"a": 1}}, {"future_parameter": {"a": 1}}),
        ({"tool_choice": "none"}, {}),
        ({"tool_choice": "auto", "tools": []}, {}),
        ({"tool_choice": "required"}, {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}),
        (
            {"tool_choice": "required", "tool_config": {"retrievalConfig": {"languageCode": "fr"}}},
            {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}, "retrievalConfig": {"languageCode": "fr"}}},
        ),
        (
            {
                "tool_choice": {
                    "type": "allowed_tools",
                    "allowed_tools": {"mode": "auto", "tools": [{"function": {"name": "f"}}]},
                }
            },
            {"toolConfig": {"functionCallingConfig": {"mode": "VALIDATED", "allowedFunctionNames": ["f"]}}},
        ),
    ],
)
def test_parameters_beside_it(body, expected):
    assert sent(**body) == {**sent(), **expected}


def test_a_system_instruction_in_the_vendors_words_comes_first():
    body = sent([{"role": "system", "content": "b"}, USER], system_instruction={"parts": [{"text": "a"}]})
    assert body["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}]}


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("gemini-2.5-pro", "models/gemini-2.5-pro"),
        ("models/gemini-2.5-pro", "models/gemini-2.5-pro"),
        ("tunedModels/mine-1", "tunedModels/mine-1"),
    ],
)
def test_the_model_stands_in_the_address(model, path):
    assert request(model=model).url == f"https://generativelanguage.googleapis.com/v1beta/{path}:generateContent"


@pytest.mark.parametrize(
    ("base", "start"),
    [
        ("https://proxy.example", "https://proxy.example/v1beta/models/"),
        ("https://proxy.example/gemini/", "https://proxy.example/gemini/v1beta/models/"),
        ("https://proxy.example/v1alpha", "https://proxy.example/v1alpha/models/"),
    ],
)
def test_a_base_without_a_version_gets_the_vendors(base, start):
    assert request(settings={"base_url": base}).url.startswith(start)


# --- tools and their schemas ---


def parameters(schema):
    (tool,) = sent(tools=[{"type": "function", "function": {"name": "f", "parameters": schema}}])["tools"]
    (function,) = tool["functionDeclarations"]
    assert function.pop("name") == "f"
    return function


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "const": "a"}, {"type": "string", "enum": ["a"]}),
        ({"enum": ["a", None]}, {"type": "string", "enum": ["a"], "nullable": True}),
        ({"type": "integer", "enum": [1, 2]}, {"type": "integer", "format": "enum", "enum": ["1", "2"]}),
        ({"type": ["string", "null"], "format": "email"}, {"type": "string", "format": "email", "nullable": True}),
        (
            {"type": ["string", "integer"], "description": "d", "minLength": 1},
            {"description": "d", "anyOf": [{"type": "string", "minLength": 1}, {"type": "integer"}]},
        ),
        (
            {"oneOf": [{"type": "string"}, {"type": "number", "minimum": 0}]},
            {"anyOf": [{"type": "string"}, {"type": "number", "minimum": 0}]},
        ),
        (
            {"anyOf": [{"type": "null"}, {"type": "string", "description": "in"}], "description": "out"},
            {"type": "string", "description": "out", "nullable": True},
        ),
        (
            {
                "allOf": [
                    {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
                    {"properties": {"b": True}},
                ]
            },
            {"type": "object", "properties": {"a": {"type": "string"}, "b": {}}, "required": ["a"]},
        ),
        ({"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 9}, {"type": "integer", "minimum": 1, "maximum": 8}),
        (
            {"type": "array", "items": {"type": "string", "examples": ["x", "y"]}},
            {"type": "array", "items": {"type": "string", "example": "x"}},
        ),
        ({"type": "object", "additionalProperties": True, "title": "T"}, {"type": "object", "title": "T"}),
    ],
)
def test_a_schema_is_said_in_the_vendors_words(schema, expected):
    outer = {"$schema": "s", "type": "object", "properties": {"p": schema}}
    assert parameters(outer) == {"parameters": {"type": "object", "properties": {"p": expected}}}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "array", "items": [{"type": "string"}]},
        {"prefixItems": [{"type": "string"}]},
        {"not": {"type": "string"}},
        {"enum": ["a", 1]},
        {"type": "number", "exclusiveMinimum": 0},
        {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        {"allOf": [{"type": "string"}, {"type": "integer"}]},
        {"$ref": "#"},
        {"$ref": "https://example.org/schema"},
        False,
    ],
)
def test_a_schema_beyond_its_words_goes_whole(schema):
    outer = {"$schema": "s", "type": "object", "properties": {"p": schema}}
    assert parameters(outer) == {"parametersJsonSchema": {"type": "object", "properties": {"p": schema}}}


def test_references_that_multiply_are_not_followed():
    levels = {
        f"L{n}": {"type": "object", "properties": {"a": {"$ref": f"#/$defs/L{n + 1}"}, "b": {"$ref": f"#/$defs/L{n + 1}"}}}
        for n in range(12)
    }
    schema = {"type": "object", "properties": {"x": {"$ref": "#/$defs/L0"}}, "$defs": {**levels, "L12": {"type": "string"}}}
    assert parameters(schema) == {"parametersJsonSchema": schema}


def test_types_that_hold_each_other_go_whole():
    held = {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}}
    schema = {**held, "$defs": {"A": {"type": "object", "properties": {"b": {"$ref": "#/$defs/B"}}}, "B": held}}
    assert parameters(schema) == {"parametersJsonSchema": schema}


def test_a_deep_schema_goes_whole():
    schema = {"type": "string"}
    for _ in range(100):
        schema = {"type": "object", "properties": {"p": schema}}
    assert "parametersJsonSchema" in parameters(schema)


def test_a_reference_to_nothing_is_refused():
    with pytest.raises(InvalidRequest) as caught:
        parameters({"type": "object", "properties": {"p": {"$ref": "#/$defs/Gone"}}})
    assert caught.value.param == "tools[0].function.parameters"


def test_a_schema_for_the_answer_may_go_whole_too():
    schema = {"type": "object", "additionalProperties": {"type": "string"}}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    assert generation(response_format=form) == {"responseMimeType": "application/json", "responseJsonSchema": schema}


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        ({"google_search": {}}, {"googleSearch": {}}),
        ({"type": "url_context"}, {"urlContext": {}}),
        (
            {"type": "function", "function": {"name": "computerUse", "parameters": {"environment": "ENVIRONMENT_BROWSER"}}},
            {"computerUse": {"environment": "ENVIRONMENT_BROWSER"}},
        ),
        (
            {"type": "function", "function": {"name": "google_search", "parameters": {"type": "object", "properties": {}}}},
            {"googleSearch": {}},
        ),
        ({"function_declarations": [{"name": "g"}]}, {"functionDeclarations": [{"name": "g"}]}),
        ({"type": "function", "function": {"name": "retrieval"}}, {"functionDeclarations": [{"name": "retrieval"}]}),
    ],
)
def test_the_vendors_own_tools(tool, expected):
    assert sent(tools=[tool])["tools"] == [expected]


def test_maps_say_where_in_the_tool_config():
    settings = {"retrievalConfig": {"latLng": {"latitude": 1, "longitude": 2}}, "enableWidget": True}
    body = sent(tools=[{"type": "function", "function": {"name": "googleMaps", "parameters": settings}}])
    assert body["tools"] == [{"googleMaps": {"enableWidget": True}}]
    assert body["toolConfig"] == {"retrievalConfig": settings["retrievalConfig"]}


# --- messages ---


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("plain", {"text": "plain"}),
        (
            {"type": "image_url", "image_url": {"url": "aGVsbG8="}},
            {"inlineData": {"mimeType": "image/jpeg", "data": "aGVsbG8="}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "data:image/PNG;charset=utf-8;base64,aGk="}},
            {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
        ),
        (
            {"type": "image_url", "image_url": {"url": "https://e.org/a", "mime_type": "image/heic"}},
            {"fileData": {"mimeType": "image/heic", "fileUri": "https://e.org/a"}},
        ),
        (
            {"type": "image_url", "image_url": "https://www.youtube.com/watch?v=1"},
            {"fileData": {"mimeType": "video/mp4", "fileUri": "https://www.youtube.com/watch?v=1"}},
        ),
        (
            {"type": "video_url", "video_url": {"url": "gs://b/v.webm"}},
            {"fileData": {"mimeType": "video/webm", "fileUri": "gs://b/v.webm"}},
        ),
        (
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "opus"}},
            {"inlineData": {"mimeType": "audio/ogg", "data": "AA=="}},
        ),
        (
            {"type": "file", "file": {"file_data": "AA==", "filename": "t.csv"}},
            {"inlineData": {"mimeType": "text/csv", "data": "AA=="}},
        ),
        (
            {"type": "file", "file": {"file_url": "https://e.org/a.pdf"}},
            {"fileData": {"mimeType": "application/pdf", "fileUri": "https://e.org/a.pdf"}},
        ),
        ({"type": "file", "file": {"file_id": "files/abc"}}, {"fileData": {"fileUri": "files/abc"}}),
        ({"inlineData": {"mimeType": "image/png", "data": "AA=="}}, {"inlineData": {"mimeType": "image/png", "data": "AA=="}}),
    ],
)
def test_parts(content, expected):
    assert part(content) == expected


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        ({"content": "x"}, [{"text": "x"}]),
        ({"content": None, "refusal": "No"}, [{"text": "No"}]),
        ({"content": [{"type": "refusal", "refusal": "No"}]}, [{"text": "No"}]),
        (
            {"content": "x", "tool_calls": [call_of({"a": 1})]},
            [{"text": "x"}, {"functionCall": {"name": "f", "args": {"a": 1}}}],
        ),
        (
            {
                "content": "a",
                "content_blocks": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "text", "text": "a", "thought_signature": "t"},
                    {"type": "tool_use", "id": "call_1"},
                ],
            },
            [{"text": "hm", "thought": True, "thoughtSignature": "s"}, {"text": "a", "thoughtSignature": "t"}],
        ),
    ],
)
def test_what_the_assistant_said(message, parts):
    turns = sent([USER, {"role": "assistant", **message}, USER])["contents"]
    assert turns[1] == {"role": "model", "parts": parts}


def test_an_empty_answer_of_the_assistant_is_no_turn():
    assert [turn["role"] for turn in sent([USER, {"role": "assistant", "content": ""}])["contents"]] == ["user"]


def test_turns_of_one_side_become_one():
    turns = sent([USER, {"role": "user", "content": ""}, {"role": "user", "content": "b"}])["contents"]
    assert turns == [{"role": "user", "parts": [{"text": "Hi"}, {"text": "b"}]}]


def test_a_result_may_be_an_error_or_hold_an_image():
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    results = [
        {"role": "tool", "tool_call_id": "call_1", "content": "broken", "is_error": True},
        {"role": "tool", "name": "g", "content": [{"type": "text", "text": "see"}, image]},
        {"role": "tool", "tool_call_id": "call_1", "content": None},
    ]
    turn = sent([USER, assistant(tool_calls=[call_of("{}")]), *results])["contents"][2]
    inline = {"inlineData": {"mimeType": "image/png", "data": "AA=="}}
    assert turn["parts"] == [
        {"functionResponse": {"name": "f", "response": {"error": "broken"}}},
        {"functionResponse": {"name": "g", "response": {"output": "see"}, "parts": [inline]}},
        {"functionResponse": {"name": "f", "response": {"output": ""}}},
    ]


@pytest.mark.parametrize(
    ("fields", "model", "signature"),
    [
        ({"extra_content": {"google": {"thought_signature": "s"}}}, "gemini-2.5-flash", "s"),
        ({"function": {"name": "f", "arguments": "{}", "thought_signature": "s"}}, "gemini-3-pro-preview", "s"),
        ({}, "gemini-3.5-flash", NO_SIGNATURE),
        ({}, "gemini-2.5-flash", None),
        ({}, "gemini-30", NO_SIGNATURE),
    ],
)
def test_a_call_keeps_its_signature(fields, model, signature):
    turn = sent([USER, assistant(tool_calls=[call_of("{}", **fields), call_of("{}")])], model=model)["contents"][1]
    assert [one.get("thoughtSignature") for one in turn["parts"]] == [signature, None]


# --- embeddings and images ---


def answered(data, strict=True, endpoint=Endpoint.CHAT, **body):
    call = make_call({"model": "asked", **body}, endpoint)
    answer = DIALECT.reply(call, make_target("google", strict=strict), orjson.dumps(data))
    return orjson.loads(answer.body), answer.usage


def test_one_text_is_embedded_alone():
    made = request(endpoint=Endpoint.EMBEDDINGS, input="Hello")
    assert made.url.endswith("/models/gemini-2.5-flash:embedContent")
    assert orjson.loads(made.body) == {"model": "models/gemini-2.5-flash", "content": {"parts": [{"text": "Hello"}]}}


def test_vectors_are_packed_where_the_caller_asks_for_it():
    reply, usage = answered(
        {"embedding": {"values": [0.5, -1]}}, endpoint=Endpoint.EMBEDDINGS, input="Hi", encoding_format="base64"
    )
    assert struct.unpack("<2f", base64.b64decode(reply["data"][0]["embedding"])) == (0.5, -1.0)
    assert usage.estimated
    assert reply["usage"]["prompt_tokens"] == usage.prompt_tokens > 0


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": [1, 2]}, "input[0]"),
        ({"input": []}, "input"),
        ({}, "input"),
        ({"input": "x", "encoding_format": "int8"}, "encoding_format"),
        ({"input": "x", "auto_truncate": True}, "auto_truncate"),
        ({"input": "x", "surprise": 1}, "surprise"),
    ],
)
def test_embeddings_name_what_is_wrong(body, param):
    with pytest.raises(InvalidRequest) as caught:
        request(endpoint=Endpoint.EMBEDDINGS, **body)
    assert caught.value.param == param


@pytest.mark.parametrize("body", [b"{}", b'{"embeddings": []}', b'{"embedding": {"values": ["x"]}}', b"<html>", b""])
def test_an_answer_without_vectors_is_invalid(body):
    with pytest.raises(UpstreamInvalid):
        DIALECT.reply(make_call({"model": "m", "input": "x"}, Endpoint.EMBEDDINGS), make_target("google"), body)


def test_images_by_their_size():
    made = request(
        endpoint=Endpoint.IMAGES, model="imagen-4.0-generate-001", prompt="A cat", n=2, size="1792x1024", output_format="jpeg"
    )
    assert made.url.endswith("/models/imagen-4.0-generate-001:predict")
    assert orjson.loads(made.body) == {
        "instances": [{"prompt": "A cat"}],
        "parameters": {"sampleCount": 2, "aspectRatio": "16:9", "outputOptions": {"mimeType": "image/jpeg"}},
    }
    reply, _ = answered({"predictions": [{"mimeType": "image/png", "bytesBase64Encoded": "AA=="}]}, endpoint=Endpoint.IMAGES)
    assert reply == {"created": 1_700_000_000, "data": [{"b64_json": "AA=="}], "provider": "google"}


@pytest.mark.parametrize(
    ("body", "param"),
    [({}, "prompt"), ({"prompt": "x", "size": "1x1"}, "size"), ({"prompt": "x", "response_format": "url"}, "response_format")],
)
def test_images_name_what_is_wrong(body, param):
    with pytest.raises(InvalidRequest) as caught:
        request(endpoint=Endpoint.IMAGES, **body)
    assert caught.value.param == param


def test_images_that_were_held_back_are_refused_with_the_reason():
    with pytest.raises(ProviderError, match="Unsafe prompt") as caught:
        answered({"predictions": [{"raiFilteredReason": "Unsafe prompt"}]}, endpoint=Endpoint.IMAGES)
    assert (caught.value.status, caught.value.error_code) == (400, "content_filter")
