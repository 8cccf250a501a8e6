"""The console's forms of API keys that are there already."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _

from keys.forms import ConsoleForm
from keys.models import ApiKey
from routing.models import Config

_LISTS = ("allowed_models", "allowed_virtual_keys", "allowed_configs", "allowed_ips")


def _lines(label: Any, help_text: Any) -> forms.CharField:
    widget = forms.Textarea(attrs={"rows": 2, "autocomplete": "off", "spellcheck": "false"})
    return forms.CharField(label=label, help_text=help_text, required=False, max_length=20_000, widget=widget)


class ApiKeyEditForm(ConsoleForm):
    """What can be changed of an API key. Its limits and scopes stay as they are."""

    targets: ClassVar = {"defaults": "default_config"}

    name = forms.CharField(label=_("Name"), max_length=150, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    description = forms.CharField(label=_("Note"), required=False, max_length=1000, widget=forms.Textarea(attrs={"rows": 2}))
    default_config = forms.ChoiceField(
        label=_("Default config"), required=False, help_text=_("Used for calls that do not name one themselves.")
    )
    enforced = forms.BooleanField(
        label=_("Refuse every other config"), required=False, help_text=_("Calls that send another config are refused.")
    )
    allowed_models = _lines(_("Allowed models"), _("One on each line, * for any characters. All when empty."))
    allowed_virtual_keys = _lines(
        _("Allowed virtual keys"), _("Slugs, one on each line. All, and callers' own provider keys, when empty.")
    )
    allowed_configs = _lines(_("Allowed configs"), _("Slugs, one on each line. All, and calls without one, when empty."))
    allowed_ips = _lines(
        _("Allowed addresses"), _("IP addresses or networks (203.0.113.0/24), one on each line. All when empty.")
    )

    def __init__(self, data: Any = None, *, key: ApiKey, configs: list[Config]) -> None:
        defaults = key.defaults or {}
        chosen = defaults.get("config_id", "")
        initial = {
            "name": key.name,
            "description": key.description,
            "default_config": chosen,
            "enforced": defaults.get("allow_config_override") is False,
            **{name: "\n".join(getattr(key, name)) for name in _LISTS},
        }
        super().__init__(data, initial=initial)
        self._defaults = defaults
        choices = {config.slug: f"{config.name} ({config.slug})" for config in configs}
        if chosen:
            choices.setdefault(chosen, chosen)
        field = self.fields["default_config"]
        if isinstance(field, forms.ChoiceField):
            field.choices = [("", _("None")), *choices.items()]

    def field_of(self, path: str) -> str:
        return super().field_of(path.partition("[")[0])

    def changes(self) -> dict[str, Any]:
        """The fields as `update_api_key` takes them."""
        data = self.cleaned_data
        lists = {name: [line.strip() for line in data[name].splitlines() if line.strip()] or None for name in _LISTS}
        override = {"allow_config_override": False} if data["enforced"] else {}
        kept = {name: value for name, value in self._defaults.items() if name == "metadata"}
        defaults = {**kept, "config_id": data["default_config"], **override}
        return {"name": data["name"], "description": data["description"], "defaults": defaults, **lists}


class RotateForm(ConsoleForm):
    """How long the old key goes on working."""

    targets: ClassVar = {"key_transition_period_ms": "overlap", "status": "overlap"}

    overlap = forms.TypedChoiceField(
        label=_("The old key works for"),
        coerce=int,
        choices=((0, _("not at all")), (3600, _("1 hour")), (86400, _("1 day")), (604800, _("7 days"))),
        initial=86400,
    )
