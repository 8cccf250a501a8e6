"""What a workspace used in a month, as CSV: by model, by key and by user. Each part's costs sum up to those of the log.

It reads the sums by hour, which outlive the log's days.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet, Sum

from analytics.log_view import TOKEN_FIELDS
from analytics.models import RollupHour, RollupMetadata
from analytics.rollups import NOBODY
from keys import validation as check
from keys.models import ApiKey, Workspace

USER = "_user"
COLUMNS = ("month", "workspace", "part", "provider", "model", "api_key_id", "api_key", "user")
NUMBERS = ("calls", "failed", "unpriced", *TOKEN_FIELDS, "tokens", "cost_usd")
PARTS = ("model", "key", "user", "total")
_ALL = ("calls", "failed", "unpriced", *TOKEN_FIELDS, "cost_usd")
_MONTH = re.compile(r"(20\d\d)-(0[1-9]|1[0-2])")


@dataclass(frozen=True, slots=True)
class Line:
    """One line: what it is about, and its numbers; a number that the sums do not hold is absent."""

    part: str
    about: dict[str, str]
    numbers: dict[str, Any]


def month(text: str, path: str = "month") -> dt.date:
    """The first day of a month written as 2026-11."""
    match = _MONTH.fullmatch(text)
    if match is None:
        check.refuse(path, "must be a month such as 2026-11")
    return dt.date(int(match[1]), int(match[2]), 1)


def lines(workspace: Workspace, first: dt.date, user_key: str = USER) -> list[Line]:
    """All parts, dearest first; the month is that of UTC."""
    since = dt.datetime.combine(first, dt.time(), dt.UTC)
    until = (since + dt.timedelta(days=31)).replace(day=1)
    hours = RollupHour.objects.filter(workspace_id=workspace.pk, bucket__gte=since, bucket__lt=until)
    total = _summed(hours)
    users = RollupMetadata.objects.filter(workspace_id=workspace.pk, key=user_key, bucket__gte=since, bucket__lt=until)
    names = {str(key): name for key, name in ApiKey.objects.filter(workspace=workspace).values_list("pk", "name")}
    return [
        *(Line("model", {"provider": row["provider"], "model": row["model"]}, row) for row in _by(hours, "provider", "model")),
        *(Line("key", _key(row["api_key_id"], names), row) for row in _by(hours, "api_key_id")),
        *_users(users, total),
        Line("total", {}, total),
    ]


def as_csv(workspace: Workspace, first: dt.date, found: list[Line]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow((*COLUMNS, *NUMBERS))
    for line in found:
        about = {"month": f"{first:%Y-%m}", "workspace": workspace.slug, "part": line.part, **line.about}
        writer.writerow(
            (*(_safe(about.get(name, "")) for name in COLUMNS), *(_number(line.numbers.get(name)) for name in NUMBERS))
        )
    return out.getvalue()


def _summed(rows: QuerySet[RollupHour]) -> dict[str, Any]:
    return {name: value or 0 for name, value in _plain(rows.aggregate(**_sums(_ALL))).items()}


def _by(rows: QuerySet[RollupHour], *names: str) -> Iterator[dict[str, Any]]:
    yield from map(_plain, rows.values(*names).annotate(**_sums(_ALL)).order_by("-sum_cost_usd", *names))


def _sums(names: tuple[str, ...]) -> dict[str, Sum]:
    """An alias must not be the name of a column."""
    return {f"sum_{name}": Sum(name) for name in names}


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    named = {name.removeprefix("sum_"): value for name, value in row.items()}
    if TOKEN_FIELDS[0] in named:
        named["tokens"] = sum(named[name] or 0 for name in TOKEN_FIELDS)
    return named


def _users(rows: QuerySet[RollupMetadata], total: dict[str, Any]) -> Iterator[Line]:
    """Each user, and then what nobody is named for."""
    named = ("calls", "failed", "tokens", "cost_usd")
    rest = {name: total[name] for name in named}
    found: Iterator[Any] = rows.values("value").annotate(**_sums(named)).order_by(f"-sum_{named[-1]}", "value").iterator()
    for row in map(_plain, found):
        yield Line("user", {"user": row["value"]}, row)
        rest = {name: rest[name] - row[name] for name in named}
    if rest["calls"]:
        yield Line("user", {"user": ""}, rest)


def _key(identity: uuid.UUID, names: dict[str, str]) -> dict[str, str]:
    text = str(identity)
    return {"api_key_id": "" if text == NOBODY else text, "api_key": names.get(text, "")}


def _number(value: Any) -> str:
    if value is None:
        return ""
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _safe(text: str) -> str:
    """A text that a spreadsheet takes for a text: models and users have names of the callers' making."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
