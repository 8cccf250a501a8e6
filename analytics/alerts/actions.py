"""Every write to rules and channels: checked, in one transaction, with its audit event. Wrong values raise `InvalidRequest`."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from django.db import transaction

from analytics.alerts import channels, conditions, evaluate, outbox, queries
from analytics.alerts.models import AlertChannel, AlertDelivery, AlertRule
from keys import audit, vault
from keys import validation as check
from keys.actions import save_new
from keys.audit import Actor
from keys.models import ApiKey, VirtualKey, Workspace
from routing.errors import InvalidRequest
from routing.models import Config
from routing.providers import table

_MAX_RULES = 200
_MAX_CHANNELS = 50
_MAX_MINUTES = 7 * 24 * 60
_channel_name = check.slug(100)


def _flag(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        check.refuse(path, "must be true or false")
    return value


def _whole(low: int, high: int) -> check.Check:
    def read(value: Any, path: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            check.refuse(path, f"must be a whole number from {low} to {high}")
        return value

    return read


def _names(value: Any, path: str) -> list[str]:
    if not isinstance(value, list) or not value:
        check.refuse(path, "must be a list with the name of at least one channel")
    for place, name in enumerate(value):
        if not isinstance(name, str):
            check.refuse(f"{path}[{place}]", "must be the name of a channel")
    return list(dict.fromkeys(value))


RULE_FIELDS: dict[str, check.Check] = {
    "name": check.text(150),
    "type": conditions.rule_type,
    "condition": check.text(100),
    "window": conditions.window,
    "filters": check.mapping,
    "minimum_calls": _whole(1, 10**9),
    "repeat_minutes": _whole(0, _MAX_MINUTES),
    "channels": _names,
    "enabled": _flag,
    "muted_until": check.future,
}
CHANNEL_FIELDS: dict[str, check.Check] = {
    "name": _channel_name,
    "url": channels.check_address,
    "signing_secret": check.text(200, blank=True),
}


# --- Rules -----------------------------------------------------------------------------------------------------------------


def create_rules(workspace: Workspace, wanted: Sequence[Mapping[str, Any]], *, actor: Actor, path: str = "") -> list[AlertRule]:
    """Several rules or none. `path` is where they stand in what was sent."""
    with transaction.atomic():
        Workspace.objects.select_for_update().get(pk=workspace.pk)
        if AlertRule.objects.filter(workspace=workspace).count() + len(wanted) > _MAX_RULES:
            check.refuse(path or "alerts", f"a workspace has at most {_MAX_RULES} rules")
        made = []
        for place, values in enumerate(wanted):
            made.append(_create_rule(workspace, check.mapping(values, path), actor, f"{path}[{place}]" if path else ""))
    return made


def _create_rule(workspace: Workspace, values: dict[str, Any], actor: Actor, path: str) -> AlertRule:
    fields = check.clean(values, RULE_FIELDS, path)
    check.require(fields, "type", "condition", "channels", path=path)
    names = fields.pop("channels")
    rule = AlertRule(workspace=workspace)
    _apply(rule, fields, path)
    heard = _channels(workspace, names, path)
    rule.save()
    rule.channels.set(heard)
    audit.record(actor, workspace, "alert_rule.create", rule, condition=rule.condition, channels=names)
    return rule


def draft(workspace: Workspace, values: Mapping[str, Any]) -> AlertRule:
    """A rule that is not saved, to see what it would say. Its channels may still be missing."""
    fields = check.clean(check.mapping(values, "alert"), RULE_FIELDS)
    check.require(fields, "type", "condition")
    fields.pop("channels", None)
    rule = AlertRule(workspace=workspace)
    _apply(rule, fields, "")
    return rule


def update_rule(rule: AlertRule, *, actor: Actor, **changes: Any) -> AlertRule:
    """Changes the given fields and leaves the others. What fires ends where the rule is switched off or changes its type."""
    fields = check.clean(changes, RULE_FIELDS)
    with transaction.atomic():
        rule = AlertRule.objects.select_for_update(of=("self",)).select_related("workspace").get(pk=rule.pk)
        names = fields.pop("channels", None)
        heard = None if names is None else _channels(rule.workspace, names, "")
        if fields.get("enabled") is False:
            evaluate.end_all(rule, "The rule was switched off")
        elif fields.get("type", rule.type) != rule.type:
            evaluate.end_all(rule, "The rule was changed")
        _apply(rule, fields, "")
        rule.save()
        if heard is not None:
            rule.channels.set(heard)
        audit.record(actor, rule.workspace, "alert_rule.update", rule, changed=sorted(changes), condition=rule.condition)
    return rule


def delete_rule(rule: AlertRule, *, actor: Actor) -> None:
    """Its history stays."""
    with transaction.atomic():
        rule = AlertRule.objects.select_for_update(of=("self",)).select_related("workspace").get(pk=rule.pk)
        evaluate.end_all(rule, "The rule was deleted")
        audit.record(actor, rule.workspace, "alert_rule.delete", rule, condition=rule.condition)
        rule.delete()


def _apply(rule: AlertRule, fields: dict[str, Any], path: str) -> None:
    """Puts clean fields into a rule, and judges those that depend on each other."""
    start = f"{path}." if path else ""
    changes_type = fields.get("type", rule.type) != rule.type
    for name, value in fields.items():
        setattr(rule, name, value)
    kind = conditions.TYPES[rule.type]
    rule.condition = str(conditions.parse(rule.type, rule.condition, f"{start}condition"))
    if not kind.by_calls:
        for name in ("window", "minimum_calls"):
            if name in fields:
                check.refuse(f"{start}{name}", f"means nothing to rules of the type {rule.type}: they say how things stand now")
        rule.window, rule.minimum_calls = "", 1
    else:
        rule.window = rule.window or conditions.DEFAULT_WINDOW
    if "filters" in fields or changes_type:
        rule.filters = _filters(rule, f"{start}filters")
    rule.name = rule.name or f"{kind.label} {rule.condition}"


def _filters(rule: AlertRule, path: str) -> dict[str, str]:
    allowed = dict.fromkeys(conditions.TYPES[rule.type].filters, check.text(200))
    found: dict[str, str] = check.clean(rule.filters, allowed, path)
    for name, wanted in found.items():
        where = f"{path}.{name}"
        match name:
            case "provider" if wanted not in table.PROVIDERS:
                check.refuse(where, f"there is no provider {wanted[:80]!r}{check.nearest(wanted[:80], table.PROVIDERS)}")
            case "api_key":
                found[name] = _api_key(rule.workspace, wanted, where)
            case "virtual_key" if not VirtualKey.objects.filter(workspace=rule.workspace, slug=wanted).exists():
                check.refuse(where, f"there is no virtual key {wanted!r} in this workspace")
            case "config" if not Config.objects.filter(workspace=rule.workspace, slug=wanted).exists():
                check.refuse(where, f"there is no config {wanted!r} in this workspace")
    return found


def _api_key(workspace: Workspace, wanted: str, path: str) -> str:
    """The id of an API key, given by its id or by a name that only one has."""
    keys = ApiKey.objects.filter(workspace=workspace)
    try:
        found = list(keys.filter(pk=uuid.UUID(wanted)))
    except ValueError:
        found = list(keys.filter(name=wanted)[:2])
    if len(found) != 1:
        check.refuse(
            path,
            f"there is no API key {wanted!r} in this workspace" if not found else "is the name of several keys: give the id",
        )
    return str(found[0].pk)


def _channels(workspace: Workspace, names: Sequence[str], path: str) -> list[AlertChannel]:
    found = {one.name: one for one in AlertChannel.objects.filter(workspace=workspace)}
    for place, name in enumerate(names):
        if name not in found:
            where = f"{path}.channels[{place}]" if path else f"channels[{place}]"
            check.refuse(where, f"there is no channel {name[:80]!r}{check.nearest(name[:80], found)}; make it first")
    return [found[name] for name in names]


# --- Channels --------------------------------------------------------------------------------------------------------------


def create_channel(*, workspace: Workspace, actor: Actor, **values: Any) -> AlertChannel:
    fields = check.clean(values, CHANNEL_FIELDS)
    check.require(fields, "name", "url")
    channel = AlertChannel(workspace=workspace, name=fields["name"])
    _point(channel, fields["url"], fields.get("signing_secret", ""))
    with transaction.atomic():
        Workspace.objects.select_for_update().get(pk=workspace.pk)
        if AlertChannel.objects.filter(workspace=workspace).count() >= _MAX_CHANNELS:
            check.refuse("name", f"a workspace has at most {_MAX_CHANNELS} channels")
        save_new(channel, "name")
        audit.record(actor, workspace, "alert_channel.create", channel, address=channel.masked)
    return channel


def update_channel(channel: AlertChannel, *, actor: Actor, **changes: Any) -> AlertChannel:
    """A signing secret belongs to its address: it is changed together with the URL, and goes when a URL comes alone."""
    fields = check.clean(changes, CHANNEL_FIELDS)
    if "signing_secret" in fields and "url" not in fields:
        check.refuse("signing_secret", "can only be changed together with the url")
    with transaction.atomic():
        channel = AlertChannel.objects.select_for_update(of=("self",)).select_related("workspace").get(pk=channel.pk)
        if "name" in fields and fields["name"] != channel.name:
            if AlertChannel.objects.filter(workspace=channel.workspace, name=fields["name"]).exists():
                check.refuse("name", f"{fields['name']} is taken already", code="already_exists", status=409)
            channel.name = fields["name"]
        if "url" in fields:
            _point(channel, fields["url"], fields.get("signing_secret", ""))
        channel.save()
        audit.record(actor, channel.workspace, "alert_channel.update", channel, changed=sorted(changes), address=channel.masked)
    return channel


def _point(channel: AlertChannel, address: channels.Address, signing_secret: str) -> None:
    if signing_secret and address.sender != "webhook":
        check.refuse("signing_secret", "is for webhooks at http and https addresses alone")
    channel.sender, channel.scheme, channel.masked = address.sender, address.scheme, address.masked
    channel.secret = vault.encrypt(orjson.dumps({"url": address.url, "signing_secret": signing_secret}).decode())
    channel.is_signed = bool(signing_secret)


def delete_channel(channel: AlertChannel, *, actor: Actor) -> None:
    """Refused while rules name it. Its messages stay in the history."""
    with transaction.atomic():
        channel = AlertChannel.objects.select_for_update(of=("self",)).select_related("workspace").get(pk=channel.pk)
        users = list(channel.rules.values_list("name", flat=True)[:10])
        if users:
            raise InvalidRequest(f"{channel.name} is used by rules: {', '.join(users)}", code="channel_in_use", status=409)
        audit.record(actor, channel.workspace, "alert_channel.delete", channel)
        channel.delete()


def test_channel(channel: AlertChannel, *, actor: Actor) -> AlertDelivery:
    """Sends a test message, and tells how it went."""
    message = outbox.send_test(channel)
    audit.record(actor, channel.workspace, "alert_channel.test", channel, state=message.state)
    return message


def live_state(rule: AlertRule) -> str:
    """``off``, ``error``, ``firing`` or ``ok``."""
    if not rule.enabled:
        return "off"
    if rule.error:
        return "error"
    return "firing" if queries.is_firing(rule) else "ok"
