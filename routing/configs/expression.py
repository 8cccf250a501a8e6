"""Conditions in the expression language: ``input.contains('code') and metadata.tier in ['pro', 'team']``.

A text is read once into a frozen tree (routing/configs/tree.py), by a scanner and a parser of our own: nothing of it is ever
run as code, and evaluating it never fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from routing.configs import patterns
from routing.configs.params import Step
from routing.configs.tree import (
    TEXT_TESTS,
    Both,
    Comparison,
    Expression,
    Fact,
    Length,
    ListOf,
    Literal,
    Matches,
    Metadata,
    Node,
    Not,
    Param,
    TextTest,
)
from routing.errors import InvalidConfig

MAX_CHARACTERS = 4096
MAX_TOKENS = 1024
MAX_DEPTH = 32

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<number>-?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?(?![\w.]))
      | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<name>[^\W\d]\w*(?:-\w+)*)
      | (?P<sign>==|!=|<=|>=|&&|\|\||[<>!()\[\],.])
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"'}
_CONSTANTS = {"true": True, "false": False, "null": None, "none": None}
_WORDS = {"&&": "and", "||": "or", "!": "not"}
_FACTS = {
    "input": "text",
    "model": "text",
    "max_tokens": "number",
    "temperature": "number",
    "tokens": "number",
    "stream": "condition",
    "has_tools": "condition",
    "has_images": "condition",
}
_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str  # number, text, name, sign or end
    word: str
    column: int


def compile_expression(text: str, path: str) -> Expression:
    """The condition that a text stands for. Raises `InvalidConfig` with the column, counted from 1."""
    if len(text) > MAX_CHARACTERS:
        raise InvalidConfig(f"{path}: an expression has at most {MAX_CHARACTERS} characters.", param=path)
    parser = _Parser(text, path)
    return Expression(text, parser.whole())


class _Parser:
    """Recursive descent: or, and, not, comparison, value. Each step gives a node and the kind of its value."""

    def __init__(self, text: str, path: str) -> None:
        self._path = path
        self._tokens = self._scan(text)
        self._next = 0
        self._depth = 0

    def whole(self) -> Node:
        start = self._peek
        node, kind = self._either()
        if self._peek.kind != "end":
            self._refuse(f"did not expect {self._peek.word[:50]!r}; join conditions with and or or")
        return self._condition(node, kind, start)

    # --- Tokens ---

    def _scan(self, text: str) -> list[_Token]:
        tokens: list[_Token] = []
        place, end = 0, len(text.rstrip())
        while place < end:
            found = _TOKEN.match(text, place)
            blank = len(text[place:]) - len(text[place:].lstrip())
            if found is None:
                self._refuse(_unreadable(text[place + blank :]), place + blank + 1)
            if len(tokens) >= MAX_TOKENS:
                self._refuse(f"an expression has at most {MAX_TOKENS} words", place + blank + 1)
            kind = str(found.lastgroup)
            tokens.append(_Token(kind, found[kind], found.start(kind) + 1))
            place = found.end()
        return [*tokens, _Token("end", "the end", end + 1)]

    @property
    def _peek(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._peek
        self._next += token.kind != "end"
        return token

    def _takes(self, *words: str) -> str | None:
        """The next token's word, taken, if it is one of these; keywords are written small or large."""
        token = self._peek
        word = _WORDS.get(token.word, token.word.lower()) if token.kind in {"name", "sign"} else ""
        if word not in words:
            return None
        self._next += 1
        return word

    def _expect(self, sign: str) -> None:
        if not self._takes(sign):
            self._refuse(f"expected {sign!r}, found {self._peek.word[:50]!r}")

    def _refuse(self, reason: str, column: int | None = None) -> NoReturn:
        column = self._peek.column if column is None else column
        raise InvalidConfig(f"{self._path}: column {column}: {reason}.", param=self._path)

    def _condition(self, node: Node, kind: str, start: _Token) -> Node:
        if kind not in {"condition", "any"}:
            self._refuse(f"expected a condition, found a {kind}; compare it with something", start.column)
        return node

    # --- Grammar ---

    def _either(self) -> tuple[Node, str]:
        return self._joined("or", self._all)

    def _all(self) -> tuple[Node, str]:
        return self._joined("and", self._negated)

    def _joined(self, word: str, inner: Callable[[], tuple[Node, str]]) -> tuple[Node, str]:
        start = self._peek
        node, kind = inner()
        if not self._takes(word):
            return node, kind
        parts = [self._condition(node, kind, start)]
        while True:
            start = self._peek
            parts.append(self._condition(*inner(), start))
            if not self._takes(word):
                return Both(word == "and", tuple(parts)), "condition"

    def _negated(self) -> tuple[Node, str]:
        if not self._takes("not"):
            return self._comparison()
        self._deeper()
        start = self._peek
        node = Not(self._condition(*self._negated(), start))
        self._depth -= 1
        return node, "condition"

    def _comparison(self) -> tuple[Node, str]:
        left, kind = self._value()
        operator = self._operator()
        if operator is None:
            return left, kind
        right, _ = self._value()
        if self._operator() is not None:
            self._next -= 1
            self._refuse("comparisons cannot be chained; join two with and")
        return Comparison(left, operator, right), "condition"

    def _operator(self) -> str | None:
        if operator := self._takes(*_COMPARISONS, "in"):
            return operator
        after = self._tokens[min(self._next + 1, len(self._tokens) - 1)]
        if self._peek.word.lower() == "not" and after.word.lower() == "in":
            self._next += 2
            return "not in"
        return None

    def _value(self) -> tuple[Node, str]:
        token = self._peek
        if token.kind == "number":
            self._take()
            return Literal(float(token.word) if set(token.word) & set(".eE") else int(token.word)), "number"
        if token.kind == "text":
            self._take()
            return self._methods(Literal(_unquoted(token.word)), "text")
        if self._takes("("):
            self._deeper()
            node, kind = self._either()
            self._expect(")")
            self._depth -= 1
            return self._methods(node, kind)
        if self._takes("["):
            return self._methods(self._list(), "list")
        if token.kind == "name":
            return self._named(self._take())
        return self._refuse(f"expected a value, found {token.word[:50]!r}")

    def _list(self) -> Node:
        self._deeper()
        items: list[Node] = []
        while not self._takes("]"):
            if items:
                self._expect(",")
            items.append(self._value()[0])
        self._depth -= 1
        return ListOf(tuple(items))

    def _named(self, token: _Token) -> tuple[Node, str]:
        if token.word.lower() in _CONSTANTS:
            return Literal(_CONSTANTS[token.word.lower()]), "any"
        if token.word in _FACTS:
            return self._methods(Fact(token.word), _FACTS[token.word])
        if token.word == "metadata":
            return self._methods(Metadata(self._key()), "any")
        if token.word == "params":
            steps: list[Step] = [self._key()]
            while self._peek.word == "[" or (self._peek.word == "." and not self._is_method()):
                steps.append(self._key(index=True))
            return self._methods(Param(tuple(steps)), "any")
        known = ", ".join([*_FACTS, "metadata.<key>", "params.<name>"])
        return self._refuse(f"{token.word[:50]!r} is not known; known are {known}", token.column)

    def _key(self, *, index: bool = False) -> Any:
        """A name after a dot, or a text in brackets; with `index` also the number of an element."""
        if self._takes("["):
            token = self._take()
            if token.kind != "text" and not (index and token.word.isdecimal()):
                self._refuse("expected a key in quotes", token.column)
            self._expect("]")
            return _unquoted(token.word) if token.kind == "text" else int(token.word)
        self._expect(".")
        token = self._take()
        if token.kind != "name":
            self._refuse("expected a name after the dot", token.column)
        return token.word

    def _is_method(self) -> bool:
        """Whether what follows the dot is a method or a length, and not a deeper parameter."""
        name = self._tokens[min(self._next + 1, len(self._tokens) - 1)].word
        after = self._tokens[min(self._next + 2, len(self._tokens) - 1)].word
        return after == "(" or _plain(name) == "length"

    def _methods(self, node: Node, kind: str) -> tuple[Node, str]:
        while self._takes("."):
            token = self._take()
            name = _plain(token.word)
            if kind not in {"text", "list", "any"}:
                self._refuse(f"a {kind} has no .{token.word[:50]}", token.column)
            if name == "length":
                if self._takes("("):
                    self._expect(")")
                node, kind = Length(node), "number"
            elif name in TEXT_TESTS:
                self._expect("(")
                node, kind = TextTest(node, name, self._value()[0]), "condition"
                self._expect(")")
            elif name == "matches":
                self._expect("(")
                node, kind = self._matches(node), "condition"
                self._expect(")")
            else:
                self._refuse(
                    f".{token.word[:50]} is not known; known are .contains, .startsWith, .endsWith, .matches and .length",
                    token.column,
                )
        return node, kind

    def _matches(self, node: Node) -> Node:
        token = self._take()
        if token.kind != "text":
            self._refuse("expected a pattern in quotes", token.column)
        pattern = _unquoted(token.word)
        try:
            return Matches(node, pattern, patterns.finder(pattern, self._path))
        except InvalidConfig as error:
            self._refuse(error.message.removeprefix(f"{self._path}: ").rstrip("."), token.column)

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._refuse(f"is nested deeper than {MAX_DEPTH} levels")


def _plain(name: str) -> str:
    return name.replace("_", "").lower()


def _unreadable(rest: str) -> str:
    if rest[0] in "\"'":
        return "a text begins here and has no end"
    if rest[0] == "=":
        return "use == to compare"
    return f"did not expect {rest[0]!r}"


def _unquoted(quoted: str) -> str:
    """What stands between the quotes. An escape that is none keeps its backslash, as patterns need it."""
    return _ESCAPE.sub(_unescaped, quoted[1:-1])


def _unescaped(found: re.Match[str]) -> str:
    if found[1]:
        return chr(int(found[1], 16))
    return _ESCAPED.get(found[2], found[0])
