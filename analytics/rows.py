"""From a record to the values of its table rows, as COPY takes them. Raises ValueError for what no column can hold."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import orjson

from analytics.record import Record

LOG_COLUMNS = (
    "id",
    "started_at",
    "workspace_id",
    "api_key_id",
    "virtual_key_id",
    "config_id",
    "config_version",
    "trace_id",
    "endpoint",
    "provider",
    "model",
    "response_model",
    "option_path",
    "status",
    "error_code",
    "error_message",
    "is_stream",
    "cancelled",
    "cache_status",
    "retry_count",
    "duration_ms",
    "ttft_ms",
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "audio_input_tokens",
    "output_tokens",
    "reasoning_tokens",
    "audio_output_tokens",
    "usage_estimated",
    "cost_usd",
    "unpriced",
    "metadata",
    "attempts",
    "content_truncated",
    "span_id",
    "parent_span_id",
    "span_name",
    "media",
)
BODY_COLUMNS = ("id", "started_at", "request", "response", "response_is_stream")

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
# Clocks differ, but a record from further ahead than this is wrong, and its partition would stand in retention's way.
_MAX_AHEAD = dt.timedelta(days=2)
_OLDEST = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
# An index entry may be 2,704 bytes long.
_TRACE_ID_MAX = 256
# A character that PostgreSQL cannot keep, and what stands for it in the log.
_NUL, _INSTEAD = "\0", "\ufffd"


def started_at(record: Record) -> dt.datetime:
    """When the call began. Raises ValueError for a time that cannot be."""
    try:
        moment = _EPOCH + dt.timedelta(microseconds=record.started_at_us)
    except OverflowError as error:
        raise ValueError(f"started_at_us is {record.started_at_us}") from error
    if not _OLDEST <= moment <= dt.datetime.now(dt.UTC) + _MAX_AHEAD:
        raise ValueError(f"it says that it started at {moment.isoformat()}")
    return moment


def log_row(record: Record, started: dt.datetime) -> tuple[Any, ...]:
    """The values of `LOG_COLUMNS`."""
    return (
        _uuid(record.id),
        started,
        _uuid(record.workspace_id),
        _uuid(record.api_key_id),
        _uuid(record.virtual_key_id),
        _uuid(record.config_id),
        record.config_version,
        _text(record.trace_id)[:_TRACE_ID_MAX],
        _text(record.endpoint),
        _text(record.provider),
        _text(record.model),
        _text(record.response_model),
        _text(record.option_path),
        record.status,
        _text(record.error_code),
        _text(record.error_message),
        record.is_stream,
        record.cancelled,
        _text(record.cache_status),
        record.retry_count,
        record.duration_ms,
        record.ttft_ms,
        record.input_tokens,
        record.cache_read_tokens,
        record.cache_write_tokens,
        record.audio_input_tokens,
        record.output_tokens,
        record.reasoning_tokens,
        record.audio_output_tokens,
        record.usage_estimated,
        record.cost_usd,
        record.unpriced,
        _json(record.metadata),
        _json([_fields(attempt) for attempt in record.attempts]) if record.attempts else "[]",
        record.content_truncated,
        _text(record.span_id)[:_TRACE_ID_MAX],
        _text(record.parent_span_id)[:_TRACE_ID_MAX],
        _text(record.span_name)[:_TRACE_ID_MAX],
        None if record.media is None else _json(_fields(record.media)),
    )


def body_row(record: Record, started: dt.datetime) -> tuple[Any, ...]:
    """The values of `BODY_COLUMNS`. Bytes that are not UTF-8 become U+FFFD."""
    return (uuid.UUID(record.id), started, _decoded(record.request), _decoded(record.response), record.response_is_stream)


def _fields(struct: Any) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}


def _uuid(value: str | None) -> str | None:
    return None if value is None else str(uuid.UUID(value))


def _text(value: str) -> str:
    return value.replace(_NUL, _INSTEAD) if _NUL in value else value


def _decoded(value: bytes) -> str:
    return _text(value.decode("utf-8", "replace"))


def _json(value: Any) -> str:
    text = orjson.dumps(value).decode()
    return orjson.dumps(_cleaned(value)).decode() if "\\u0000" in text else text


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    if isinstance(value, dict):
        return {_text(key): _cleaned(item) for key, item in value.items()}
    return value
