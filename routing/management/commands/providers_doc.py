"""`manage.py providers_doc` writes docs/providers.md from the table of providers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from routing.providers.document import markdown


class Command(BaseCommand):
    help = "Writes docs/providers.md from the table of providers."

    def handle(self, *args: Any, **options: Any) -> None:
        path = Path(settings.BASE_DIR) / "docs" / "providers.md"
        path.write_text(markdown(), encoding="utf-8")
        self.stdout.write(f"{path} is written.")
