"""Embeddings through InvokeModel: Amazon's Titan models, which take one text or image a call, and Cohere's, which take many."""

from __future__ import annotations

from typing import Any

import orjson

from routing.call import MOST_TOKENS, Answer, Call, Json, Target
from routing.errors import InvalidRequest
from routing.providers import embedded, failures, reading
from routing.providers.bedrock.names import family, plain_name
from routing.providers.cohere import embeddings as cohere
from routing.providers.wishes import WISHES, Wishes

_TITAN_TEXT, _TITAN_IMAGE, _COHERE = "amazon.titan-embed-text", "amazon.titan-embed-image", "cohere.embed"
_TITAN_TRANSLATED = frozenset({"model", "input", "encoding_format", "dimensions", "user", "image"}) | WISHES


def translated(body: Json, model: str, wishes: Wishes) -> Json:
    """The body of InvokeModel. Raises `Unsupported` or `InvalidRequest` with the path of the field."""
    embedded.encoding(body)
    name = plain_name(model)
    if name.startswith(_COHERE):
        return cohere.translated(body, wishes)
    if name.startswith(_TITAN_IMAGE):
        return _titan_image(body, wishes)
    if name.startswith(_TITAN_TEXT):
        out = {"inputText": _one(body, wishes), **_rest(body)}
        if (dimensions := body.get("dimensions")) is not None:
            if name.startswith(f"{_TITAN_TEXT}-v1"):
                wishes.refuse("dimensions", f"{model} has one length of vector only.")
            else:
                out["dimensions"] = dimensions
        return out
    return wishes.never(
        "model", f"{wishes.label} has embeddings of Titan and Cohere models through this gateway, not of {name!r}."
    )


def answer(call: Call, target: Target, body: bytes) -> Answer:
    """OpenAI's list of embeddings. Raises `UpstreamInvalid` where the body holds none."""
    try:
        parsed: Any = reading.loads(body)
    except orjson.JSONDecodeError:
        raise failures.invalid(target, "the answer is not JSON" if body.strip() else "the answer is empty", body) from None
    if not isinstance(parsed, dict):
        raise failures.invalid(target, "the answer is not a JSON object", body)
    if family(target.model or call.model) == "cohere":
        # How many tokens it was stands in a header only.
        return embedded.answer(call, target, cohere.vectors_in(parsed), None)
    vector = parsed.get("embedding")
    if vector is None and isinstance(by_type := parsed.get("embeddingsByType"), dict):
        vector = next(iter(by_type.values()), None)
    tokens = parsed.get("inputTextTokenCount")
    known = isinstance(tokens, int) and 0 <= tokens <= MOST_TOKENS
    return embedded.answer(call, target, [vector], tokens if known else None)


def _one(body: Json, wishes: Wishes) -> str:
    listed = embedded.texts(body, wishes)
    if len(listed) > 1:
        wishes.never("input", f"{wishes.label} takes one text a call for this model.")
    return listed[0]


def _rest(body: Json) -> Json:
    """The vendor's own parameters, such as `normalize` and `embeddingTypes`."""
    return {key: value for key, value in body.items() if key not in _TITAN_TRANSLATED and value is not None}


def _titan_image(body: Json, wishes: Wishes) -> Json:
    """Of a text, an image or both: ``{"text": ..., "image": <base64 or data URL>}`` as the input, or a plain text."""
    given = body.get("input")
    listed = given if isinstance(given, list) else [given]
    if len(listed) == 1 and isinstance(listed[0], dict):
        out: Json = {}
        text, image = listed[0].get("text"), listed[0].get("image")
        if isinstance(text, str):
            out["inputText"] = text
        if isinstance(image, str):
            if image.startswith(("http://", "https://")):
                wishes.never("input[0].image", f"{wishes.label} fetches no web address: send the image itself.")
            out["inputImage"] = image.partition(",")[2] if image.startswith("data:") else image
        if not out:
            raise InvalidRequest("input[0] needs a text or an image.", param="input[0]")
    else:
        out = {"inputText": _one(body, wishes)}
    out |= _rest(body)
    if (dimensions := body.get("dimensions")) is not None:
        out["embeddingConfig"] = {"outputEmbeddingLength": dimensions}
    return out
