"""Conditions in Portkey's query language: ``{"metadata.tier": {"$in": ["pro", "team"]}, "params.stream": true}``.

All keys of a query must hold, and all operators of a key; ``$and``, ``$or`` and ``$not`` nest. A key that the call does not
have satisfies no operator, the negated ones included, as Portkey's guide says of them.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable
from typing import Any, NoReturn

from routing.configs import patterns, values
from routing.configs.facts import Facts, MetadataText
from routing.configs.params import MISSING, parse_path
from routing.errors import InvalidConfig

MAX_DEPTH = 16
MAX_ITEMS = 1000
MAX_TEXT = 10_000

Holds = Callable[[Facts], bool]
Read = Callable[[Facts], Any]
Test = Callable[[Any], bool]


def compile_query(query: object, path: str) -> Holds:
    """The query as a function of a call. Raises `InvalidConfig` with the path of what is wrong in it."""
    return _query(query, path, 1)


def equals(value: Any, operand: Any) -> bool:
    """Whether a value of a call is the operand: of the same type, but metadata is text whatever it was sent as."""
    if isinstance(value, MetadataText) and not isinstance(operand, str):
        if isinstance(operand, bool) or operand is None:
            return bool(value == {True: "true", False: "false", None: "null"}[operand])
        return bool(number(value) == operand)
    if isinstance(value, bool) or isinstance(operand, bool):
        return value is operand
    return bool(value == operand)


def number(value: Any) -> float | None:
    """A number, or the number that a text says; None for anything else. Not-a-number is nothing."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        read = float(value)
    except (ValueError, OverflowError):
        return None
    return None if math.isnan(read) else read


def _refuse(path: str, reason: str) -> NoReturn:
    raise InvalidConfig(f"{path}: {reason}", param=path)


def _query(query: object, path: str, depth: int) -> Holds:
    if not isinstance(query, dict):
        _refuse(path, f"expected an object, got {values.kind(query)}.")
    if not query:
        _refuse(path, "is empty; give at least one key.")
    if depth > MAX_DEPTH:
        _refuse(path, f"is nested deeper than {MAX_DEPTH} levels.")
    parts = tuple(_part(key, value, values.join(path, key), depth) for key, value in query.items())
    return parts[0] if len(parts) == 1 else lambda facts: all(part(facts) for part in parts)


def _part(key: str, value: object, path: str, depth: int) -> Holds:
    if key in {"$and", "$or"}:
        inner = _queries(value, path, depth)
        combine = all if key == "$and" else any
        return lambda facts: combine(part(facts) for part in inner)
    if key == "$not":
        negated = _query(value, path, depth + 1)
        return lambda facts: not negated(facts)
    read = reader(key, path)
    test = _test(value, path)

    def holds(facts: Facts) -> bool:
        found = read(facts)
        return found is not MISSING and test(found)

    return holds


def _queries(value: object, path: str, depth: int) -> tuple[Holds, ...]:
    if not isinstance(value, list) or not value:
        _refuse(path, "expected an array of queries with at least one in it.")
    return tuple(_query(query, f"{path}[{index}]", depth + 1) for index, query in enumerate(value))


def reader(key: str, path: str) -> Read:
    root, _, rest = key.partition(".")
    if key == "url.pathname":
        return lambda facts: facts.pathname
    if root == "metadata" and rest:
        return lambda facts: facts.metadata(rest)
    if root == "params" and rest:
        steps = parse_path(rest, path, every=False)
        return lambda facts: facts.param(steps)
    if key.startswith("$"):
        _refuse(path, f"Unsupported operator used in the query router: {key[:50]}. Use $and, $or or $not here.")
    _refuse(path, "is not a key of a query: use metadata.<key>, params.<name> or url.pathname.")


def _test(value: object, path: str) -> Test:
    if not isinstance(value, dict):
        operand = _primitive(value, path)
        return lambda found: equals(found, operand)
    if not value:
        _refuse(path, "is empty; give an operator such as $eq.")
    tests = tuple(_operator(name, operand, values.join(path, name)) for name, operand in value.items())
    return tests[0] if len(tests) == 1 else lambda found: all(test(found) for test in tests)


def _operator(name: str, operand: object, path: str) -> Test:
    make = _OPERATORS.get(name)
    if make is None:
        near = difflib.get_close_matches(name, _OPERATORS, n=1)
        hint = f', did you mean "{near[0]}"?' if near else f"; known are {', '.join(_OPERATORS)}."
        _refuse(path, f"Unsupported operator used in the query router: {name[:50]}{hint}")
    return make(operand, path)


def _primitive(value: object, path: str) -> Any:
    if isinstance(value, list | dict):
        hint = "; use $in for one of several" if isinstance(value, list) else ""
        _refuse(path, f"expected a text, a number, true, false or null, got {values.kind(value)}{hint}.")
    if isinstance(value, float) and not math.isfinite(value):
        _refuse(path, "is not a number of JSON.")
    if isinstance(value, str) and len(value) > MAX_TEXT:
        _refuse(path, f"has more than {MAX_TEXT} characters.")
    return value


def _equal(operand: object, path: str) -> Test:
    wanted = _primitive(operand, path)
    return lambda found: equals(found, wanted)


def _unequal(operand: object, path: str) -> Test:
    wanted = _primitive(operand, path)
    return lambda found: not equals(found, wanted)


def _ordered(compare: Callable[[float, float], bool]) -> Callable[[object, str], Test]:
    def make(operand: object, path: str) -> Test:
        bound = number(operand)
        if bound is None:
            _refuse(path, f"expected a number, got {values.shown(operand)}.")

        def test(found: Any) -> bool:
            value = number(found)
            return value is not None and compare(value, bound)

        return test

    return make


def _items(operand: object, path: str) -> tuple[Any, ...]:
    if not isinstance(operand, list) or not operand:
        _refuse(path, "expected an array with at least one value.")
    if len(operand) > MAX_ITEMS:
        _refuse(path, f"has more than {MAX_ITEMS} values.")
    return tuple(_primitive(item, f"{path}[{index}]") for index, item in enumerate(operand))


def _among(operand: object, path: str) -> Test:
    wanted = _items(operand, path)
    return lambda found: any(equals(found, item) for item in wanted)


def _not_among(operand: object, path: str) -> Test:
    wanted = _items(operand, path)
    return lambda found: not any(equals(found, item) for item in wanted)


def _regex(operand: object, path: str) -> Test:
    if not isinstance(operand, str):
        _refuse(path, f"expected a pattern, got {values.kind(operand)}.")
    find = patterns.finder(operand, path)
    return lambda found: isinstance(found, str) and find(found)


_OPERATORS: dict[str, Callable[[object, str], Test]] = {
    "$eq": _equal,
    "$ne": _unequal,
    "$gt": _ordered(lambda value, bound: value > bound),
    "$gte": _ordered(lambda value, bound: value >= bound),
    "$lt": _ordered(lambda value, bound: value < bound),
    "$lte": _ordered(lambda value, bound: value <= bound),
    "$in": _among,
    "$nin": _not_among,  # codespell:ignore nin
    "$regex": _regex,
}
