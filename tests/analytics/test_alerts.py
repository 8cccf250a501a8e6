"""Rules over the roll-ups fire once, go on, and resolve; and those who hear of it are a real mail server and a receiver."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
import redis
from django.conf import settings
from django.utils import timezone

from analytics import backlog
from analytics.alerts import actions, evaluate, measures, outbox
from analytics.alerts.models import AlertChannel, AlertDelivery, AlertIncident, AlertRule
from analytics.ingest import ingest
from analytics.spool import SpoolState
from keys.actions import SYSTEM, create_api_key, create_workspace
from keys.models import ApiKey, BudgetEvent, Workspace
from routing.breakers import INDEX, state_key
from routing.egress import EgressGuard
from tests.inboxes import Mailbox, Receiver

pytestmark = pytest.mark.django_db

PASSWORD = "smtp-pa55word-0123456789"
TOKEN = "hook-t0ken-9876543210"


@dataclass
class Watch:
    """A workspace with a mailbox and a receiver, and a clock of its own."""

    workspace: Workspace
    api_key: ApiKey
    mailbox: Mailbox
    receiver: Receiver
    encoded: Callable[..., bytes]
    now: dt.datetime = field(default_factory=lambda: timezone.now().replace(minute=30, second=10, microsecond=0))

    def rule(self, **fields: Any) -> AlertRule:
        [made] = actions.create_rules(self.workspace, [{"channels": ["mail", "hook"], **fields}], actor=SYSTEM)
        return made

    def calls(self, count: int = 1, **fields: Any) -> None:
        """Calls of this minute."""
        started = int(self.now.timestamp() * 1_000_000)
        mine = {"workspace_id": str(self.workspace.pk), "api_key_id": str(self.api_key.pk), "started_at_us": started}
        ingest([self.encoded(**{**mine, **fields}) for _ in range(count)])

    def look(self, minutes: float = 0) -> list[str]:
        """Evaluates after some minutes, delivers, and tells what was said: the kinds, each once for both channels."""
        self.now += dt.timedelta(minutes=minutes)
        before = len(self.receiver.bodies), len(self.mailbox.mails)
        evaluate.evaluate_all(self.now)
        AlertDelivery.objects.filter(state="pending").update(next_try_at=timezone.now())
        while outbox.send_due():
            pass
        said = [payload["type"].removeprefix("alert.") for payload in self.receiver.payloads[before[0] :]]
        assert len(self.mailbox.mails) - before[1] == len(said)
        return said


@pytest.fixture(autouse=True)
def loopback(settings: Any) -> None:
    settings.EGRESS = EgressGuard.parse(["127.0.0.1"])


@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def watch(encoded: Callable[..., bytes], mailbox: Mailbox, receiver: Receiver) -> Watch:
    workspace = create_workspace(slug="acme", name="Acme")
    key, _ = create_api_key(workspace=workspace, name="ci", actor=SYSTEM, usage_limits={"credit_limit": 10})
    mail = f"mailto://bot:{PASSWORD}@127.0.0.1:{mailbox.port}?smtp=127.0.0.1&mode=insecure&from=bot@a.example&to=ops@b.example"
    actions.create_channel(workspace=workspace, actor=SYSTEM, name="mail", url=mail)
    hook = f"{receiver.url}/hooks/{TOKEN}"
    actions.create_channel(workspace=workspace, actor=SYSTEM, name="hook", url=hook, signing_secret="a signing secret")
    return Watch(workspace, key, mailbox, receiver, encoded)


# --- Each type fires and resolves ----------------------------------------------------------------------------------------


def _open_breaker(watch: Watch) -> None:
    label = (
        f'{{"workspace_id":"{watch.workspace.pk}","provider":"openai","host":"api.example","model":"m","virtual_key_id":null}}'
    )
    now_ms = int(watch.now.timestamp() * 1000)
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.hset(
            state_key("b1"), mapping={"until": now_ms + 30_000, "since": now_ms - 90_000, "failures": 5, "label": label}
        )
        client.zadd(INDEX, {"b1": now_ms})


def _close_breaker(watch: Watch) -> None:
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        client.delete(state_key("b1"), INDEX)


def _spool(used: int) -> Callable[[Watch], None]:
    def tell(watch: Watch) -> None:
        state = SpoolState(used, 10**9, False, None, 0, 0, 0)
        with redis.Redis.from_url(settings.REDIS_URL) as client:
            backlog.announce(client, "p1", state)

    return tell


def _later(watch: Watch) -> None:
    watch.now += dt.timedelta(minutes=20)


def _bigger_budget(watch: Watch) -> None:
    ApiKey.objects.update(usage_limits={"credit_limit": 1000})


def _calls(count: int = 1, **fields: Any) -> Callable[[Watch], None]:
    return lambda watch: watch.calls(count, **fields)


EACH_TYPE = {
    "latency": ("p95 > 5000", _calls(20, duration_ms=7000.0), _later, "latency p95 is 8,"),
    "ttft": ("p50 > 1s", _calls(duration_ms=1.0, ttft_ms=3000.0), _later, "time to the first token p50 is"),
    "error_rate": ("rate > 0.05", _calls(2, status=500), _calls(100), "error rate is 100%"),
    "cost": ("total >= 2.50", _calls(5, cost_usd="0.5"), _later, "cost is $2.50"),
    "tokens": ("output > 1k", _calls(2, output_tokens=700), _later, "number of tokens output is 1,400"),
    "requests": ("count < 1", lambda _watch: None, _calls(), "number of requests is 0"),
    "cache_hit_rate": (
        "rate < 20%",
        _calls(10, cache_status="MISS"),
        _calls(10, cache_status="HIT"),
        "cache hit rate is 0%",
    ),
    "unpriced": ("calls > 0", _calls(unpriced=True, model="new-model"), _later, "new-model (openai): calls without a price"),
    "budget": ("used >= 80%", _calls(cost_usd="8.5"), _bigger_budget, "API key ci, total budget of 10 USD"),
    "breaker": ("state == open", _open_breaker, _close_breaker, "openai m at api.example"),
    "spool": ("bytes > 100MB", _spool(200_000_000), _spool(0), "200.0 MB"),
}


@pytest.mark.parametrize("kind", EACH_TYPE)
def test_each_type_fires_and_resolves_by_mail_and_by_webhook(watch: Watch, kind: str) -> None:
    condition, break_it, mend_it, said = EACH_TYPE[kind]
    rule = watch.rule(type=kind, condition=condition, name="Trouble")
    break_it(watch)
    assert watch.look() == ["firing"]
    payload = watch.receiver.payloads[-1]
    assert said in payload["text"]
    assert payload["rule"]["condition"] == rule.condition
    assert watch.mailbox.subjects[-1] == "[Acme] Firing: Trouble"
    assert said in watch.mailbox.text()
    assert watch.look(0.5) == []
    mend_it(watch)
    assert watch.look() == ["resolved"]
    assert watch.mailbox.subjects[-1] == "[Acme] Resolved: Trouble"
    [incident] = AlertIncident.objects.all()
    assert incident.resolved_at == watch.now
    assert watch.receiver.payloads[-1]["incident"]["id"] == payload["incident"]["id"]
    assert {one.state for one in incident.deliveries.all()} == {"sent"}
    assert watch.look(0.5) == []


@pytest.mark.parametrize(
    ("period", "start", "ends"),
    [
        ("day", "2026-02-01T00:00Z", "2026-02-02T00:00Z"),
        ("week", "2026-02-02T00:00Z", "2026-02-09T00:00Z"),
        ("month", "2026-02-01T00:00Z", "2026-03-01T00:00Z"),
        ("month", "2026-02-28T16:00Z", "2026-03-31T16:00Z"),
        ("month", "2026-02-01T08:00Z", "2026-03-01T08:00Z"),
        ("total", "1970-01-01T00:00Z", "2999-01-01T00:00Z"),
    ],
)
def test_budgets_of_other_things_fire_from_what_was_noted_until_their_window_ends(
    watch: Watch, period: str, start: str, ends: str
) -> None:
    rule = watch.rule(type="budget", condition="used >= 80%")
    for threshold in (50, 80):
        BudgetEvent.objects.create(
            workspace=watch.workspace,
            object_kind="workspace",
            object_id=str(watch.workspace.pk),
            limit_text="workspace Acme: 100 USD",
            threshold=threshold,
            window_start=dt.datetime.fromisoformat(start),
            cap_usd=100,
            used_usd=threshold,
            counter=f"workspace:{watch.workspace.pk}:cost:{period}",
        )
    end = dt.datetime.fromisoformat(ends)
    last = [one for one in measures.read(rule, end - dt.timedelta(seconds=1)) if one.label.startswith("workspace")]
    assert [(one.value, one.label) for one in last] == [(Decimal("0.8"), "workspace Acme: 100 USD")]
    assert not [one for one in measures.read(rule, end) if one.label.startswith("workspace")] or period == "total"


# --- Once, again, never --------------------------------------------------------------------------------------------------


def test_what_goes_on_is_said_again_only_after_the_interval(watch: Watch) -> None:
    watch.rule(type="error_rate", condition="rate > 0.05", window="1h", repeat_minutes=10)
    watch.calls(status=500)
    assert [watch.look(minutes) for minutes in (0, 5, 4, 1, 5)] == [["firing"], [], [], ["repeat"], []]


def test_a_second_time_is_a_second_incident(watch: Watch) -> None:
    watch.rule(type="error_rate", condition="rate > 0.05")
    watch.calls(status=500)
    assert watch.look() == ["firing"]
    assert watch.look(10) == ["resolved"]
    watch.calls(status=500)
    assert watch.look() == ["firing"]
    assert AlertIncident.objects.count() == 2


def test_each_subject_has_an_incident_of_its_own(watch: Watch) -> None:
    watch.rule(type="unpriced", condition="calls > 0")
    watch.calls(unpriced=True, model="one")
    assert watch.look() == ["firing"]
    watch.calls(unpriced=True, model="two")
    assert watch.look(1) == ["firing"]
    assert set(AlertIncident.objects.values_list("label", flat=True)) == {"one (openai)", "two (openai)"}


def test_a_muted_rule_keeps_its_history_and_says_nothing_until_the_mute_ends(watch: Watch) -> None:
    rule = watch.rule(type="error_rate", condition="rate > 0.05", window="1h")
    AlertRule.objects.update(muted_until=watch.now + dt.timedelta(minutes=5))
    watch.calls(status=500)
    assert watch.look() == []
    assert rule.incidents.count() == 1
    assert watch.look(6) == ["firing"]


def test_what_ends_while_it_is_muted_is_never_mentioned(watch: Watch) -> None:
    watch.rule(type="error_rate", condition="rate > 0.05")
    AlertRule.objects.update(muted_until=watch.now + dt.timedelta(minutes=50))
    watch.calls(status=500)
    assert watch.look() == watch.look(20) == []
    assert AlertIncident.objects.get().resolved_at is not None


def test_few_calls_prove_nothing(watch: Watch) -> None:
    watch.rule(type="error_rate", condition="rate > 0.05", minimum_calls=10)
    watch.calls(9, status=500)
    assert watch.look() == []
    watch.calls(1)
    assert watch.look() == ["firing"]


def test_filters_choose_the_calls(watch: Watch) -> None:
    watch.rule(type="error_rate", condition="rate > 0.05", filters={"model": "gpt-4*", "api_key": "ci"})
    watch.calls(status=500, model="other")
    watch.calls(status=500, api_key_id=None)
    assert watch.look() == []
    watch.calls(status=500, model="gpt-4o")
    assert watch.look() == ["firing"]


def test_calls_of_another_workspace_are_not_counted(watch: Watch) -> None:
    watch.rule(type="cost", condition="total > 1")
    watch.calls(cost_usd="5", workspace_id=str(create_workspace(slug="other", name="Other").pk))
    assert watch.look() == []


def test_a_long_window_reads_the_hours(watch: Watch) -> None:
    watch.rule(type="latency", condition="p95 > 5000", window="7d")
    watch.calls(duration_ms=9000.0)
    assert watch.look() == ["firing"]
    assert watch.look(60 * 24 * 6) == []
    assert watch.look(60 * 24 * 2) == ["resolved"]


# --- Rules that change ---------------------------------------------------------------------------------------------------


def test_switching_a_rule_off_or_deleting_it_ends_what_it_said(watch: Watch) -> None:
    rule = watch.rule(type="error_rate", condition="rate > 0.05")
    watch.calls(status=500)
    assert watch.look() == ["firing"]
    actions.update_rule(rule, actor=SYSTEM, enabled=False)
    assert watch.look() == ["resolved"]
    assert "switched off" in watch.receiver.payloads[-1]["text"]
    actions.update_rule(rule, actor=SYSTEM, enabled=True)
    assert watch.look() == ["firing"]
    actions.delete_rule(rule, actor=SYSTEM)
    assert watch.look() == ["resolved"]
    assert AlertIncident.objects.filter(rule=None, rule_name=rule.name).count() == 2


def test_a_rule_that_cannot_be_evaluated_says_why_and_holds_up_no_other(watch: Watch, monkeypatch: Any) -> None:
    broken = watch.rule(type="spool", condition="bytes > 1")
    watch.rule(type="error_rate", condition="rate > 0.05")
    watch.calls(status=500)

    def away() -> None:
        raise redis.ConnectionError("gone")

    monkeypatch.setattr(backlog, "announced", away)
    assert watch.look() == ["firing"]
    broken.refresh_from_db()
    assert broken.error == "Redis does not answer"


def test_a_rule_that_breaks_in_an_unforeseen_way_holds_up_no_other(watch: Watch, monkeypatch: Any) -> None:
    broken = watch.rule(type="spool", condition="bytes > 1")
    watch.rule(type="error_rate", condition="rate > 0.05")
    watch.calls(status=500)
    monkeypatch.setattr(backlog, "announced", lambda: [None])
    assert watch.look() == ["firing"]
    broken.refresh_from_db()
    assert broken.error == "It failed: the worker's log says why"


# --- On the way ----------------------------------------------------------------------------------------------------------


def test_a_message_that_fails_is_tried_again_and_then_kept_as_failed(watch: Watch) -> None:
    watch.rule(type="error_rate", condition="rate > 0.05", channels=["hook"])
    watch.receiver.status = 503
    watch.calls(status=500)
    evaluate.evaluate_all(watch.now)
    for attempt in range(1, len(outbox.RETRY_S) + 2):
        AlertDelivery.objects.filter(state="pending").update(next_try_at=timezone.now())
        assert outbox.send_due() is False
        delivery = AlertDelivery.objects.get()
        assert (delivery.attempts, delivery.error) == (attempt, "it answered with status 503")
        if attempt == 1:
            assert dt.timedelta(seconds=10) < delivery.next_try_at - timezone.now() < dt.timedelta(seconds=16)
    assert (delivery.state, delivery.next_try_at) == ("failed", None)
    assert len(watch.receiver.bodies) == len(outbox.RETRY_S) + 1


def test_nobody_is_told_of_trouble_that_is_over(watch: Watch) -> None:
    watch.rule(type="error_rate", condition="rate > 0.05", channels=["hook"])
    watch.calls(status=500)
    evaluate.evaluate_all(watch.now)
    evaluate.evaluate_all(watch.now + dt.timedelta(minutes=20))
    AlertDelivery.objects.update(next_try_at=timezone.now())
    outbox.send_due()
    assert [payload["type"] for payload in watch.receiver.payloads] == ["alert.resolved"]
    assert AlertDelivery.objects.get(kind="firing").state == "failed"


def test_a_message_that_another_sender_holds_is_left_to_it(watch: Watch) -> None:
    watch.rule(type="error_rate", condition="rate > 0.05", channels=["hook"])
    watch.calls(status=500)
    evaluate.evaluate_all(watch.now)
    AlertDelivery.objects.update(next_try_at=timezone.now())
    assert outbox._claim(timezone.now()) is not None
    assert outbox._claim(timezone.now()) is None
    assert outbox._claim(timezone.now() + dt.timedelta(minutes=2)) is not None


def test_old_history_goes_and_what_still_fires_stays(watch: Watch, settings: Any) -> None:
    from analytics.alerts.tasks import drop_old_history

    settings.LOG_RETENTION_DAYS = 1
    watch.rule(type="unpriced", condition="calls > 0", window="31d", channels=["hook"])
    watch.calls(unpriced=True, model="one")
    evaluate.evaluate_all(watch.now)
    long_ago = timezone.now() - dt.timedelta(days=2)
    AlertDelivery.objects.update(created_at=long_ago)
    over = AlertIncident.objects.create(
        workspace=watch.workspace,
        rule_name="r",
        type="cost",
        condition="total > 1",
        value=2,
        started_at=long_ago,
        resolved_at=long_ago,
    )
    drop_old_history()
    assert not AlertIncident.objects.filter(pk=over.pk).exists()
    assert (AlertIncident.objects.count(), AlertDelivery.objects.count(), AlertChannel.objects.count()) == (1, 1, 2)
