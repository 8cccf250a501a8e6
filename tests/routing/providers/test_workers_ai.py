"""Workers AI's dialect: addresses, pictures, and the odd cases that the captured pairs do not hold."""

import base64

import orjson
import pytest

from routing.call import Endpoint, Usage
from routing.errors import InvalidRequest, Unsupported, UpstreamInvalid
from tests.routing.providers.pairs import make_call, make_target

USER = {"role": "user", "content": "Hi"}
PNG = b"\x89PNG\r\n\x1a\n\x00"


def asked(body, endpoint=Endpoint.CHAT, **target):
    call, target = make_call({"model": "@cf/m", **body}, endpoint), make_target("workers-ai", **target)
    return target.provider.dialect.request(call, target)


def replied(body, endpoint=Endpoint.CHAT, **asked_for):
    call, target = make_call({"model": "@cf/m", **asked_for}, endpoint), make_target("workers-ai")
    return target.provider.dialect.reply(call, target, body if isinstance(body, bytes) else orjson.dumps(body))


def streamed(*events):
    call, target = make_call({"model": "@cf/m", "stream": True}), make_target("workers-ai")
    translator = target.provider.dialect.stream(call, target)
    return b"".join(translator.feed(b"data: " + event + b"\n\n") for event in events), translator


def test_the_account_stands_in_the_address_and_must_be_given():
    assert "/accounts/acc1/ai/run/@cf/m" in asked({"messages": [USER]}, options={"workers_ai_account_id": "acc1"}).url
    with pytest.raises(InvalidRequest, match="workers_ai_account_id"):
        asked({"messages": [USER]}, options={})


@pytest.mark.parametrize("model", ["../../../user/tokens", "@cf/m?x=1", "@cf/m#x", "@cf/m y"])
def test_a_model_cannot_change_the_rest_of_the_address(model):
    try:
        url = asked({"messages": [USER], "model": model}).url
    except InvalidRequest:
        return
    assert not {"?", "#", " "} & set(url)
    assert ".." not in url


def test_what_the_vendor_has_no_words_for_is_refused():
    with pytest.raises(Unsupported) as caught:
        asked({"messages": [USER], "n": 2})
    assert caught.value.param == "n"


def test_its_own_parameters_go_on():
    body = orjson.loads(asked({"messages": [USER], "raw": True, "lora": "l", "top_k": 3, "stream": True}).body)
    assert (body["raw"], body["lora"], body["top_k"], body["stream"]) == (True, "l", 3, True)
    assert "model" not in body


@pytest.mark.parametrize(("body", "param"), [({"messages": []}, "messages"), ({"messages": ["x"]}, "messages[0]")])
def test_it_names_what_is_wrong(body, param):
    with pytest.raises(InvalidRequest) as caught:
        asked(body)
    assert caught.value.param == param


def test_an_envelope_that_failed_is_no_answer():
    with pytest.raises(UpstreamInvalid):
        replied({"result": {"response": "x"}, "success": False})


def test_an_answer_without_counts_leaves_the_usage_open():
    answer = replied({"result": {"response": "Hi"}, "success": True})
    assert answer.usage is None
    assert answer.model == "@cf/m"


def test_a_picture_is_asked_for_by_its_size():
    asked_for = {
        "prompt": "a cat",
        "size": "512x256",
        "steps": 4,
        "negative_prompt": "dogs",
        "n": 1,
        "response_format": "b64_json",
    }
    request = asked(asked_for, Endpoint.IMAGES)
    assert orjson.loads(request.body) == {
        "prompt": "a cat",
        "negative_prompt": "dogs",
        "steps": 4,
        "num_steps": 4,
        "width": 512,
        "height": 256,
    }


@pytest.mark.parametrize(
    ("body", "param"), [({"n": 2}, "n"), ({"response_format": "url"}, "response_format"), ({"size": "big"}, "size")]
)
def test_pictures_that_it_cannot_make(body, param):
    with pytest.raises(InvalidRequest) as caught:
        asked({"prompt": "a cat", **body}, Endpoint.IMAGES)
    assert caught.value.param == param


@pytest.mark.parametrize("body", [{"result": {"image": base64.b64encode(PNG).decode()}, "success": True}, PNG])
def test_a_picture_comes_as_base64(body):
    answer = replied(body, Endpoint.IMAGES, prompt="a cat")
    assert base64.b64decode(orjson.loads(answer.body)["data"][0]["b64_json"]) == PNG
    assert answer.usage == Usage()


@pytest.mark.parametrize("body", [b"", b"GIF", {"result": {}}, {"result": {"image": 7}}])
def test_what_is_no_picture_is_invalid(body):
    with pytest.raises(UpstreamInvalid):
        replied(body, Endpoint.IMAGES, prompt="a cat")


def test_a_stream_without_content_has_an_end():
    out, translator = streamed(b"[DONE]")
    assert b'"finish_reason":"stop"' in out
    assert out.endswith(b"data: [DONE]\n\n")
    assert (translator.done, translator.usage) == (True, None)


def test_a_stream_that_breaks_off_is_not_done():
    _, translator = streamed(b'{"response":"Hi"}')
    assert (translator.done, translator.deltas) == (False, 1)
