"""Stability's pictures: two older models by JSON with several pictures each, all others by a form with one.

Errors of both have ``errors`` or ``message``, which `failures` reads.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import quote

import orjson

from routing.call import Answer, Call, Json, Target, UpstreamRequest
from routing.errors import InvalidRequest, ProviderError, Unsupported
from routing.providers import failures, outgoing, pictures
from routing.providers.wishes import Wishes

# These are asked by JSON at ``/v1/generation``.
_OLDER = ("stable-diffusion-xl-1024-v1-0", "stable-diffusion-v1-6")
# The newer addresses: of these models, and of the family that one address serves with the model in a field.
_PLACES = {"stable-image-core": "core", "stable-image-ultra": "ultra", "core": "core", "ultra": "ultra", "sd3": "sd3"}
_FAMILY = "sd3"
_RATIOS = frozenset({"16:9", "1:1", "21:9", "2:3", "3:2", "4:5", "5:4", "9:16", "9:21"})


class StabilityDialect:
    """See `Dialect`."""

    def streams(self, call: Call, target: Target) -> bool:
        return False

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        """The call in the vendor's words. Raises `Unsupported` or `InvalidRequest` with the path of the field."""
        wishes = Wishes(target)
        body = outgoing.merged(call, target)
        model = outgoing.require_model(body, target)
        headers = outgoing.headers(call, target)
        if model in _OLDER:
            url = outgoing.url(target, f"v1/generation/{quote(model, safe='')}/text-to-image")
            return UpstreamRequest(url, headers, orjson.dumps(_older(body, wishes)), dropped=wishes.dropped)
        place = _PLACES.get(model) or (_FAMILY if model.startswith(_FAMILY) else quote(model, safe=""))
        fields = _newer(body, wishes)
        if place == _FAMILY and model != _FAMILY:
            fields["model"] = model
        # Named after the call, so that a second try sends the same bytes.
        boundary = f"gatehouse-{call.id}"
        headers["content-type"] = f"multipart/form-data; boundary={boundary}"
        url = outgoing.url(target, f"v2beta/stable-image/generate/{place}")
        return UpstreamRequest(url, headers, _form(fields, boundary), dropped=wishes.dropped)

    def reply(self, call: Call, target: Target, body: bytes) -> Answer:
        """The pictures as OpenAI's list. Raises `UpstreamInvalid` where there is none, or a filter took it."""
        found = pictures.parsed(target, body)
        artifacts = found.get("artifacts")
        made = artifacts if isinstance(artifacts, list) else [found]
        if any(
            isinstance(one, dict) and one.get("finish_reason", one.get("finishReason")) == "CONTENT_FILTERED" for one in made
        ):
            raise failures.invalid(target, "the picture was taken by the vendor's filter")
        return pictures.answer(call, target, [_picture(one) for one in made], body)

    def stream(self, call: Call, target: Target) -> NoReturn:
        raise Unsupported(f"{target.provider.label} does not stream pictures.", param="stream")

    def error(self, target: Target, status: int, body: bytes) -> ProviderError:
        """The vendor's error with its status kept."""
        return failures.provider_error(target, status, body)


def _older(body: Json, wishes: Wishes) -> Json:
    sent: Json = {"text_prompts": [{"text": pictures.prompt(body)}], **pictures.rest(body, wishes)}
    if body.get("n") is not None:
        sent["samples"] = body["n"]
    if (size := pictures.size(body)) is not None:
        sent["width"], sent["height"] = size
    if body.get("style") is not None:
        sent["style_preset"] = body["style"]
    return sent


def _newer(body: Json, wishes: Wishes) -> dict[str, Any]:
    fields: dict[str, Any] = {"prompt": pictures.prompt(body), **pictures.rest(body, wishes)}
    if body.get("n") not in (None, 1):
        wishes.refuse("n")
    if (size := pictures.size(body)) is not None:
        fields["aspect_ratio"] = _ratio(*size)
    if body.get("style") is not None:
        fields["style_preset"] = body["style"]
    return fields


def _ratio(width: int, height: int) -> str:
    """The vendor knows shapes, not sizes."""
    divisor = math.gcd(width, height) or 1
    ratio = f"{width // divisor}:{height // divisor}"
    if ratio not in _RATIOS:
        raise InvalidRequest(f"size must have one of the shapes {', '.join(sorted(_RATIOS))}.", param="size")
    return ratio


def _form(fields: Mapping[str, Any], boundary: str) -> bytes:
    """Raises `InvalidRequest` for a value that cannot stand in a form, or would end its part."""
    parts = []
    for name, value in fields.items():
        if isinstance(value, dict | list) or boundary in str(value) or not name.isidentifier():
            raise InvalidRequest(f"{name[:100]}: must be a text or a number.", param=name[:100])
        text = str(value).lower() if isinstance(value, bool) else str(value)
        parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n')
    return ("".join(parts) + f"--{boundary}--\r\n").encode()


def _picture(made: Any) -> object:
    return made.get("image") or made.get("base64") if isinstance(made, dict) else None
