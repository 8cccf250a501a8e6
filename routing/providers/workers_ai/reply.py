"""The vendor's envelope as OpenAI's answers."""

from __future__ import annotations

from typing import Any

import orjson

from routing.call import Answer, Call, Json, Target, Usage
from routing.providers import failures, outgoing, reading
from routing.providers.chunks import created, shown_usage, tool_call
from routing.providers.openai.usage import usage_classes
from routing.providers.vectors import are_vectors, embedding_list


def completion(call: Call, target: Target, body: bytes) -> Answer:
    """Raises `UpstreamInvalid` where the envelope holds no answer."""
    found = result(target, body)
    usage = read_usage(found)
    head = {"id": answer_id(call), "object": "chat.completion", "created": created(call), "provider": target.provider.id}
    if isinstance(found.get("choices"), list):
        named = found.get("model")
        model = named if isinstance(named, str) else target.model or call.model
        return Answer(orjson.dumps({**head, "model": model, **found, "object": "chat.completion"}), usage, model)
    text = as_text(found.get("response"))
    calls = called(found.get("tool_calls"), call, 0)
    if text is None and not calls:
        raise failures.invalid(target, "the answer has no response", body)
    message: Json = {"role": "assistant", "content": text if text or not calls else None, "refusal": None}
    if calls:
        message["tool_calls"] = calls
    model = target.model or call.model
    finish = "tool_calls" if calls else "stop"
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    translated: Json = {**head, "model": model, "choices": [choice]}
    if usage is not None:
        translated["usage"] = shown_usage(usage)
    return Answer(orjson.dumps(translated), usage, model)


def vectors(call: Call, target: Target, body: bytes) -> Answer:
    """Raises `UpstreamInvalid` where the envelope holds no vectors."""
    found = result(target, body)
    data = found.get("data")
    if not are_vectors(data):
        raise failures.invalid(target, "the answer has no list `data` of vectors", body)
    usage = read_usage(found)
    encoding = outgoing.merged(call, target).get("encoding_format")
    listed = embedding_list(data or [], target.model or call.model, usage or Usage(), encoding)
    return Answer(orjson.dumps(listed), usage)


def result(target: Target, body: bytes) -> Json:
    """What the envelope holds. Raises `UpstreamInvalid` where there is none, or it says that the call failed."""
    try:
        envelope = reading.loads(body)
    except orjson.JSONDecodeError:
        raise failures.invalid(target, "the answer is not JSON" if body.strip() else "the answer is empty", body) from None
    found = envelope.get("result") if isinstance(envelope, dict) else None
    if not isinstance(found, dict) or envelope.get("success") is False:
        raise failures.invalid(target, "the answer has no result", body)
    return found


def read_usage(found: Json) -> Usage | None:
    usage = found.get("usage")
    return usage_classes(usage) if isinstance(usage, dict) else None


def answer_id(call: Call) -> str:
    """Most models name their answers not, so that the call's own name stands in."""
    return f"chatcmpl-{call.id}"


def as_text(response: Any) -> str | None:
    """What the model says; in JSON mode the vendor gives it parsed."""
    if response is None or isinstance(response, str):
        return response
    return orjson.dumps(response).decode()


def called(given: Any, call: Call, first: int) -> list[Json]:
    """Calls of functions, in the vendor's short form or in OpenAI's; `first` is the place of the first one."""
    found: list[Json] = []
    for one in given if isinstance(given, list) else []:
        function = one.get("function", one) if isinstance(one, dict) else None
        if not isinstance(function, dict) or not function.get("name"):
            continue
        arguments = function.get("arguments")
        text = arguments if isinstance(arguments, str) else orjson.dumps(arguments or {}).decode()
        found.append(tool_call(one.get("id") or f"call_{first + len(found)}_{call.id}", function["name"], text))
    return found
