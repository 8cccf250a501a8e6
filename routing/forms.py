"""The console's forms of configs. What a config may say is for routing.configs to judge."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.core.validators import MaxValueValidator
from django.utils.translation import gettext_lazy as _

from keys.forms import ConsoleForm
from routing.errors import InvalidConfig, InvalidRequest
from routing.models import Config
from routing.pages.texts import Fault


class ConfigForm(ConsoleForm):
    """A config's body as text, with what surrounds it. `fault` is what was refused in the body.

    `overtaken` are the version that the editor was opened with and the one that somebody else saved since.
    """

    targets: ClassVar = {"config": "body"}
    fault: Fault | None = None
    overtaken: tuple[int, int] | None = None

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
        self.fault = Fault(error, self.data.get("body", ""))
        self.add_error("body", self.fault.reason)

    def overtaken_by(self, version: int) -> None:
        """Somebody saved this version while the form was open. Sending it again, in the knowledge of that, replaces it."""
        self.overtaken = (self.cleaned_data["base"], version)
        self.data = {**{name: self.data[name] for name in self.data}, "base": str(version)}
        self.add_error(None, _("Version %(number)d was saved meanwhile.") % {"number": version})

    def values(self) -> dict[str, Any]:
        """The fields but the body, as the actions take them."""
        return {name: self.cleaned_data[name] for name in ("name", "comment", "is_default")}


class LabelForm(ConsoleForm):
    """A label and the version that it points at."""

    targets: ClassVar = {"version": "version", "label": "label"}

    label = forms.CharField(
        label=_("Label"),
        max_length=40,
        help_text=_("Lower-case letters, digits and hyphens, such as production."),
        widget=forms.TextInput(
            attrs={"autocomplete": "off", "spellcheck": "false", "autocapitalize": "off", "list": "label-names"}
        ),
    )
    version = forms.IntegerField(label=_("Version"), min_value=1, max_value=2**31 - 1)


class CompareForm(ConsoleForm):
    """Two versions of a config, the older one first as a rule."""

    before = forms.IntegerField(label=_("From version"), min_value=1)
    after = forms.IntegerField(label=_("to version"), min_value=1)

    def __init__(self, config: Config, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("before", "after"):
            field = self.fields[name]
            if isinstance(field, forms.IntegerField):
                field.max_value = config.version
                field.validators.append(MaxValueValidator(config.version))
                field.widget.attrs |= {"max": config.version, "inputmode": "numeric"}
