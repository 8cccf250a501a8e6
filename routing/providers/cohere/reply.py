"""Cohere's answers in OpenAI's words.

The vendor counts twice: the tokens that the model read and wrote, and those that it bills. The caller sees the former, as
elsewhere; the latter are the record's, because they are the money.
"""

from __future__ import annotations

from typing import Any

import orjson

from routing.call import MOST_TOKENS, Answer, Call, Json, Target, Usage
from routing.errors import InvalidRequest
from routing.providers import embedded, failures, outgoing, reading
from routing.providers.chunks import created, shown_usage, tool_call
from routing.providers.cohere.embeddings import vectors_in

_FINISH = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "ERROR": "stop",
    "TIMEOUT": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
    "ERROR_TOXIC": "content_filter",
}


def parsed(target: Target, body: bytes) -> Json:
    """The body as an object. Raises `UpstreamInvalid`."""
    try:
        answer: Any = reading.loads(body)
    except orjson.JSONDecodeError:
        raise failures.invalid(target, "the answer is not JSON" if body.strip() else "the answer is empty", body) from None
    if not isinstance(answer, dict):
        raise failures.invalid(target, "the answer is not a JSON object", body)
    return answer


def completion(call: Call, target: Target, body: bytes) -> Answer:
    """A chat's answer. Raises `UpstreamInvalid` where the body is none."""
    answer = parsed(target, body)
    message = answer.get("message")
    if not isinstance(message, dict):
        raise failures.invalid(target, "the answer is not a message", body)
    billed, shown = usages(answer.get("usage"))
    completed: Json = {
        "id": answer.get("id"),
        "object": "chat.completion",
        "created": created(call),
        "model": target.model or call.model,
        "provider": target.provider.id,
        "choices": [
            {
                "index": 0,
                "message": _message(message, target),
                "logprobs": None,
                "finish_reason": finish_reason(answer.get("finish_reason"), strict=target.strict),
            }
        ],
    }
    if shown is not None:
        completed["usage"] = shown
    return Answer(body=orjson.dumps(completed), usage=billed)


def finish_reason(reason: Any, *, strict: bool) -> str:
    """OpenAI's word; where the target is not strict, the vendor's own."""
    if not isinstance(reason, str):
        return "stop"
    return _FINISH.get(reason, "stop") if strict else reason


def usages(usage: Any) -> tuple[Usage | None, Json | None]:
    """What is billed, and what the caller is shown; each stands in for the other where the vendor gives only one."""
    if not isinstance(usage, dict):
        return None, None
    cached = _count(usage, "cached_tokens")
    tokens, billed = (_tokens(usage.get(name), cached) for name in ("tokens", "billed_units"))
    seen = tokens or billed
    return billed or tokens, None if seen is None else shown_usage(seen)


def embeddings(call: Call, target: Target, body: bytes) -> Answer:
    """OpenAI's list of embeddings. Raises `UpstreamInvalid`."""
    answer = parsed(target, body)
    units = _billed(answer)
    tokens = _count(units, "input_tokens") if "input_tokens" in units else None
    return embedded.answer(call, target, vectors_in(answer), tokens)


def ranking(call: Call, target: Target, body: bytes) -> Answer:
    """The vendor's ranking, whose form others have taken over; with the documents, if the caller wants them back."""
    answer = parsed(target, body)
    results = answer.get("results")
    if not isinstance(results, list):
        raise failures.invalid(target, "the answer has no list `results`", body)
    asked = outgoing.merged(call, target)
    if asked.get("return_documents") is True:
        texts = documents(asked.get("documents"))
        for result in results:
            place = result.get("index") if isinstance(result, dict) else None
            if isinstance(place, int) and 0 <= place < len(texts):
                result["document"] = {"text": texts[place]}
    return Answer(body=orjson.dumps({**answer, "model": target.model or call.model}), usage=None)


def documents(given: Any) -> list[str]:
    """The documents of a ranking as texts. Raises `InvalidRequest` with the path."""
    if not isinstance(given, list) or not given:
        raise InvalidRequest("documents must be a list with at least one document.", param="documents")
    texts = []
    for index, document in enumerate(given):
        text = document.get("text") if isinstance(document, dict) else document
        if not isinstance(text, str):
            raise InvalidRequest(f"documents[{index}] must be a text or an object with one.", param=f"documents[{index}]")
        texts.append(text)
    return texts


def _billed(answer: Json) -> Json:
    meta = answer.get("meta")
    units = meta.get("billed_units") if isinstance(meta, dict) else None
    return units if isinstance(units, dict) else {}


def _tokens(units: Any, cached: int) -> Usage | None:
    if not isinstance(units, dict) or not units.keys() & {"input_tokens", "output_tokens"}:
        return None
    prompt = _count(units, "input_tokens")
    read = min(cached, prompt)
    return Usage(input_tokens=prompt - read, cache_read_tokens=read, output_tokens=_count(units, "output_tokens"))


def _count(units: Json, key: str) -> int:
    value = units.get(key)
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS else 0


def _message(message: Json, target: Target) -> Json:
    content = message.get("content")
    parts = [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
    texts = [part["text"] for part in parts if part.get("type") == "text" and isinstance(part.get("text"), str)]
    if isinstance(content, str):
        texts = [content]
    called = message.get("tool_calls")
    calls = [_call(call) for call in called if isinstance(call, dict)] if isinstance(called, list) else []
    shown: Json = {"role": "assistant", "content": "".join(texts) if texts or not calls else None, "refusal": None}
    if calls:
        shown["tool_calls"] = calls
    if not target.strict:
        shown["content_blocks"] = parts
        shown |= {key: message[key] for key in ("tool_plan", "citations") if message.get(key)}
    return shown


def _call(call: Json) -> Json:
    function = call.get("function")
    inner = function if isinstance(function, dict) else {}
    return tool_call(call.get("id"), inner.get("name"), inner.get("arguments") or "{}")
