"""Patterns that users write. RE2 finds in time linear in the text, so no pattern and no text can hold the gateway up."""

from __future__ import annotations

from collections.abc import Callable

import re2  # type: ignore[import-untyped]

from routing.errors import InvalidConfig

MAX_CHARACTERS = 1000
_MAX_MEMORY_BYTES = 1 << 20


def finder(pattern: str, path: str) -> Callable[[str], bool]:
    """Whether the pattern is found anywhere in a text. Raises `InvalidConfig` for what is no pattern."""
    if len(pattern) > MAX_CHARACTERS:
        raise InvalidConfig(f"{path}: a pattern has at most {MAX_CHARACTERS} characters.", param=path)
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY_BYTES
    try:
        compiled = re2.compile(pattern, options)
    except (re2.error, UnicodeEncodeError) as error:
        reason = error.args[0].decode(errors="replace") if error.args and isinstance(error.args[0], bytes) else "not a text"
        raise InvalidConfig(
            f"{path}: is no pattern of RE2 ({reason[:200]}); it knows neither look-around nor back-references.", param=path
        ) from None

    def found(text: str) -> bool:
        try:
            return compiled.search(text) is not None
        except UnicodeEncodeError:  # half of a surrogate pair, which no pattern can mean
            return False

    return found
