"""What a call used that is not counted in tokens: images, audio by its length, text that was spoken. Pure, on the hot path.

What the answer says goes before what the request asked for: a provider may give fewer images than were wanted, and chooses the
size where the caller left it open.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import orjson

from routing.call import MOST_TOKENS, Call, Endpoint, Json, Media, Usage

_DEFAULT_SIZE = "1024x1024"
_DEFAULT_QUALITY = "standard"
_OPEN = "auto"


def measured(usage: Usage, call: Call, body: object) -> Usage:
    """The usage with its media. `body` is the answer where it is whole bytes. Tokens that were only estimated are left out
    then: the length of a prompt says nothing of what an image costs."""
    media = asked(call) if not isinstance(body, bytes) else _answered(call, body)
    if media is None:
        return usage
    return Usage(estimated=True, media=media) if usage.estimated else dataclasses.replace(usage, media=media)


def asked(call: Call) -> Media | None:
    """What a call will use as far as its request tells; None for calls about text."""
    reader = _READERS.get(call.endpoint)
    return None if reader is None else reader(call.body, {})


def _answered(call: Call, body: bytes) -> Media | None:
    reader = _READERS.get(call.endpoint)
    if reader is None:
        return None
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:  # a transcript as plain text, or audio
        answer = {}
    return reader(call.body, answer if isinstance(answer, dict) else {})


def _images(body: Json, answer: Json) -> Media:
    made = answer.get("data")
    wanted = body.get("n")
    count = len(made) if isinstance(made, list) else int(wanted) if wanted and _is_number(wanted) else 1
    return Media(
        images=count,
        size=_word("size", answer, body) or _DEFAULT_SIZE,
        quality=_word("quality", answer, body) or _DEFAULT_QUALITY,
    )


def _speech(body: Json, _: Json) -> Media:
    text = body.get("input")
    return Media(characters=len(text) if isinstance(text, str) else 0)


def _transcript(_: Json, answer: Json) -> Media:
    usage = answer.get("usage")
    told = usage.get("seconds") if isinstance(usage, dict) else None
    if told is None:
        told = answer.get("duration")
    return Media(seconds=Decimal(str(told)) if _is_number(told) else Decimal(0))


def _word(name: str, *places: Json) -> str:
    """The first that is named and not left open, bounded: it comes from outside."""
    words = (place.get(name) for place in places)
    return next((word[:64].lower() for word in words if isinstance(word, str) and word and word != _OPEN), "")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= MOST_TOKENS


_READERS: dict[str, Callable[[Json, Json], Media]] = {
    Endpoint.IMAGES: _images,
    Endpoint.IMAGE_EDITS: _images,
    Endpoint.IMAGE_VARIATIONS: _images,
    Endpoint.SPEECH: _speech,
    Endpoint.TRANSCRIPTIONS: _transcript,
    Endpoint.TRANSLATIONS: _transcript,
}
