"""Cohere's embeddings: the body that its own API and AWS's model of the same name share, and the vectors of the answer.

``dimensions`` is ``output_dimension``. The vendor asks for ``input_type``, which OpenAI does not know: without the caller's it
is that of texts that are stored to be searched. An input of objects holds images, or texts and images mixed.
"""

from __future__ import annotations

from typing import Any

from routing.call import Json
from routing.errors import InvalidRequest
from routing.providers import embedded
from routing.providers.wishes import WISHES, Wishes

DEFAULT_INPUT_TYPE = "search_document"
_TRANSLATED = frozenset({"model", "input", "encoding_format", "dimensions", "user", "embedding_types"}) | WISHES


def translated(body: Json, wishes: Wishes) -> Json:
    """The body without the model. Raises `Unsupported` or `InvalidRequest` with the path of the field."""
    embedded.encoding(body)
    out = {key: value for key, value in body.items() if key not in _TRANSLATED and value is not None}
    given = body.get("input")
    listed = given if isinstance(given, list) else [given]
    if any(isinstance(item, dict) for item in listed):
        out |= _mixed(listed, wishes)
    elif given is not None or not out.keys() & {"texts", "images", "inputs"}:
        out["texts"] = embedded.texts(body, wishes)
    out.setdefault("input_type", DEFAULT_INPUT_TYPE)
    types = body.get("embedding_types") or ["float"]
    if not isinstance(types, list) or len(types) != 1:
        wishes.never("embedding_types", "An answer has one vector for each input: name one of the embedding_types.")
    out["embedding_types"] = types
    if (dimensions := body.get("dimensions")) is not None:
        out["output_dimension"] = dimensions
    return out


def vectors_in(parsed: Json) -> Any:
    """The list of vectors: by the one type that was asked for, or as AWS's older models give it."""
    found = parsed.get("embeddings")
    return next((value for value in found.values() if value), None) if isinstance(found, dict) else found


def _mixed(items: list[Any], wishes: Wishes) -> Json:
    """``images`` where each item is one image alone, else ``inputs``, in which texts and images may be mixed."""
    contents = [_content(item, f"input[{index}]", wishes) for index, item in enumerate(items)]
    if all(len(content) == 1 and content[0]["type"] == "image_url" for content in contents):
        return {"images": [content[0]["image_url"]["url"] for content in contents]}
    return {"inputs": [{"content": content} for content in contents]}


def _content(item: Any, path: str, wishes: Wishes) -> list[Json]:
    if isinstance(item, str):
        return [{"type": "text", "text": item}]
    if isinstance(item, dict) and isinstance(item.get("content"), list):
        content: list[Json] = item["content"]
        return content
    if not isinstance(item, dict):
        raise InvalidRequest(f"{path} must be a text or an object with a text or an image.", param=path)
    text, image = item.get("text"), item.get("image")
    if isinstance(image, dict):
        image = image.get("url") or image.get("base64")
    if item.keys() - {"text", "image"} or not (isinstance(text, str) or isinstance(image, str)):
        wishes.never(path, f"{wishes.label} takes texts and images only.")
    parts: list[Json] = [{"type": "text", "text": text}] if isinstance(text, str) else []
    return parts + ([{"type": "image_url", "image_url": {"url": image}}] if isinstance(image, str) else [])
