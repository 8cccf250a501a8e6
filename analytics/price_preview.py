"""What a call would cost: the one cost function over numbers that somebody types in."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Any

from analytics import price_actions, price_queries
from analytics.log_view import TOKEN_FIELDS
from analytics.prices import Prices
from analytics.tariffs import ANY, Tariff, in_force, in_order
from keys import validation as check
from keys.models import Workspace
from routing.call import Media, Usage
from routing.providers import table

MAX_COUNT = 10**9


@dataclass(frozen=True, slots=True)
class Preview:
    """`tariff` is the workspace's price that decides, None where the list does."""

    cost_usd: Decimal | None
    list_cost_usd: Decimal | None
    tariff: Tariff | None


def preview(workspace: Workspace, call: dict[str, Any], at_us: int, unsaved: dict[str, Any] | None = None) -> Preview:
    """`call` is what `CALL` lets through; `unsaved` the fields of a price that is tried out, which then is the only one."""
    own = price_queries.tariffs(str(workspace.pk)).get(str(workspace.pk), ())
    if unsaved is not None:
        own = in_order([price_queries.tariff(price_actions.unsaved(workspace=workspace, **unsaved))])
    provider, names, usage = table.PROVIDERS[call["provider"]], (call["model"],), _usage(call)
    return Preview(
        cost_usd=_prices().call_cost(provider, names, usage, at_us, own),
        list_cost_usd=_prices().call_cost(provider, names, usage, at_us),
        tariff=in_force(own, provider.id, names, at_us),
    )


@lru_cache(maxsize=1)
def _prices() -> Prices:
    return Prices()


def _usage(call: dict[str, Any]) -> Usage:
    media = None
    if any(name in call for name in ("images", "audio_seconds", "characters")):
        media = Media(
            images=call.get("images", 0),
            size=call.get("image_size", ""),
            quality=call.get("image_quality", ""),
            seconds=Decimal(call.get("audio_seconds", "0")),
            characters=call.get("characters", 0),
        )
    return Usage(**{name: call.get(name, 0) for name in TOKEN_FIELDS}, media=media)


def _count(value: Any, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_COUNT:
        check.refuse(path, f"must be a whole number from 0 to {MAX_COUNT}")
    return value


def _provider(value: Any, path: str) -> str:
    name = price_actions.provider(value, path)
    if name == ANY:
        check.refuse(path, "must be one provider")
    return name


CALL: dict[str, check.Check] = {
    "provider": _provider,
    "model": check.text(200),
    **dict.fromkeys((*TOKEN_FIELDS, "images", "characters"), _count),
    "image_size": check.text(64, blank=True),
    "image_quality": check.text(64, blank=True),
    "audio_seconds": price_actions.usd,
}
