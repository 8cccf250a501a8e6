"""The parts of a condition: a frozen tree, each part of which has a value for a call.

Nothing here fails: what has no meaning for the values of a call (an order between a text and a number, a method of something
that is no text) does not hold. ``==`` and ``!=`` are opposites; a metadata key or parameter that is not there is ``null``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from routing.configs.facts import Facts, MetadataText
from routing.configs.params import MISSING, Path
from routing.configs.query import equals, number


class Node(Protocol):
    """A part of the tree."""

    def value(self, facts: Facts) -> Any:
        """What it is for a call. Never raises."""
        ...


@dataclass(frozen=True, slots=True)
class Expression:
    """A whole condition, and the text that it was read from."""

    text: str
    root: Node

    def __call__(self, facts: Facts) -> bool:
        return _truth(self.root.value(facts))


def _truth(value: Any) -> bool:
    """Only true is true, and of metadata the text that says so."""
    return value is True or (isinstance(value, MetadataText) and value == "true")


@dataclass(frozen=True, slots=True)
class Literal:
    content: Any

    def value(self, facts: Facts) -> Any:
        return self.content


@dataclass(frozen=True, slots=True)
class ListOf:
    items: tuple[Node, ...]

    def value(self, facts: Facts) -> Any:
        return [item.value(facts) for item in self.items]


@dataclass(frozen=True, slots=True)
class Fact:
    """One of the names that stand for something of the call."""

    name: str

    def value(self, facts: Facts) -> Any:
        return getattr(facts, self.name)


@dataclass(frozen=True, slots=True)
class Metadata:
    key: str

    def value(self, facts: Facts) -> Any:
        found = facts.metadata(self.key)
        return None if found is MISSING else found


@dataclass(frozen=True, slots=True)
class Param:
    path: Path

    def value(self, facts: Facts) -> Any:
        found = facts.param(self.path)
        return None if found is MISSING else found


@dataclass(frozen=True, slots=True)
class Length:
    of: Node

    def value(self, facts: Facts) -> Any:
        content = self.of.value(facts)
        return len(content) if isinstance(content, str | list) else None


@dataclass(frozen=True, slots=True)
class TextTest:
    """``contains``, ``startsWith`` or ``endsWith``."""

    of: Node
    name: str
    argument: Node

    def value(self, facts: Facts) -> Any:
        content, wanted = self.of.value(facts), self.argument.value(facts)
        if isinstance(content, list):
            return self.name == "contains" and any(equals(item, wanted) for item in content)
        return isinstance(content, str) and isinstance(wanted, str) and TEXT_TESTS[self.name](content, wanted)


@dataclass(frozen=True, slots=True)
class Matches:
    of: Node
    pattern: str
    find: Callable[[str], bool]

    def value(self, facts: Facts) -> Any:
        content = self.of.value(facts)
        return isinstance(content, str) and self.find(content)


@dataclass(frozen=True, slots=True)
class Comparison:
    left: Node
    operator: str
    right: Node

    def value(self, facts: Facts) -> Any:
        return COMPARE[self.operator](self.left.value(facts), self.right.value(facts))


@dataclass(frozen=True, slots=True)
class Not:
    of: Node

    def value(self, facts: Facts) -> Any:
        return not _truth(self.of.value(facts))


@dataclass(frozen=True, slots=True)
class Both:
    """``and`` and ``or`` over any number of conditions."""

    every: bool
    parts: tuple[Node, ...]

    def value(self, facts: Facts) -> Any:
        return (all if self.every else any)(_truth(part.value(facts)) for part in self.parts)


def _same(left: Any, right: Any) -> bool:
    return equals(right, left) if isinstance(right, MetadataText) else equals(left, right)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """An order between two numbers or two texts; metadata that is written like a number is one beside a number."""

    def holds(left: Any, right: Any) -> bool:
        if isinstance(left, str) and isinstance(right, str):
            return compare(left, right)
        one, other = _as_number(left), _as_number(right)
        return one is not None and other is not None and compare(one, other)

    return holds


def _as_number(value: Any) -> float | None:
    return None if isinstance(value, str) and not isinstance(value, MetadataText) else number(value)


def _is_in(left: Any, right: Any) -> bool:
    if isinstance(right, list):
        return any(_same(left, item) for item in right)
    return isinstance(left, str) and isinstance(right, str) and left in right


COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "==": _same,
    "!=": lambda left, right: not _same(left, right),
    "<": _ordered(lambda left, right: left < right),
    "<=": _ordered(lambda left, right: left <= right),
    ">": _ordered(lambda left, right: left > right),
    ">=": _ordered(lambda left, right: left >= right),
    "in": _is_in,
    "not in": lambda left, right: isinstance(right, list | str) and not _is_in(left, right),
}
TEXT_TESTS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda text, part: part in text,
    "startswith": str.startswith,
    "endswith": str.endswith,
}
