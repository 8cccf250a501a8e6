"""The JSON schema of configs: it knows every form that is documented, and is what the tables say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from routing.configs.normalise import REFUSED, normalise
from routing.configs.schema import config_schema
from tests.routing.test_forms_of_routing import FORMS
from tests.routing.test_normalise import FORMS as OLDER_FORMS

SCHEMA = config_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "configs.md").read_text(encoding="utf-8")
EXAMPLES = [json.loads(example) for example in re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)]


def problems(config):
    return [error.message for error in VALIDATOR.iter_errors(config)]


def test_it_is_a_schema():
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_the_guide_has_examples():
    assert len(EXAMPLES) > 10


@pytest.mark.parametrize("example", EXAMPLES, ids=[json.dumps(example)[:60] for example in EXAMPLES])
def test_every_example_of_the_guide_is_valid_and_so_is_its_canonical_form(example):
    assert problems(example) == []
    assert problems(normalise(example)) == []


@pytest.mark.parametrize(("written", "canonical"), [*FORMS.values(), *OLDER_FORMS.values()])
def test_every_form_is_valid(written, canonical):
    assert problems(written) == []
    assert problems(canonical) == []


@pytest.mark.parametrize(
    "config",
    [
        {},
        [],
        "pc-1",
        {"targets": []},
        {"targets": [{"provider": "openai", "wieght": 1}]},
        {"retry": {"attempts": "3"}},
        {"retry": {"attempts": 21}},
        {"fallback": {"targets": [{"deadline": 5}]}},
        {"conditional_routing": {}},
        {"conditions": {"fallback_on": ["rate-limit"]}},
        {"strategy": {"mode": 5}, "targets": [{}]},
        {"request_timeout": "soon"},
        *({key: {}} for key in REFUSED),
    ],
)
def test_what_is_wrong_by_itself_is_not_valid(config):
    assert problems(config)


def test_every_key_is_described():
    def check(schema):
        for key, inner in schema.get("properties", {}).items():
            assert "description" in inner or "$ref" in inner or schema.get("required") == ["rules"], key
            check(inner)

    check(SCHEMA)
    check(SCHEMA["$defs"]["target"])
