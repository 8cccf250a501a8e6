"""The installation's own secrets, made on the first start and kept in the data directory."""

from __future__ import annotations

import base64
import os
from pathlib import Path

from gateway_project.embedded.paths import Paths, private_directory
from gateway_project.env import env_str

_VARIABLES = {"GATEHOUSE_SECRET_KEY": "secret_key", "GATEHOUSE_VAULT_KEYS": "vault_keys"}


def create_missing(paths: Paths) -> None:
    """Makes each secret that neither the environment nor the data directory has. Both have the form of a Fernet key."""
    for variable, name in _VARIABLES.items():
        if env_str(variable) is None and not paths.secret(name):
            private_directory(paths.secrets)
            _write(paths.secrets / name, base64.urlsafe_b64encode(os.urandom(32)))


def _write(path: Path, secret: bytes) -> None:
    """Whole or not at all: a half-written key would make the vault unreadable later."""
    draft = path.with_suffix(".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secret + b"\n")
        file.flush()
        os.fsync(descriptor)
    draft.replace(path)
