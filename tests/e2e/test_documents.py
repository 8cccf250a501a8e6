"""The guides on configs and errors say what the product does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from routing.configs.normalise import normalise
from routing.errors import InvalidConfig
from routing.patience import DEADLINE

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = (ROOT / "docs" / "configs.md").read_text(encoding="utf-8")
ERRORS = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
# What model calls can meet; the admin REST API has a guide and codes of its own.
_RAISED_IN = (
    "routing/*.py",
    "routing/api/*.py",
    "routing/configs/*.py",
    "keys/auth.py",
    "keys/fences.py",
    "keys/limits/*.py",
    "routing/providers/openai/*.py",
)
_OF_THE_ADMIN_API = {"config_in_use", "label_in_use", "version_conflict", "not_found"}
# Bases of the tree: what is raised has a code of its own.
_NEVER_RAISED = {"upstream_error", "unavailable", "provider_error"}


@pytest.mark.parametrize("example", re.findall(r"```json\n(.*?)```", CONFIGS, re.DOTALL))
def test_the_configs_of_the_guide_are_accepted(example: str) -> None:
    assert normalise(json.loads(example))


def _fields(text: str) -> list[dict[str, Any]]:
    """Each piece of JSON in a cell of the table of forms, as an object; a bare value repeats the key before it."""
    found: list[dict[str, Any]] = []
    for code in re.findall(r"`([^`]+)`", text):
        if code.startswith('"') and ":" in code:
            found.append(json.loads(f"{{{code}}}"))
        elif code.startswith('"'):
            found.append({key: json.loads(code) for key in found[-1]})
    return found


def _whole(fields: dict[str, Any], cell: str) -> dict[str, Any]:
    if "in `retry`" in cell or fields.keys() & {"attempts", "backoff_factor", "use_retry_after_header", "initial_delay_ms"}:
        fields = {"retry": {"attempts": 1, **fields}}
    targets = {"targets": [{"virtual_key": "v"}]} if "strategy" in fields else {}
    return {**({} if targets or "provider" in fields else {"virtual_key": "v"}), **targets, **fields}


def _forms() -> list[tuple[str, str]]:
    table = CONFIGS.partition("| Written | Canonical |")[2].partition("\n\n")[0]
    rows = [row.strip("| ").split(" | ") for row in table.splitlines()[2:]]
    return [(written, canonical) for written, canonical in rows if ":" in written]


@pytest.mark.parametrize(("written", "canonical"), _forms())
def test_the_forms_of_the_guide_become_the_canonical_ones(written: str, canonical: str) -> None:
    merged = {name: value for fields in _fields(canonical) for name, value in fields.items()}
    expected = _whole(merged, written)
    alternatives = _fields(written)
    if len(alternatives) == len(_fields(canonical)) > 1:
        alternatives = [{name: value for fields in alternatives for name, value in fields.items()}]

    for fields in alternatives:
        assert normalise(_whole(fields, written)) == expected
    assert normalise(expected) == expected


def test_what_the_guide_calls_unsupported_is_refused_as_such() -> None:
    named = CONFIGS.rpartition("`unsupported`, by name:")[2]
    for key in set(re.findall(r"`([a-z_]+)`", named)) - {"strategy"}:
        with pytest.raises(InvalidConfig) as caught:
            normalise({"virtual_key": "v", key: {}})
        assert caught.value.code == "unsupported", key


def test_every_code_of_the_product_is_in_the_guide_and_no_other() -> None:
    raised: set[str] = set()
    for pattern in _RAISED_IN:
        for file in ROOT.glob(pattern):
            raised |= set(re.findall(r'\bcode(?:: str)? ?= ?"([a-z_]+)"', file.read_text(encoding="utf-8")))
    raised |= {"unknown_provider"}  # raised by the table of providers
    raised |= {DEADLINE}

    documented = set(re.findall(r"^\| [\w ']+ \| `([a-z_]+)` \|", ERRORS, re.MULTILINE))

    assert documented - {"code"} == raised - _OF_THE_ADMIN_API - _NEVER_RAISED
