"""Whatever stands in place of a value, in a request, an answer or an event: the dialects refuse it or take it."""

import contextlib
import copy

import orjson
import pytest

from routing import sse
from routing.errors import GatewayError
from routing.providers.bedrock.frames import FrameDecoder
from tests.routing.providers import aws
from tests.routing.providers.pairs import PAIRS, make_call

ODD = (None, True, -1, 1e300, "", "x", [], {}, [1], ["x"], [None], [[]], [{}], {"a": []}, {"type": "function", "function": {}})
# Parameters that no captured pair holds together with the others.
ADDED = ("parallel_tool_calls", "tool_choice", "response_format", "reasoning_effort", "stop", "service_tier", "metadata")
DIALECTS = ("bedrock", "cohere", "azure-openai", "azure-ai")
MINE = [pair for pair in PAIRS if pair.provider in DIALECTS and "request" in pair.data]


def places(value, path=()):
    """The path of every value inside `value`."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def variants(value):
    """`value` with each odd value in each of its places."""
    for path in places(value):
        for odd in ODD:
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


def events(pair):
    """The events of a stream by their names, and how they are written."""
    if pair.provider == "bedrock":
        found = [
            (message.headers[":event-type"], orjson.loads(message.payload)) for message in FrameDecoder().feed(pair.stream)
        ]
        return found, lambda name, data: aws.message({":event-type": name, ":message-type": "event"}, orjson.dumps(data))
    read = [(event.name, event.data) for event in sse.Decoder().feed(pair.stream)]
    return [(name, orjson.loads(data)) for name, data in read if data != b"[DONE]"], lambda name, data: sse.encode(
        orjson.dumps(data), name
    )


@pytest.mark.parametrize("pair", [pair for pair in MINE if "stream" in pair.data], ids=str)
def test_of_an_event(pair):
    found, write = events(pair)
    written = [write(name, data) for name, data in found]
    for place, (name, data) in enumerate(found):
        for changed in variants(data):
            translator = pair.target.provider.dialect.stream(pair.call, pair.target)
            with contextlib.suppress(GatewayError):
                out = translator.feed(b"".join((*written[:place], write(name, changed), *written[place + 1 :])))
                assert out.endswith(b"\n\n") or not translator.done
