"""A config as people bring it: the text of a JSON or a YAML document.

Both are read into plain JSON values and nothing else. A key that stands twice is refused instead of the last one winning, and
YAML's anchors are bounded, so that a small document cannot grow into a large one.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Hashable
from typing import Any, NoReturn

import yaml

from routing.errors import InvalidConfig

MAX_CHARACTERS = 256 * 1024
# YAML is read slowly: this much takes a second at worst.
MAX_YAML_CHARACTERS = 100_000
MAX_DEPTH = 32
# Of all values once every alias stands for what it names.
MAX_VALUES = 20_000
_WHERE = "config"
_HALF_A_PAIR = re.compile(r"[\ud800-\udfff]")
_MOST_BITS = 63


def parse_document(text: str) -> object:
    """The JSON value that a JSON or YAML text stands for. Raises `InvalidConfig` with line and column."""
    if len(text) > MAX_CHARACTERS:
        _refuse(f"is longer than {MAX_CHARACTERS} characters.")
    if not text.strip():
        _refuse("is empty.")
    try:
        return _json(text) if text.lstrip()[0] in '{["' else _yaml(text)
    except json.JSONDecodeError as error:
        return _flow(text, error)
    except ValueError as error:  # such as a number of thousands of digits
        _refuse(f"holds a value that cannot be read: {str(error)[:100]}.")
    except RecursionError:
        _refuse(f"is nested deeper than {MAX_DEPTH} levels.")


def _refuse(reason: str) -> NoReturn:
    raise InvalidConfig(f"{_WHERE}: {reason}", param=_WHERE)


def check_keys(text: str) -> None:
    """Raises `InvalidConfig` where a key stands twice in an object of a JSON text that is known to be sound."""
    json.loads(text, object_pairs_hook=_once)


def _json(text: str) -> object:
    parsed = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number, parse_float=_finite)
    _bounded(parsed)
    return parsed


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for key, value in pairs:
        if key in read:
            _refuse(f"the key {key[:100]!r} stands twice in one object.")
        read[key] = value
    return read


def _no_number(name: str) -> NoReturn:
    _refuse(f"{name} is no number of JSON.")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        _refuse(f"{digits[:40]} is out of range.")
    return number


def _bounded(parsed: object) -> None:
    """Refuses what is too deep, too much or no JSON. Walks level by level, so that depth costs no stack."""
    level, depth, count = [parsed], 0, 0
    while level:
        count += len(level)
        if depth > MAX_DEPTH:
            _refuse(f"is nested deeper than {MAX_DEPTH} levels.")
        if count > MAX_VALUES:
            _refuse(f"holds more than {MAX_VALUES} values.")
        inner: list[object] = []
        for value in level:
            _check_scalar(value)
            if isinstance(value, dict):
                inner += [*value.keys(), *value.values()]
            elif isinstance(value, list):
                inner += value
        level, depth = inner, depth + 1


def _check_scalar(value: object) -> None:
    if isinstance(value, str) and _HALF_A_PAIR.search(value):
        _refuse("holds half of a surrogate pair, which is no character.")
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        _refuse(f"{str(value)[:40]} is out of range.")
    if isinstance(value, float) and not math.isfinite(value):
        _refuse("infinity and not-a-number are no numbers of JSON.")


# --- YAML -------------------------------------------------------------------------------------------------------------------


class _Loader(yaml.SafeLoader):
    """YAML without its surprises: a number is one of JSON's, a truth value is true or false, and all else is a text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way to say it
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":bool", ":int", ":float"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """As YAML does, but a key is a text and stands once; what is merged in (``<<``) may be written over."""
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                _refuse(f"{_place(key.start_mark)}: a key must be a text.")
            if key.value in seen:
                _refuse(f"{_place(key.start_mark)}: the key {key.value[:100]!r} stands twice in one object.")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"-?(?:0|[1-9]\d*)$"), list("-0123456789"))
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?$"), list("-0123456789")
)
_PLAIN = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "str", "int", "float", "bool", "null", "merge"))


def _yaml(text: str) -> object:
    if len(text) > MAX_YAML_CHARACTERS:
        _refuse(f"is longer than {MAX_YAML_CHARACTERS} characters, which is the most for YAML; give it as JSON.")
    try:
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            if root is None:
                _refuse("is empty.")
            _weigh(root, 0, {}, set())
            parsed: object = loader.construct_document(root)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{_place(mark)}: " if mark is not None else ""
        _refuse(f"is neither JSON nor YAML: {place}{getattr(error, 'problem', None) or 'it cannot be read'}.")
    except (ValueError, OverflowError) as error:
        _refuse(f"holds a value that cannot be read: {str(error)[:100]}.")
    if isinstance(parsed, str):
        _refuse("expected an object, got a text.")
    _bounded(parsed)
    return parsed


def _flow(text: str, error: json.JSONDecodeError) -> object:
    """What begins like JSON may still be YAML in braces; when it is neither, JSON's reason is the better one."""
    try:
        return _yaml(text)
    except (InvalidConfig, RecursionError):
        _refuse(f"line {error.lineno}, column {error.colno}: is not valid JSON: {error.msg}.")


def _place(mark: yaml.Mark) -> str:
    return f"line {mark.line + 1}, column {mark.column + 1}"


def _weigh(node: yaml.Node, depth: int, known: dict[int, int], above: set[int]) -> int:
    """How many values a node is once its aliases are written out. Refuses cycles, foreign types, depth and excess."""
    if id(node) in above:
        _refuse(f"{_place(node.start_mark)}: an alias names what it stands in.")
    if id(node) in known:
        return known[id(node)]
    if depth > MAX_DEPTH:
        _refuse(f"is nested deeper than {MAX_DEPTH} levels.")
    if node.tag not in _PLAIN:
        _refuse(f"{_place(node.start_mark)}: the type {node.tag[-60:]} is not one of JSON's.")
    inside: list[yaml.Node] = []
    if isinstance(node, yaml.SequenceNode):
        inside = node.value
    elif isinstance(node, yaml.MappingNode):
        inside = [part for pair in node.value for part in pair]
    total = 1 + sum(_weigh(part, depth + 1, known, above | {id(node)}) for part in inside)
    if total > MAX_VALUES:
        _refuse(f"holds more than {MAX_VALUES} values.")
    known[id(node)] = total
    return total
