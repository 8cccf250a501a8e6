"""Hugging Face's dialect: its router, and endpoints of the user's own."""

import base64
import struct

import orjson
import pytest

from routing.call import Endpoint
from routing.errors import InvalidRequest, Unsupported, UpstreamInvalid
from tests.routing.providers.pairs import make_call, make_target

OWN = {"huggingface_base_url": "https://own.example"}


def asked(body, endpoint=Endpoint.CHAT, **target):
    call, target = make_call({"model": "a/b", **body}, endpoint), make_target("huggingface", **target)
    return target.provider.dialect.request(call, target)


def replied(body, **asked_for):
    call, target = make_call({"model": "a/b", "input": "one two", **asked_for}, Endpoint.EMBEDDINGS), make_target("huggingface")
    return target.provider.dialect.reply(call, target, body)


@pytest.mark.parametrize("base", ["https://own.example", "https://own.example/", "https://own.example/v1"])
@pytest.mark.parametrize(
    ("endpoint", "body"),
    [
        (Endpoint.CHAT, {"messages": [{"role": "user", "content": "Hi"}]}),
        (Endpoint.COMPLETIONS, {"prompt": "Hi"}),
        (Endpoint.EMBEDDINGS, {"input": "Hi"}),
    ],
)
def test_an_endpoint_of_ones_own_speaks_openais_dialect(base, endpoint, body):
    request = asked(body, endpoint, options={"huggingface_base_url": base})
    assert request.url == f"https://own.example/v1/{endpoint}"
    assert orjson.loads(request.body) == {"model": "a/b", **body}


def test_the_router_has_no_text_completions():
    with pytest.raises(Unsupported) as caught:
        asked({"prompt": "Hi"}, Endpoint.COMPLETIONS)
    assert caught.value.param == "huggingface_base_url"


@pytest.mark.parametrize(("body", "param"), [({"input": [1]}, "input"), ({"input": "x", "dimensions": 2}, "dimensions")])
def test_what_the_pipeline_does_not_take_is_refused_by_name(body, param):
    with pytest.raises(InvalidRequest) as caught:
        asked(body, Endpoint.EMBEDDINGS)
    assert caught.value.param == param


def test_a_model_cannot_change_the_rest_of_the_address():
    assert "?" not in asked({"input": "x", "model": "a?b#c"}, Endpoint.EMBEDDINGS).url


def test_vectors_are_packed_and_their_tokens_estimated():
    answer = replied(b"[[0.5, 0.25]]", encoding_format="base64")
    listed = orjson.loads(answer.body)
    assert struct.unpack("<2f", base64.b64decode(listed["data"][0]["embedding"])) == (0.5, 0.25)
    assert listed["usage"] == {"prompt_tokens": 2, "total_tokens": 2}
    assert answer.usage is not None
    assert answer.usage.estimated


@pytest.mark.parametrize("body", [b"", b"{}", b'[["x"]]', b"<html>"])
def test_an_answer_without_vectors_is_invalid(body):
    with pytest.raises(UpstreamInvalid):
        replied(body)
