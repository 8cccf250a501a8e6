"""The values that flow through a request's life, from the edge to the record. All are frozen; none does I/O."""

from __future__ import annotations

import enum
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from analytics.tariffs import Tariff
    from keys.fences import Fence
    from keys.limits import Limit
    from routing.errors import GatewayError
    from routing.providers.base import Provider, StreamTranslator

Json = dict[str, Any]


class Endpoint(enum.StrEnum):
    """What a caller can ask for. The value is the path below ``/v1/``, of a resource the path of its collection."""

    CHAT = "chat/completions"
    COMPLETIONS = "completions"
    EMBEDDINGS = "embeddings"
    MESSAGES = "messages"
    COUNT_TOKENS = "messages/count_tokens"
    RESPONSES = "responses"
    MODERATIONS = "moderations"
    RERANK = "rerank"
    IMAGES = "images/generations"
    IMAGE_EDITS = "images/edits"
    IMAGE_VARIATIONS = "images/variations"
    SPEECH = "audio/speech"
    TRANSCRIPTIONS = "audio/transcriptions"
    TRANSLATIONS = "audio/translations"
    FILES = "files"
    BATCHES = "batches"
    FINE_TUNING = "fine_tuning/jobs"
    REALTIME = "realtime"
    # Whatever else: passed through to the provider as it is.
    PROXY = "proxy"


class Upload(Protocol):
    """A body that is not held in memory. It can be read again and again, so that a retry equals the first try."""

    content_type: str
    size_bytes: int

    def chunks(self) -> AsyncIterator[bytes]:
        """The bytes from the start, in pieces of bounded size."""
        ...

    def edited(self, fields: Json) -> Upload:
        """The same form with these fields in place of its own, files untouched; a field that is None is left out.

        Raises `InvalidRequest` for a body that has no fields.
        """
        ...


@dataclass(frozen=True, slots=True)
class Call:
    """One request of a caller, read and parsed once.

    `endpoint` is an `Endpoint`, or empty for an unknown route. `headers` has lower-case names. `body` is what the caller sent,
    as parsed JSON: a step that changes it makes a new one. A body that is no JSON is in `upload` instead, and `body` holds the
    fields of a form, `raw` what the log shows in its place. `path` is the route below ``/v1/`` where it differs from the
    endpoint, as ``files/file-1/content`` does; `query` is the query string as it came. `started_at_us` is the wall clock in
    microseconds since 1970 (UTC), `started` the monotonic clock in seconds. `address` is where the caller is, as far as it can
    be believed.
    """

    id: str
    endpoint: str
    body: Json
    raw: bytes
    headers: Mapping[str, str]
    trace_id: str
    metadata: Mapping[str, str]
    started: float
    started_at_us: int
    method: str = "POST"
    path: str = ""
    query: str = ""
    upload: Upload | None = None
    address: str = ""

    @property
    def stream(self) -> bool:
        """Whether the caller asked for an event stream."""
        return self.body.get("stream") is True

    @property
    def model(self) -> str:
        model = self.body.get("model")
        return model if isinstance(model, str) else ""


# A count beyond this is no count: it would overflow the log's columns and the limits' counters.
MOST_TOKENS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Media:
    """What was used that is not counted in tokens: images of a size and quality, seconds of audio, characters of text that was
    spoken. A call about media whose amount nobody told has all at nothing."""

    images: int = 0
    size: str = ""
    quality: str = ""
    seconds: Decimal = Decimal(0)
    characters: int = 0

    def __add__(self, other: Media) -> Media:
        """Both together; size and quality are the first one's that has any."""
        return Media(
            self.images + other.images,
            self.size or other.size,
            self.quality or other.quality,
            self.seconds + other.seconds,
            self.characters + other.characters,
        )


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens in disjoint classes, so that the cost is a plain sum of class x price.

    `input_tokens` excludes cached and audio input, `output_tokens` excludes reasoning and audio output. `estimated` is true
    where the provider did not say and the numbers come from the length of the text. `media` is None for calls about text.
    """

    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    audio_input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    audio_output_tokens: int = 0
    estimated: bool = False
    media: Media | None = None

    @property
    def is_used(self) -> bool:
        """Whether there is anything to pay for."""
        return self.media is not None or self.prompt_tokens + self.completion_tokens > 0

    def __add__(self, other: Usage) -> Usage:
        """Both together, class by class."""
        return Usage(
            self.input_tokens + other.input_tokens,
            self.cache_read_tokens + other.cache_read_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
            self.audio_input_tokens + other.audio_input_tokens,
            self.output_tokens + other.output_tokens,
            self.reasoning_tokens + other.reasoning_tokens,
            self.audio_output_tokens + other.audio_output_tokens,
            self.estimated or other.estimated,
            media=self.media + other.media if self.media and other.media else self.media or other.media,
        )

    @property
    def prompt_tokens(self) -> int:
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens + self.audio_input_tokens

    @property
    def completion_tokens(self) -> int:
        return self.output_tokens + self.reasoning_tokens + self.audio_output_tokens


# Statuses that a retry repeats when a config names none (portkey-wire: retry.on_status_codes). 529 says "overloaded".
DEFAULT_RETRY_STATUSES = frozenset({429, 500, 502, 503, 504, 529})


@dataclass(frozen=True, slots=True)
class Retry:
    """How one target is tried again. `attempts` counts the tries after the first; delays are in milliseconds."""

    attempts: int = 0
    on_status_codes: frozenset[int] = DEFAULT_RETRY_STATUSES
    initial_delay_ms: int = 1000
    backoff_factor: float = 2.0
    max_delay_ms: int = 16_000
    use_retry_after: bool = False


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a target may take, each in milliseconds; None leaves it to the gateway's own bounds.

    `attempt_ms` is the time of one try until its answer begins: the first token of a stream, the whole of anything else.
    `connect_ms` is the time until the connection stands, `first_token_ms` until the first token of a stream, `idle_ms` the
    longest silence in an answer that has begun, `total_ms` one try from its start to its last byte.
    """

    attempt_ms: int | None = None
    connect_ms: int | None = None
    first_token_ms: int | None = None
    idle_ms: int | None = None
    total_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Breaker:
    """When a target is left alone for a while (Portkey's ``cb_config``).

    It opens after `failure_threshold` failures in a row, or, once `minimum_requests` were seen, when at least
    `failure_threshold_percentage` of them failed. After `cooldown_ms` one probe decides. A status in `failure_status_codes` is
    a failure; empty means 500 and above. Failures to connect and time-outs always count.
    """

    failure_threshold: int | None = None
    failure_threshold_percentage: float | None = None
    minimum_requests: int = 10
    cooldown_ms: int = 30_000
    failure_status_codes: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Pool:
    """How many calls to one provider may be under way in this process, and how long one waits for its turn (milliseconds)."""

    max_connections: int
    acquire_timeout_ms: int = 5_000


@dataclass(frozen=True, slots=True)
class Target:
    """A leaf of a plan: everything that is needed to call one provider.

    `path` says where it stands in the config (``config.targets[1]``). `options` are the provider's own settings, such as
    ``openai_organization``. `limits`, `expires_at` (seconds since 1970) and `paused` are those of the virtual key, `fence` is
    the API key's where that names models. `default_params` fill
    in what the caller left out, `override_params` replace, and then the paths in `drop_params` are taken away. A target with
    `fallback_on` is used only after a failure of such a kind or status, one with `most_tokens` only for calls that ask for
    no more. `tariffs` are the workspace's own prices. `drop_unsupported` allows a dialect to leave out what the vendor cannot
    express; the answer then names it.
    """

    path: str
    provider: Provider
    base_url: str
    api_key: str | None = None
    virtual_key_id: str | None = None
    override_params: Json = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    forward_headers: tuple[str, ...] = ()
    retry: Retry = Retry()
    timeouts: Timeouts = Timeouts()
    breaker: Breaker | None = None
    pool: Pool | None = None
    strict: bool = True
    drop_unsupported: bool = False
    default_params: Json = field(default_factory=dict)
    drop_params: tuple[str, ...] = ()
    fallback_on: frozenset[str | int] | None = None
    most_tokens: int | None = None
    name: str | None = None
    tariffs: tuple[Tariff, ...] = ()
    limits: tuple[Limit, ...] = ()
    expires_at: float | None = None
    paused: bool = False
    fence: Fence | None = None

    @property
    def model(self) -> str | None:
        """The model that replaces the caller's, if the config names one."""
        model = self.override_params.get("model")
        return model if isinstance(model, str) else None


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """What goes over the wire to a provider. `dropped` names the fields that were left out because it cannot express them."""

    url: str
    headers: Mapping[str, str]
    body: bytes | Upload
    method: str = "POST"
    # What to ask next, made of this request's whole answer: the caller gets the answer to that.
    then: Callable[[bytes], UpstreamRequest] | None = None
    dropped: tuple[str, ...] = ()
    # How long the connection may take to stand, name look-up and TLS included; None leaves it to the gateway's own bound.
    connect_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A provider's whole answer, translated: the bytes for the caller, and what was read from them."""

    body: bytes
    usage: Usage | None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of one target, for the log. Times are in milliseconds, `started_ms` since the call began; `status` is None where
    the caller hung up first."""

    path: str
    provider: str
    model: str
    status: int | None
    duration_ms: float
    error: str | None = None
    started_ms: float = 0.0


@dataclass(slots=True)
class Reply:
    """A provider's answer on its way to the caller: `body` is whole bytes, or the pieces of an event stream or of a file.

    Of a stream, `translator` tells usage and model when the body has ended; of a whole answer, `usage` and `model` do.
    `headers` are the provider's own that may be passed on, names in lower case; a body that is neither an answer nor an event
    stream in the caller's words has its content-type there.
    """

    status: int
    body: bytes | AsyncGenerator[bytes]
    headers: dict[str, str]
    usage: Usage | None = None
    model: str | None = None
    translator: StreamTranslator | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a target did, as a strategy sees it: `error` is None on success."""

    status: int
    error: GatewayError | None = None
