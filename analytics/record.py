"""The record of one call: what the gateway writes to its spool and the ingest task puts into the database."""

from __future__ import annotations

import msgspec


class AttemptRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One try of one target. `path` is the target's place in the config; `status` is None where the caller hung up first.
    `started_ms` counts from the start of the call, and is 0 in records from before it was kept."""

    path: str
    provider: str
    model: str
    status: int | None
    duration_ms: float
    error: str | None = None
    started_ms: float = 0.0


class MediaRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """routing.call.Media; `seconds` is a decimal number as text."""

    images: int = 0
    size: str = ""
    quality: str = ""
    seconds: str = "0"
    characters: int = 0


class Record(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One finished or failed call.

    `id` is a UUID as text and, with `started_at_us` (microseconds since 1970, UTC), the key that makes ingesting it twice
    harmless. `status` is how the call ended as an HTTP status: the error's for a stream that broke after its 200, 499 where the
    caller hung up. `provider`, `model`, `virtual_key_id` and `option_path` are those of the last attempt. Token classes are
    disjoint (routing.call.Usage). `cost_usd` is a decimal number as text, None where there is no price. `request` and
    `response` are the bodies as they went over the wire to and from the caller, cut at the content limit, empty when content
    is not logged; the span ids are the caller's; `response_is_stream` says that `response` holds server-sent events.
    """

    id: str
    started_at_us: int
    workspace_id: str | None
    api_key_id: str | None
    virtual_key_id: str | None = None
    config_id: str | None = None
    config_version: int | None = None
    trace_id: str
    endpoint: str
    provider: str = ""
    model: str = ""
    response_model: str = ""
    option_path: str = ""
    status: int
    error_code: str = ""
    error_message: str = ""
    is_stream: bool = False
    cancelled: bool = False
    cache_status: str = "DISABLED"
    retry_count: int = 0
    duration_ms: float = 0.0
    ttft_ms: float | None = None
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    audio_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    audio_output_tokens: int = 0
    usage_estimated: bool = False
    cost_usd: str | None = None
    unpriced: bool = False
    metadata: dict[str, str] = {}
    attempts: list[AttemptRecord] = []
    request: bytes = b""
    response: bytes = b""
    response_is_stream: bool = False
    content_truncated: bool = False
    span_id: str = ""
    parent_span_id: str = ""
    span_name: str = ""
    media: MediaRecord | None = None


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Record).decode
