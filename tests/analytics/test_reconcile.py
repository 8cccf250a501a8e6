"""Counters of limits and the ledger agree: after a loss they are rebuilt from it, and a lasting difference is put right."""

from __future__ import annotations

import datetime as dt
import time
import uuid
from decimal import Decimal

import pytest
import redis

from analytics import budget_watch, ledger, reconcile
from analytics.ingest import ingest
from keys.limits import NANO, Limit, Period, Unit, counter, scripts, window
from keys.limits.windows import prefix
from keys.models import ApiKey, BudgetEvent, VirtualKey, Workspace

pytestmark = pytest.mark.django_db

MONTHLY = {"credit_limit": 10, "periodic_reset": "monthly"}


@pytest.fixture
def server(servers, settings):
    settings.REDIS_URL = servers.new_redis_url()
    with redis.Redis.from_url(settings.REDIS_URL, decode_responses=True) as client:
        yield client


@pytest.fixture
def workspace():
    return Workspace.objects.create(slug="books", name="Books")


@pytest.fixture
def key(workspace):
    return ApiKey.objects.create(workspace=workspace, name="ci", key_hash=uuid.uuid4().hex, usage_limits=MONTHLY)


@pytest.fixture
def call(encoded, workspace):
    """Puts a call into the ledger."""

    def make(**fields):
        now = int(time.time() * 1_000_000)
        ingest([encoded(id=str(uuid.uuid4()), workspace_id=str(workspace.id), started_at_us=now, **fields)])

    return make


def name(workspace, owner, unit=Unit.COST, period=Period.MONTH, zone="UTC"):
    return counter(str(workspace.id), Limit(owner, "", unit, period, 1, zone), time.time())[0]


def lose(server, workspace):
    for found in server.scan_iter(f"{prefix(str(workspace.id))}*"):
        server.delete(found)


# --- Rebuilding ------------------------------------------------------------------------------------------------------------


def test_lost_counters_are_what_the_ledger_says(server, workspace, key, call):
    key.rate_limits = [{"type": "tokens", "unit": "rpd", "value": 10_000}, {"type": "requests", "unit": "rph", "value": 100}]
    key.save()
    vkey = VirtualKey.objects.create(workspace=workspace, slug="v", name="v", provider="mock", secret=b"", usage_limits=MONTHLY)
    workspace.limits = {
        "usage_limits": {"credit_limit": 5},
        "models": {"gpt-4o": {"usage_limits": MONTHLY}, "*": {"rate_limits": [{"type": "tokens", "unit": "rpd", "value": 9}]}},
        "metadata": [{"key": "_user", "usage_limits": MONTHLY}],
    }
    workspace.save()
    call(api_key_id=str(key.id), virtual_key_id=str(vkey.id), model="gpt-4o", input_tokens=5, output_tokens=2, cost_usd="0.5")
    call(api_key_id=str(key.id), model="other", input_tokens=3, cost_usd="0.25", metadata={"_user": "ann"})
    call(model="gpt-4o", input_tokens=100, cost_usd="1.000000001", metadata={"_user": "bob"})
    call(api_key_id=str(key.id), provider="", status=429)

    reconcile.rebuild(str(workspace.id))

    def value(*what, **more):
        return int(server.get(name(workspace, *what, **more)) or 0)

    owner = f"key:{key.id}"
    assert value(owner) == NANO * 3 // 4
    assert value(owner, Unit.TOKENS, Period.DAY) == 10
    assert value(owner, Unit.REQUESTS, Period.HOUR) == 2
    assert value(f"vkey:{vkey.id}") == NANO // 2
    assert value(f"workspace:{workspace.id}", Unit.COST, Period.TOTAL) == 1_750_000_001
    by_model = {
        limit.named: limit for limit in ledger.limits_of(str(workspace.id), ledger.Ledger(str(workspace.id)), time.time())
    }
    assert value(by_model["gpt-4o"].owner) == 1_500_000_001
    assert value(by_model["other"].owner, Unit.TOKENS, Period.DAY) == 3
    assert value(by_model["_user=ann"].owner) == NANO // 4
    assert value(by_model["_user=bob"].owner) == 1_000_000_001
    assert server.get(f"{prefix(str(workspace.id))}epoch")


def test_what_running_calls_hold_comes_on_top(server, workspace, key, call):
    call(api_key_id=str(key.id), cost_usd="1")
    where = name(workspace, f"key:{key.id}")
    before = prefix(str(workspace.id))
    server.zadd(f"{before}leases", {f"a-1|{where.removeprefix(before)}=700": time.time() + 60})

    reconcile.rebuild(str(workspace.id))

    assert int(server.get(where)) == NANO + 700


def test_counters_that_are_whole_are_left_alone(server, workspace, key, call):
    reconcile.rebuild(str(workspace.id))
    epoch = server.get(f"{prefix(str(workspace.id))}epoch")
    call(api_key_id=str(key.id), cost_usd="1")

    reconcile.rebuild_all()

    assert server.get(f"{prefix(str(workspace.id))}epoch") == epoch
    assert server.get(name(workspace, f"key:{key.id}")) is None


def test_windows_of_another_zone_begin_by_its_clocks(server, workspace, key, call, encoded):
    zone = "Asia/Kolkata"
    key.usage_limits = {"credit_limit": 5, "periodic_reset": "daily", "timezone": zone}
    key.save()
    start, _ = window(Period.DAY, time.time(), zone)
    assert start % 3600 == 1800
    for second, cost in ((start - 1, "1"), (start, "0.5")):
        ingest(
            [
                encoded(
                    id=str(uuid.uuid4()),
                    workspace_id=str(workspace.id),
                    api_key_id=str(key.id),
                    started_at_us=second * 1_000_000,
                    cost_usd=cost,
                )
            ]
        )

    reconcile.rebuild(str(workspace.id))

    assert int(server.get(name(workspace, f"key:{key.id}", Unit.COST, Period.DAY, zone))) == NANO // 2


# --- Comparing -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("counted", "after_one", "after_two"), [(NANO - 5, NANO - 5, NANO), (NANO + 5, NANO + 5, NANO)])
def test_a_difference_that_two_looks_see_is_corrected(server, workspace, key, call, counted, after_one, after_two):
    call(api_key_id=str(key.id), cost_usd="1")
    reconcile.rebuild(str(workspace.id))
    where = name(workspace, f"key:{key.id}")
    server.set(where, counted)

    found = []
    for _ in range(3):
        reconcile.reconcile(str(workspace.id))
        found.append(int(server.get(where)))

    assert found == [after_one, after_two, NANO]


def test_a_counter_that_is_ahead_because_calls_go_on_is_not_lowered(server, workspace, key, call):
    call(api_key_id=str(key.id), cost_usd="1")
    reconcile.rebuild(str(workspace.id))
    where = name(workspace, f"key:{key.id}")
    for ahead in (5, 7, 3):
        server.set(where, NANO + ahead)
        assert reconcile.reconcile(str(workspace.id)) == {}
    assert int(server.get(where)) == NANO + 3


def test_leases_that_ran_out_are_given_back_without_any_call(server, workspace, key):
    where, before = name(workspace, f"key:{key.id}"), prefix(str(workspace.id))
    server.set(where, 900)
    server.zadd(f"{before}leases", {f"a-1|{where.removeprefix(before)}=700": 1})

    reconcile.give_back_lapsed()

    assert int(server.get(where)) == 200
    assert server.zcard(f"{before}leases") == 0


# --- Events ----------------------------------------------------------------------------------------------------------------


def events():
    return [(event.threshold, event.used_usd) for event in BudgetEvent.objects.order_by("at", "threshold")]


def test_each_threshold_is_noted_once_in_a_window(server, workspace, key):
    key.usage_limits = {**MONTHLY, "alert_threshold": 65}
    key.save()
    where = name(workspace, f"key:{key.id}")
    for usd in (4, 5, 7, 7, 10, 12):
        server.set(where, usd * NANO)
        budget_watch.note_events()
    assert events() == [(50, 5), (65, 7), (80, 10), (100, 10)]
    [first, *_] = BudgetEvent.objects.order_by("threshold")
    assert (first.object_kind, first.object_id, first.cap_usd) == ("api_key", str(key.id), 10)
    assert first.limit_text == "API key 'ci': 10 USD per month"
    assert first.window_start == dt.datetime.fromtimestamp(window(Period.MONTH, time.time())[0], dt.UTC)


def test_estimates_of_running_calls_reach_no_threshold(server, workspace, key):
    where, before = name(workspace, f"key:{key.id}"), prefix(str(workspace.id))
    server.set(where, 6 * NANO)
    server.zadd(f"{before}leases", {f"a-1|{where.removeprefix(before)}={2 * NANO}": time.time() + 60})
    budget_watch.note_events()
    assert events() == []


def test_a_budget_that_refuses_calls_has_reached_its_end(server, workspace, key):
    where, before = name(workspace, f"key:{key.id}"), prefix(str(workspace.id))
    server.set(where, 9 * NANO)
    keys = [*(f"{before}{one}" for one in ("epoch", "leases", "lapsed")), where]
    answer = server.eval(scripts.ADMIT, 4, *keys, before, 60, 0, 1, "a-1", 10 * NANO, 2 * NANO, 0)
    assert answer[0] == 1
    budget_watch.note_events()
    assert events() == [(50, Decimal(9)), (80, Decimal(9)), (100, Decimal(9))]
