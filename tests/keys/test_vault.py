from __future__ import annotations

from typing import Any

import pytest

from gateway_project.env import EnvError
from keys import vault
from keys.vault import Vault, VaultError

OLD, NEW = "b2xkIG9sZCBvbGQgb2xkIG9sZCBvbGQgb2xkIG9sZCA=", "bmV3IG5ldyBuZXcgbmV3IG5ldyBuZXcgbmV3IG5ldyA="


def test_it_gives_back_what_it_was_given() -> None:
    for raw in ("sk-secret", "", "密钥", '{"type": "service_account"}'):
        assert Vault([OLD]).decrypt(Vault([OLD]).encrypt(raw)) == raw


def test_the_stored_form_does_not_show_the_credential() -> None:
    assert b"sk-secret" not in Vault([OLD]).encrypt("sk-secret")


def test_it_reads_what_postgres_hands_over() -> None:
    ring = Vault([OLD])
    assert ring.decrypt(memoryview(ring.encrypt("sk-secret"))) == "sk-secret"


def test_every_key_of_the_ring_decrypts_and_the_first_encrypts() -> None:
    token = Vault([OLD]).encrypt("sk-secret")
    both = Vault([NEW, OLD])
    assert both.decrypt(token) == "sk-secret"
    assert Vault([NEW]).decrypt(both.encrypt("sk-secret")) == "sk-secret"


def test_after_rotation_the_old_key_is_not_needed() -> None:
    rotated = Vault([NEW, OLD]).rotate(Vault([OLD]).encrypt("sk-secret"))
    assert Vault([NEW]).decrypt(rotated) == "sk-secret"


@pytest.mark.parametrize("token", [b"", b"garbage", Vault([NEW]).encrypt("x")], ids=["nothing", "garbage", "of another key"])
def test_what_no_key_made_is_refused_with_the_setting_named(token: bytes) -> None:
    for use in (Vault([OLD]).decrypt, Vault([OLD]).rotate):
        with pytest.raises(VaultError, match="GATEHOUSE_VAULT_KEYS"):
            use(token)


@pytest.mark.parametrize("key", ["", "too-short-key", OLD[:-2], "é" * 44, OLD + "=" + OLD])
def test_a_bad_key_is_refused_with_the_setting_and_never_the_key_in_the_message(key: str) -> None:
    with pytest.raises(EnvError, match=r"^GATEHOUSE_VAULT_KEYS: key 2 ") as caught:
        Vault([OLD, key])
    assert not key or key not in str(caught.value)


def test_an_empty_ring_is_refused() -> None:
    with pytest.raises(EnvError, match="GATEHOUSE_VAULT_KEYS"):
        Vault([])


def test_the_default_ring_follows_the_settings(settings: Any) -> None:
    settings.VAULT_KEYS = (OLD,)
    token = vault.encrypt("sk-secret")
    settings.VAULT_KEYS = (NEW, OLD)
    assert vault.decrypt(token) == "sk-secret"
    settings.VAULT_KEYS = (NEW,)
    with pytest.raises(VaultError):
        vault.decrypt(token)
