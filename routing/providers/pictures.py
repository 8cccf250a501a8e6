"""What the vendors of pictures have in common: OpenAI's size as two numbers, and their pictures as OpenAI's list."""

from __future__ import annotations

import re
from collections.abc import Sequence

import orjson

from routing.call import Answer, Call, Json, Target, Usage
from routing.errors import InvalidRequest
from routing.providers import failures, reading
from routing.providers.chunks import created
from routing.providers.wishes import Wishes

_SIZE = re.compile(r"(\d{1,4})x(\d{1,4})")
# Answers are base64 whatever the caller asks for, so that only the other wish is refused; the rest change nothing.
_HARMLESS: dict[str, tuple[object, ...]] = {
    "response_format": ("b64_json",),
    "quality": ("auto", "standard"),
    "background": ("auto",),
    "moderation": ("auto",),
    "stream": (False,),
}
# Of OpenAI's parameters, those that are said in other words or to nobody.
SPOKEN = frozenset({"model", "prompt", "n", "size", "style", "user", *_HARMLESS})


def prompt(body: Json) -> str:
    """Raises `InvalidRequest` where there is none."""
    given = body.get("prompt")
    if not isinstance(given, str) or not given:
        raise InvalidRequest("prompt must be a text.", param="prompt")
    return given


def size(body: Json) -> tuple[int, int] | None:
    """Width and height in pixels; None where the vendor is to choose. Raises `InvalidRequest` for what is no size."""
    given = body.get("size")
    if given in (None, "auto"):
        return None
    match = _SIZE.fullmatch(given) if isinstance(given, str) else None
    if match is None:
        raise InvalidRequest("size must be a width and a height, such as 1024x1024.", param="size")
    return int(match[1]), int(match[2])


def rest(body: Json, wishes: Wishes) -> Json:
    """The vendor's own parameters, which go on as they are. Refuses those of OpenAI that the vendor has no words for."""
    for name, harmless in _HARMLESS.items():
        if body.get(name) is not None and body[name] not in harmless:
            wishes.refuse(name)
    return {name: value for name, value in body.items() if name not in SPOKEN and value is not None}


def answer(call: Call, target: Target, pictures: Sequence[object], body: bytes) -> Answer:
    """The list. Raises `UpstreamInvalid` where a picture is none. Pictures are not billed by tokens."""
    if not pictures or not all(isinstance(picture, str) and picture for picture in pictures):
        raise failures.invalid(target, "the answer has no picture", body)
    data = [{"b64_json": picture} for picture in pictures]
    return Answer(orjson.dumps({"created": created(call), "data": data}), Usage(), target.model or call.model)


def parsed(target: Target, body: bytes) -> Json:
    """The JSON object that came. Raises `UpstreamInvalid`."""
    try:
        found = reading.loads(body)
    except orjson.JSONDecodeError:
        raise failures.invalid(target, "the answer is not JSON" if body.strip() else "the answer is empty", body) from None
    if not isinstance(found, dict):
        raise failures.invalid(target, "the answer is not a JSON object", body)
    return found
