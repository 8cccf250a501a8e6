"""An answer of ``/api/chat`` as a chat completion, and what its lines have in common with it."""

from __future__ import annotations

from typing import Any

import orjson

from routing.call import MOST_TOKENS, Answer, Call, Json, Target, Usage
from routing.providers import failures, reading
from routing.providers.chunks import created, shown_usage, tool_call


def completion(call: Call, target: Target, body: bytes) -> Answer:
    """Raises `UpstreamInvalid` where the body is no answer."""
    answer = parsed(target, body)
    said = answer.get("message")
    if not isinstance(said, dict):
        raise failures.invalid(target, "the answer has no message", body)
    listed = said.get("tool_calls")
    given = (called(one, call, place) for place, one in enumerate(listed if isinstance(listed, list) else []))
    calls = [one for one in given if one is not None]
    content = said.get("content") or ""
    message: Json = {"role": "assistant", "content": content if content or not calls else None, "refusal": None}
    if said.get("thinking"):
        message["reasoning_content"] = said["thinking"]
    if calls:
        message["tool_calls"] = calls
    usage, model = read_usage(answer), answer.get("model")
    logprobs = answer.get("logprobs")
    choice = {
        "index": 0,
        "message": message,
        "logprobs": {"content": logprobs, "refusal": None} if isinstance(logprobs, list) else None,
        "finish_reason": finish_reason(answer.get("done_reason"), called=bool(calls)),
    }
    translated: Json = {
        "id": answer_id(call),
        "object": "chat.completion",
        "created": created(call),
        "model": model if isinstance(model, str) else call.model,
        "provider": target.provider.id,
        "choices": [choice],
    }
    if usage is not None:
        translated["usage"] = shown_usage(usage)
    return Answer(orjson.dumps(translated), usage, model if isinstance(model, str) else None)


def parsed(target: Target, body: bytes) -> Json:
    """The JSON object of a body. Raises `UpstreamInvalid` where it is none, or an error."""
    try:
        answer = reading.loads(body)
    except orjson.JSONDecodeError:
        raise failures.invalid(target, "the answer is not JSON" if body.strip() else "the answer is empty", body) from None
    if not isinstance(answer, dict):
        raise failures.invalid(target, "the answer is not a JSON object", body)
    if answer.get("error"):
        raise failures.invalid(target, "the answer is an error", body)
    return answer


def answer_id(call: Call) -> str:
    """The vendor names its answers not, so that the call's own name stands in."""
    return f"chatcmpl-{call.id}"


def called(given: Any, call: Call, place: int) -> Json | None:
    """A call of a function; the vendor gives its arguments as an object, and older servers give it no id."""
    function = given.get("function") if isinstance(given, dict) else None
    if not isinstance(function, dict):
        return None
    return tool_call(
        given.get("id") or f"call_{place}_{call.id}",
        function.get("name"),
        orjson.dumps(function.get("arguments") or {}).decode(),
    )


def finish_reason(reason: Any, *, called: bool) -> str:
    """OpenAI's word for the end."""
    if called:
        return "tool_calls"
    return "length" if reason == "length" else "stop"


def read_usage(answer: Json) -> Usage | None:
    """The counts of a whole answer or of a last line; None where there are none. A cached prompt is counted as no prompt."""
    prompt, completion_tokens = _count(answer.get("prompt_eval_count")), _count(answer.get("eval_count"))
    if prompt is None and completion_tokens is None:
        return None
    return Usage(input_tokens=prompt or 0, output_tokens=completion_tokens or 0)


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS else None
