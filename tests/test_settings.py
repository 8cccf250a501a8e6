"""The settings file, read afresh with other environments: a bad value stops the start with its name."""

from __future__ import annotations

import os
import runpy
from pathlib import Path

import pytest
from django.core.management import call_command

from gateway_project.env import EnvError
from routing.egress import EgressGuard

FILE = Path(__file__).resolve().parent.parent / "gateway_project" / "settings.py"
VAULT_KEY = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="


@pytest.fixture
def read(monkeypatch, tmp_path):
    """The settings as a mapping, with only these variables set."""
    for name in list(os.environ):
        if name.startswith("GATEHOUSE_") or name.removesuffix("_FILE") in {"PORT", "DATABASE_URL", "REDIS_URL"}:
            monkeypatch.delenv(name)
    given = {"GATEHOUSE_SECRET_KEY": "s", "GATEHOUSE_VAULT_KEYS": VAULT_KEY, "GATEHOUSE_DATA_DIR": str(tmp_path / "data")}

    def run(**variables):
        for name, value in {**given, **variables}.items():
            monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
        return runpy.run_path(str(FILE))

    return run


def test_everything_has_a_default_that_fits_one_machine(read, tmp_path):
    settings = read()
    assert (settings["HOST"], settings["PORT"]) == ("127.0.0.1", 8787)
    assert (settings["REQUIRE_API_KEY"], settings["DEBUG"], settings["LIMITS_FAIL"]) == (False, False, "open")
    assert (settings["EMBEDDED_POSTGRES"], settings["EMBEDDED_VALKEY"]) == (True, True)
    assert settings["DATA_DIR"] == tmp_path / "data"
    assert settings["REDIS_URL"].startswith("unix://")
    assert settings["CELERY_BROKER_URL"].startswith("redis+socket://")
    assert "virtual_host=" in settings["CELERY_BROKER_URL"]


@pytest.mark.parametrize(
    ("variables", "name", "value"),
    [
        ({"GATEHOUSE_HOST": "0.0.0.0"}, "REQUIRE_API_KEY", True),
        ({"GATEHOUSE_HOST": "0.0.0.0", "GATEHOUSE_REQUIRE_API_KEY": "false"}, "REQUIRE_API_KEY", False),
        ({"GATEHOUSE_HOST": "::1"}, "REQUIRE_API_KEY", False),
        ({"GATEHOUSE_REQUIRE_API_KEY": "yes"}, "REQUIRE_API_KEY", True),
        ({"PORT": "80"}, "PORT", 80),
        ({"GATEHOUSE_PRIVATE_HOSTS": "mock.lan, 10.0.0.0/8"}, "EGRESS", EgressGuard.parse(["mock.lan", "10.0.0.0/8"])),
        ({"GATEHOUSE_VAULT_KEYS": f"{VAULT_KEY}, {VAULT_KEY},"}, "VAULT_KEYS", (VAULT_KEY, VAULT_KEY)),
        ({"GATEHOUSE_LOG_CONTENT": "off"}, "LOG_CONTENT", False),
        ({"GATEHOUSE_LIMITS_FAIL": "closed"}, "LIMITS_FAIL", "closed"),
        ({"REDIS_URL": "rediss://host:6380/1"}, "CELERY_BROKER_URL", "rediss://host:6380/1"),
        ({"REDIS_URL": "rediss://host:6380/1"}, "EMBEDDED_VALKEY", False),
        ({"DATABASE_URL": "postgresql://u:p@host/db"}, "EMBEDDED_POSTGRES", False),
    ],
)
def test_a_variable_sets_it(read, variables, name, value):
    assert read(**variables)[name] == value


def test_a_database_url_is_taken_apart(read):
    default = read(DATABASE_URL="postgresql://me:p%40ss@db.example:5433/gate")["DATABASES"]["default"]
    assert (default["HOST"], default["PORT"], default["NAME"], default["USER"], default["PASSWORD"]) == (
        "db.example",
        5433,
        "gate",
        "me",
        "p@ss",
    )


def test_secrets_may_lie_in_files(read, tmp_path):
    (tmp_path / "key").write_text("from a file\n")
    settings = read(GATEHOUSE_SECRET_KEY=None, GATEHOUSE_SECRET_KEY_FILE=str(tmp_path / "key"))
    assert settings["SECRET_KEY"] == "from a file"


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"GATEHOUSE_SECRET_KEY": None}, "GATEHOUSE_SECRET_KEY is not set"),
        ({"GATEHOUSE_VAULT_KEYS": None}, "GATEHOUSE_VAULT_KEYS is not set"),
        ({"PORT": "http"}, "PORT: 'http' is not a whole number"),
        ({"PORT": "0"}, "PORT: 0 is out of range"),
        ({"PORT": "70000"}, "PORT: 70000 is out of range"),
        ({"GATEHOUSE_REQUIRE_API_KEY": "maybe"}, "GATEHOUSE_REQUIRE_API_KEY: 'maybe' is not a boolean"),
        ({"GATEHOUSE_PRIVATE_HOSTS": "lan, http://lan"}, "GATEHOUSE_PRIVATE_HOSTS: 'http://lan' is neither"),
        ({"GATEHOUSE_MAX_BODY_BYTES": "1"}, "GATEHOUSE_MAX_BODY_BYTES: 1 is out of range"),
        ({"GATEHOUSE_LIMITS_FAIL": "sometimes"}, "GATEHOUSE_LIMITS_FAIL: 'sometimes' is not one of open, closed"),
        ({"GATEHOUSE_LOG_LEVEL": "loud"}, "GATEHOUSE_LOG_LEVEL: 'loud' is not one of"),
        ({"GATEHOUSE_LOG_RETENTION_DAYS": "0"}, "GATEHOUSE_LOG_RETENTION_DAYS: 0 is out of range"),
        ({"GATEHOUSE_SPOOL_MAX_BYTES": "5"}, "GATEHOUSE_SPOOL_MAX_BYTES: 5 is out of range"),
        ({"DATABASE_URL": "mysql://host/db"}, "DATABASE_URL must be a postgresql:// URL"),
        ({"DATABASE_URL": "sqlite://:memory:"}, "DATABASE_URL must be a postgresql:// URL"),
        ({"DATABASE_URL": "nonsense"}, "DATABASE_URL is not a database URL"),
        ({"DATABASE_URL": "postgresql://host:port/db"}, "DATABASE_URL is not a database URL"),
        ({"REDIS_URL": "http://host"}, "REDIS_URL must begin with redis://"),
    ],
)
def test_a_bad_value_stops_the_start_with_its_name(read, variables, words):
    with pytest.raises(EnvError) as caught:
        read(**variables)
    assert str(caught.value).startswith(words)


def test_a_bad_url_does_not_show_its_password(read):
    for variables in ({"DATABASE_URL": "postgresql://u:SECRET@host:port/db"}, {"REDIS_URL": "http://:SECRET@host"}):
        with pytest.raises(EnvError) as caught:
            read(**variables)
        assert "SECRET" not in str(caught.value)


def test_django_finds_nothing_wrong_with_them():
    call_command("check")
