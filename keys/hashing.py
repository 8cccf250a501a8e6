"""API keys as the gateway knows them: how one is made, hashed and shown. No Django: the hot path hashes with it."""

from __future__ import annotations

import hmac
import secrets

PREFIX = "gh-"
_ENTROPY_BYTES = 24
_LONGEST_NAME_SHOWN = 40
_KEY_LIKE = ("sk-", "gh-", "Bearer ")
_SHOWN_HEAD, _SHOWN_TAIL = 3, 4
# Below this length, seven shown characters would give too much of the key away.
_MIN_LENGTH_TO_SHOW = 16


def derive_pepper(secret_key: str) -> bytes:
    """The key of the hash, made from the installation's secret for this purpose alone."""
    return hmac.digest(secret_key.encode(), b"gatehouse: hash of API keys, v1", "sha256")


def hash_key(raw: str, pepper: bytes) -> str:
    """What is stored of an API key: 64 hexadecimal digits that say nothing about it without the pepper.

    A fast hash is enough because keys are random: there is no dictionary to try.
    """
    return hmac.digest(pepper, raw.encode("utf-8", "surrogatepass"), "sha256").hex()


def new_raw_key() -> str:
    """A new API key with 192 random bits."""
    return PREFIX + secrets.token_urlsafe(_ENTROPY_BYTES)


def shown(name: str) -> str:
    """A name as an error may repeat it: whole while it is short, masked where it may be a credential in the wrong header."""
    return name if len(name) <= _LONGEST_NAME_SHOWN and not name.startswith(_KEY_LIKE) else mask(name)


def mask(raw: str) -> str:
    """A credential as it may be shown: its first three and last four characters, or stars only where it is short."""
    text = "".join(raw.split())
    if len(text) < _MIN_LENGTH_TO_SHOW:
        return "****"
    return f"{text[:_SHOWN_HEAD]}****{text[-_SHOWN_TAIL:]}"
