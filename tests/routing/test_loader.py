"""From the database to every gateway's memory: at once when it is announced, within a second when it is not."""

from __future__ import annotations

import datetime as dt
import time

import pytest
import redis
from django.db import connection, transaction
from django.utils import timezone

from keys import actions, hashing
from keys.limits import NANO, Limit, Period, Unit
from keys.models import ApiKey, VirtualKey, Workspace
from routing import announce
from routing.actions import create_config, rollback_config, set_label, update_config
from routing.announce import bump_snapshot
from routing.loader import POLL_S, SnapshotHolder, load
from routing.models import SnapshotVersion
from tests.stack import wait_until

PEPPER = b"pepper"


@pytest.fixture
def workspace(transactional_db):
    return actions.create_workspace(slug="acme", name="Acme")


@pytest.fixture
def committed(transactional_db, settings, servers):
    """A workspace that other threads see, with a Redis of its own."""
    settings.REDIS_URL = servers.new_redis_url()
    return actions.create_workspace(slug="acme", name="Acme")


@pytest.fixture
def holder(committed, settings):
    holder = SnapshotHolder(settings.REDIS_URL, PEPPER)
    holder.start()
    assert holder.loaded.wait(10)
    yield holder
    holder._closing.set()
    bump_snapshot()  # wakes the thread, which would otherwise wait for its next poll
    holder.close()
    assert not holder._thread.is_alive()


def api_key(workspace, **fields):
    key, raw = actions.create_api_key(
        workspace=workspace, name="ci", actor=actions.SYSTEM, scopes=["completions.write"], **fields
    )
    ApiKey.objects.filter(pk=key.pk).update(key_hash=hashing.hash_key(raw, PEPPER))
    return key, raw


def virtual_key(workspace, slug="prod", **fields):
    return actions.create_virtual_key(
        workspace=workspace,
        name=slug,
        slug=slug,
        provider="openai",
        key="sk-live-0123456789abcdef",
        actor=actions.SYSTEM,
        **fields,
    )


def seen_in(holder, condition):
    """How many seconds a change took to be seen."""
    started = time.monotonic()
    wait_until(lambda: condition(holder.current), "the change was never seen", seconds=10)
    return time.monotonic() - started


# --- What a snapshot holds -------------------------------------------------------------------------------------------------


def test_it_loads_a_key_with_all_that_a_call_needs(workspace):
    config, _ = create_config(workspace=workspace, name="Main", config={"provider": "mock"}, actor=actions.SYSTEM)
    expires = timezone.now() + dt.timedelta(days=1)
    key, raw = api_key(
        workspace,
        rate_limits=[{"type": "requests", "unit": "rpm", "value": 60}, {"type": "tokens", "unit": "rpd", "value": 1000}],
        usage_limits={"credit_limit": 2.5, "periodic_reset": "monthly"},
        defaults={"config_id": config.slug, "metadata": {"team": "search"}},
        expires_at=expires,
    )
    caller = load(PEPPER).find_key(raw)
    owner, label = f"key:{key.id}", "API key 'ci'"
    assert (caller.workspace_id, caller.api_key_id, caller.default_config) == (str(workspace.id), str(key.id), config.slug)
    assert (caller.metadata, caller.expires_at) == ({"team": "search"}, expires.timestamp())
    assert caller.limits == (
        Limit(owner, label, Unit.REQUESTS, Period.MINUTE, 60),
        Limit(owner, label, Unit.TOKENS, Period.DAY, 1000),
        Limit(owner, label, Unit.COST, Period.MONTH, 2_500_000_000),
    )


@pytest.mark.parametrize(
    ("reset", "period"),
    [(None, Period.TOTAL), ("daily", Period.DAY), ("weekly", Period.WEEK), ("monthly", Period.MONTH)],
)
def test_a_budget_has_its_period(workspace, reset, period):
    _, raw = api_key(workspace, usage_limits={"credit_limit": 1, "periodic_reset": reset})
    (limit,) = load(PEPPER).find_key(raw).limits
    assert (limit.unit, limit.period, limit.cap) == (Unit.COST, period, NANO)


def test_a_revoked_key_is_not_there(workspace):
    key, raw = api_key(workspace)
    ApiKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now())
    assert load(PEPPER).find_key(raw) is None


def test_it_loads_a_virtual_key_decrypted_with_its_options_apart_from_its_host(workspace):
    row = virtual_key(
        workspace,
        options={"custom_host": "https://llm.example/v1", "openai_project": "p"},
        rate_limits=[{"type": "requests", "unit": "rph", "value": 5}],
    )
    entry = load(PEPPER).virtual_keys[str(workspace.id), "prod"]
    assert (entry.id, entry.provider, entry.api_key) == (str(row.id), "openai", "sk-live-0123456789abcdef")
    assert (entry.custom_host, entry.options) == ("https://llm.example/v1", {"openai_project": "p"})
    assert entry.limits == (Limit(f"vkey:{row.id}", "virtual key 'prod'", Unit.REQUESTS, Period.HOUR, 5),)


def test_a_virtual_key_that_cannot_be_read_takes_only_itself_out(workspace, caplog):
    virtual_key(workspace)
    broken = virtual_key(workspace, "broken")
    VirtualKey.objects.filter(pk=broken.pk).update(secret=b"not encrypted by us")
    assert [slug for _, slug in load(PEPPER).virtual_keys] == ["prod"]
    assert "broken" in caplog.text
    assert "not encrypted" not in caplog.text


def test_the_version_in_force_of_a_config_is_the_last_one_saved(workspace):
    config, _ = create_config(workspace=workspace, name="Main", config={"provider": "mock"}, actor=actions.SYSTEM)
    config, _ = update_config(config, body={"provider": "openai"}, actor=actions.SYSTEM)
    entry = load(PEPPER).configs[str(workspace.id), config.slug]
    assert (entry.id, entry.version, entry.body) == (str(config.id), 2, {"provider": "openai"})
    rollback_config(config, 1, actor=actions.SYSTEM)
    assert load(PEPPER).configs[str(workspace.id), config.slug].body == {"provider": "mock"}


def test_a_label_and_a_number_name_versions_that_are_not_in_force(workspace):
    config, _ = create_config(workspace=workspace, name="Main", config={"provider": "mock"}, actor=actions.SYSTEM)
    set_label(config, "production", 1, actor=actions.SYSTEM)
    update_config(config, body={"provider": "openai"}, actor=actions.SYSTEM)
    snapshot = load(PEPPER)

    def found(name):
        entry = snapshot.config(str(workspace.id), f"{config.slug}{name}")
        return entry and (entry.id, entry.slug, entry.version, entry.body["provider"])

    assert found("") == (str(config.id), config.slug, 2, "openai")
    assert found("@2") == (str(config.id), config.slug, 2, "openai")
    assert found("@1") == found("@production") == (str(config.id), config.slug, 1, "mock")
    assert [found(name) for name in ("@0", "@3", "@staging", "@", "@-1", "@²", "@99999999999")] == [None] * 7
    assert snapshot.config("another workspace", config.slug) is None


def test_only_histories_that_grew_are_read_again(workspace):
    first, second = (
        create_config(workspace=workspace, name=name, config={"provider": "mock"}, actor=actions.SYSTEM)[0] for name in "ab"
    )
    older = load(PEPPER)
    update_config(second, body={"provider": "openai"}, actor=actions.SYSTEM)
    newer = load(PEPPER, older.histories)
    assert newer.histories[str(first.id)] is older.histories[str(first.id)]
    assert [b"mock" in body for body in newer.histories[str(second.id)]] == [True, False]
    assert len(older.histories[str(second.id)]) == 1
    first.delete()
    assert set(load(PEPPER, newer.histories).histories) == {str(second.id)}


def test_calls_of_nobody_belong_to_the_default_workspace_or_else_the_oldest(transactional_db):
    SnapshotVersion.objects.get_or_create(id=1)
    assert load(PEPPER).default_workspace_id == ""
    oldest = Workspace.objects.create(slug="first", name="First")
    Workspace.objects.create(slug="second", name="Second")
    assert load(PEPPER).default_workspace_id == str(oldest.id)
    named = Workspace.objects.create(slug="default", name="Default")
    assert load(PEPPER).default_workspace_id == str(named.id)


# --- How changes arrive ----------------------------------------------------------------------------------------------------


def test_an_announced_change_is_seen_at_once(holder, committed):
    delays = []
    for _ in range(5):
        _, raw = api_key(committed)
        bump_snapshot()
        delays.append(seen_in(holder, lambda snapshot, raw=raw: snapshot.find_key(raw)))
    assert sorted(delays)[2] < POLL_S / 3


def test_a_change_whose_announcement_was_lost_is_found_by_polling(holder, committed):
    with connection.cursor() as cursor:
        cursor.execute("UPDATE routing_snapshotversion SET number = number + 1 RETURNING number")
        (number,) = cursor.fetchone()
    assert seen_in(holder, lambda snapshot: snapshot.version == number) < 2 * POLL_S


def test_a_change_is_seen_within_two_polls_while_redis_is_away(committed, settings):
    holder = SnapshotHolder("redis://127.0.0.1:1/0", PEPPER)
    holder.start()
    assert holder.loaded.wait(10)
    version = holder.current.version
    with connection.cursor() as cursor:
        cursor.execute("UPDATE routing_snapshotversion SET number = number + 1")
    assert seen_in(holder, lambda snapshot: snapshot.version > version) < 3 * POLL_S
    holder.close()


def test_announcements_that_were_cut_off_are_taken_up_again(holder, committed, settings):
    database = settings.REDIS_URL.rpartition("=")[2]
    with redis.Redis.from_url(settings.REDIS_URL) as client:

        def subscribers():
            return [one["id"] for one in client.client_list(_type="pubsub") if one["db"] == database]

        wait_until(subscribers, "nobody listens")
        (cut,) = subscribers()
        client.client_kill_filter(_id=cut)
        wait_until(lambda: subscribers() not in ([], [cut]), "nobody listens again")
    polled = bump_snapshot()
    assert seen_in(holder, lambda snapshot: snapshot.version == polled) < 2 * POLL_S
    announced = bump_snapshot()
    assert seen_in(holder, lambda snapshot: snapshot.version == announced) < POLL_S / 2


def test_a_rolled_back_change_is_neither_seen_nor_announced(committed, monkeypatch):
    announced = []
    monkeypatch.setattr(announce, "_publish", announced.append)
    with transaction.atomic():
        bump_snapshot()
        transaction.set_rollback(True)
    assert announced == []
    number = bump_snapshot()
    assert announced == [number]


def test_a_writer_does_not_wait_for_a_dead_redis(committed, settings, caplog):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    started = time.monotonic()
    bump_snapshot()
    assert time.monotonic() - started < 1
    assert "find it by polling" in caplog.text


def test_a_snapshot_that_is_the_newest_is_not_loaded_again(holder):
    before, checked = holder.current, holder.checked_at
    wait_until(lambda: holder.checked_at > checked, "no poll")
    assert holder.current is before
    assert holder.default_workspace_id == before.default_workspace_id


def test_before_the_first_load_there_is_none(settings):
    holder = SnapshotHolder(settings.REDIS_URL, PEPPER)
    assert (holder.current, holder.default_workspace_id, holder.loaded.is_set()) == (None, "", False)


def test_while_the_database_is_away_the_old_snapshot_serves(holder, committed, servers, caplog):
    before = holder.current
    name = connection.settings_dict["NAME"]
    servers.postgres.sql(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()", [name]
            )
        wait_until(lambda: caplog.text.count("cannot be refreshed") >= 2, "the holder never noticed")
        assert holder.current is before
    finally:
        servers.postgres.sql(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
    number = bump_snapshot()
    seen_in(holder, lambda snapshot: snapshot.version == number)


@pytest.mark.parametrize(
    "bad",
    [
        {"rate_limits": [{"type": "requests", "unit": "from-the-future", "value": 1}]},
        {"rate_limits": [{"type": "requests"}]},
        {"rate_limits": "many"},
        {"usage_limits": {"credit_limit": "much"}},
        {"usage_limits": {"credit_limit": 1, "periodic_reset": "yearly"}},
    ],
)
def test_a_row_that_cannot_be_read_takes_only_itself_out(workspace, bad):
    key, raw = api_key(workspace)
    _, good = api_key(workspace)
    virtual_key(workspace, "good")
    ApiKey.objects.filter(pk=key.pk).update(**bad)
    VirtualKey.objects.filter(pk=virtual_key(workspace, "bad").pk).update(**bad)
    snapshot = load(PEPPER)
    assert (snapshot.find_key(raw), snapshot.find_key(good).name) == (None, "ci")
    assert [slug for _, slug in snapshot.virtual_keys] == ["good"]
