"""Pictures: asked for by a text, and answered as base64 inside the envelope or as the picture itself."""

from __future__ import annotations

import base64
import re

import orjson

from routing.call import Answer, Call, Json, Target, Usage
from routing.errors import InvalidRequest
from routing.providers import failures
from routing.providers.chunks import created
from routing.providers.wishes import Wishes
from routing.providers.workers_ai.reply import result

_SIZE = re.compile(r"(\d{1,4})x(\d{1,4})")
# Values that change nothing, or that say what the vendor does anyway.
_HARMLESS: dict[str, tuple[object, ...]] = {"n": (1,), "response_format": ("b64_json",), "quality": ("auto",), "style": ()}
_LEFT_OUT = frozenset({"model", "user", "size", *_HARMLESS})
# How PNG, JPEG and WebP files begin.
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF")


def picture_asked(body: Json, wishes: Wishes) -> Json:
    """The body of the request; the vendor's own parameters go on as they are, ``steps`` under both of its names."""
    for field, harmless in _HARMLESS.items():
        if body.get(field) is not None and body[field] not in harmless:
            wishes.refuse(field)
    out = {key: value for key, value in body.items() if key not in _LEFT_OUT and value is not None}
    if "steps" in out:
        out["num_steps"] = out["steps"]
    size = body.get("size")
    if size not in (None, "auto"):
        match = _SIZE.fullmatch(size) if isinstance(size, str) else None
        if match is None:
            raise InvalidRequest("size must be a width and a height, such as 1024x1024.", param="size")
        out["width"], out["height"] = int(match[1]), int(match[2])
    return out


def picture(call: Call, target: Target, body: bytes) -> Answer:
    """Raises `UpstreamInvalid` where the body is no picture and holds none. Pictures are not billed by tokens."""
    if body.startswith(_PICTURES):
        data = base64.b64encode(body).decode()
    else:
        found = result(target, body).get("image")
        if not isinstance(found, str) or not found:
            raise failures.invalid(target, "the answer has no image", body)
        data = found
    return Answer(orjson.dumps({"created": created(call), "data": [{"b64_json": data}]}), Usage())
