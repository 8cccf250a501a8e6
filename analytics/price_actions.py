"""Writes of a workspace's own prices: checked, audited, announced to the gateways."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal, InvalidOperation
from typing import Any

from django.db import transaction
from django.utils.dateparse import parse_datetime

from analytics.models import PriceOverride
from analytics.reprice import Repriced
from analytics.tariffs import ANY, CLASSES
from keys import audit
from keys import validation as check
from keys.audit import Actor
from keys.models import Workspace
from routing.announce import bump_snapshot
from routing.providers import table

MAX_PRICE = Decimal(10**6)
# More than the nano-dollar on purpose: a price is of a million tokens.
_PLACES = 9
_MAX_ROWS = 50
_MAX_OVERRIDES = 1000


def create_override(*, workspace: Workspace, actor: Actor, **fields: Any) -> PriceOverride:
    """Fields as docs/costs.md names them. Raises `InvalidRequest` with the path of what is wrong."""
    values = check.clean(fields, _FIELDS)
    check.require(values, "provider", "model")
    row = PriceOverride(workspace=workspace, **values)
    with transaction.atomic():
        if PriceOverride.objects.filter(workspace=workspace).count() >= _MAX_OVERRIDES:
            check.refuse("model", f"there are {_MAX_OVERRIDES} prices already")
        _save(row)
        audit.record(actor, workspace, "price.create", row, **_shown(row))
        bump_snapshot()
    return row


def update_override(row: PriceOverride, *, actor: Actor, **fields: Any) -> PriceOverride:
    """Changes the fields that are given."""
    for name, value in check.clean(fields, _FIELDS).items():
        setattr(row, name, value)
    with transaction.atomic():
        _save(row)
        audit.record(actor, row.workspace, "price.update", row, **_shown(row))
        bump_snapshot()
    return row


def delete_override(row: PriceOverride, *, actor: Actor) -> None:
    with transaction.atomic():
        audit.record(actor, row.workspace, "price.delete", row, **_shown(row))
        row.delete()
        bump_snapshot()


def note_repricing(workspace: Workspace, actor: Actor, done: Repriced) -> None:
    audit.record(actor, workspace, "price.reprice", workspace, changed=done.changed, difference_usd=str(done.difference))


def unsaved(*, workspace: Workspace, **fields: Any) -> PriceOverride:
    """A price for a preview: checked like one that is saved."""
    values = check.clean(fields, _FIELDS)
    check.require(values, "provider", "model")
    row = PriceOverride(workspace=workspace, **values)
    _check(row)
    return row


def _save(row: PriceOverride) -> None:
    _check(row)
    row.save()


def _check(row: PriceOverride) -> None:
    if not row.prices and not row.discount_percent:
        check.refuse("prices", "name at least one price, or a discount on the price list")
    if row.starts_at is not None and row.ends_at is not None and row.ends_at <= row.starts_at:
        check.refuse("ends_at", "must be after starts_at")


def _shown(row: PriceOverride) -> dict[str, Any]:
    return {"prices": row.prices, "discount_percent": str(row.discount_percent)}


# --- Checks -----------------------------------------------------------------------------------------------------------


def provider(value: Any, path: str) -> str:
    name = check.text(64)(value, path)
    if name == ANY:
        return ANY
    found = table.PROVIDERS.get(name) or next((row for row in table.PROVIDERS.values() if name in row.aliases), None)
    if found is None:
        check.refuse(path, f"there is no provider {name[:64]!r}{check.nearest(name, table.PROVIDERS)}")
    return found.id


def _model(value: Any, path: str) -> str:
    name: str = check.text(200)(value, path)
    if "[" in name or "\n" in name:
        check.refuse(path, "is a name or a pattern with * and ?, without brackets")
    return name


def usd(value: Any, path: str) -> str:
    """A price of 0 or more, as a number or a text, as a text that keeps its digits."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        check.refuse(path, "must be a number of USD")
    try:
        amount = Decimal(str(value).strip())
    except InvalidOperation:
        check.refuse(path, "must be a number of USD")
    if not amount.is_finite() or not 0 <= amount <= MAX_PRICE:
        check.refuse(path, f"must be from 0 to {MAX_PRICE}")
    if amount != round(amount, _PLACES):
        check.refuse(path, f"must not have more than {_PLACES} decimal places")
    return format(abs(amount).normalize(), "f")


def _class_price(value: Any, path: str) -> Any:
    if not isinstance(value, dict):
        return usd(value, path)
    tiered = check.clean(value, {"base": usd, "tiers": _tiers}, path)
    check.require(tiered, "base", "tiers", path=path)
    return tiered


def _tiers(value: Any, path: str) -> list[dict[str, Any]]:
    rows = _rows(value, path, {"above": check.positive_int, "price": usd}, ("above", "price"))
    starts = [row["above"] for row in rows]
    if starts != sorted(set(starts)):
        check.refuse(path, "must rise in above, each once")
    return rows


def _image(value: Any, path: str) -> Any:
    if not isinstance(value, list):
        return usd(value, path)
    return _rows(value, path, {"size": _word, "quality": _word, "price": usd}, ("price",))


def _rows(value: Any, path: str, table_: dict[str, check.Check], required: tuple[str, ...]) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not 1 <= len(value) <= _MAX_ROWS:
        check.refuse(path, f"must be a list of 1 to {_MAX_ROWS} objects")
    rows = []
    for index, item in enumerate(value):
        where = f"{path}[{index}]"
        row = check.clean(check.mapping(item, where), table_, where)
        check.require(row, *required, path=where)
        rows.append(row)
    return rows


def _word(value: Any, path: str) -> str:
    word: str = check.text(64)(value, path)
    return word.lower()


def _prices(value: Any, path: str) -> dict[str, Any]:
    return check.clean(check.mapping({} if value is None else value, path), _PRICES, path)


def _discount(value: Any, path: str) -> Decimal:
    percent = Decimal(usd(0 if value is None else value, path))
    if percent > 100 or percent != round(percent, 4):
        check.refuse(path, "must be a percentage from 0 to 100 with at most four decimal places")
    return percent


def moment(value: Any, path: str) -> dt.datetime | None:
    """A moment of a calendar that machines know; without an offset it is in UTC. Nothing means no bound."""
    if value in (None, ""):
        return None
    try:
        found = value if isinstance(value, dt.datetime) else parse_datetime(value) if isinstance(value, str) else None
        found = None if found is None else found.replace(tzinfo=found.tzinfo or dt.UTC).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        found = None
    if found is None or found.year < 1971:
        check.refuse(path, "must be a date and time in ISO 8601, or null")
    return found


_PRICES: dict[str, check.Check] = {
    **{name: _class_price for name, _, _ in CLASSES},
    "request": usd,
    "image": _image,
    "audio_minute": usd,
    "characters": usd,
}
_FIELDS: dict[str, check.Check] = {
    "provider": provider,
    "model": _model,
    "prices": _prices,
    "discount_percent": _discount,
    "starts_at": moment,
    "ends_at": moment,
    "note": check.text(500, blank=True),
}
