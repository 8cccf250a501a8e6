"""From the end of a call to its record in the spool: on the hot path, so no I/O but the spool's one write, and no Django."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from analytics import record as records
from analytics import spans
from analytics.record import AttemptRecord, MediaRecord, Record

if TYPE_CHECKING:
    from analytics.spool import Spool
    from routing.call import Media, Reply
    from routing.exchange import Exchange
    from routing.metering import Bill

EVENT_STREAM = "text/event-stream"
# What the log says of a caller that hung up before there was an answer: nginx's "client closed request".
HUNG_UP = 499


class Keeper:
    """Keeps the pieces of a stream for the log, up to the content limit."""

    __slots__ = ("_left", "_pieces")

    def __init__(self, max_bytes: int) -> None:
        self._left = max_bytes
        self._pieces: list[bytes] = []

    def append(self, piece: bytes) -> None:
        # The piece that passes the limit is kept whole: `Recorder.record` cuts it, and sees thereby that it had to.
        if self._left >= 0:
            self._pieces.append(piece)
            self._left -= len(piece)

    def content(self) -> bytes:
        return b"".join(self._pieces)


class Recorder:
    """Writes one record a call. `max_content_bytes` bounds request and answer, each; without `log_content` both stay out."""

    def __init__(self, spool: Spool, *, log_content: bool, max_content_bytes: int) -> None:
        self._spool = spool
        self._log_content = log_content
        self._max_bytes = max_content_bytes

    def keeper(self, content_type: str = EVENT_STREAM) -> Keeper:
        """For one stream. It keeps nothing where nothing would be logged, nor what nobody could read there, such as audio."""
        readable = content_type.startswith("text/") or "json" in content_type
        return Keeper(self._max_bytes if readable and self._log_content and not self._spool.sheds_content else -1)

    def record(self, exchange: Exchange, bill: Bill, content: bytes) -> None:
        """Spools the call's record. `content` is what the caller got, or the part of it that a `Keeper` kept.

        Call it just before the caller gets its last bytes: from then on the record survives the death of the process.
        """
        record = _record(exchange, bill)
        if not content and exchange.error is not None:
            content = orjson.dumps(exchange.error.body())
        self._add_content(record, exchange.call.raw, content)
        self._spool.append(_encode(record))

    def _add_content(self, record: Record, request: bytes, response: bytes) -> None:
        if not self._log_content:
            return
        if self._spool.sheds_content:
            self._spool.count_shed()
            record.content_truncated = True
            return
        limit = self._max_bytes
        record.content_truncated = len(request) > limit or len(response) > limit
        record.request = request[:limit]
        record.response = response[:limit]


def _record(exchange: Exchange, bill: Bill) -> Record:
    """All but the bodies. Headers stay out altogether: they hold keys."""
    call, caller, target, error, usage = exchange.call, exchange.caller, exchange.target, exchange.error, bill.usage
    plan = getattr(exchange, "plan", None)  # unset where the call was refused before it had one
    reply = exchange.reply
    record = Record(
        id=call.id,
        started_at_us=call.started_at_us,
        workspace_id=caller.workspace_id or None,
        api_key_id=caller.api_key_id,
        trace_id=call.trace_id,
        endpoint=call.endpoint,
        status=_status(exchange),
        response_model=bill.model,
        is_stream=call.stream,
        response_is_stream=_is_event_stream(reply),
        cancelled=exchange.cancelled,
        retry_count=exchange.retry_count,
        duration_ms=(time.monotonic() - call.started) * 1000,
        ttft_ms=None if exchange.first_byte is None else (exchange.first_byte - call.started) * 1000,
        input_tokens=usage.input_tokens,
        cache_read_tokens=usage.cache_read_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        audio_input_tokens=usage.audio_input_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        audio_output_tokens=usage.audio_output_tokens,
        usage_estimated=usage.estimated,
        cost_usd=None if bill.cost_usd is None else str(bill.cost_usd),
        unpriced=bill.unpriced,
        metadata=dict(call.metadata),
        attempts=[
            AttemptRecord(a.path, a.provider, a.model, a.status, a.duration_ms, a.error, a.started_ms)
            for a in exchange.attempts
        ],
    )
    record.span_id, record.parent_span_id, record.span_name = spans.named_by(call.headers)
    record.media = _media(usage.media)
    if plan is not None:
        record.config_id, record.config_version = plan.config_id, plan.config_version
    record.model = call.model
    if target is not None:
        record.provider, record.option_path, record.virtual_key_id = target.provider.id, target.path, target.virtual_key_id
        record.model = target.model or call.model
    if error is not None:
        record.error_code, record.error_message = str(error.code), error.message
    return record


def _is_event_stream(reply: Reply | None) -> bool:
    if reply is None or reply.translator is None:
        return False
    return reply.headers.get("content-type", EVENT_STREAM).startswith(EVENT_STREAM)


def _media(media: Media | None) -> MediaRecord | None:
    if media is None:
        return None
    return MediaRecord(media.images, media.size, media.quality, str(media.seconds), media.characters)


def _status(exchange: Exchange) -> int:
    """How the call ended, as an HTTP status. A stream that broke began with 200, but a log that says so hides the failure."""
    if exchange.error is not None:
        return exchange.error.status
    if exchange.cancelled:
        return HUNG_UP
    return exchange.reply.status if exchange.reply is not None else 200


def _encode(record: Record) -> bytes:
    try:
        return records.encode(record)
    except UnicodeEncodeError:
        # Half a surrogate pair came in through an escape in somebody's JSON: it has no bytes of its own.
        return records.encode(_without_surrogates(msgspec.to_builtins(record, builtin_types=(bytes,))))


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value
