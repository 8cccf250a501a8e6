"""What the name of a mock model asks for: words joined by hyphens, as in ``mock-delay-200-chunks-50-20-cut-10``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# No single answer may keep the process busy for long.
MAX_CHUNKS = 10_000
MAX_DELAY_MS = 600_000


class UnknownModel(ValueError):
    """The name begins with ``mock`` and goes on with something that is no word of ours."""


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One field per word; None or False where the name does not hold it. Times are in milliseconds."""

    echo: bool = False
    tool: bool = False
    name: str | None = None
    delay: int = 0
    chunks: int | None = None
    gap: int = 0
    status: int | None = None
    fail: int | None = None
    retry_after: int | None = None
    refuse: bool = False
    hang: int | None = None
    cut: int | None = None
    eof: int | None = None
    error_event: int | None = None
    garbage: bool = False
    html: bool = False
    empty: bool = False
    nousage: bool = False
    cached: int = 0


_FLAGS = frozenset({"echo", "tool", "refuse", "garbage", "html", "empty", "nousage"})
# Words with one number: the least and the greatest value.
_NUMBERS = {
    "delay": (0, MAX_DELAY_MS),
    "chunks": (0, MAX_CHUNKS),
    "status": (400, 599),
    "fail": (0, 1_000_000),
    "retry-after": (0, 86_400),
    "hang": (0, MAX_CHUNKS),
    "cut": (0, MAX_CHUNKS),
    "eof": (0, MAX_CHUNKS),
    "error-event": (0, MAX_CHUNKS),
    "cached": (0, 10_000_000),
}
_TWO_PARTS = {"error": "error-event", "retry": "retry-after"}


def parse_model(model: str) -> Behaviour:
    """The behaviour that a model's name asks for; the plain one for names that do not begin with ``mock``.

    So a config can swap any vendor for the mock and keep its models. Raises `UnknownModel` for a word that is not ours.
    """
    head, *words = model.split("-")
    if head != "mock":
        return Behaviour()
    found: dict[str, Any] = {}
    while words:
        word = words.pop(0)
        if word in _TWO_PARTS and words and f"{word}-{words[0]}" == _TWO_PARTS[word]:
            word = f"{word}-{words.pop(0)}"
        _take(word, words, found)
    return Behaviour(**found)


def _take(word: str, words: list[str], found: dict[str, Any]) -> None:
    """Reads one word and its numbers off the front of `words`."""
    if word in _FLAGS:
        found[word] = True
    elif word == "name" and words:
        found["name"] = words.pop(0)
    elif word == "hang" and not (words and words[0].isdecimal()):
        found["hang"] = 0
    elif word in _NUMBERS:
        found[word.replace("-", "_")] = _number(word, words, _NUMBERS[word])
        if word == "chunks" and words and words[0].isdecimal():
            found["gap"] = _number("chunks", words, (0, MAX_DELAY_MS))
    else:
        raise UnknownModel(f"The mock provider does not know the word {word!r}; it knows: {', '.join(known_words())}.")


def _number(word: str, words: list[str], bounds: tuple[int, int]) -> int:
    text = words.pop(0) if words else ""
    # Ten digits are enough for every bound, and int() of a very long text is slow.
    if not (text.isascii() and text.isdecimal() and len(text) <= 10 and bounds[0] <= int(text) <= bounds[1]):
        raise UnknownModel(f"The mock provider wants a number from {bounds[0]} to {bounds[1]} after {word!r}, not {text!r}.")
    return int(text)


def known_words() -> list[str]:
    """Every word, for messages and for the test that holds the documentation to it."""
    return sorted({*_FLAGS, *_NUMBERS, "name"})
