"""Alerts in the console: rules with a preview, channels with a test, the history; and who may do what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from analytics.alerts import actions, evaluate
from analytics.alerts.models import AlertChannel, AlertRule
from keys.actions import SYSTEM, create_workspace
from keys.models import Workspace
from routing.egress import EgressGuard
from tests.inboxes import Receiver

LogIn = Callable[..., Client]
SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
FIELDS = {"type": "requests", "condition": "count < 5", "window": "5m", "channels": ["ops"], "enabled": "on"}


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.EGRESS = EgressGuard.parse(["127.0.0.1"])
    with Receiver() as running:
        yield running


@pytest.fixture
def channel(workspace: Workspace) -> AlertChannel:
    return actions.create_channel(workspace=workspace, actor=SYSTEM, name="ops", url=SLACK)


@pytest.fixture
def rule(workspace: Workspace, channel: AlertChannel) -> AlertRule:
    wanted = {"type": "requests", "condition": "count < 5", "channels": ["ops"], "name": "Too quiet"}
    return actions.create_rules(workspace, [wanted], actor=SYSTEM)[0]


def _pages(rule: AlertRule) -> dict[str, tuple[Any, ...]]:
    one, channel = (rule.pk,), ("ops",)
    pages: dict[str, tuple[Any, ...]] = {"alerts": (), "alert_new": (), "alert": one, "alert_delete": one, "alert_history": ()}
    return {**pages, "alert_channels": (), "alert_channel_new": (), "alert_channel": channel, "alert_channel_delete": channel}


def test_owners_see_every_page_and_no_address(log_in: LogIn, rule: AlertRule) -> None:
    evaluate.evaluate_all(timezone.now())
    owner = log_in("owner")
    for name, args in _pages(rule).items():
        answer = owner.get(reverse(f"console:{name}", args=args))
        assert answer.status_code == 200, name
        assert "TIiajkdn" not in answer.content.decode(), name
    assert "Firing" in owner.get(reverse("console:alerts")).content.decode()
    assert "Too quiet" in owner.get(reverse("console:alert_history")).content.decode()


def test_pages_of_other_workspaces_do_not_exist(log_in: LogIn, rule: AlertRule) -> None:
    stranger = log_in("owner", of=create_workspace(slug="other", name="Other"))
    for name, args in _pages(rule).items():
        assert stranger.get(reverse(f"console:{name}", args=args)).status_code == (404 if args else 200), name
    for name, args in (("alert_mute", (rule.pk,)), ("alert_channel_test", ("ops",))):
        assert stranger.post(reverse(f"console:{name}", args=args)).status_code == 404
    assert "Too quiet" not in stranger.get(reverse("console:alerts")).content.decode()


def test_viewers_look_and_change_nothing(log_in: LogIn, rule: AlertRule) -> None:
    viewer = log_in("viewer")
    pages = _pages(rule)
    seen = {name for name, args in pages.items() if viewer.get(reverse(f"console:{name}", args=args)).status_code == 200}
    assert seen == {"alerts", "alert", "alert_history", "alert_channels", "alert_channel"}
    posts = [*pages.items(), ("alert_mute", (rule.pk,)), ("alert_channel_test", ("ops",))]
    assert {viewer.post(reverse(f"console:{name}", args=args), FIELDS).status_code for name, args in posts} <= {403, 405}


def test_an_alert_is_made_changed_muted_and_deleted(log_in: LogIn, channel: AlertChannel) -> None:
    editor = log_in("editor")
    assert editor.post(reverse("console:alert_new"), FIELDS).status_code == 302
    made = AlertRule.objects.get()
    assert (made.condition, made.window, made.enabled, made.minimum_calls) == ("count < 5", "5m", True, 1)
    page = reverse("console:alert", args=[made.pk])
    changed = {**FIELDS, "type": "latency", "condition": "p99 > 2s", "provider": "openai", "window": "1h", "enabled": ""}
    assert editor.post(page, changed).status_code == 302
    made.refresh_from_db()
    assert (made.condition, made.filters, made.enabled) == ("p99 > 2000", {"provider": "openai"}, False)
    editor.post(reverse("console:alert_mute", args=[made.pk]), {"minutes": "60"})
    made.refresh_from_db()
    assert made.muted_until is not None
    editor.post(reverse("console:alert_mute", args=[made.pk]), {"minutes": "0"})
    made.refresh_from_db()
    assert made.muted_until is None
    editor.post(reverse("console:alert_delete", args=[made.pk]))
    assert not AlertRule.objects.exists()


def test_a_refused_rule_says_so_beside_its_field(log_in: LogIn, channel: AlertChannel) -> None:
    answer = log_in("owner").post(reverse("console:alert_new"), {**FIELDS, "condition": "rate > 1"})
    assert answer.status_code == 422
    assert "rate is not measured here; it can be count" in answer.content.decode()


def test_the_preview_says_what_a_rule_would_say_now(log_in: LogIn, channel: AlertChannel) -> None:
    owner = log_in("owner")
    preview = reverse("console:alert_preview")
    assert "It would fire now" in owner.post(preview, FIELDS).content.decode()
    assert "It would be quiet now" in owner.post(preview, {**FIELDS, "condition": "count > 5"}).content.decode()
    assert "nothing to measure" in owner.post(preview, {**FIELDS, "type": "latency", "condition": "p95 > 1"}).content.decode()
    assert "such as" in owner.post(preview, {**FIELDS, "condition": "count"}).content.decode()
    assert not AlertRule.objects.exists()


def test_a_channel_is_made_and_tested(log_in: LogIn, workspace: Workspace, receiver: Receiver) -> None:
    owner = log_in("owner")
    owner.post(reverse("console:alert_channel_new"), {"name": "ops", "url": f"{receiver.url}/t0ken-0815"})
    test = reverse("console:alert_channel_test", args=["ops"])
    assert "The test was accepted" in owner.post(test, follow=True).content.decode()
    assert receiver.paths == ["/t0ken-0815"]
    receiver.status = 404
    answer = owner.post(test, follow=True).content.decode()
    assert "it answered with status 404" in answer
    assert "t0ken-0815" not in answer
    owner.post(reverse("console:alert_channel", args=["ops"]), {"name": "night", "url": ""})
    assert AlertChannel.objects.get().name == "night"


def test_a_channel_that_a_rule_names_stays(log_in: LogIn, rule: AlertRule) -> None:
    answer = log_in("owner").post(reverse("console:alert_channel_delete", args=["ops"]))
    assert answer.status_code == 409
    assert "is used by rules: Too quiet" in answer.content.decode()
