"""The condition of a rule as a function of a call."""

from __future__ import annotations

from collections.abc import Callable

import orjson

from routing.call import Json
from routing.configs.expression import compile_expression
from routing.configs.facts import Facts
from routing.configs.query import compile_query


def compile_rule(rule: Json, path: str) -> tuple[Callable[[Facts], bool], str]:
    """Whether a canonical rule holds for a call, and the rule as a text. Raises `InvalidConfig`."""
    if "condition" in rule:
        return compile_expression(rule["condition"], f"{path}.condition"), rule["condition"]
    return compile_query(rule["query"], f"{path}.query"), orjson.dumps(rule["query"]).decode()
