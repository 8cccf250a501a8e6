"""Whatever stands in place of a value, in a request, an answer or an event: the dialects refuse it or take it."""

import contextlib
import copy
from dataclasses import replace

import orjson
import pytest

from routing import sse
from routing.call import Endpoint
from routing.errors import GatewayError
from routing.providers import adapters
from routing.providers.bedrock.frames import FrameDecoder
from tests.routing.providers import aws
from tests.routing.providers.pairs import PAIRS, make_call, make_target

ODD = (None, True, -1, 1e300, "", "x", [], {}, [1], ["x"], [None], [[]], [{}], {"a": []}, {"type": "function", "function": {}})
# Parameters that no captured pair holds together with the others.
ADDED = ("parallel_tool_calls", "tool_choice", "response_format", "reasoning_effort", "stop", "service_tier", "metadata")
DIALECTS = (
    *("anthropic", "azure-ai", "azure-openai", "bedrock", "cohere", "google", "huggingface", "mistral-ai", "nomic"),
    *("ollama", "openai", "segmind", "stability-ai", "vertex-ai", "workers-ai"),
)
# The parser takes more than the writer: an object, and the same as a text.
DEEP = b'{"a":' * 400 + b"1" + b"}" * 400
MARK = "stands for something deep"
ADAPTED = {
    Endpoint.MESSAGES: {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]},
    Endpoint.RESPONSES: {"input": "Hi"},
}
MINE = [pair for pair in PAIRS if pair.provider in DIALECTS and "request" in pair.data]


def places(value, path=()):
    """The path of every value inside `value`."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def variants(value, odd_values=ODD):
    """`value` with each odd value in each of its places."""
    for path in places(value):
        for odd in odd_values:
            if not path:
                yield odd
                continue
            changed = copy.deepcopy(value)
            inside = changed
            for key in path[:-1]:
                inside = inside[key]
            inside[path[-1]] = odd
            yield changed


@pytest.mark.parametrize("pair", MINE, ids=str)
def test_of_a_request(pair):
    target, endpoint = pair.target, pair.call.endpoint
    bodies = [body for body in variants(pair.data["call"]) if isinstance(body, dict)]
    bodies += [{**pair.data["call"], name: odd} for name in ADDED for odd in ODD]
    for body in bodies:
        with contextlib.suppress(GatewayError):
            assert target.provider.dialect.request(make_call(body, endpoint), target).url


@pytest.mark.parametrize("pair", [pair for pair in MINE if "answer" in pair.data], ids=str)
def test_of_an_answer(pair):
    for answer in variants(pair.data["answer"]):
        with contextlib.suppress(GatewayError):
            assert pair.target.provider.dialect.reply(pair.call, pair.target, orjson.dumps(answer)).body


def deepened(value):
    """The JSON of `value` with something very deep in each of its places."""
    return (orjson.dumps(changed).replace(orjson.dumps(MARK), DEEP) for changed in variants(value, (MARK,)))


@pytest.mark.parametrize("pair", MINE, ids=str)
def test_of_a_request_that_holds_deep_json_as_text(pair):
    for body in variants(pair.data["call"], (DEEP.decode(),)):
        if isinstance(body, dict):
            with contextlib.suppress(GatewayError):
                assert pair.target.provider.dialect.request(make_call(body, pair.call.endpoint), pair.target).url


@pytest.mark.parametrize("strict", [True, False], ids=["strict", "not strict"])
@pytest.mark.parametrize("pair", [pair for pair in MINE if "answer" in pair.data], ids=str)
def test_of_a_deep_answer(pair, strict):
    target = replace(pair.target, strict=strict)
    for answer in deepened(pair.data["answer"]):
        with contextlib.suppress(GatewayError):
            assert target.provider.dialect.reply(pair.call, target, answer).body


@pytest.mark.parametrize("asked", ADAPTED, ids=["messages", "responses"])
@pytest.mark.parametrize(
    "pair", [pair for pair in MINE if "answer" in pair.data and pair.call.endpoint == Endpoint.CHAT], ids=str
)
def test_of_an_answer_to_a_caller_of_another_api(pair, asked):
    call, target = make_call({"model": "m", **ADAPTED[asked]}, asked), pair.target
    dialect = adapters.dialect_for(call, target)
    answers = [*deepened(pair.data["answer"]), *map(orjson.dumps, variants(pair.data["answer"]))]
    for answer in answers:
        with contextlib.suppress(GatewayError):
            assert dialect.reply(call, target, answer).body


@pytest.mark.parametrize(
    "body", [DEEP, b'{"error":' + DEEP + b"}", b'{"message":' + DEEP + b"}"], ids=["all", "error", "message"]
)
@pytest.mark.parametrize("provider", DIALECTS)
def test_of_a_deep_error(provider, body):
    target = make_target(provider)
    assert target.provider.dialect.error(target, 418, body).status == 418


def events(pair):
    """The events of a stream by their names, and how they are written."""
    if pair.provider == "bedrock":
        found = [
            (message.headers[":event-type"], orjson.loads(message.payload)) for message in FrameDecoder().feed(pair.stream)
        ]
        return found, lambda name, data: aws.message({":event-type": name, ":message-type": "event"}, data)
    read = [(event.name, event.data) for event in sse.Decoder().feed(pair.stream)]
    found = [(name, orjson.loads(data)) for name, data in read if data != b"[DONE]"]
    return found, lambda name, data: sse.encode(data, name)


@pytest.mark.parametrize("asked", [Endpoint.CHAT, *ADAPTED])
@pytest.mark.parametrize("pair", [pair for pair in MINE if "stream" in pair.data], ids=str)
def test_of_an_event(pair, asked):
    if asked != Endpoint.CHAT and pair.call.endpoint != Endpoint.CHAT:
        return
    call = make_call({"model": "m", "stream": True, **ADAPTED[asked]}, asked) if asked in ADAPTED else pair.call
    dialect = adapters.dialect_for(call, pair.target)
    found, write = events(pair)
    written = [write(name, orjson.dumps(data)) for name, data in found]
    for place, (name, data) in enumerate(found):
        for changed in (*map(orjson.dumps, variants(data)), *deepened(data)):
            translator = dialect.stream(call, pair.target)
            with contextlib.suppress(GatewayError):
                out = translator.feed(b"".join((*written[:place], write(name, changed), *written[place + 1 :])))
                assert out.endswith(b"\n\n") or not translator.done
