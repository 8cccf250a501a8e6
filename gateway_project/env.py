"""Typed reading of the environment: the only module that touches ``os.environ``.

Every reader also looks at ``NAME_FILE``, a path whose contents are the value (Docker and Kubernetes secrets). A value that
does not parse raises `EnvError`, which names the variable, so that a bad setting stops the start instead of surfacing later.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import overload

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"0", "false", "no", "off"}


class EnvError(ValueError):
    """An environment variable holds a value that cannot be used. The message begins with its name."""


@overload
def env_str(name: str, default: str) -> str: ...
@overload
def env_str(name: str, default: None = None) -> str | None: ...
def env_str(name: str, default: str | None = None) -> str | None:
    """The text of ``NAME``, or the stripped contents of the file in ``NAME_FILE``, or `default`. Empty counts as unset."""
    value, path = os.environ.get(name), os.environ.get(f"{name}_FILE")
    if value and path:
        raise EnvError(f"{name} and {name}_FILE are both set: keep one of them")
    if path:
        try:
            value = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise EnvError(f"{name}_FILE: cannot read {path}: {error}") from error
        if not value:
            raise EnvError(f"{name}_FILE: {path} is empty")
    return value or default


def env_bool(name: str, default: bool) -> bool:
    value = env_str(name)
    if value is None:
        return default
    if value.lower() in _TRUE:
        return True
    if value.lower() in _FALSE:
        return False
    raise EnvError(f"{name}: {value!r} is not a boolean: use true or false")


def env_int(name: str, default: int, *, minimum: int = 0, maximum: int | None = None) -> int:
    value = env_str(name)
    if value is None:
        return default
    try:
        number = int(value)
    except ValueError as error:
        raise EnvError(f"{name}: {value!r} is not a whole number") from error
    if number < minimum or (maximum is not None and number > maximum):
        bound = f"at least {minimum}" if maximum is None else f"from {minimum} to {maximum}"
        raise EnvError(f"{name}: {number} is out of range: use a number {bound}")
    return number


def env_list(name: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Comma-separated values, stripped, empty ones left out."""
    value = env_str(name)
    return default if value is None else tuple(item.strip() for item in value.split(",") if item.strip())


def env_choice(name: str, default: str, choices: tuple[str, ...]) -> str:
    value = env_str(name, default)
    if value not in choices:
        raise EnvError(f"{name}: {value!r} is not one of {', '.join(choices)}")
    return value


def env_secret(name: str) -> str:
    """A secret that must be there."""
    value = env_str(name)
    if value is None:
        raise EnvError(f"{name} is not set: give it, or {name}_FILE")
    return value


def environment() -> dict[str, str]:
    """A copy of the whole environment, for a child process."""
    return dict(os.environ)
