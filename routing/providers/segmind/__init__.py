"""Segmind's pictures: the model stands in the address, and the picture comes back as base64."""

from __future__ import annotations

from typing import NoReturn
from urllib.parse import quote

import orjson

from routing.call import Answer, Call, Target, UpstreamRequest
from routing.errors import ProviderError, Unsupported
from routing.providers import failures, outgoing, pictures
from routing.providers.wishes import Wishes


class SegmindDialect:
    """See `Dialect`."""

    def streams(self, call: Call, target: Target) -> bool:
        return False

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        """The call in the vendor's words. Raises `Unsupported` or `InvalidRequest` with the path of the field."""
        wishes = Wishes(target)
        body = outgoing.merged(call, target)
        model = outgoing.require_model(body, target)
        sent = {"prompt": pictures.prompt(body), "base64": True, **pictures.rest(body, wishes)}
        if body.get("n") is not None:
            sent["samples"] = body["n"]
        if body.get("style") is not None:
            sent["style"] = body["style"]
        if (size := pictures.size(body)) is not None:
            sent["img_width"], sent["img_height"] = size
        url = outgoing.url(target, quote(model, safe=""))
        return UpstreamRequest(url, outgoing.headers(call, target), orjson.dumps(sent), dropped=wishes.dropped)

    def reply(self, call: Call, target: Target, body: bytes) -> Answer:
        """The picture, or several, as OpenAI's list. Raises `UpstreamInvalid` where there is none."""
        found = pictures.parsed(target, body).get("image")
        return pictures.answer(call, target, found if isinstance(found, list) else [found], body)

    def stream(self, call: Call, target: Target) -> NoReturn:
        raise Unsupported(f"{target.provider.label} does not stream pictures.", param="stream")

    def error(self, target: Target, status: int, body: bytes) -> ProviderError:
        """The vendor's error with its status kept."""
        return failures.provider_error(target, status, body)
