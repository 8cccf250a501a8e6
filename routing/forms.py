"""The console's forms of configs. What a config may say is for routing.configs to judge."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _

from keys.forms import ConsoleForm
from routing.errors import InvalidConfig, InvalidRequest


class ConfigForm(ConsoleForm):
    """A config's body as JSON text, with what surrounds it. `refused_path` is the place in the body that was refused."""

    targets: ClassVar = {"config": "body"}
    refused_path = ""

    name = forms.CharField(label=_("Name"), max_length=150, widget=forms.TextInput(attrs={"autocomplete": "off"}))
    body = forms.CharField(
        label=_("Config as JSON"),
        strip=False,
        max_length=300_000,
        widget=forms.Textarea(
            attrs={"class": "gh-editor", "rows": 18, "spellcheck": "false", "autocapitalize": "off", "autocomplete": "off"}
        ),
    )
    comment = forms.CharField(
        label=_("What changed and why"),
        required=False,
        max_length=1000,
        help_text=_("Shown in the history."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    is_default = forms.BooleanField(
        label=_("Default of the workspace"),
        required=False,
        help_text=_("Marks it for colleagues. A workspace has one default at most."),
    )

    # The version that was in force when the editor was opened.
    base = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def refuse(self, error: InvalidRequest) -> None:
        if not isinstance(error, InvalidConfig):
            super().refuse(error)
            return
        path = error.param or ""
        self.refused_path = "" if path == "config" else path
        self.add_error("body", error.message.removeprefix(f"{path}: "))

    def values(self) -> dict[str, Any]:
        """The fields but the body, as the actions take them."""
        return {name: self.cleaned_data[name] for name in ("name", "comment", "is_default")}
