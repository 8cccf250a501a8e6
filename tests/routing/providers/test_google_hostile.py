"""Whatever stands in the place of a field, of a call or an answer: it is translated or refused, and never a fault of ours."""

import copy

import orjson
import pytest

from routing import sse
from routing.errors import GatewayError
from tests.routing.providers.pairs import PAIRS, make_call

JUNK = [
    *(None, True, 0, -1, 7.5, "", "x", "http://[bad", "data:image/png;base64,A", "ftp://"),
    *([], {}, [[]], [{}], {"a": [1]}, ["a"], [None], {"type": []}, {"$ref": 7}),
]
OURS = [pair for pair in PAIRS if pair.provider in ("google", "vertex-ai")]


def spoiled(value):
    """`value` again and again, each time with junk in another place."""
    for path in places(value):
        for junk in JUNK:
            yield replaced(value, path, junk)


def places(value, path=()):
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*path, key))


def replaced(value, path, junk):
    if not path:
        return junk
    value = copy.deepcopy(value)
    holder = value
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = junk
    return value


def tried(step, *arguments):
    """Whether it went well; any other error than one of ours fails the test."""
    try:
        step(*arguments)
    except GatewayError:
        return False
    return True


def having(key):
    return pytest.mark.parametrize("pair", [pair for pair in OURS if key in pair.data], ids=str)


@having("request")
def test_calls(pair):
    target, endpoint = pair.target, pair.call.endpoint
    bodies = (body for body in spoiled(pair.data["call"]) if isinstance(body, dict))
    ends = [tried(target.provider.dialect.request, make_call(body, endpoint), target) for body in bodies]
    assert {True, False} == set(ends)


@having("answer")
def test_answers(pair):
    call, target = pair.call, pair.target
    ends = [tried(target.provider.dialect.reply, call, target, orjson.dumps(answer)) for answer in spoiled(pair.data["answer"])]
    assert {True, False} == set(ends)


@having("stream")
def test_streams(pair):
    events = [orjson.loads(event.data) for event in sse.Decoder().feed(pair.file("in.sse"))]

    def read(changed):
        translator = pair.target.provider.dialect.stream(pair.call, pair.target)
        for event in changed:
            translator.feed(b"data: " + orjson.dumps(event) + b"\n\n")

    ends = [tried(read, changed) for changed in spoiled(events) if isinstance(changed, list)]
    assert {True, False} == set(ends)
