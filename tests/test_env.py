"""Settings come from the environment, typed, or stop the start with their name."""

from __future__ import annotations

import pytest

from gateway_project import env
from gateway_project.env import EnvError, env_bool, env_choice, env_int, env_list, env_secret, env_str

NAME = "GATEHOUSE_SOMETHING"


@pytest.fixture
def given(monkeypatch):
    """Sets the variable; None leaves it unset."""

    def give(value):
        monkeypatch.delenv(f"{NAME}_FILE", raising=False)
        monkeypatch.delenv(NAME, raising=False) if value is None else monkeypatch.setenv(NAME, value)

    return give


@pytest.fixture
def in_file(monkeypatch, tmp_path):
    def give(content):
        file = tmp_path / "secret"
        file.write_bytes(content)
        monkeypatch.delenv(NAME, raising=False)
        monkeypatch.setenv(f"{NAME}_FILE", str(file))

    return give


READS = [
    # (reader, value, result)
    (lambda: env_str(NAME), "x", "x"),
    (lambda: env_str(NAME), None, None),
    (lambda: env_str(NAME), "", None),
    (lambda: env_str(NAME, "d"), None, "d"),
    (lambda: env_str(NAME, "d"), "", "d"),
    *((lambda: env_bool(NAME, default=False), value, True) for value in ("1", "true", "TRUE", "yes", "On")),
    *((lambda: env_bool(NAME, default=True), value, False) for value in ("0", "false", "No", "off")),
    (lambda: env_bool(NAME, default=True), None, True),
    (lambda: env_bool(NAME, default=True), "", True),
    (lambda: env_int(NAME, 5), None, 5),
    (lambda: env_int(NAME, 5), "7", 7),
    (lambda: env_int(NAME, 5, minimum=1, maximum=7), "7", 7),
    (lambda: env_int(NAME, 5), "0", 0),
    (lambda: env_list(NAME), None, ()),
    (lambda: env_list(NAME, ("d",)), None, ("d",)),
    (lambda: env_list(NAME), " a, b ,,c", ("a", "b", "c")),
    (lambda: env_list(NAME, ("d",)), " , ", ()),
    (lambda: env_choice(NAME, "a", ("a", "b")), None, "a"),
    (lambda: env_choice(NAME, "a", ("a", "b")), "b", "b"),
    (lambda: env_secret(NAME), "s", "s"),
]


@pytest.mark.parametrize(("read", "value", "result"), READS)
def test_it_reads(given, read, value, result):
    given(value)
    assert read() == result


REFUSALS = [
    (lambda: env_bool(NAME, default=True), "maybe", "'maybe' is not a boolean: use true or false"),
    (lambda: env_int(NAME, 5), "five", "'five' is not a whole number"),
    (lambda: env_int(NAME, 5), "1.5", "not a whole number"),
    (lambda: env_int(NAME, 5), "-1", "out of range: use a number at least 0"),
    (lambda: env_int(NAME, 5, minimum=1, maximum=9), "10", "out of range: use a number from 1 to 9"),
    (lambda: env_choice(NAME, "a", ("a", "b")), "c", "'c' is not one of a, b"),
    (lambda: env_secret(NAME), None, f"is not set: give it, or {NAME}_FILE"),
    (lambda: env_secret(NAME), "", "is not set"),
]


@pytest.mark.parametrize(("read", "value", "words"), REFUSALS)
def test_it_refuses_by_name(given, read, value, words):
    given(value)
    with pytest.raises(EnvError) as caught:
        read()
    assert str(caught.value).startswith(NAME)
    assert words in str(caught.value)


def test_a_file_may_hold_the_value(in_file):
    in_file(b"  from a file\n")
    assert env_str(NAME) == "from a file"
    in_file(b"12\n")
    assert env_int(NAME, 5) == 12


@pytest.mark.parametrize("content", [b"", b" \n"])
def test_an_empty_file_is_a_mistake(in_file, content):
    in_file(content)
    with pytest.raises(EnvError, match=f"{NAME}_FILE: .* is empty"):
        env_str(NAME, "default")


def test_a_file_that_cannot_be_read_is_a_mistake(in_file, monkeypatch, tmp_path):
    in_file(b"\xff\xfe")
    with pytest.raises(EnvError, match=f"{NAME}_FILE: cannot read"):
        env_str(NAME)
    monkeypatch.setenv(f"{NAME}_FILE", str(tmp_path / "nowhere"))
    with pytest.raises(EnvError, match=f"{NAME}_FILE: cannot read"):
        env_str(NAME)


def test_value_and_file_together_are_a_mistake(in_file, monkeypatch):
    in_file(b"x")
    monkeypatch.setenv(NAME, "y")
    with pytest.raises(EnvError, match="are both set"):
        env_str(NAME)


def test_the_environment_is_given_as_a_copy(given):
    given("x")
    copy = env.environment()
    copy[NAME] = "changed"
    assert (env_str(NAME), env.environment()[NAME]) == ("x", "x")
