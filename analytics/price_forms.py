"""A workspace's own price as a form. Tiers by length of the prompt and images by size are for the REST API; they are kept."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _

from analytics.models import PriceOverride
from analytics.tariffs import ANY
from keys.forms import ConsoleForm
from routing.providers import table

_TEXT = {"autocomplete": "off", "spellcheck": "false"}
_MOMENT = "%Y-%m-%dT%H:%M"
PRICES = (
    *("input", "output", "cache_read", "cache_write", "reasoning", "audio_input", "audio_output"),
    *("request", "image", "audio_minute", "characters"),
)


def _price(label: Any) -> forms.CharField:
    return forms.CharField(
        label=label, required=False, max_length=30, widget=forms.TextInput(attrs={**_TEXT, "inputmode": "decimal"})
    )


def _count(label: Any, initial: int) -> forms.IntegerField:
    return forms.IntegerField(label=label, required=False, min_value=0, max_value=10**9, initial=initial)


class PriceForm(ConsoleForm):
    """The fields of a price, and a call to try it on."""

    targets: ClassVar[dict[str, str]] = {f"prices.{name}": name for name in PRICES}

    provider = forms.ChoiceField(label=_("Provider"))
    model = forms.CharField(
        label=_("Model"), max_length=200, help_text=_("A name, or a pattern with * and ?."), widget=forms.TextInput(attrs=_TEXT)
    )
    input = _price(_("Input"))
    output = _price(_("Output"))
    cache_read = _price(_("Read from the cache"))
    cache_write = _price(_("Written to the cache"))
    reasoning = _price(_("Reasoning"))
    audio_input = _price(_("Audio input"))
    audio_output = _price(_("Audio output"))
    request = _price(_("One request"))
    image = _price(_("One image"))
    audio_minute = _price(_("A minute of audio"))
    characters = _price(_("A million characters of speech"))
    discount_percent = _price(_("Discount in percent"))
    starts_at = forms.DateTimeField(
        label=_("From (UTC)"), required=False, widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format=_MOMENT)
    )
    ends_at = forms.DateTimeField(
        label=_("Until (UTC)"), required=False, widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format=_MOMENT)
    )
    note = forms.CharField(label=_("Note"), required=False, max_length=500)
    try_model = forms.CharField(
        label=_("Model of the call"), required=False, max_length=200, widget=forms.TextInput(attrs=_TEXT)
    )
    try_input = _count(_("Input tokens"), 1000)
    try_output = _count(_("Output tokens"), 500)

    def __init__(self, *args: Any, price: PriceOverride | None = None, **kwargs: Any) -> None:
        self._kept = {name: value for name, value in (price.prices if price else {}).items() if not isinstance(value, str)}
        super().__init__(*args, **kwargs)
        if price is not None:
            self.initial = _initial(price)
        field = self.fields["provider"]
        if isinstance(field, forms.ChoiceField):
            rows = sorted(table.PROVIDERS.values(), key=lambda row: row.label.casefold())
            field.choices = [(ANY, _("All")), *((row.id, row.label) for row in rows)]

    def values(self) -> dict[str, Any]:
        """The fields as the action takes them."""
        data = self.cleaned_data
        typed = {name: data[name] for name in PRICES if data.get(name)}
        values = {name: data[name] for name in ("provider", "model", "starts_at", "ends_at", "note")}
        return {**values, "discount_percent": data.get("discount_percent") or 0, "prices": {**self._kept, **typed}}

    def call(self) -> dict[str, Any]:
        """The call to try the price on: of the first provider, where the price is for all."""
        data = self.cleaned_data
        provider = next(iter(table.PROVIDERS)) if data["provider"] == ANY else data["provider"]
        model = data.get("try_model") or data["model"].replace("*", "").replace("?", "") or "model"
        return {
            "provider": provider,
            "model": model,
            "input_tokens": data.get("try_input") or 0,
            "output_tokens": data.get("try_output") or 0,
        }


def _initial(price: PriceOverride) -> dict[str, Any]:
    plain = {name: value for name, value in price.prices.items() if isinstance(value, str)}
    named = {name: getattr(price, name) for name in ("provider", "model", "starts_at", "ends_at", "note")}
    discount = format(price.discount_percent.normalize() + 0, "f") if price.discount_percent else ""
    return {**named, **plain, "discount_percent": discount}
