"""How values look on the console's pages: `{% load console %}`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django import template
from django.http import HttpRequest
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from keys.console import Seat

register = template.Library()

_SPRITE = "vendor/tabler-icons-3.51.0/sprite.svg"


@register.simple_tag
def icon(name: str, classes: str = "") -> SafeString:
    """An icon of the sprite. It only decorates: the words beside it, or a label on the button, say what it means."""
    return format_html(
        '<svg class="icon {}" aria-hidden="true" focusable="false"><use href="{}#{}"/></svg>', classes, static(_SPRITE), name
    )


@register.simple_tag(takes_context=True)
def query(context: Mapping[str, Any], **changes: object) -> str:
    """The URL's query with these changes; None takes a parameter out."""
    request: HttpRequest = context["request"]
    parameters = request.GET.copy()
    for name, value in changes.items():
        if value is None:
            parameters.pop(name, None)
        else:
            parameters[name] = str(value)
    return f"?{parameters.urlencode()}"


@register.filter
def may(seat: Seat | None, scope: str) -> bool:
    return seat is not None and seat.may(scope)


@register.filter
def iso(value: datetime | None) -> str:
    """A moment as ``2026-01-31 23:59:59 UTC``."""
    return "" if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


@register.filter
def moment(value: datetime | None) -> SafeString | str:
    """A moment in UTC."""
    if value is None:
        return "—"
    return format_html('<time datetime="{}">{}</time>', value.astimezone(UTC).isoformat(), iso(value))


@register.filter
def ago(value: datetime | None) -> SafeString | str:
    """How long ago, in words (the browser writes them), with the moment in UTC behind it."""
    if value is None:
        return "—"
    exact = iso(value)
    return format_html(
        '<time datetime="{}" title="{}" data-relative>{}</time>', value.astimezone(UTC).isoformat(), exact, exact
    )


@register.filter
def number(value: int | float | Decimal | None) -> str:
    """With groups of three digits, which is what both our languages write."""
    return "—" if value is None else f"{value:,}"


@register.filter
def usd(value: Decimal | float | None) -> str:
    """Dollars: cents from one dollar up, below that as many digits as it takes to see what a call costs."""
    if value is None:
        return "—"
    amount = Decimal(str(value))
    if amount == 0:
        return "$0"
    if abs(amount) >= 1:
        return f"${amount:,.2f}"
    return f"${amount:.6f}".rstrip("0").ljust(5, "0") if abs(amount) >= Decimal("0.000001") else "<$0.000001"


@register.filter
def milliseconds(value: float | None) -> str:
    """``840 ms``, ``1.84 s`` or ``2 min 5 s``."""
    if value is None:
        return "—"
    if value < 1000:
        return _("{count} ms").format(count=f"{value:.0f}" if value >= 10 else f"{value:.1f}")
    if value < 60_000:
        return _("{count} s").format(count=f"{value / 1000:.2f}")
    minutes, seconds = divmod(round(value / 1000), 60)
    return _("{minutes} min {seconds} s").format(minutes=minutes, seconds=seconds)


@register.filter
def percent(value: float) -> str:
    """A share from 0 to 1, with a decimal where it says something."""
    return f"{value * 100:.1f}".removesuffix(".0") + "%"


@register.filter
def pretty(value: object) -> str:
    """JSON for people."""
    return json.dumps(value, indent=2, ensure_ascii=False)


@register.filter
def status_class(status: int) -> str:
    """The mark of an HTTP status."""
    if status < 400:
        return "good"
    return "warn" if status < 500 else "bad"


@register.filter
def state_label(state: str) -> str:
    """The state of a key in words."""
    labels = {
        "active": pgettext("key", "Active"),
        "revoked": pgettext("key", "Revoked"),
        "expired": pgettext("key", "Expired"),
    }
    return labels.get(state, state)
