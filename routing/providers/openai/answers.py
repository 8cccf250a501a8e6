"""What a whole answer must be: its endpoint's object. An error, a page or half an object with status 200 is no answer."""

from __future__ import annotations

from typing import Any

from routing.call import Call, Endpoint, Json, Usage
from routing.providers.openai.usage import read_total, read_usage

# The parts that an answer of each endpoint must have, one of them at least, with their type.
_NEEDED: dict[str, tuple[tuple[str, type], ...]] = {
    Endpoint.CHAT: (("choices", list),),
    Endpoint.COMPLETIONS: (("choices", list),),
    Endpoint.EMBEDDINGS: (("data", list),),
    Endpoint.MESSAGES: (("content", list),),
    Endpoint.COUNT_TOKENS: (("input_tokens", int),),
    Endpoint.RESPONSES: (("output", list),),
    Endpoint.MODERATIONS: (("results", list),),
    # The second is what the vendors write who call a ranking a list of data.
    Endpoint.RERANK: (("results", list), ("data", list)),
    Endpoint.IMAGES: (("data", list),),
    Endpoint.IMAGE_EDITS: (("data", list),),
    Endpoint.IMAGE_VARIATIONS: (("data", list),),
    Endpoint.TRANSCRIPTIONS: (("text", str),),
    Endpoint.TRANSLATIONS: (("text", str),),
}
# Of everything that a vendor keeps: an object has an id, a list its data, and what was deleted says so.
_KEPT: tuple[tuple[str, type], ...] = (("id", str), ("data", list), ("deleted", bool))
_NAMES = {list: "list", str: "text", int: "number", bool: "flag"}
# Calls that use no tokens, whatever they hold.
_WITHOUT_TOKENS = frozenset(
    {Endpoint.FILES, Endpoint.BATCHES, Endpoint.FINE_TUNING, Endpoint.MODERATIONS, Endpoint.COUNT_TOKENS}
)


def complaint(call: Call, parsed: Any) -> str | None:
    """Why this is no answer to the call; None where it is one."""
    if not isinstance(parsed, dict):
        return "the answer is not a JSON object"
    needed = _KEPT if call.path else _NEEDED.get(call.endpoint, _KEPT)
    kept = needed is _KEPT or call.endpoint == Endpoint.RESPONSES  # of these, an object may tell of an error of its own
    if parsed.get("error") and not (kept and _has(parsed, needed)):
        return "the answer is an error"
    if _has(parsed, needed):
        return None
    return f"the answer has no {' and no '.join(f'{_NAMES[kind]} `{name}`' for name, kind in needed)}"


def _has(parsed: Json, needed: tuple[tuple[str, type], ...]) -> bool:
    return any(isinstance(parsed.get(name), kind) for name, kind in needed)


def usage(call: Call, parsed: Json) -> Usage | None:
    """The usage in an answer; None where it must be estimated."""
    if call.path and call.endpoint == Endpoint.RESPONSES and call.method != "POST":
        return Usage()  # what was used was billed when it was made
    if (found := read_usage(parsed)) is not None:
        return found
    if call.endpoint in (Endpoint.EMBEDDINGS, Endpoint.RERANK):
        return read_total(parsed)
    return Usage() if call.path or call.endpoint in _WITHOUT_TOKENS else None
