"""The vendors of pictures with words of their own, and Nomic's vectors."""

import email

import orjson
import pytest

from routing.call import Endpoint
from routing.errors import InvalidRequest, Unsupported, UpstreamInvalid
from tests.routing.providers.pairs import make_call, make_target

ONE = "iVBORw0KGgo="


def draw(**body):
    return make_call({"prompt": "A gate at night", **body}, Endpoint.IMAGES)


def asked(provider, target=None, **body):
    found = target or make_target(provider)
    return found.provider.dialect.request(draw(**body), found)


def fields_of(request):
    head = f"content-type: {request.headers['content-type']}\r\n\r\n".encode()
    parts = email.message_from_bytes(head + request.body).get_payload()
    return {part.get_param("name", header="content-disposition"): part.get_payload() for part in parts}


@pytest.mark.parametrize(
    ("model", "place", "named"),
    [
        ("stable-image-core", "core", None),
        ("ultra", "ultra", None),
        ("sd3.5-large-turbo", "sd3", "sd3.5-large-turbo"),
        ("new/model", "new%2Fmodel", None),
    ],
)
def test_a_newer_model_of_stability_is_asked_by_a_form(model, place, named):
    request = asked("stability-ai", model=model, size="1024x1024", style="anime", negative_prompt="day", seed=7)
    assert request.url == f"https://api.stability.ai/v2beta/stable-image/generate/{place}"
    assert request.headers["accept"] == "application/json"
    wanted = {
        "prompt": "A gate at night",
        "aspect_ratio": "1:1",
        "style_preset": "anime",
        "negative_prompt": "day",
        "seed": "7",
    }
    assert fields_of(request) == wanted | ({"model": named} if named else {})
    assert asked("stability-ai", model=model, size="1024x1024", style="anime", negative_prompt="day", seed=7) == request


def test_a_value_cannot_break_out_of_its_part():
    request = asked("stability-ai", model="core", prompt='x"\r\n\r\nContent-Disposition: form-data; name="seed"')
    assert set(fields_of(request)) == {"prompt"}
    for extra in ({"seed": "--gatehouse-call-1--"}, {"seed": [1]}, {'a"b': 1}):
        with pytest.raises(InvalidRequest):
            asked("stability-ai", model="core", **extra)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": "core", "size": "1792x1024"}, "size"),
        ({"model": "core", "size": "big"}, "size"),
        ({"model": "core", "prompt": ""}, "prompt"),
        ({"model": "core", "n": 2}, "n"),
        ({"model": "core", "response_format": "url"}, "response_format"),
        ({"model": "stable-diffusion-v1-6", "quality": "hd"}, "quality"),
    ],
)
def test_what_stability_cannot_do_is_refused_by_name(body, param):
    with pytest.raises((InvalidRequest, Unsupported)) as caught:
        asked("stability-ai", **body)
    assert caught.value.param == param


def test_a_target_may_leave_out_what_cannot_be_said():
    request = asked("stability-ai", make_target("stability-ai", drop_unsupported=True), model="core", n=2, quality="hd")
    assert set(request.dropped) == {"n", "quality"}


def test_a_newer_picture_and_several_older_ones_are_a_list():
    target = make_target("stability-ai")
    newer = target.provider.dialect.reply(draw(model="core"), target, orjson.dumps({"image": ONE, "finish_reason": "SUCCESS"}))
    assert orjson.loads(newer.body)["data"] == [{"b64_json": ONE}]
    both = {"artifacts": [{"base64": ONE, "finishReason": "SUCCESS"}, {"base64": "AAAA", "finishReason": "SUCCESS"}]}
    older = target.provider.dialect.reply(draw(model="stable-diffusion-v1-6"), target, orjson.dumps(both))
    assert orjson.loads(older.body)["data"] == [{"b64_json": ONE}, {"b64_json": "AAAA"}]


@pytest.mark.parametrize(
    "body",
    [{"image": ONE, "finish_reason": "CONTENT_FILTERED"}, {"artifacts": [{"base64": ONE, "finishReason": "CONTENT_FILTERED"}]}],
)
def test_a_filtered_picture_is_no_picture(body):
    target = make_target("stability-ai")
    with pytest.raises(UpstreamInvalid, match="filter"):
        target.provider.dialect.reply(draw(model="core"), target, orjson.dumps(body))


def test_segmind_gets_its_own_parameters_as_they_are():
    request = asked("segmind", model="../../admin", steps=20, style="anime", n=2)
    assert request.url == "https://api.segmind.com/v1/..%2F..%2Fadmin"
    wanted = {"prompt": "A gate at night", "base64": True, "steps": 20, "style": "anime", "samples": 2}
    assert orjson.loads(request.body) == wanted
    target = make_target("segmind")
    answer = target.provider.dialect.reply(draw(model="sdxl"), target, orjson.dumps({"image": [ONE, "AAAA"]}))
    assert orjson.loads(answer.body)["data"] == [{"b64_json": ONE}, {"b64_json": "AAAA"}]


@pytest.mark.parametrize("given", [[1, 2], [], None, [["a"]], 5])
def test_nomic_takes_texts_alone(given):
    target = make_target("nomic")
    with pytest.raises(InvalidRequest) as caught:
        target.provider.dialect.request(make_call({"model": "m", "input": given}, Endpoint.EMBEDDINGS), target)
    assert caught.value.param == "input"


def test_nomic_answers_base64_to_those_who_ask_for_it():
    target = make_target("nomic")
    call = make_call(
        {"model": "m", "input": "one", "encoding_format": "base64", "task_type": "search_query"}, Endpoint.EMBEDDINGS
    )
    request = target.provider.dialect.request(call, target)
    assert orjson.loads(request.body) == {"model": "m", "texts": ["one"], "task_type": "search_query"}
    answer = target.provider.dialect.reply(call, target, b'{"embeddings": [[0.5, -1.0]]}')
    assert orjson.loads(answer.body)["data"][0]["embedding"] == "AAAAPwAAgL8="
