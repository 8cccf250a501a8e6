"""The console's forms: they parse and say what is wrong with a field; what the values mean is for the actions to judge."""

from __future__ import annotations

import math
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any, ClassVar

from django import forms
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from django.forms.boundfield import BoundField
from django.http import HttpRequest
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from keys import guesses, policy
from keys.models import ApiKey
from routing.errors import InvalidRequest
from routing.models import Config

# What the actions refuse, in the words of a form; anything else is shown as the action says it.
_REFUSALS: dict[str, str | Promise] = {
    "already_exists": _("This is taken already."),
    "missing_field": _("This field is required."),
    "key_required": _("This says where the credential is sent: it can only be changed together with the key."),
    "not_found": _("There is no such thing in this workspace."),
}


class StyledField(BoundField):
    """Gives each widget the look of the console."""

    def build_widget_attrs(self, attrs: dict[str, Any], widget: forms.Widget | None = None) -> dict[str, Any]:
        attrs = super().build_widget_attrs(attrs, widget)
        shown = widget or self.field.widget
        match shown:
            case forms.RadioSelect() | forms.CheckboxInput():
                look = "form-check-input"
            case forms.Select():
                look = "form-select"
            case _:
                look = "form-control"
        own = shown.attrs.get("class", "")
        attrs["class"] = " ".join(filter(None, (look, own, "is-invalid" if self.errors else "")))
        return attrs


class ConsoleForm(forms.Form):
    """`targets` names the field that shows a refused path (``usage_limits.credit_limit``); the path's start is enough."""

    bound_field_class = StyledField
    targets: ClassVar[dict[str, str]] = {}

    def refuse(self, error: InvalidRequest) -> None:
        """Shows what an action refused beside the field that it speaks of, or above the form."""
        path = error.param or ""
        name = self.field_of(path)
        message = _REFUSALS.get(error.code) or error.message.removeprefix(f"{path}: ")
        self.add_error(name if name in self.fields else None, str(message))

    def field_of(self, path: str) -> str:
        """The name of the field that a path speaks of."""
        starts = (
            field for start, field in self.targets.items() if path == start or path.startswith((f"{start}.", f"{start}["))
        )
        return next(starts, path)


class LoginForm(AuthenticationForm):
    """E-mail and password, with a limit on wrong guesses."""

    bound_field_class = StyledField
    username = forms.CharField(
        label=_("E-mail"), max_length=254, widget=forms.EmailInput(attrs={"autocomplete": "username", "autofocus": True})
    )

    def __init__(self, request: HttpRequest | None = None, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        self.fields["username"].label = _("E-mail")
        self.fields["password"].label = _("Password")

    def get_invalid_login_error(self) -> ValidationError:
        return ValidationError(_("The e-mail address or the password is wrong."), code="invalid_login")

    def clean(self) -> dict[str, Any]:
        address = self.request.META.get("REMOTE_ADDR", "") if self.request else ""
        account = self.cleaned_data.get("username", "")
        wait = guesses.wait_s(address, account)
        if wait:
            minutes = math.ceil(wait / 60)
            message = ngettext(
                "Too many wrong passwords. Try again in %(count)d minute.",
                "Too many wrong passwords. Try again in %(count)d minutes.",
                minutes,
            )
            raise ValidationError(message % {"count": minutes}, code="throttled")
        try:
            cleaned = super().clean()
        except ValidationError:
            guesses.count(address, account)
            raise
        guesses.forget(address, account)
        return cleaned


class ApiKeyForm(ConsoleForm):
    """A new API key."""

    INFERENCE, ADMIN = "inference", "admin"
    targets: ClassVar = {
        "rate_limits": "requests_per_minute",
        "usage_limits": "monthly_budget",
        "defaults": "default_config",
        "scopes": "preset",
        "expires_at": "expires_on",
    }

    name = forms.CharField(
        label=_("Name"), max_length=150, widget=forms.TextInput(attrs={"autofocus": True, "autocomplete": "off"})
    )
    preset = forms.ChoiceField(
        label=_("What it may do"),
        choices=((INFERENCE, _("Call models")), (ADMIN, _("Call models and administer the workspace"))),
        initial=INFERENCE,
        widget=forms.RadioSelect,
    )
    requests_per_minute = forms.IntegerField(
        label=_("Requests per minute"), required=False, min_value=1, max_value=10**9, help_text=_("No limit when empty.")
    )
    monthly_budget = forms.DecimalField(
        label=_("Monthly budget in USD"),
        required=False,
        min_value=Decimal("0.01"),
        max_value=Decimal(10**9),
        decimal_places=2,
        help_text=_("Calls are refused once it is used up, until the next month begins (UTC)."),
    )
    default_config = forms.ChoiceField(
        label=_("Default config"), required=False, help_text=_("Used for calls that do not name one themselves.")
    )
    expires_on = forms.DateField(
        label=_("Last day"),
        required=False,
        help_text=_("It stops working after this day (UTC). Never when empty."),
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )

    def __init__(self, *args: Any, configs: list[Config], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["default_config"]
        if isinstance(field, forms.ChoiceField):
            field.choices = [("", _("None")), *((config.slug, f"{config.name} ({config.slug})") for config in configs)]

    def values(self) -> dict[str, Any]:
        """The fields as `create_api_key` takes them."""
        data = self.cleaned_data
        values: dict[str, Any] = {
            "name": data["name"],
            "scopes": sorted(policy.ALL_SCOPES) if data["preset"] == self.ADMIN else list(policy.DEFAULT_SCOPES),
        }
        if data["requests_per_minute"]:
            values["rate_limits"] = [{"type": "requests", "unit": "rpm", "value": data["requests_per_minute"]}]
        if data["monthly_budget"]:
            values["usage_limits"] = {"credit_limit": data["monthly_budget"], "periodic_reset": "monthly"}
        if data["default_config"]:
            values["defaults"] = {"config_id": data["default_config"]}
        if data["expires_on"]:
            values["expires_at"] = datetime.combine(data["expires_on"], time(23, 59, 59), UTC)
        return values


def is_admin_key(key: ApiKey) -> bool:
    """Whether the key may do more than call models."""
    return bool(set(key.scopes) & policy.ALL_SCOPES - set(policy.DEFAULT_SCOPES))
