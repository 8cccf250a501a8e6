"""The console's forms of rules and channels. What the values mean is for the actions to judge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _

from analytics.alerts import conditions
from analytics.alerts.models import AlertChannel, AlertRule
from keys.forms import ConsoleForm
from keys.models import ApiKey, VirtualKey
from routing.models import Config
from routing.providers import table

_TEXT = {"autocomplete": "off", "spellcheck": "false"}
FILTERS = ("provider", "model", "api_key", "virtual_key", "config")
TYPE_LABELS = {
    "latency": _("Latency"),
    "ttft": _("Time to first token"),
    "error_rate": _("Error rate"),
    "cost": _("Cost"),
    "tokens": _("Tokens"),
    "requests": _("Requests"),
    "cache_hit_rate": _("Cache hit rate"),
    "unpriced": _("Calls without a price"),
    "budget": _("Used part of a budget"),
    "breaker": _("Circuit breakers"),
    "spool": _("Backlog of log records"),
}


class RuleForm(ConsoleForm):
    """A rule. Its filters are fields of their own."""

    targets: ClassVar = {f"filters.{name}": name for name in FILTERS} | {"channels": "channels", "filters": "model"}

    name = forms.CharField(label=_("Name"), required=False, max_length=150, widget=forms.TextInput(attrs=_TEXT))
    type = forms.ChoiceField(label=_("What is watched"), choices=tuple(TYPE_LABELS.items()))
    condition = forms.CharField(
        label=_("Condition"),
        max_length=100,
        help_text=_("Such as p95 > 5000, rate > 5%, total > 10, used >= 80% or state == open."),
        widget=forms.TextInput(attrs={**_TEXT, "class": "gh-mono"}),
    )
    window = forms.CharField(
        label=_("Window"),
        required=False,
        max_length=16,
        initial=conditions.DEFAULT_WINDOW,
        help_text=_("5m, 2h, 1d, or day, week, month. Budgets, breakers and the backlog have none."),
        widget=forms.TextInput(attrs=_TEXT),
    )
    minimum_calls = forms.IntegerField(
        label=_("Minimum of calls"),
        required=False,
        min_value=1,
        initial=1,
        help_text=_("With fewer calls in the window a share or percentile says nothing."),
    )
    repeat_minutes = forms.IntegerField(
        label=_("Say it again after minutes"), required=False, min_value=0, initial=0, help_text=_("Never when 0.")
    )
    provider = forms.ChoiceField(label=_("Provider"), required=False)
    model = forms.CharField(
        label=_("Model"),
        required=False,
        help_text=_("A * at the end stands for anything."),
        widget=forms.TextInput(attrs=_TEXT),
    )
    api_key = forms.ChoiceField(label=_("API key"), required=False)
    virtual_key = forms.ChoiceField(label=_("Virtual key"), required=False)
    config = forms.ChoiceField(label=_("Config"), required=False)
    channels = forms.MultipleChoiceField(label=_("Channels"), widget=forms.CheckboxSelectMultiple)
    enabled = forms.BooleanField(label=_("Switched on"), required=False, initial=True)

    def __init__(
        self,
        *args: Any,
        channels: Sequence[AlertChannel],
        api_keys: Sequence[ApiKey],
        virtual_keys: Sequence[VirtualKey],
        configs: Sequence[Config],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._choose("channels", [(one.name, f"{one.name} ({one.masked})") for one in channels])
        anything = [("", _("All"))]
        self._choose("provider", [*anything, *((row.id, row.label) for row in table.PROVIDERS.values())])
        self._choose("api_key", [*anything, *((str(key.pk), key.name) for key in api_keys)])
        self._choose("virtual_key", [*anything, *((key.slug, key.name) for key in virtual_keys)])
        self._choose("config", [*anything, *((config.slug, config.name) for config in configs)])

    def _choose(self, name: str, choices: list[tuple[Any, Any]]) -> None:
        field = self.fields[name]
        if isinstance(field, forms.ChoiceField):
            field.choices = choices

    def values(self) -> dict[str, Any]:
        """The fields as the actions take them. What means nothing to the type is left out, as the form says."""
        data = self.cleaned_data
        kind = conditions.TYPES[data["type"]]
        values: dict[str, Any] = {name: data[name] for name in ("type", "condition", "enabled")}
        values["filters"] = {name: data[name] for name in FILTERS if data[name]}
        values["repeat_minutes"] = data["repeat_minutes"] or 0
        if data["name"]:
            values["name"] = data["name"]
        if kind.by_calls:
            values["window"] = data["window"] or conditions.DEFAULT_WINDOW
            values["minimum_calls"] = data["minimum_calls"] or 1
        return values


def shown(rule: AlertRule) -> dict[str, Any]:
    """A rule as the form's initial values."""
    fields = ("name", "type", "condition", "window", "minimum_calls", "repeat_minutes", "enabled")
    values = {name: getattr(rule, name) for name in fields}
    return {**values, **rule.filters, "channels": [channel.name for channel in rule.channels.all()]}


class ChannelForm(ConsoleForm):
    """A channel. An address that is stored is never shown again: empty leaves it as it is."""

    name = forms.CharField(
        label=_("Name"),
        max_length=100,
        help_text=_("Lower-case letters, digits and hyphens: rules name the channel by it."),
        widget=forms.TextInput(attrs=_TEXT),
    )
    url = forms.CharField(
        label=_("Address"),
        max_length=2000,
        help_text=_(
            "https://... for a webhook, or an address of Apprise such as slack://, mailto://, twilio://, pagerduty://, "
            "dingtalk://, feishu:// or wecombot://."
        ),
        widget=forms.TextInput(attrs={**_TEXT, "class": "gh-mono"}),
    )
    signing_secret = forms.CharField(
        label=_("Signing secret"),
        required=False,
        max_length=200,
        help_text=_("For webhooks: each message is signed with it."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, *args: Any, is_new: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["url"].required = is_new

    def values(self) -> dict[str, Any]:
        return {name: value for name, value in self.cleaned_data.items() if value}
