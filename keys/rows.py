"""What writes of rows have in common."""

from __future__ import annotations

from django.db import IntegrityError, models, transaction

from keys import validation as check


def save_new(row: models.Model, unique: str) -> None:
    """Saves a new row; where another one has the same value in the unique field, that field is refused."""
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        check.refuse(unique, "is taken", code="already_exists", status=409)
