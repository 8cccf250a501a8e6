from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import redis
from django.conf import settings as django_settings
from django.db import connection

from keys import actions, policy, queries, vault
from keys.models import ApiKey, AuditEvent, Member, User, VirtualKey, Workspace
from routing import announce
from routing.errors import Forbidden, InvalidRequest
from routing.models import SnapshotVersion
from tests.keys.people import PASSWORD, SECRET, Team
from tests.keys.people import stranger as stranger
from tests.keys.people import team as team

TOMORROW = datetime.now(UTC) + timedelta(days=1)


def number() -> int:
    return SnapshotVersion.objects.get().number


def newest_event() -> AuditEvent:
    event = AuditEvent.objects.order_by("-pk").first()
    assert event is not None
    return event


# --- API keys ---------------------------------------------------------------------------------------------------------


def test_a_key_is_stored_as_a_hash_and_returned_once(team: Team) -> None:
    key, raw = actions.create_api_key(workspace=team.workspace, name="app", actor=team.owner, scopes=["completions.write"])
    assert raw.startswith("gh-")
    row = ApiKey.objects.filter(pk=key.pk).values().get()
    assert raw not in str(row)
    assert raw[5:20] not in str(row)
    assert queries.find_live_api_key(raw) == key


def test_a_key_made_elsewhere_can_be_brought_along(team: Team) -> None:
    _, raw = actions.create_api_key(workspace=team.workspace, name="ci", actor=actions.SYSTEM, raw_key="my-own-key-0123456789")
    assert raw == "my-own-key-0123456789"
    with pytest.raises(InvalidRequest, match="taken"):
        actions.create_api_key(workspace=team.workspace, name="ci 2", actor=actions.SYSTEM, raw_key=raw)


@pytest.mark.parametrize("raw", ["", "short", "with space 0123456789", "with\nbreak0123456789", "ключ-0123456789abcdef"])
def test_a_weak_or_unsendable_key_is_refused(team: Team, raw: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        actions.create_api_key(workspace=team.workspace, name="x", actor=actions.SYSTEM, raw_key=raw)
    assert caught.value.param == "raw_key"


def test_without_scopes_a_key_may_only_call_models(team: Team) -> None:
    key, _ = actions.create_api_key(workspace=team.workspace, name="app", actor=team.owner)
    assert key.scopes == ["completions.write"]


def test_every_write_raises_the_snapshot_number_and_leaves_a_trace(team: Team) -> None:
    key = team.key
    writes: list[tuple[str, Any]] = [
        ("api_key.create", lambda: actions.create_api_key(workspace=team.workspace, name="n", actor=team.owner)),
        ("api_key.update", lambda: actions.update_api_key(key, actor=team.owner, name="renamed")),
        ("api_key.revoke", lambda: actions.revoke_api_key(key, actor=team.owner)),
        ("api_key.delete", lambda: actions.delete_api_key(key, actor=team.owner)),
        ("virtual_key.update", lambda: actions.update_virtual_key(team.virtual_key, actor=team.owner, note="new")),
        ("virtual_key.delete", lambda: actions.delete_virtual_key(team.virtual_key, actor=team.owner)),
    ]
    for action, write in writes:
        before = number()
        write()
        assert number() == before + 1, action
        assert (newest_event().action, newest_event().actor_label) == (action, "owner@acme.example")


def test_a_write_that_changes_nothing_leaves_no_trace(team: Team) -> None:
    before, events = number(), AuditEvent.objects.count()
    actions.update_api_key(team.key, actor=team.owner, name=team.key.name)
    actions.update_virtual_key(team.virtual_key, actor=team.owner)
    assert (number(), AuditEvent.objects.count()) == (before, events)


def test_a_refused_write_leaves_nothing_behind(team: Team) -> None:
    before, keys, events = number(), ApiKey.objects.count(), AuditEvent.objects.count()
    with pytest.raises(InvalidRequest):
        actions.create_api_key(workspace=team.workspace, name="n", actor=team.owner, defaults={"config_id": "pc-none"})
    assert (number(), ApiKey.objects.count(), AuditEvent.objects.count()) == (before, keys, events)


def test_revoking_twice_is_revoking_once(team: Team) -> None:
    first = actions.revoke_api_key(team.key, actor=team.owner).revoked_at
    assert actions.revoke_api_key(team.key, actor=team.owner).revoked_at == first
    assert queries.find_live_api_key(team.raw) is None


def test_nobody_hands_out_scopes_beyond_their_own(team: Team) -> None:
    lesser, _ = actions.create_api_key(
        workspace=team.workspace, name="keys only", actor=actions.SYSTEM, scopes=["workspace_service_api_keys.create"]
    )
    with pytest.raises(Forbidden, match=r"configs\.delete"):
        actions.create_api_key(workspace=team.workspace, name="n", actor=lesser, scopes=["configs.delete"])
    with pytest.raises(Forbidden):
        actions.update_api_key(lesser, actor=lesser, scopes=["workspace_service_api_keys.create", "logs.view"])


def test_nobody_hands_out_scopes_in_a_workspace_of_others(team: Team, stranger: Team) -> None:
    for actor in (stranger.owner, stranger.key):
        with pytest.raises(Forbidden):
            actions.create_api_key(workspace=team.workspace, name="n", actor=actor)


def test_scopes_that_a_key_has_already_do_not_stop_an_update_of_the_rest(team: Team) -> None:
    editor, _ = actions.create_api_key(
        workspace=team.workspace, name="editor", actor=actions.SYSTEM, scopes=["workspace_service_api_keys.update"]
    )
    key = actions.update_api_key(team.key, actor=editor, scopes=team.key.scopes, name="renamed")
    assert key.name == "renamed"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"name": 7}, "name"),
        ({"name": "x" * 151}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "a\ud800b"}, "name"),
        ({"namee": "x"}, "namee"),
        ({"scopes": []}, "scopes"),
        ({"scopes": "completions.write"}, "scopes"),
        ({"scopes": [["x"]]}, "scopes"),
        ({"scopes": ["completion.write"]}, "scopes"),
        ({"rate_limits": {}}, "rate_limits"),
        ({"rate_limits": ["x"]}, "rate_limits[0]"),
        ({"rate_limits": [{"type": "requests", "unit": "rpm"}]}, "rate_limits[0].value"),
        ({"rate_limits": [{"type": "requests", "unit": "rps", "value": 1}]}, "rate_limits[0].unit"),
        ({"rate_limits": [{"type": "calls", "unit": "rpm", "value": 1}]}, "rate_limits[0].type"),
        ({"rate_limits": [{"type": ["requests"], "unit": "rpm", "value": 1}]}, "rate_limits[0].type"),
        *(
            ({"rate_limits": [{"type": "requests", "unit": "rpm", "value": value}]}, "rate_limits[0].value")
            for value in (0, -1, 1.5, True, "5", None, float("nan"), float("inf"), 10**13, 1e300)
        ),
        (
            {"rate_limits": [{"type": "tokens", "unit": "rpd", "value": 1}, {"type": "tokens", "unit": "rpd", "value": 2}]},
            "rate_limits[1]",
        ),
        ({"usage_limits": "all"}, "usage_limits"),
        ({"usage_limits": [5]}, "usage_limits[0]"),
        ({"usage_limits": {"periodic_reset": "monthly"}}, "usage_limits.credit_limit"),
        ({"usage_limits": {"credit_limit": 1, "periodic_reset": "yearly"}}, "usage_limits.periodic_reset"),
        ({"usage_limits": {"credit_limit": 1, "type": "tokens"}}, "usage_limits.type"),
        ({"usage_limits": {"credit_limit": 1, "alert_threshold": 101}}, "usage_limits.alert_threshold"),
        ({"usage_limits": {"credit_limit": 1, "alert_threshold": float("nan")}}, "usage_limits.alert_threshold"),
        *(
            ({"usage_limits": {"credit_limit": value}}, "usage_limits.credit_limit")
            for value in (
                0,
                -5,
                float("nan"),
                float("-inf"),
                "NaN",
                "sNaN",
                "ten",
                True,
                None,
                [1],
                1e10,
                0.0000001,
                "1e-999999999",
            )
        ),
        ({"defaults": []}, "defaults"),
        ({"defaults": {"config": "x"}}, "defaults.config"),
        ({"defaults": {"config_id": 5}}, "defaults.config_id"),
        ({"defaults": {"metadata": {"k": 5}}}, "defaults.metadata.k"),
        ({"defaults": {"metadata": {"k": "v" * 129}}}, "defaults.metadata.k"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "next week"}, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-23:59"}, "expires_at"),
        ({"expires_at": 1893456000}, "expires_at"),
        ({"expires_at": "2030-13-45T00:00:00Z"}, "expires_at"),
        ({"type": "team"}, "type"),
        ({"sub_type": "robot"}, "sub_type"),
    ],
)
def test_a_wrong_field_of_a_key_is_refused_by_its_path(team: Team, fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        actions.create_api_key(**{"workspace": team.workspace, "name": "n", "actor": team.owner, **fields})
    assert caught.value.param == param
    assert caught.value.status == 400
    json.dumps(caught.value.body())


def test_a_typo_is_answered_with_the_nearest_name(team: Team) -> None:
    with pytest.raises(InvalidRequest, match='did you mean "rate_limits"'):
        actions.update_api_key(team.key, actor=team.owner, rate_limit=[])  # type: ignore[call-arg]
    with pytest.raises(InvalidRequest, match=r'did you mean "completions\.write"'):
        actions.update_api_key(team.key, actor=team.owner, scopes=["completion.write"])


def test_good_limits_are_kept_as_written(team: Team) -> None:
    limits = {"credit_limit": Decimal("12.345678"), "periodic_reset": None, "alert_threshold": 80, "type": "cost"}
    key = actions.update_api_key(
        team.key,
        actor=team.owner,
        rate_limits=[{"type": "requests", "unit": "rpm", "value": 100.0}],
        usage_limits=limits,
        defaults={"config_id": team.config.slug, "metadata": {"_user": "ann"}},
        expires_at=TOMORROW,
    )
    key.refresh_from_db()
    assert key.rate_limits == [{"type": "requests", "unit": "rpm", "value": 100}]
    assert key.usage_limits == {"credit_limit": 12.345678, "periodic_reset": None, "alert_threshold": 80}
    assert key.defaults == {"config_id": team.config.slug, "metadata": {"_user": "ann"}}
    assert key.expires_at == TOMORROW
    cleared = actions.update_api_key(
        team.key, actor=team.owner, rate_limits=None, usage_limits=None, defaults=None, expires_at=None
    )
    assert (cleared.rate_limits, cleared.usage_limits, cleared.defaults, cleared.expires_at) == ([], {}, {}, None)


def test_a_default_config_of_another_workspace_does_not_exist(team: Team, stranger: Team) -> None:
    with pytest.raises(InvalidRequest) as caught:
        actions.update_api_key(team.key, actor=team.owner, defaults={"config_id": stranger.config.slug})
    assert caught.value.param == "defaults.config_id"


# --- Virtual keys -----------------------------------------------------------------------------------------------------


def test_a_credential_is_encrypted_at_rest_and_masked(team: Team) -> None:
    row = VirtualKey.objects.get(pk=team.virtual_key.pk)
    assert SECRET.encode() not in bytes(row.secret)
    assert vault.decrypt(row.secret) == SECRET
    assert row.masked == "sk-****CRET"


def test_the_slug_comes_from_the_name_and_gets_a_number_when_it_is_taken(team: Team, stranger: Team) -> None:
    def make(name: str) -> str:
        return actions.create_virtual_key(
            workspace=team.workspace, name=name, provider="openai", key=SECRET, actor=team.owner
        ).slug

    assert stranger.virtual_key.slug == team.virtual_key.slug == "openai-prod"
    assert [make("OpenAI prod"), make("OpenAI  Prod!"), make("密钥"), make("密")] == [
        "openai-prod-2",
        "openai-prod-3",
        "virtual-key",
        "virtual-key-2",
    ]


def test_a_slug_of_ones_own_must_be_free_and_fit_a_path(team: Team) -> None:
    make: dict[str, Any] = {"workspace": team.workspace, "name": "n", "provider": "openai", "key": SECRET, "actor": team.owner}
    assert actions.create_virtual_key(**make, slug="team_key-1").slug == "team_key-1"
    for slug, status in (("team_key-1", 409), ("a/b", 400), ("", 400), ("A", 400), ("x" * 101, 400), (5, 400), ("a\n", 400)):
        with pytest.raises(InvalidRequest) as caught:
            actions.create_virtual_key(**make, slug=slug)
        assert (caught.value.param, caught.value.status) == ("slug", status)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"provider": "opnai"}, "provider"),
        ({"provider": ""}, "provider"),
        ({"provider": None}, "provider"),
        ({"key": ""}, "key"),
        ({"key": None}, "key"),
        ({"key": {"a": 1}}, "key"),
        ({"key": "sk-\x00"}, "key"),
        ({"key": "k" * 20_001}, "key"),
        ({"note": "n" * 1001}, "note"),
        ({"options": "x"}, "options"),
        ({"options": {"openai_organisation": "org"}}, "options.openai_organisation"),
        ({"options": {"openai_project": 5}}, "options.openai_project"),
        *(
            ({"options": {"custom_host": url}}, "options.custom_host")
            for url in (
                "api.example.com/v1",
                "ftp://example.com",
                "https://user:pass@example.com/v1",
                "https://",
                "javascript:alert(1)",
                "http://exa mple.com",
                "http://[::1",
                5,
                "https://example.com:99999/v1",
                "https://example.com/\r\nx-evil: 1",
            )
        ),
    ],
)
def test_a_wrong_field_of_a_virtual_key_is_refused_by_its_path(team: Team, fields: dict[str, Any], param: str) -> None:
    good: dict[str, Any] = {"workspace": team.workspace, "name": "n", "provider": "openai", "key": SECRET, "actor": team.owner}
    with pytest.raises(InvalidRequest) as caught:
        actions.create_virtual_key(**{**good, **fields})
    assert caught.value.param == param
    assert SECRET not in caught.value.message


def test_a_provider_that_needs_no_credential_gets_none(team: Team) -> None:
    key = actions.create_virtual_key(workspace=team.workspace, name="Mock", provider="mock", key="", actor=team.owner)
    assert vault.decrypt(key.secret) == ""


def test_a_stored_credential_is_never_turned_to_another_host_without_the_credential(team: Team) -> None:
    key = team.virtual_key
    for changes in ({"options": {"custom_host": "https://thief.example/v1"}}, {"provider": "mock"}):
        with pytest.raises(InvalidRequest) as caught:
            actions.update_virtual_key(key, actor=team.owner, **changes)
        assert caught.value.code == "key_required"
    moved = actions.update_virtual_key(
        key, actor=team.owner, key="sk-another-0123456789", options={"custom_host": "https://own.example/v1/"}
    )
    assert moved.options == {"custom_host": "https://own.example/v1"}
    kept = actions.update_virtual_key(
        moved, actor=team.owner, options={"custom_host": "https://own.example/v1", "openaiOrganization": "org-1"}
    )
    assert kept.options == {"custom_host": "https://own.example/v1", "openai_organization": "org-1"}


def test_the_audit_trail_names_changed_fields_and_no_secret(team: Team) -> None:
    actions.update_virtual_key(team.virtual_key, actor=team.owner, key="sk-another-0123456789", note="rotated")
    assert newest_event().details == {"changed": ["key", "note"]}
    trail = str(list(AuditEvent.objects.values()))
    assert not any(secret in trail for secret in (SECRET, "sk-another-0123456789", team.raw))


# --- People -----------------------------------------------------------------------------------------------------------


def test_a_user_logs_in_with_the_password_and_has_the_role(team: Team) -> None:
    user = actions.create_user(email="Ann@Acme.example", password=PASSWORD, workspace=team.workspace, role="editor")
    assert User.objects.get(pk=user.pk).check_password(PASSWORD)
    assert Member.objects.get(user=user).role == "editor"
    assert policy.permissions(user, team.workspace) == policy.role_permissions("editor")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"email": "not an address"}, "email"),
        ({"email": "OWNER@acme.example"}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "password1234"}, "password"),
        ({"role": "emperor"}, "role"),
    ],
)
def test_a_user_that_cannot_be_is_refused(team: Team, fields: dict[str, str], param: str) -> None:
    good: dict[str, Any] = {"email": "new@acme.example", "password": PASSWORD, "workspace": team.workspace, "role": "viewer"}
    with pytest.raises(InvalidRequest) as caught:
        actions.create_user(**{**good, **fields})
    assert caught.value.param == param
    assert PASSWORD not in caught.value.message


@pytest.mark.parametrize("slug", ["acme", "Has Space", "", "-", "x" * 65, "a\x00"])
def test_a_workspace_needs_a_free_slug(team: Team, slug: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        actions.create_workspace(slug=slug, name="n")
    assert caught.value.param == "slug"


# --- The announcement -------------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_a_write_is_announced_when_it_is_committed() -> None:
    with redis.Redis.from_url(django_settings.REDIS_URL) as client, client.pubsub() as listener:
        listener.subscribe(announce.CHANNEL)
        assert listener.get_message(timeout=5) is not None
        actions.create_workspace(slug="announced", name="n")
        message = listener.get_message(timeout=5)
    assert message is not None
    assert int(message["data"]) == number()


@pytest.mark.django_db(transaction=True)
def test_a_dead_redis_costs_a_warning_and_not_the_write(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    with caplog.at_level(logging.WARNING, "routing.announce"):
        actions.create_workspace(slug="unheard", name="n")
    assert Workspace.objects.filter(slug="unheard").exists()
    assert "was not announced" in caplog.text


def test_the_number_starts_by_itself_where_its_row_is_missing(team: Team) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM routing_snapshotversion")
    assert (announce.bump_snapshot(), announce.bump_snapshot()) == (1, 2)
