"""One call of the log as its page shows it: bodies in pieces that can be read, attempts on a time line, a curl command."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from analytics.models import RequestLog
from analytics.queries import LogDetail

# The classes of tokens, in the order in which the page lists them.
TOKEN_FIELDS = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "audio_input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_output_tokens",
)
_WAIT_TO_SPEAK_OF_MS = 20


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation. `extra` is what is not text: parts, tool calls, refusals."""

    role: str
    text: str
    extra: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt as a bar: `start` and `width` in percent of the whole call."""

    provider: str
    model: str
    path: str
    status: int | None
    error: str
    duration_ms: float
    start: float
    width: float


def total_tokens(log: RequestLog) -> int:
    return sum(getattr(log, name) for name in TOKEN_FIELDS)


def parsed(text: str) -> Any:
    """JSON as values, None for anything else."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def pretty(text: str) -> str:
    """JSON with indentation, anything else as it is."""
    value = parsed(text)
    return text if value is None else dump(value)


def dump(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def asked(request: str) -> list[Message]:
    """The messages of a request; none where it has no such form."""
    body = parsed(request)
    listed = body.get("messages") if isinstance(body, dict) else None
    return [_message(item) for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []


def answered(detail: LogDetail) -> list[Message]:
    """The messages of an answer, one for each choice; none where it has no such form."""
    body = detail.answer if detail.answer is not None else parsed(detail.response)
    listed = body.get("choices") if isinstance(body, dict) else None
    if not isinstance(listed, list):
        return []
    found = []
    for choice in listed:
        if isinstance(choice, dict) and isinstance(choice.get("message"), dict):
            found.append(_message(choice["message"]))
        elif isinstance(choice, dict) and isinstance(choice.get("text"), str):
            found.append(Message("assistant", choice["text"]))
    return found


def _message(item: Mapping[str, Any]) -> Message:
    content = item.get("content")
    texts: list[str] = [content] if isinstance(content, str) else []
    others: list[Any] = []
    for part in content if isinstance(content, list) else []:
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            texts.append(part["text"])
        else:
            others.append(part)
    extra = {name: item[name] for name in ("tool_calls", "tool_call_id", "refusal", "audio") if item.get(name)}
    if others:
        extra["parts"] = others
    return Message(str(item.get("role", "")), "\n".join(texts), dump(extra) if extra else "")


def time_line(log: RequestLog) -> list[Attempt]:
    """The attempts where they began; one after the other where the log does not say when that was."""
    spans = [max(0.0, float(attempt.get("duration_ms") or 0.0)) for attempt in log.attempts]
    begins = [max(0.0, float(attempt.get("started_ms") or 0.0)) for attempt in log.attempts]
    if not any(begins):
        begins = _sums_before(spans)
    whole = max(log.duration_ms, *(begin + span for begin, span in zip(begins, spans, strict=True)), 0.001) if spans else 1.0
    bars = []
    for attempt, span, before in zip(log.attempts, spans, begins, strict=True):
        start = 100 * before / whole
        bars.append(
            Attempt(
                provider=attempt.get("provider", ""),
                model=attempt.get("model", ""),
                path=attempt.get("path", ""),
                status=attempt.get("status"),
                error=attempt.get("error") or "",
                duration_ms=span,
                start=round(min(start, 99.0), 2),
                width=round(max(1.0, min(100 * span / whole, 100 - start)), 2),
            )
        )
    return bars


def waited_ms(log: RequestLog) -> float | None:
    """The time between several attempts, where there was any to speak of."""
    rest = log.duration_ms - sum(float(attempt.get("duration_ms") or 0.0) for attempt in log.attempts)
    return rest if len(log.attempts) > 1 and rest >= _WAIT_TO_SPEAK_OF_MS else None


def _sums_before(spans: Iterable[float]) -> list[float]:
    sums, total = [], 0.0
    for span in spans:
        sums.append(total)
        total += span
    return sums


def curl(log: RequestLog, request: str, address: str, target: str) -> str:
    """A command that makes the call again. `target` is the header that says where it goes; the key is left to the shell."""
    lines = [f"curl {shlex.quote(f'{address}/{log.endpoint}')}", '-H "Authorization: Bearer $GATEHOUSE_API_KEY"']
    if target:
        lines.append(f"-H {shlex.quote(target)}")
    lines += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(request)}"]
    return " \\\n  ".join(lines)
