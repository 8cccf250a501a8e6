"""The only place that sees a provider's credential in the clear.

Credentials are encrypted with Fernet (AES-128-CBC and HMAC-SHA256) under a key ring: its first key encrypts, all of them
decrypt, so a new key is put in front, `Vault.rotate` re-encrypts what is stored, and then the old key is dropped.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings

from gateway_project.env import EnvError
from keys.hashing import mask as mask

_KEY = re.compile(r"[A-Za-z0-9_-]{43}=")


class VaultError(Exception):
    """A stored credential cannot be read: none of the vault's keys made it, or it was changed."""


class Vault:
    """A key ring. Raises `EnvError`, which names the variable and never the key, where a key is none."""

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise EnvError("GATEHOUSE_VAULT_KEYS holds no key")
        self._ring = MultiFernet([_fernet(key, position) for position, key in enumerate(keys, start=1)])

    def encrypt(self, raw: str) -> bytes:
        return self._ring.encrypt(raw.encode())

    def decrypt(self, token: bytes | memoryview) -> str:
        """The credential in the clear. Raises `VaultError`."""
        try:
            # Postgres hands binary columns over as memoryview.
            return self._ring.decrypt(bytes(token)).decode()
        except InvalidToken:
            raise VaultError(
                "a stored credential cannot be decrypted: GATEHOUSE_VAULT_KEYS lacks the key it was encrypted with"
            ) from None

    def rotate(self, token: bytes | memoryview) -> bytes:
        """The same credential under the first key. Raises `VaultError`."""
        try:
            return self._ring.rotate(bytes(token))
        except InvalidToken:
            raise VaultError("a stored credential cannot be re-encrypted: GATEHOUSE_VAULT_KEYS lacks its key") from None


def _fernet(key: str, position: int) -> Fernet:
    # Checked here because the decoder skips what it does not know: two keys with the comma forgotten would pass as one.
    if not _KEY.fullmatch(key):
        raise EnvError(f"GATEHOUSE_VAULT_KEYS: key {position} is not a Fernet key (32 bytes in URL-safe base64, 44 characters)")
    return Fernet(key)


@lru_cache(maxsize=8)
def _built(keys: tuple[str, ...]) -> Vault:
    return Vault(keys)


def default() -> Vault:
    """The vault of this installation's settings."""
    return _built(tuple(settings.VAULT_KEYS))


def encrypt(raw: str) -> bytes:
    return default().encrypt(raw)


def decrypt(token: bytes | memoryview) -> str:
    """The credential in the clear. Raises `VaultError`."""
    return default().decrypt(token)


def rotate(token: bytes | memoryview) -> bytes:
    """The same credential under the first key. Raises `VaultError`."""
    return default().rotate(token)
