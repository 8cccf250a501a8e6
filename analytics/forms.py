"""The filters of the log as a form in the URL."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from analytics.filters import METADATA_PREFIX
from analytics.filters import parse as parse_filters
from analytics.queries import FilterError, LogFilters
from keys.forms import ConsoleForm
from keys.models import ApiKey
from routing.providers import table

_RANGES = {
    "15m": dt.timedelta(minutes=15),
    "1h": dt.timedelta(hours=1),
    "24h": dt.timedelta(days=1),
    "7d": dt.timedelta(days=7),
}
_TEXT = {"autocomplete": "off", "spellcheck": "false"}
_FOLDED = ("api_key_id", "metadata", "started_from", "started_to")
_MOMENT = "%Y-%m-%dT%H:%M"


class LogFilterForm(ConsoleForm):
    """Every field stands in the URL under its own name. `range` reaches back from now; the two times are in UTC."""

    trace_id = forms.CharField(
        label=_("Trace ID"), required=False, widget=forms.TextInput(attrs={**_TEXT, "data-search": True})
    )
    status = forms.CharField(
        label=_("Status"),
        required=False,
        widget=forms.TextInput(attrs={**_TEXT, "placeholder": "4xx, 429", "list": "statuses"}),
    )
    provider = forms.ChoiceField(label=_("Provider"), required=False)
    model = forms.CharField(label=_("Model"), required=False, widget=forms.TextInput(attrs=_TEXT))
    api_key_id = forms.ChoiceField(label=_("API key"), required=False)
    metadata = forms.CharField(
        label=_("Metadata"), required=False, widget=forms.TextInput(attrs={**_TEXT, "placeholder": "user=ada"})
    )
    range = forms.ChoiceField(
        label=_("Time range"),
        required=False,
        choices=(
            ("", _("All")),
            ("15m", _("Last 15 minutes")),
            ("1h", _("Last hour")),
            ("24h", _("Last 24 hours")),
            ("7d", _("Last 7 days")),
        ),
    )
    started_from = forms.DateTimeField(
        label=_("From (UTC)"), required=False, widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format=_MOMENT)
    )
    started_to = forms.DateTimeField(
        label=_("Until (UTC)"), required=False, widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format=_MOMENT)
    )

    def __init__(self, *args: Any, api_keys: list[ApiKey], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.filters = LogFilters()
        self._choose("provider", [(row.id, row.label) for row in table.PROVIDERS.values()])
        self._choose("api_key_id", [(str(key.pk), key.name) for key in api_keys])

    def _choose(self, name: str, choices: list[tuple[str, str]]) -> None:
        field = self.fields[name]
        if isinstance(field, forms.ChoiceField):
            field.choices = [("", _("All")), *choices]

    def clean(self) -> dict[str, Any]:
        """Leaves the filters in `filters`. A field that means nothing filters nothing, and says so."""
        data: dict[str, Any] = super().clean() or {}
        wanted = {name: data.get(name) or "" for name in ("trace_id", "status", "provider", "model", "api_key_id")}
        since = data.get("started_from")
        if data.get("range"):
            since = max(filter(None, (since, timezone.now() - _RANGES[data["range"]])))
        wanted |= {name: at.isoformat() for name, at in (("started_from", since), ("started_to", data.get("started_to"))) if at}
        if data.get("metadata"):
            key, sign, value = data["metadata"].partition("=")
            if not sign or not key.strip() or not value.strip():
                self.add_error("metadata", _("Write key=value."))
            else:
                wanted[METADATA_PREFIX + key.strip()] = value.strip()
        try:
            self.filters = parse_filters(wanted)
        except FilterError as error:
            self.add_error(error.field if error.field in self.fields else None, error.message)
        return data

    @property
    def uses_more(self) -> bool:
        """Whether one of the fields is used that are folded away at first."""
        return any(self.data.get(name) for name in _FOLDED)

    @property
    def is_active(self) -> bool:
        """Whether anything is filtered at all."""
        return any(self.data.get(name) for name in self.fields)
