"""Configs as people read and write them: in an order for reading, with templates to begin with, and where a fault stands."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson
from django.utils.translation import gettext as _

from keys.models import Workspace
from keys.queries import list_virtual_keys
from routing.configs import values
from routing.errors import InvalidRequest

# A list of plain numbers over several lines: a line break inside it cannot be part of a text.
_NUMBERS = re.compile(r"\[\n\s+([\d.,\s-]+?)\n\s+\]")

# The database keeps an object's keys in an order of its own: people read what is chosen first, and the targets last.
_FIRST = ("strategy", "mode", "name", "virtual_key", "provider", "model", "weight", "retry", "attempts")

_COMPACT = 300


def pretty(body: Any) -> str:
    """Indented JSON in an order for reading, with lists of numbers on one line."""
    text = orjson.dumps(_in_order(body), option=orjson.OPT_INDENT_2).decode()
    return _NUMBERS.sub(lambda match: f"[{' '.join(match[1].split())}]", text)


def compact(value: Any) -> str:
    """A value on one line, cut where it grows long."""
    text = orjson.dumps(_in_order(value)).decode()
    return text if len(text) <= _COMPACT else f"{text[:_COMPACT]}…"


def _in_order(value: Any) -> Any:
    if isinstance(value, list):
        return [_in_order(item) for item in value]
    if not isinstance(value, dict):
        return value
    first = [name for name in _FIRST if name in value]
    rest = [name for name in value if name not in _FIRST and name != "targets"]
    return {name: _in_order(value[name]) for name in (*first, *rest, *(("targets",) if "targets" in value else ()))}


def templates(workspace: Workspace) -> list[tuple[str, str, str]]:
    """Configs to begin with (id, title, JSON), written for the virtual keys that the workspace has."""
    slugs = [key.slug for key in list_virtual_keys(workspace)[:2]]
    # A template can be saved as it is, so it names no virtual key that is not there.
    first: dict[str, Any] = {"virtual_key": slugs[0]} if slugs else {"provider": "mock"}
    second: dict[str, Any] = {"virtual_key": slugs[-1]} if slugs else {"provider": "mock"}
    retry = {"attempts": 3, "on_status_codes": [429, 500, 502, 503, 504]}
    breaker = {"failure_threshold": 5, "cooldown_interval": 30_000}
    paid = {"query": {"metadata.user_plan": {"$eq": "paid"}}, "then": "premium"}
    rules = {"mode": "conditional", "conditions": [paid], "default": "standard"}
    by_user = {"mode": "loadbalance", "sticky": {"hash_fields": ["metadata.user_id"]}}
    written: list[tuple[str, str, dict[str, Any]]] = [
        ("single", _("One provider with retries"), {**first, "retry": retry}),
        ("fallback", _("Fallback"), {"strategy": {"mode": "fallback"}, "targets": [first, second]}),
        (
            "loadbalance",
            _("Load balance"),
            {"strategy": {"mode": "loadbalance"}, "targets": [{**first, "weight": 70}, {**second, "weight": 30}]},
        ),
        (
            "conditional",
            _("By conditions on the call"),
            {"strategy": rules, "targets": [{"name": "premium", **first}, {"name": "standard", **second}]},
        ),
        (
            "canary",
            _("Canary: each user stays on one side"),
            {"strategy": by_user, "targets": [{**first, "weight": 95}, {"name": "canary", **second, "weight": 5}]},
        ),
        ("latency", _("The fastest first"), {"strategy": {"mode": "least_latency"}, "targets": [first, second]}),
        ("cost", _("The cheapest first"), {"strategy": {"mode": "least_cost"}, "targets": [first, second]}),
        (
            "breaker",
            _("Fallback with circuit breakers"),
            {
                "strategy": {"mode": "fallback"},
                "cb_config": breaker,
                "targets": [{**first, "request_timeout": "20s"}, second],
            },
        ),
    ]
    return [(name, title, pretty(body)) for name, title, body in written]


def example_requests() -> list[tuple[str, str, str]]:
    """Requests for a dry run (id, title, JSON)."""
    chat = '"endpoint": "chat/completions",\n  "body": {\n    "model": "gpt-4o-mini",'
    messages = '"messages": [{"role": "user", "content": "Hello"}]'
    vectors = '"body": {"model": "text-embedding-3-small", "input": "Hello"}'
    return [
        ("chat", _("Chat"), f"{{\n  {chat}\n    {messages}\n  }}\n}}"),
        (
            "metadata",
            _("Chat with metadata"),
            f'{{\n  {chat}\n    {messages}\n  }},\n  "metadata": {{"user_plan": "paid", "user_id": "u-1"}}\n}}',
        ),
        ("stream", _("Streamed chat"), f'{{\n  {chat}\n    "stream": true,\n    {messages}\n  }}\n}}'),
        ("embeddings", _("Embeddings"), f'{{\n  "endpoint": "embeddings",\n  {vectors}\n}}'),
    ]


# --- Where a fault stands ---------------------------------------------------------------------------------------------

_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+)', re.DOTALL)
# What a text that is no document is refused with.
_TOLD_LINE = re.compile(r"line (\d+), column")
_LAST_STEP = re.compile(r"(?:^|\.)[^.\[]*$|\[\d+\]$")


def line_of(text: str, path: str) -> int | None:
    """The line (from 1) of a JSON text where the value at ``targets[1].weight`` stands, or what is around it."""
    lines = _lines(text)
    while path not in lines:
        shorter = _LAST_STEP.sub("", path)
        if shorter in ("", path):
            return None
        path = shorter
    return lines[path]


def _lines(text: str) -> dict[str, int]:
    """The line of every key and item, as far as the text is JSON."""
    lines: dict[str, int] = {}
    open_paths: list[tuple[str, int]] = []  # of the containers around this place: path, and index of the item or -1
    path, key, at, line, counted = "", "", 0, 1, 0
    while match := _TOKEN.match(text, at):
        word, at = match[1], match.end()
        line, counted = line + text.count("\n", counted, match.start(1)), match.start(1)
        if open_paths and word not in "}],:":
            outer, index = open_paths[-1]
            if index >= 0:
                path = f"{outer}[{index}]"
                lines.setdefault(path, line)
            elif not key:
                key = _unquoted(word)
                path = values.join(outer, key)
                lines.setdefault(path, line)
                continue
        if word in "{[":
            open_paths.append((path, 0 if word == "[" else -1))
            key = ""
        elif word in "}]":
            if not open_paths:
                return lines
            open_paths.pop()
        elif word == "," and open_paths:
            outer, index = open_paths[-1]
            open_paths[-1] = (outer, index + 1 if index >= 0 else -1)
            key = ""
    return lines


def _unquoted(word: str) -> str:
    try:
        return str(json.loads(word))
    except ValueError:
        return word


class Fault:
    """Why a config cannot be saved, for people: the path, the reason, and the line of the text."""

    def __init__(self, error: InvalidRequest, text: str) -> None:
        path = error.param or ""
        self.path = "" if path == "config" else path
        self.reason = error.message.removeprefix(f"{path}: ")
        told = _TOLD_LINE.match(self.reason)
        self.line = int(told[1]) if told else line_of(text, self.path)
