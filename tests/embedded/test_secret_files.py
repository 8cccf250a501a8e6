from __future__ import annotations

import stat

import pytest
from cryptography.fernet import Fernet

from gateway_project.embedded import secret_files
from gateway_project.embedded.paths import Paths


@pytest.fixture
def paths(tmp_path, monkeypatch):
    for name in ("GATEHOUSE_SECRET_KEY", "GATEHOUSE_VAULT_KEYS"):
        monkeypatch.delenv(name, raising=False)
    return Paths(tmp_path / "data")


def test_it_makes_both_secrets_once(paths):
    secret_files.create_missing(paths)
    first = paths.secret("secret_key"), paths.secret("vault_keys")
    secret_files.create_missing(paths)
    assert (paths.secret("secret_key"), paths.secret("vault_keys")) == first
    assert first[0] != first[1]
    Fernet(first[1])


def test_only_the_owner_can_read_them(paths):
    secret_files.create_missing(paths)
    assert stat.S_IMODE(paths.secrets.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in paths.secrets.iterdir()} == {0o600}


def test_a_secret_from_the_environment_is_not_made(paths, monkeypatch):
    monkeypatch.setenv("GATEHOUSE_SECRET_KEY", "given")
    secret_files.create_missing(paths)
    assert paths.secret("secret_key") is None
    assert paths.secret("vault_keys")
