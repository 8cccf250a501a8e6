"""Parameters of a body by their paths, and how a target's defaults, overrides and drops change a body."""

from __future__ import annotations

import enum
import functools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from routing.call import Json
from routing.errors import InvalidConfig

# The value that Portkey's SDK sends for a parameter that its caller left out.
PLACEHOLDER = "portkey-default"
MAX_CHARACTERS = 500
MAX_STEPS = 32
_STEP = re.compile(
    r"""(?P<dot>\.)?(?P<name>[^.\[\]"'\s]+) | \[(?P<index>\d{1,6})\] | \[(?P<every>\*)\]
    | \[(?P<quote>["'])(?P<key>.+?)(?P=quote)\]""",
    re.VERBOSE,
)


class Every(enum.Enum):
    """The step ``[*]``: each element of a list."""

    ELEMENT = "*"


Step = str | int | Every
Path = tuple[Step, ...]


def parse_path(text: str, path: str, *, every: bool = True) -> Path:
    """The steps of ``messages[*].content[0]['cache_control'].type``. Raises `InvalidConfig`.

    Without `every`, ``[*]`` is refused too.
    """
    steps: list[Step] = []
    place = 0
    while place < len(text) <= MAX_CHARACTERS and len(steps) <= MAX_STEPS:
        found = _STEP.match(text, place)
        if found is None or (found["name"] is not None and bool(found["dot"]) != bool(steps)):
            break
        if found["every"] and not every:
            raise InvalidConfig(f"{path}: [*] can stand in drop_params only.", param=path)
        index = int(found["index"]) if found["index"] is not None else None
        steps.append(Every.ELEMENT if found["every"] else index if index is not None else found["name"] or found["key"])
        place = found.end()
    if place < len(text) or not steps or not isinstance(steps[0], str) or len(steps) > MAX_STEPS:
        raise InvalidConfig(
            f"{path}: is not a path of a parameter; write it like messages[*].name, tools[0].function.strict or metadata.",
            param=path,
        )
    return tuple(steps)


@functools.lru_cache(maxsize=4096)
def steps_of(text: str) -> Path:
    """The steps of a path that was checked when its config was read."""
    return parse_path(text, "drop_params")


def lookup(body: Mapping[str, Any], steps: Path) -> Any:
    """What stands at the path, or `MISSING`. A number in dots (``messages.0.role``) finds an element as well."""
    value: Any = body
    for step in steps:
        if isinstance(value, dict) and isinstance(step, str) and step in value:
            value = value[step]
        elif isinstance(value, list) and (index := _index(step)) is not None and index < len(value):
            value = value[index]
        else:
            return MISSING
    return value


class Missing(enum.Enum):
    """Nothing stands there, not even null."""

    MISSING = "missing"


MISSING = Missing.MISSING


def _index(step: Step) -> int | None:
    if isinstance(step, int):
        return step
    return int(step) if isinstance(step, str) and step.isdecimal() and len(step) <= 6 else None


def apply(body: Json, defaults: Mapping[str, Any], overrides: Mapping[str, Any], drops: Sequence[str]) -> Json:
    """The body with defaults for what is not there, then overrides, then without the paths in `drops`.

    The same object where nothing changes, which is what lets the caller's bytes pass through; never a changed one.
    """
    changed = {name: value for name, value in defaults.items() if body.get(name, PLACEHOLDER) == PLACEHOLDER}
    changed.update(overrides)
    result = {**body, **changed} if changed else body
    for path in drops:
        result = _without(result, steps_of(path))
    return result


def _without(value: Any, path: Path) -> Any:
    """`value` without what stands at the path: a copy down to there, or the same object where there is nothing."""
    step, rest = path[0], path[1:]
    if isinstance(value, dict):
        if not isinstance(step, str) or step not in value:
            return value
        if not rest:
            return {key: kept for key, kept in value.items() if key != step}
        inner = _without(value[step], rest)
        return value if inner is value[step] else {**value, step: inner}
    if isinstance(value, list):
        return _list_without(value, step, rest)
    return value


def _list_without(value: list[Any], step: Step, rest: Path) -> list[Any]:
    if step is Every.ELEMENT:
        if not rest:
            return [] if value else value
        kept = [_without(item, rest) for item in value]
        return value if all(new is old for new, old in zip(kept, value, strict=True)) else kept
    index = _index(step)
    if index is None or index >= len(value):
        return value
    if not rest:
        return value[:index] + value[index + 1 :]
    inner = _without(value[index], rest)
    return value if inner is value[index] else [*value[:index], inner, *value[index + 1 :]]
