"""The console's forms of virtual keys. What they ask for beside the key follows from the provider's row in the table."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.forms.boundfield import BoundField
from django.urls import reverse_lazy
from django.utils.translation import gettext as _now
from django.utils.translation import gettext_lazy as _

from keys.forms import ConsoleForm
from keys.models import VirtualKey
from routing.errors import InvalidRequest
from routing.providers import table
from routing.providers.base import Option, Provider

PREFIX = "option_"
_NO_MEMORY = {"autocomplete": "off", "spellcheck": "false"}
_SECRET = {"autocomplete": "new-password", "spellcheck": "false"}
# Choosing another provider fetches the page for it and takes only the part with the provider's own fields.
_PICKER = {
    "list": "providers",
    "placeholder": _("Type to search"),
    "hx-get": reverse_lazy("console:virtual_key_new"),
    "hx-trigger": "change",
    "hx-target": "#provider-options",
    "hx-select": "#provider-options",
    "hx-swap": "outerHTML",
    **_NO_MEMORY,
}


def find_provider(text: str) -> Provider | None:
    """The row with this id, alias or label."""
    wanted = text.strip()
    try:
        return table.find(wanted)
    except InvalidRequest:
        return next((row for row in table.PROVIDERS.values() if row.label.casefold() == wanted.casefold()), None)


class ProviderField(forms.CharField):
    """The id of a provider. A list of this length is searched, not scrolled, so it is a text with suggestions."""

    def clean(self, value: Any) -> str:
        row = find_provider(super().clean(value))
        if row is None:
            raise ValidationError(_("There is no such provider. Choose one from the list."), code="invalid_choice")
        return row.id


class SecretTextarea(forms.Textarea):
    """Room for a long secret, which is never sent back to the page."""

    def format_value(self, value: Any) -> str:
        return ""


class OptionsForm(ConsoleForm):
    """A form with the fields of one provider's options. `custom_host` says where calls go instead of the provider's address."""

    targets: ClassVar = {"options.custom_host": "custom_host"}

    custom_host = forms.CharField(
        label=_("Base URL"), required=False, max_length=1000, widget=forms.URLInput(attrs={"autocomplete": "off"})
    )

    def __init__(self, data: Any = None, *, row: Provider | None, stored: VirtualKey | None = None, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self.row = row
        if row is None:
            return
        host = (data or {}).get("custom_host") or (
            (stored.options if stored else {}).get("custom_host") if data is None else ""
        )
        self.fields["custom_host"].required = not row.base_url
        self.fields["custom_host"].widget.attrs["placeholder"] = row.base_url
        for option in (option for option in row.options if not option.unfit):
            in_address = option.name in row.placeholders and not host
            field = _field(option, stored)
            field.required = not option.default and not option.secret and (option.required or in_address)
            self.fields[PREFIX + option.name] = field

    @property
    def option_fields(self) -> list[BoundField]:
        return [self[name] for name in self.fields if name.startswith(PREFIX)]

    def field_of(self, path: str) -> str:
        name = PREFIX + path.removeprefix("options.")
        return name if name in self.fields else super().field_of(path)

    def options(self) -> dict[str, Any]:
        """What was filled in, by the options' names."""
        filled = {
            name.removeprefix(PREFIX): value for name, value in self.cleaned_data.items() if name.startswith(PREFIX) and value
        }
        host = self.cleaned_data["custom_host"]
        return {**filled, "custom_host": host} if host else filled


def _field(option: Option, stored: VirtualKey | None) -> forms.CharField:
    """A secret that is stored shows its mask as a hint only, and stays when nothing is typed."""
    if option.kind == "json":
        widget: forms.Widget = (SecretTextarea if option.secret else forms.Textarea)(attrs={"rows": 4, **_NO_MEMORY})
    elif option.secret:
        widget = forms.PasswordInput(attrs=_SECRET)
    else:
        widget = forms.TextInput(attrs=_NO_MEMORY)
    mask = stored.masked_options.get(option.name, "") if stored else ""
    widget.attrs["placeholder"] = mask or option.default
    help_text = _now("In a request: %(header)s") % {"header": option.request_header}
    if mask:
        help_text = _now("Leave it empty to keep the stored one.")
    return forms.CharField(
        label=option.title,
        required=False,
        max_length=20_000,
        help_text=help_text,
        widget=widget,
        initial=stored.options.get(option.name, "") if stored else "",
    )


class VirtualKeyForm(OptionsForm):
    """A new virtual key."""

    field_order = ("name", "provider", "key", "custom_host", "slug", "note")

    name = forms.CharField(
        label=_("Name"), max_length=150, widget=forms.TextInput(attrs={"autofocus": True, "autocomplete": "off"})
    )
    provider = ProviderField(label=_("Provider"), max_length=100, widget=forms.TextInput(attrs=_PICKER))
    key = forms.CharField(
        label=_("Provider's key"),
        required=False,
        strip=True,
        help_text=_("Kept encrypted in the vault and never shown again. The mock provider needs none."),
        widget=forms.PasswordInput(attrs=_SECRET),
    )
    note = forms.CharField(label=_("Note"), required=False, max_length=1000, widget=forms.Textarea(attrs={"rows": 2}))
    slug = forms.SlugField(
        label=_("Slug"),
        required=False,
        max_length=100,
        help_text=_("What applications and configs call it by. Made from the name when empty; it cannot be changed later."),
        widget=forms.TextInput(attrs=_NO_MEMORY),
    )

    def __init__(self, data: Any = None, *, provider: str = "") -> None:
        super().__init__(
            data, row=find_provider(data.get("provider", "") if data else provider), initial={"provider": provider}
        )
        self.fields["custom_host"].help_text = _(
            "Only for a server of your own or a proxy, with the version path: https://host.example/v1"
        )

    def values(self) -> dict[str, Any]:
        """The fields as `create_virtual_key` takes them."""
        data = self.cleaned_data
        chosen = {name: data[name] for name in ("name", "provider", "key", "note")}
        return {**chosen, "slug": data["slug"] or None, "options": self.options()}


class VirtualKeyEditForm(OptionsForm):
    """What can be changed of a virtual key. An empty key leaves the stored one."""

    field_order = ("name", "key", "custom_host", "note")

    name = forms.CharField(label=_("Name"), max_length=150, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    note = forms.CharField(label=_("Note"), required=False, max_length=1000, widget=forms.Textarea(attrs={"rows": 2}))
    key = forms.CharField(
        label=_("New key"),
        required=False,
        help_text=_("Leave it empty to keep the stored key. A new one is used from the next call on."),
        widget=forms.PasswordInput(attrs=_SECRET),
    )

    def __init__(self, data: Any = None, *, virtual_key: VirtualKey) -> None:
        host = virtual_key.options.get("custom_host", "")
        initial = {"name": virtual_key.name, "note": virtual_key.note, "custom_host": host}
        row = table.PROVIDERS.get(virtual_key.provider)
        super().__init__(data, row=row, stored=virtual_key, initial=initial)
        self.fields["custom_host"].help_text = _(
            "Changing it needs the provider's key again, so that a stored key never goes to another host."
        )

    def changes(self) -> dict[str, Any]:
        """The fields as `update_virtual_key` takes them."""
        data = self.cleaned_data
        changes = {"name": data["name"], "note": data["note"], "options": self.options()}
        return {**changes, "key": data["key"]} if data["key"] else changes
