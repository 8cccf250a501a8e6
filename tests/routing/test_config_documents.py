"""A config may come as JSON or as YAML; and what it names must be there."""

from __future__ import annotations

import json
import time

import pytest

from routing.configs.document import MAX_CHARACTERS, MAX_DEPTH, parse_document
from routing.configs.references import check_references
from routing.errors import InvalidConfig

POOL = """
# From the team's wiki
connection_pool:
  max_size: 100
  idle_timeout: 30000
  provider_specific:
    openai: {max_connections: 50, timeout: 10000}
"""


def refused(text: str) -> str:
    with pytest.raises(InvalidConfig) as caught:
        parse_document(text)
    assert caught.value.param == "config"
    return caught.value.message


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, 2.5, null, true, "x"]}', {"a": [1, 2.5, None, True, "x"]}),
        (
            POOL,
            {
                "connection_pool": {
                    "max_size": 100,
                    "idle_timeout": 30000,
                    "provider_specific": {"openai": {"max_connections": 50, "timeout": 10000}},
                }
            },
        ),
        ("{a: 1, b: [x, y]}", {"a": 1, "b": ["x", "y"]}),
        ("- a\n- 1", ["a", 1]),
        ("on: off\nyes: no", {"on": "off", "yes": "no"}),
        ("ok: true\nno: False", {"ok": True, "no": False}),
        ("a: 0777\nb: 1:30:00\nc: 1_000\nd: .inf", {"a": "0777", "b": "1:30:00", "c": "1_000", "d": ".inf"}),
        ("a: -0.5\nb: 1e3\nc: 0", {"a": -0.5, "b": 1000.0, "c": 0}),
        ("day: 2026-01-31", {"day": "2026-01-31"}),
        ("base: &b {x: 1, y: 2}\nmore:\n  <<: *b\n  y: 3", {"base": {"x": 1, "y": 2}, "more": {"x": 1, "y": 3}}),
        ("text: |\n  two\n  lines\n", {"text": "two\nlines\n"}),
        ('\n\t {"a":\t1}', {"a": 1}),
    ],
)
def test_json_and_yaml_are_read_alike(text, value):
    parsed = parse_document(text)
    assert parsed == value
    assert json.loads(json.dumps(parsed)) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("  \n", "is empty"),
        ("# nothing", "is empty"),
        ("hello", "expected an object, got a text"),
        ('{"a": 1,\n "b" 2}', "line 2, column 6"),
        ("a: [1, 2\nb: 3", "line 2"),
        ("a: b: c", "line 1, column 5"),
        ('{"a": 1, "a": 2}', "the key 'a' stands twice"),
        ("a: 1\nb: 2\na: 3", "line 3, column 1: the key 'a' stands twice"),
        ("1: x", "a key must be a text"),
        ("? [a]\n: x", "a key must be a text"),
        ('{"a": NaN}', "NaN"),
        ('{"a": 1e999}', "out of range"),
        ("a: 1e999", "no numbers of JSON"),
        ('{"a": ' + "9" * 5000 + "}", "cannot be read"),
        ("a: " + "9" * 5000, "cannot be read"),
        ('{"a": 99999999999999999999}', "out of range"),
        ('{"a": "\\ud800"}', "surrogate"),
        ("a: b\n" * 25_000, "give it as JSON"),
        ("a: !!python/object/apply:os.system [ls]", "is not one of JSON's"),
        ("a: !!binary aGk=", "is not one of JSON's"),
        ("a: !!set {x, y}", "is not one of JSON's"),
        ("a: &a [*a]", "names what it stands in"),
        ("a: *nowhere", "undefined alias"),
        ("a: 1\n---\nb: 2", "another document"),
        ("[" * 50_000, "nested deeper"),
        ("[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2), "nested deeper"),
        ("a: " + "[" * 5_000 + "]" * 5_000, "nested deeper"),
        ("{" + '"a":{' * 5_000, "nested deeper"),
        ("x" * (MAX_CHARACTERS + 1), "is longer than"),
        (json.dumps([0] * 30_000), "more than 20000 values"),
    ],
)
def test_what_is_no_document_is_refused_with_its_place(text, words):
    assert words in refused(text)


def test_aliases_cannot_grow_a_small_text_into_a_large_value():
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
    )
    began = time.monotonic()
    assert "more than 20000 values" in refused(bomb)
    assert time.monotonic() - began < 1


# --- What a config names ---------------------------------------------------------------------------------------------


def test_a_config_that_names_what_there_is_passes():
    check_references({"virtual_key": "prod"}, {"prod"})
    check_references({"targets": [{"provider": "openai"}, {"targets": [{"virtual_key": "prod"}]}]}, ["prod", "test"])
    check_references({"retry": {"attempts": 1}}, ())


@pytest.mark.parametrize(
    ("config", "path", "words"),
    [
        ({"virtual_key": "prd"}, "virtual_key", 'did you mean "prod"?'),
        ({"virtual_key": "zzzzzz"}, "virtual_key", "there is no virtual key 'zzzzzz' in this workspace."),
        (
            {"targets": [{"virtual_key": "prod"}, {"targets": [{"virtual_key": "gone"}]}]},
            "targets[1].targets[0].virtual_key",
            "'gone'",
        ),
    ],
)
def test_a_virtual_key_that_is_not_there_is_refused_with_its_path(config, path, words):
    with pytest.raises(InvalidConfig) as caught:
        check_references(config, {"prod"})
    assert (caught.value.param, caught.value.code) == (path, "unknown_virtual_key")
    assert words in caught.value.message
