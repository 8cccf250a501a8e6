"""A ``generateContent`` answer as a chat completion.

Usage follows OpenAI's convention: ``completion_tokens`` holds what was spent on thinking, which the vendor counts apart, and
``prompt_tokens`` what the vendor's own tools read. Where the target is not strict, what OpenAI has no place for stands beside:
thoughts as `content_blocks`, grounding, safety ratings, and the vendor's own word for the end.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Any

import orjson

from routing.call import MOST_TOKENS, Answer, Call, Json, Target, Usage
from routing.providers import failures, reading

_FINISH = {
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "BLOCKLIST": "content_filter",
    "SPII": "content_filter",
    "LANGUAGE": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
}
# What of a candidate is shown beside the choice where the target is not strict.
_BESIDE = ("groundingMetadata", "citationMetadata", "urlContextMetadata", "safetyRatings", "avgLogprobs", "finishMessage")


@dataclass(slots=True)
class Said:
    """What the parts of a candidate say, sorted; of a stream, the parts of one event."""

    texts: list[str] = field(default_factory=list)
    calls: list[Json] = field(default_factory=list)
    images: list[Json] = field(default_factory=list)
    audio: Json | None = None
    blocks: list[Json] = field(default_factory=list)


def completion(call: Call, target: Target, body: bytes) -> Answer:
    """Raises `UpstreamInvalid` where the body is no answer of the vendor's."""
    try:
        data = reading.loads(body)
    except orjson.JSONDecodeError:
        raise failures.invalid(target, "the answer is not JSON" if body.strip() else "the answer is empty", body) from None
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    if not is_answer(data):
        raise failures.invalid(target, "the answer has no candidates", body)
    found = data.get("candidates")
    listed = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    choices = [_choice(candidate, place, call, target) for place, candidate in enumerate(listed)]
    if not choices and (reason := blocked(data)) is not None:
        choices = [_refused(reason, target)]
    usage = read_usage(data.get("usageMetadata"))
    translated: Json = {**head(call, target, data), "object": "chat.completion", "choices": choices}
    if usage is not None:
        translated["usage"] = shown_usage(usage)
    model = data.get("modelVersion")
    return Answer(body=orjson.dumps(translated), usage=usage, model=model if isinstance(model, str) else None)


def is_answer(data: Any) -> bool:
    """Whether this is an answer, or a part of a streamed one: with candidates, refused before the first, or only counted."""
    return isinstance(data, dict) and (
        isinstance(data.get("candidates"), list)
        or isinstance(data.get("promptFeedback"), dict)
        or isinstance(data.get("usageMetadata"), dict)
    )


def head(call: Call, target: Target, data: Json) -> Json:
    """What all chunks and answers begin with. The vendor gives no time, so the call's own stands in."""
    number, model = data.get("responseId"), data.get("modelVersion")
    return {
        "id": number if isinstance(number, str) and number else f"chatcmpl-{call.id}",
        "object": "chat.completion.chunk",
        "created": call.started_at_us // 1_000_000,
        "model": model if isinstance(model, str) else target.model or call.model,
        "provider": target.provider.id,
    }


def blocked(data: Json) -> str | None:
    """Why the vendor refused the question itself; None where it did not."""
    feedback = data.get("promptFeedback")
    reason = feedback.get("blockReason") if isinstance(feedback, dict) else None
    if not isinstance(reason, str):
        return None
    message = feedback.get("blockReasonMessage") if isinstance(feedback, dict) else None
    return f"The prompt was blocked: {message if isinstance(message, str) and message else reason}"


def finish_reason(reason: Any, *, calls: bool, strict: bool) -> str:
    """OpenAI's word; where the target is not strict, the vendor's own."""
    if not strict and isinstance(reason, str):
        return reason
    mapped = _FINISH.get(reason, "stop") if isinstance(reason, str) else "stop"
    return "tool_calls" if calls and mapped == "stop" else mapped


def parts_of(candidate: Json) -> list[Json]:
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []


def sort(parts: list[Json], call: Call, index: int, calls_before: int, *, strict: bool) -> Said:
    """The parts by their kind. `calls_before` are the tool calls of this candidate in earlier events."""
    said = Said()
    for part in parts:
        text, inline = part.get("text"), part.get("inlineData")
        if isinstance(part.get("functionCall"), dict):
            place = calls_before + len(said.calls)
            said.calls.append(_tool_call(part, f"{call.id}/{index}/{place}", strict=strict))
        elif isinstance(text, str) and part.get("thought") is True:
            said.blocks.append(_signed({"type": "thinking", "thinking": text}, part, "signature"))
        elif isinstance(text, str):
            said.texts.append(text)
            said.blocks.append(_signed({"type": "text", "text": text}, part, "thought_signature"))
        elif isinstance(inline, dict):
            _media(said, part, inline, call)
        elif (shown := _code(part)) is not None:
            said.texts.append(shown)
            said.blocks.append({"type": "text", "text": shown})
    return said


def citations(candidate: Json, text: str) -> list[Json]:
    """The pages that the answer rests on, in OpenAI's words. The vendor counts in bytes of UTF-8, OpenAI in characters."""
    grounding = candidate.get("groundingMetadata")
    chunks = grounding.get("groundingChunks") if isinstance(grounding, dict) else None
    supports = grounding.get("groundingSupports") if isinstance(grounding, dict) else None
    if not isinstance(chunks, list) or not isinstance(supports, list):
        return []
    data = text.encode()

    def place(value: Any) -> int:
        return len(data[: value if isinstance(value, int) and value > 0 else 0].decode(errors="ignore"))

    found = []
    for support in supports:
        segment = support.get("segment") if isinstance(support, dict) else None
        if not isinstance(segment, dict):
            continue
        numbers = support.get("groundingChunkIndices")
        for number in numbers if isinstance(numbers, list) else []:
            chunk = chunks[number] if isinstance(number, int) and 0 <= number < len(chunks) else None
            page = chunk.get("web") if isinstance(chunk, dict) else None
            if isinstance(page, dict) and isinstance(page.get("uri"), str):
                cited = {
                    "start_index": place(segment.get("startIndex")),
                    "end_index": place(segment.get("endIndex")),
                    "url": page["uri"],
                    "title": str(page.get("title") or ""),
                }
                found.append({"type": "url_citation", "url_citation": cited})
    return found


def logprobs(candidate: Json) -> Json | None:
    """The probabilities of the tokens, with the other candidates for each."""
    result = candidate.get("logprobsResult")
    chosen = result.get("chosenCandidates") if isinstance(result, dict) else None
    if not isinstance(chosen, list):
        return None
    top = result.get("topCandidates") if isinstance(result, dict) else None
    shown = []
    for place, one in enumerate(chosen):
        beside_it = top[place] if isinstance(top, list) and place < len(top) else None
        others = beside_it.get("candidates") if isinstance(beside_it, dict) else None
        listed = others if isinstance(others, list) else []
        shown.append({**_token(one), "top_logprobs": [_token(other) for other in listed]})
    return {"content": shown, "refusal": None}


def beside(candidate: Json, *, strict: bool) -> Json:
    """What a choice shows beside OpenAI's fields."""
    return {} if strict else {name: candidate[name] for name in _BESIDE if candidate.get(name)}


def read_usage(usage: Any) -> Usage | None:
    """The vendor's counts as disjoint classes; None where there are none."""
    if not isinstance(usage, dict):
        return None
    prompt = _count(usage.get("promptTokenCount")) + _count(usage.get("toolUsePromptTokenCount"))
    output, reasoning = _count(usage.get("candidatesTokenCount")), _count(usage.get("thoughtsTokenCount"))
    if reasoning and _count(usage.get("totalTokenCount")) == prompt + output:
        # Some models count their thoughts among the candidates' tokens; the total tells.
        output = max(output - reasoning, 0)
    cached = min(_count(usage.get("cachedContentTokenCount")), prompt)
    heard = _audio(usage, "promptTokensDetails") + _audio(usage, "toolUsePromptTokensDetails")
    audio_in = min(max(heard - _audio(usage, "cacheTokensDetails"), 0), prompt - cached)
    audio_out = min(_audio(usage, "candidatesTokensDetails"), output)
    return Usage(
        input_tokens=prompt - cached - audio_in,
        cache_read_tokens=cached,
        audio_input_tokens=audio_in,
        output_tokens=output - audio_out,
        reasoning_tokens=reasoning,
        audio_output_tokens=audio_out,
    )


def shown_usage(usage: Usage) -> Json:
    """Usage in OpenAI's words, for the caller."""
    prompt, completion_tokens = usage.prompt_tokens, usage.completion_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt + completion_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read_tokens, "audio_tokens": usage.audio_input_tokens},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": usage.audio_output_tokens,
        },
    }


def sound(call: Call, pieces: list[str]) -> Json:
    """Pieces of audio, each in base64, as OpenAI's one. The vendor keeps nothing that could expire later than the call."""
    data = pieces[0] if len(pieces) == 1 else base64.b64encode(b"".join(map(base64.b64decode, pieces))).decode()
    return {"id": f"audio-{call.id}", "data": data, "expires_at": call.started_at_us // 1_000_000, "transcript": ""}


def _choice(candidate: Json, place: int, call: Call, target: Target) -> Json:
    index = candidate.get("index")
    index = index if isinstance(index, int) else place
    said = sort(parts_of(candidate), call, index, 0, strict=target.strict)
    text = "".join(said.texts)
    reason = candidate.get("finishReason")
    finish = finish_reason(reason, calls=bool(said.calls), strict=target.strict)
    message: Json = {"role": "assistant", "content": text if said.texts or not said.calls else None, "refusal": None}
    if said.calls:
        message["tool_calls"] = said.calls
    if said.images:
        message["images"] = said.images
    if said.audio is not None:
        message["audio"] = said.audio
    if cited := citations(candidate, text):
        message["annotations"] = cited
    if not target.strict:
        message["content_blocks"] = said.blocks
    elif finish == "content_filter" and not said.texts:
        message |= {"content": None, "refusal": str(candidate.get("finishMessage") or f"The answer was blocked: {reason}")}
    return {
        "index": index,
        "message": message,
        "logprobs": logprobs(candidate),
        "finish_reason": finish,
        **beside(candidate, strict=target.strict),
    }


def _refused(reason: str, target: Target) -> Json:
    message = {"role": "assistant", "content": None, "refusal": reason}
    return {"index": 0, "message": message, "logprobs": None, "finish_reason": "content_filter"}


def _tool_call(part: Json, seed: str, *, strict: bool) -> Json:
    made = part["functionCall"]
    number = made.get("id")
    if not isinstance(number, str) or not number:
        # The vendor matches calls by name and gives no id; OpenAI's callers need one. The same answer gives the same id.
        number = "call_" + hashlib.blake2b(seed.encode(), digest_size=12).hexdigest()
    function: Json = {"name": made.get("name"), "arguments": orjson.dumps(made.get("args") or {}).decode()}
    shown: Json = {"id": number, "type": "function", "function": function}
    if isinstance(signature := part.get("thoughtSignature"), str):
        # As the vendor's own OpenAI-like API does it: without it, the next turn fails with the newer models.
        shown["extra_content"] = {"google": {"thought_signature": signature}}
        if not strict:
            function["thought_signature"] = signature
    return shown


def _media(said: Said, part: Json, inline: Json, call: Call) -> None:
    kind, data = str(inline.get("mimeType") or "image/png"), str(inline.get("data") or "")
    if kind.startswith("audio/"):
        said.audio = sound(call, [*([said.audio["data"]] if said.audio is not None else []), data])
        return
    image: Json = {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}}
    said.images.append(image)
    said.blocks.append(_signed(dict(image), part, "thought_signature"))


def _code(part: Json) -> str | None:
    """The vendor's own run of a program, and its output, as a text with fences."""
    program, result = part.get("executableCode"), part.get("codeExecutionResult")
    if isinstance(program, dict):
        return f"\n```{str(program.get('language') or '').lower()}\n{str(program.get('code') or '').strip()}\n```\n"
    if isinstance(result, dict):
        return f"\n```\n{str(result.get('output') or '').strip()}\n```\n"
    return None


def _signed(block: Json, part: Json, name: str) -> Json:
    if isinstance(signature := part.get("thoughtSignature"), str):
        block[name] = signature
    return block


def _token(one: Any) -> Json:
    token = one.get("token") if isinstance(one, dict) else None
    token = token if isinstance(token, str) else ""
    probability = one.get("logProbability") if isinstance(one, dict) else None
    return {"token": token, "logprob": probability if probability is not None else 0.0, "bytes": list(token.encode())}


def _audio(usage: Json, name: str) -> int:
    details = usage.get(name)
    if not isinstance(details, list):
        return 0
    heard = (one for one in details if isinstance(one, dict) and one.get("modality") == "AUDIO")
    return sum(_count(one.get("tokenCount")) for one in heard)


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS else 0
