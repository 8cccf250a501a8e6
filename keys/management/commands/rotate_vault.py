"""`manage.py rotate_vault`: encrypts every stored credential under the first of GATEHOUSE_VAULT_KEYS.

Safe beside running gateways, and again after an interruption: each credential is rewritten under its own lock, and what it says
stays the same. Afterwards the other keys can be dropped.
"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from keys import vault
from keys.models import VirtualKey

_COLUMNS = ("secret", "secret_options")


class Command(BaseCommand):
    help = "Encrypts every stored credential under the first key of GATEHOUSE_VAULT_KEYS."

    def handle(self, *args: Any, **options: Any) -> None:
        done, lost = 0, []
        for pk in list(VirtualKey.objects.order_by("pk").values_list("pk", flat=True)):
            with transaction.atomic():
                row = VirtualKey.objects.select_for_update().select_related(None).filter(pk=pk).first()
                if row is None:
                    continue  # deleted meanwhile
                try:
                    values = {name: vault.rotate(token) for name in _COLUMNS if (token := getattr(row, name))}
                except vault.VaultError:
                    lost.append(row.slug)
                    continue
                # Past the model's own `updated_at`: nothing about the key has changed.
                VirtualKey.objects.filter(pk=pk).update(**values)
                done += 1
        self.stdout.write(f"{done} virtual keys are encrypted under the first key.")
        if lost:
            names = ", ".join(sorted(lost))
            raise CommandError(f"{len(lost)} cannot be read with any of the keys, keep the old ones: {names}")
