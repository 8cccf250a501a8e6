"""What a call costs: one function (`Prices.call_cost`) for streams, whole answers, estimates, answers that a cache saved and
calls that are priced anew.

The prices are those of the workspace (analytics/tariffs.py), or else those that come with the package genai-prices; nothing is
fetched. A model's price per token of each class is resolved once and kept, because genai-prices' own `calc_price` takes some
60 us and its answer for a class never depends on the other classes, but for one number: the threshold of tiered prices looks
at the whole prompt.

Every cost is a whole number of nano-dollars. That is what budgets count in, so the log, the sums and the budgets agree.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from genai_prices.data_snapshot import get_snapshot
from genai_prices.data_units import unit_data
from genai_prices.types import ModelInfo, ModelPrice, TieredPrices

from analytics.tariffs import NANO_USD, NOTHING, ClassPrice, Tariff, Tiered, UnitPrices, in_force

if TYPE_CHECKING:
    from routing.call import Usage
    from routing.providers.base import Provider

# The price id of the built-in mock provider, which costs nothing.
FREE = "mock"

_ZERO, _ONE = Decimal(0), Decimal(1)
# The classes of tokens (analytics.tariffs.CLASSES) in the words of genai-prices' units. A class is priced by the most specific
# unit that contains it, so that cached input costs the plain input price where the vendor has no price for cached input.
_CLASSES: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("input_tokens", {"direction": "input"}),
    ("cache_read_tokens", {"direction": "input", "token_type": "cache_read"}),
    ("cache_write_tokens", {"direction": "input", "token_type": "cache_write"}),
    ("audio_input_tokens", {"direction": "input", "modality": "audio"}),
    ("output_tokens", {"direction": "output"}),
    ("reasoning_tokens", {"direction": "output", "token_type": "reasoning"}),
    ("audio_output_tokens", {"direction": "output", "modality": "audio"}),
)
# Model names come from callers, so what is kept about them must be bounded.
_MAX_ENTRIES = 4096
_MAX_NAME = 200
_MINUTE_US = 60_000_000
_FREE = UnitPrices(classes=(_ZERO,) * len(_CLASSES), second=_ZERO, character=_ZERO, is_free=True)


class _Entry:
    """The prices of one model. Those that depend on the time (a date, off-peak hours) are resolved again every minute."""

    __slots__ = ("_minute", "_model", "_prices", "_timed")

    def __init__(self, model: ModelInfo) -> None:
        self._model = model
        self._timed = not isinstance(model.prices, ModelPrice)
        self._minute = -1
        self._prices = NOTHING

    def at(self, at_us: int) -> UnitPrices:
        minute = at_us // _MINUTE_US if self._timed else 0
        if minute != self._minute:
            moment = dt.datetime.fromtimestamp(minute * 60, dt.UTC)
            self._prices = _unit_prices(self._model, self._model.get_prices(moment))
            self._minute = minute
        return self._prices


class Prices:
    """The price list of a process."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], _Entry | None] = {}

    def call_cost(
        self, provider: Provider, names: Sequence[str], usage: Usage, at_us: int, tariffs: Sequence[Tariff] = ()
    ) -> Decimal | None:
        """The cost in USD of a call at `at_us` (microseconds since 1970), or None where the price is not known.

        `names` are those of the model, the decisive one first; `tariffs` are the workspace's own, the decisive one first.
        """
        listed_as = provider.price_id or provider.id
        if not tariffs or (tariff := in_force(tariffs, provider.id, names, at_us)) is None:
            costs = (self.cost(listed_as, name, usage, at_us) for name in names)
            return next((cost for cost in costs if cost is not None), None)
        if tariff.prices is not None:
            return _rounded(tariff.prices.cost(usage), tariff.kept)
        found = (self._at(listed_as, name, at_us) for name in names)
        costs = (prices.cost(usage) for prices in found if prices is not None)
        return _rounded(next((cost for cost in costs if cost is not None), None), tariff.kept)

    def cost(self, provider: str, model: str, usage: Usage, at_us: int) -> Decimal | None:
        """The cost by the list alone. `provider` is a provider id of genai-prices, or `FREE`.

        None also where only some of the call's classes of tokens have a price: a sum without them would look like the truth.
        """
        prices = self._at(provider, model, at_us)
        return None if prices is None else _rounded(prices.cost(usage))

    def _at(self, provider: str, model: str, at_us: int) -> UnitPrices | None:
        if provider == FREE:
            return _FREE
        key = (provider, model)
        try:
            entry = self._entries[key]
        except KeyError:
            entry = self._remember(key)
        return None if entry is None else entry.at(at_us)

    def _remember(self, key: tuple[str, str]) -> _Entry | None:
        provider, model = key
        if len(self._entries) >= _MAX_ENTRIES:
            self._entries.clear()
        found = _find(provider, model) if len(model) <= _MAX_NAME else None
        entry = None if found is None else _Entry(found)
        if len(model) <= _MAX_NAME:
            self._entries[key] = entry
        return entry


def _rounded(cost: Decimal | None, kept: Decimal = _ONE) -> Decimal | None:
    return None if cost is None else (cost * kept).quantize(NANO_USD)


def _find(provider: str, model: str) -> ModelInfo | None:
    """The model as genai-prices knows it. Its own look-up keeps every name it ever found, so its parts are called instead."""
    providers = get_snapshot().providers
    for row in providers:
        if row.id == provider:
            return row.find_model(model, all_providers=providers)
    return None


def _unit_prices(model: ModelInfo, prices: ModelPrice) -> UnitPrices:
    named = {key: value for key, value in vars(prices).items() if value is not None}
    if not named and model.id.endswith(":free"):
        return _FREE
    per_request = named.get("requests_kcount")
    second = _class_price(named, {"family": "durations", "direction": "input", "modality": "audio"})
    character = _class_price(named, {"family": "characters", "direction": "input"})
    return UnitPrices(
        classes=tuple(_class_price(named, {"family": "tokens", **dimensions}) for _, dimensions in _CLASSES),
        request=None if per_request is None else per_request / unit_data["requests"]["per"],
        second=second if isinstance(second, Decimal) else None,
        character=character if isinstance(character, Decimal) else None,
    )


def _class_price(named: Mapping[str, Decimal | TieredPrices], dimensions: Mapping[str, str]) -> ClassPrice | None:
    """The price of one of the most specific priced unit that contains the class."""
    wanted = dimensions.items()
    best: tuple[int, Decimal | TieredPrices, int] | None = None
    for unit in unit_data.values():
        price = named.get(unit["price_key"])
        depth = len(unit["dimensions"])
        if price is not None and unit["dimensions"].items() <= wanted and (best is None or depth > best[0]):
            best = (depth, price, unit["per"])
    if best is None:
        return None
    _, price, per = best
    if isinstance(price, TieredPrices):
        return Tiered(price.base / per, tuple((tier.start, tier.price / per) for tier in price.tiers))
    return price / per


def models_of(provider: str) -> list[str]:
    """The names of a provider's models that the price list knows, without those that are no longer offered."""
    for row in get_snapshot().providers:
        if row.id == provider:
            return sorted(model.id for model in row.models if not model.deprecated)
    return []
