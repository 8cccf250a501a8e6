"""Prices as values, and a workspace's own prices: which of them is in force for a call. On the hot path, so no Django.

A tariff names a provider and a pattern of models. It either holds prices, which then stand in place of the whole list's, or
none, and then takes its discount off the list's.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from routing.call import Media, Usage
    from routing.providers.base import Provider

# The unit of account.
NANO_USD = Decimal("1e-9")
ANY = "*"
# The classes of tokens as prices name them, each with the field of `Usage` that counts it and the class whose price it has
# where it has none of its own.
CLASSES: tuple[tuple[str, str, str | None], ...] = (
    ("input", "input_tokens", None),
    ("cache_read", "cache_read_tokens", "input"),
    ("cache_write", "cache_write_tokens", "input"),
    ("audio_input", "audio_input_tokens", "input"),
    ("output", "output_tokens", None),
    ("reasoning", "reasoning_tokens", "output"),
    ("audio_output", "audio_output_tokens", "output"),
)
_FIELDS = tuple(field for _, field, _ in CLASSES)
_MILLION = Decimal(1_000_000)
_ZERO, _ONE = Decimal(0), Decimal(1)


@dataclass(frozen=True, slots=True)
class Tiered:
    """USD per token by length of the prompt: the highest tier whose start is exceeded prices every token."""

    base: Decimal
    tiers: tuple[tuple[int, Decimal], ...]

    def at(self, prompt_tokens: int) -> Decimal:
        price = self.base
        for start, tier in self.tiers:
            if prompt_tokens > start:
                price = tier
        return price


ClassPrice = Decimal | Tiered


@dataclass(frozen=True, slots=True)
class ImagePrice:
    """USD for one image of this size and quality; `ANY` stands for all."""

    price: Decimal
    size: str = ANY
    quality: str = ANY

    def fits(self, media: Media) -> bool:
        return self.size in (ANY, media.size) and self.quality in (ANY, media.quality)


@dataclass(frozen=True, slots=True)
class UnitPrices:
    """USD per token for each of `CLASSES` (None where there is no price; all None where tokens are not priced), per request,
    image (the first row that fits), second of audio and character of text."""

    classes: tuple[ClassPrice | None, ...] | None = None
    request: Decimal | None = None
    images: tuple[ImagePrice, ...] = ()
    second: Decimal | None = None
    character: Decimal | None = None
    is_free: bool = False

    def cost(self, usage: Usage) -> Decimal | None:
        """None where nothing that has a price was used, or a class of tokens without one."""
        if self.is_free:
            return _ZERO
        parts = [] if self.request is None else [self.request]
        has_tokens = usage.prompt_tokens + usage.completion_tokens > 0
        if has_tokens and self.classes is not None:
            tokens = self._tokens(usage, self.classes)
            if tokens is None:
                return None
            parts.append(tokens)
        if usage.media is not None:
            parts += self._media(usage.media)
        if not parts and (has_tokens or usage.media is not None):
            return None
        return sum(parts, _ZERO)

    def _tokens(self, usage: Usage, classes: tuple[ClassPrice | None, ...]) -> Decimal | None:
        total = _ZERO
        for name, price in zip(_FIELDS, classes, strict=True):
            count = getattr(usage, name)
            if not count:
                continue
            if price is None:
                return None
            total += count * (price.at(usage.prompt_tokens) if isinstance(price, Tiered) else price)
        return total

    def _media(self, media: Media) -> list[Decimal]:
        image = next((row.price for row in self.images if row.fits(media)), None)
        counted = ((media.images, image), (media.seconds, self.second), (media.characters, self.character))
        return [count * price for count, price in counted if count and price is not None]


NOTHING = UnitPrices()


@dataclass(frozen=True, slots=True)
class Tariff:
    """A workspace's own price. `kept` is what a discount leaves (0.85 for 15 %); the times are microseconds since 1970."""

    provider: str
    model: str
    pattern: re.Pattern[str]
    prices: UnitPrices | None
    kept: Decimal = _ONE
    starts_us: int = 0
    ends_us: int | None = None

    @property
    def rank(self) -> tuple[Any, ...]:
        """The lower, the more decisive: a named provider and model before patterns, longer patterns before shorter, later
        starts before earlier."""
        return (self.provider == ANY, "*" in self.model or "?" in self.model, -len(self.model), -self.starts_us)


def compile_tariff(
    *,
    provider: str,
    model: str,
    prices: Mapping[str, Any],
    discount_percent: Decimal = _ZERO,
    starts_us: int = 0,
    ends_us: int | None = None,
) -> Tariff:
    """`prices` are as analytics/price_actions.py cleans them: texts in USD, of tokens and characters per million."""
    return Tariff(
        provider=provider,
        model=model,
        pattern=re.compile(fnmatch.translate(model.lower())),
        prices=_unit_prices(prices) if prices else None,
        kept=1 - discount_percent / 100,
        starts_us=starts_us,
        ends_us=ends_us,
    )


def in_order(tariffs: Sequence[Tariff]) -> tuple[Tariff, ...]:
    return tuple(sorted(tariffs, key=lambda tariff: tariff.rank))


def in_force(tariffs: Sequence[Tariff], provider: str, names: Sequence[str], at_us: int) -> Tariff | None:
    """The most decisive of the ordered `tariffs` for a model by its first name that has any."""
    current = [
        tariff
        for tariff in tariffs
        if tariff.provider in (ANY, provider)
        and tariff.starts_us <= at_us
        and (tariff.ends_us is None or at_us < tariff.ends_us)
    ]
    for name in names:
        lowered = name.lower()
        for tariff in current:
            if tariff.pattern.fullmatch(lowered):
                return tariff
    return None


def names_of(provider: Provider, asked: str, answered: str | None) -> tuple[str, ...]:
    """The names of a call's model, the decisive one first: that which was asked for, then the more exact one of the answer.

    Where models have names of the user's own making, the answer's comes first: a caller could ask for a cheaper one.
    """
    names = (answered, asked) if provider.own_names else (asked, answered)
    return tuple(name for name in dict.fromkeys(names) if name)


def _unit_prices(prices: Mapping[str, Any]) -> UnitPrices:
    tokens = {name: _class_price(prices[name]) for name, _, _ in CLASSES if name in prices}
    image = prices.get("image")
    rows = image if isinstance(image, list) else [{"price": image}] if image is not None else []
    return UnitPrices(
        classes=tuple(tokens.get(name, tokens.get(instead or name)) for name, _, instead in CLASSES) if tokens else None,
        request=Decimal(prices["request"]) if "request" in prices else None,
        images=tuple(ImagePrice(Decimal(row["price"]), row.get("size", ANY), row.get("quality", ANY)) for row in rows),
        second=Decimal(prices["audio_minute"]) / 60 if "audio_minute" in prices else None,
        character=Decimal(prices["characters"]) / _MILLION if "characters" in prices else None,
    )


def _class_price(price: Any) -> ClassPrice:
    if isinstance(price, Mapping):
        tiers = tuple((tier["above"], Decimal(tier["price"]) / _MILLION) for tier in price["tiers"])
        return Tiered(Decimal(price["base"]) / _MILLION, tiers)
    return Decimal(price) / _MILLION
