"""Start-up of the keys app."""

from __future__ import annotations

from django.apps import AppConfig

from keys import vault


class KeysConfig(AppConfig):
    name = "keys"

    def ready(self) -> None:
        """Builds the vault, so that a bad key stops the start and not the first call."""
        vault.default()
