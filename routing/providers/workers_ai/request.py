"""Chats and embeddings in the vendor's words.

Translated: max_completion_tokens to max_tokens; the role developer to system; a missing text of an assistant to an empty one;
the schema of response_format to the bare schema; a single stop to a list. The vendor's own parameters go on as they are
(``raw``, ``lora``, ``top_k``, ``repetition_penalty``). Left out as mere wishes: user, safety_identifier, metadata, service_tier
and those of `wishes`. Refused: what the vendor has no words for.
"""

from __future__ import annotations

from typing import Any

from routing.call import Json
from routing.errors import InvalidRequest
from routing.providers.wishes import HARMLESS, WISHES, Wishes

_LEFT_OUT = WISHES | {"user", "safety_identifier", "metadata", "service_tier"}
_KNOWN = frozenset({"presence_penalty", "frequency_penalty"})
_UNKNOWN = HARMLESS.keys() - _KNOWN


def chat(body: Json, wishes: Wishes) -> Json:
    """The body of the request. Raises `Unsupported` or `InvalidRequest` with the path of the field."""
    wishes.refuse_all(body, but=_KNOWN)
    dropped = _LEFT_OUT | _UNKNOWN | {"model", "max_completion_tokens", "response_format"}
    out = {key: value for key, value in body.items() if key not in dropped and value is not None}
    limit = body.get("max_completion_tokens")
    if limit is not None:
        out["max_tokens"] = limit
    if body.get("stream") is True:
        out["stream"] = True
    if isinstance(out.get("stop"), str):
        out["stop"] = [out["stop"]]
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise InvalidRequest("messages must be a list with at least one message.", param="messages")
    out["messages"] = [_message(message, f"messages[{number}]") for number, message in enumerate(messages)]
    form = body.get("response_format")
    if isinstance(form, dict) and form.get("type") != "text":
        out["response_format"] = _format(form)
    return out


def embedding(body: Json, wishes: Wishes) -> Json:
    """A list of texts. The vendor's models have vectors of one length each."""
    if body.get("dimensions") is not None:
        wishes.refuse("dimensions")
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise InvalidRequest("input must be a text or a list of texts: this vendor takes no tokens.", param="input")
    return {"text": texts} | ({"pooling": body["pooling"]} if body.get("pooling") is not None else {})


def _message(message: Any, path: str) -> Json:
    if not isinstance(message, dict):
        raise InvalidRequest(f"{path} must be an object.", param=path)
    kept = {key: value for key, value in message.items() if value is not None}
    if kept.get("role") == "developer":
        kept["role"] = "system"
    kept.setdefault("content", "")
    return kept


def _format(form: Json) -> Json:
    named = form.get("json_schema")
    if form.get("type") == "json_schema" and isinstance(named, dict) and isinstance(named.get("schema"), dict):
        return {"type": "json_schema", "json_schema": named["schema"]}
    return form
