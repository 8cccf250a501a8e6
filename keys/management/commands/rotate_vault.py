"""`manage.py rotate_vault`: encrypts every stored credential under the first of GATEHOUSE_VAULT_KEYS.

Safe beside running gateways, and again after an interruption: each credential is rewritten under its own lock, and what it says
stays the same. Afterwards the other keys can be dropped.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from keys import vault

# Every column of the database that the vault has written.
_COLUMNS = {
    "keys.VirtualKey": ("secret", "secret_options"),
    "analytics.AlertChannel": ("secret",),
}


class Command(BaseCommand):
    help = "Encrypts every stored credential under the first key of GATEHOUSE_VAULT_KEYS."

    def handle(self, *args: Any, **options: Any) -> None:
        done, lost = 0, []
        for name, columns in _COLUMNS.items():
            model = apps.get_model(name)
            for pk in list(model.objects.order_by("pk").values_list("pk", flat=True)):
                with transaction.atomic():
                    row = model.objects.select_for_update().select_related(None).filter(pk=pk).first()
                    if row is None:
                        continue  # deleted meanwhile
                    try:
                        values = {column: vault.rotate(token) for column in columns if (token := getattr(row, column))}
                    except vault.VaultError:
                        lost.append(f"{model._meta.verbose_name} {row}")
                        continue
                    # Past the model's own `updated_at`: nothing about the row has changed.
                    model.objects.filter(pk=pk).update(**values)
                    done += 1
        self.stdout.write(f"{done} stored credentials are encrypted under the first key.")
        if lost:
            names = ", ".join(sorted(lost))
            raise CommandError(f"{len(lost)} cannot be read with any of the keys, keep the old ones: {names}")
