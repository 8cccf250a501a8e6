from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from keys import actions, vault
from keys.models import ApiKey, RetiredKey, VirtualKey
from tests.keys.people import SECRET, Api, Team, key_with
from tests.keys.people import stranger as stranger
from tests.keys.people import team as team

TOMORROW = (datetime.now(UTC) + timedelta(days=1)).isoformat()


# --- Virtual keys -----------------------------------------------------------------------------------------------------


def test_a_virtual_key_is_created_read_listed_changed_and_deleted(team: Team) -> None:
    body = {
        "name": "Team key",
        "provider": "openai",
        "key": SECRET,
        "note": "shared",
        "usage_limits": {"credit_limit": 10.5, "periodic_reset": "monthly"},
        "rate_limits": [{"type": "tokens", "unit": "rpm", "value": 1000}],
        "expires_at": TOMORROW,
        "custom_host": "https://llm.acme.example/v1/",
        "openai_organization": "org-1",
        "workspace_id": "acme",
    }
    status, created = team.api.post("/virtual-keys", body)
    assert (status, created["slug"], created["object"]) == (200, "team-key", "virtual-key")
    status, read = team.api.get("/virtual-keys/team-key")
    assert status == 200
    assert read["custom_host"] == "https://llm.acme.example/v1"
    assert read["options"] == {"openai_organization": "org-1"}
    assert read["usage_limits"] == {"credit_limit": 10.5, "periodic_reset": "monthly"}
    assert (read["key"], read["status"], read["note"]) == ("sk-****CRET", "active", "shared")
    assert team.api.get(f"/virtual-keys/{created['id']}") == (200, read)
    assert team.api.get("/virtual-keys")[1]["data"][0] == read

    status, changed = team.api.put("/virtual-keys/team-key", {"name": "Renamed", "note": None, "usage_limits": None})
    assert (status, changed["name"], changed["note"], changed["usage_limits"]) == (200, "Renamed", None, None)
    assert (changed["slug"], changed["rate_limits"]) == ("team-key", read["rate_limits"])
    assert team.api.delete("/virtual-keys/team-key") == (200, {"success": True})
    assert team.api.get("/virtual-keys/team-key")[0] == 404


def test_a_new_credential_replaces_the_old_one(team: Team) -> None:
    status, _ = team.api.put("/virtual-keys/openai-prod", {"key": "sk-rotated-0123456789", "slug": "openai-prod"})
    assert status == 200
    assert vault.decrypt(VirtualKey.objects.get(pk=team.virtual_key.pk).secret) == "sk-rotated-0123456789"


def test_options_beside_the_fields_are_added_and_the_object_replaces(team: Team) -> None:
    team.api.put("/virtual-keys/openai-prod", {"openaiProject": "p-1"})
    team.api.put("/virtual-keys/openai-prod", {"openai_organization": "org-1"})
    assert team.api.get("/virtual-keys/openai-prod")[1]["options"] == {"openai_project": "p-1", "openai_organization": "org-1"}
    team.api.put("/virtual-keys/openai-prod", {"openai_project": None})
    assert team.api.get("/virtual-keys/openai-prod")[1]["options"] == {"openai_organization": "org-1"}
    team.api.put("/virtual-keys/openai-prod", {"options": {}})
    assert team.api.get("/virtual-keys/openai-prod")[1]["options"] == {}


def test_no_answer_of_the_api_holds_a_credential(team: Team) -> None:
    paths = ("/virtual-keys", "/virtual-keys/openai-prod", "/api-keys", f"/api-keys/{team.key.pk}", "/configs")
    text = "".join(str(team.api.get(path)) for path in paths) + str(team.api.put("/virtual-keys/openai-prod", {"name": "n"}))
    row = VirtualKey.objects.get(pk=team.virtual_key.pk)
    secrets = (SECRET, SECRET[8:20], team.raw, bytes(row.secret).decode(), team.key.key_hash)
    assert not [secret for secret in secrets if secret in text]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "name"),
        ({"name": "n"}, "provider"),
        ({"name": "n", "provider": "openai"}, "key"),
        ({"name": "n", "provider": "openai", "key": SECRET, "slug": "openai-prod"}, "slug"),
        ({"name": "n", "provider": "openai", "key": SECRET, "ky": 1}, "ky"),
        ({"name": "n", "provider": "openai", "key": SECRET, "apiVersion": "2024-01"}, "options.api_version"),
        ({"name": "n", "provider": "mock", "openai_project": "p"}, "options.openai_project"),
        ({"name": "n", "provider": "openai", "key": SECRET, "custom_host": "nowhere"}, "options.custom_host"),
        ({"name": "n", "provider": "openai", "key": SECRET, "custom_host": {"a": 1}}, "options.custom_host"),
        ({"name": "n", "provider": "openai", "key": SECRET, "options": ["x"], "custom_host": "https://a.b"}, "options"),
        ({"name": "n", "provider": "openai", "key": SECRET, "workspace_id": ["acme"]}, "workspace_id"),
        ({"name": ["n"], "provider": {"a": 1}, "key": SECRET}, "name"),
        ({"name": "n", "provider": ["openai"], "key": SECRET}, "provider"),
        ({"name": "n", "provider": "openai", "key": SECRET, "expires_at": {"a": 1}}, "expires_at"),
    ],
)
def test_a_wrong_virtual_key_is_refused_by_its_field(team: Team, body: dict[str, Any], param: str) -> None:
    status, answer = team.api.post("/virtual-keys", body)
    assert status in {400, 404, 409}
    assert answer["error"]["param"] == param
    assert SECRET not in str(answer)
    assert VirtualKey.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"slug": "other"}, "slug"),
        ({"custom_host": "https://thief.example"}, "options.custom_host"),
        ({"provider": "mock"}, "provider"),
        ({"namee": "x"}, "namee"),
        ({"masked": "x"}, "masked"),
        ({"secret": "x"}, "secret"),
        ({"workspace": "x"}, "workspace"),
        ({"rate_limits": [{}]}, "rate_limits[0].type"),
    ],
)
def test_a_wrong_change_of_a_virtual_key_changes_nothing(team: Team, body: dict[str, Any], param: str) -> None:
    before = team.api.get("/virtual-keys/openai-prod")
    status, answer = team.api.put("/virtual-keys/openai-prod", {"name": "changed", **body})
    assert (status, answer["error"]["param"]) == (400, param)
    assert team.api.get("/virtual-keys/openai-prod") == before


# --- API keys ---------------------------------------------------------------------------------------------------------


def test_an_api_key_is_created_read_listed_changed_and_deleted(team: Team) -> None:
    body = {
        "type": "workspace",
        "sub-type": "service",
        "name": "app",
        "description": "the app",
        "workspace_id": "acme",
        "scopes": ["completions.write", "logs.view"],
        "rate_limits": [{"type": "requests", "unit": "rpm", "value": 60}],
        "usage_limits": {"credit_limit": 100, "periodic_reset": "weekly", "alert_threshold": 80},
        "defaults": {"config_id": team.config.slug, "metadata": {"team": "a"}},
        "expires_at": TOMORROW,
    }
    status, created = team.api.post("/api-keys/workspace/service", body)
    assert (status, created["object"]) == (200, "api-key")
    assert Api(created["key"]).get("/api-keys")[0] == 403

    status, read = team.api.get(f"/api-keys/{created['id']}")
    assert status == 200
    assert {name: read[name] for name in ("name", "description", "scopes", "rate_limits", "usage_limits", "defaults")} == {
        name: body[name] for name in ("name", "description", "scopes", "rate_limits", "usage_limits", "defaults")
    }
    assert (read["type"], read["workspace_id"], read["status"]) == ("workspace-service", "acme", "active")
    assert read["key"] == created["key"][:3] + "****" + created["key"][-4:]

    status, changed = team.api.put(f"/api-keys/{created['id']}", {"id": created["id"], "name": "app 2", "defaults": None})
    assert (status, changed["name"], changed["defaults"], changed["scopes"]) == (200, "app 2", None, body["scopes"])
    assert team.api.put(f"/api-keys/{created['id']}", {"status": "revoked"})[1]["status"] == "revoked"
    assert Api(created["key"]).get("/api-keys")[0] == 401
    assert team.api.put(f"/api-keys/{created['id']}", {"status": "active"})[0] == 400
    assert team.api.delete(f"/api-keys/{created['id']}") == (200, {"success": True})
    assert team.api.get(f"/api-keys/{created['id']}")[0] == 404


def test_a_list_has_pages_and_says_how_many_there_are_in_all(team: Team) -> None:
    for number in range(4):
        team.api.post("/api-keys/workspace/service", {"name": f"key {number}"})
    first = team.api.get("/api-keys?page_size=2&current_page=0")[1]
    second = team.api.get("/api-keys?page_size=2&current_page=1")[1]
    last = team.api.get("/api-keys?page_size=2&current_page=2")[1]
    names = [row["name"] for page in (first, second, last) for row in page["data"]]
    assert names == ["key 3", "key 2", "key 1", "key 0", "all"]
    assert (first["object"], {page["total"] for page in (first, second, last)}) == ("list", {5})
    assert team.api.get("/api-keys?current_page=99")[1]["data"] == []


def test_a_manager_of_one_kind_of_keys_sees_no_other_kind(team: Team) -> None:
    people = key_with(team, "workspace_user_api_keys.list", "workspace_user_api_keys.read", "workspace_user_api_keys.delete")
    mine = team.api.post("/api-keys/workspace/user", {"name": "ann"})[1]["id"]
    assert [row["id"] for row in people.get("/api-keys")[1]["data"]] == [mine]
    assert people.get(f"/api-keys/{mine}")[0] == 200
    assert people.delete(f"/api-keys/{team.key.pk}")[0] == 403


def test_a_key_cannot_make_a_key_that_may_more_than_itself(team: Team) -> None:
    maker = key_with(team, "workspace_service_api_keys.create", "completions.write")
    status, answer = maker.post("/api-keys/workspace/service", {"name": "n", "scopes": ["configs.delete"]})
    assert (status, answer["error"]["param"]) == (403, "scopes")
    assert maker.post("/api-keys/workspace/service", {"name": "n"})[0] == 200


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "name"),
        ({"name": "n", "sub-type": "user"}, "sub-type"),
        ({"name": "n", "type": "organisation"}, "type"),
        ({"name": "n", "user_id": "7"}, "user_id"),
        ({"name": "n", "raw_key": "my-own-key-0123456789"}, "raw_key"),
        ({"name": "n", "scope": ["logs.view"]}, "scope"),
        ({"name": "n", "scopes": [1]}, "scopes"),
        ({"name": "n", "rate_limits": [{"type": "requests", "unit": "rpm", "value": -1}]}, "rate_limits[0].value"),
        ({"name": "n", "usage_limits": {"credit_limit": -1}}, "usage_limits.credit_limit"),
        ({"name": "n", "defaults": {"config_id": "pc-none"}}, "defaults.config_id"),
    ],
)
def test_a_wrong_api_key_is_refused_by_its_field(team: Team, body: dict[str, Any], param: str) -> None:
    status, answer = team.api.post("/api-keys/workspace/service", body)
    assert (status, answer["error"]["param"]) == (400, param)
    assert ApiKey.objects.count() == 1


# --- What a key is confined to, and what comes after it ----------------------------------------------------------------


def _new_key(team: Team, **fields: Any) -> tuple[int, Any]:
    return team.api.post("/api-keys/workspace/service", {"name": "app", **fields})


def test_allow_lists_are_kept_as_they_are_meant_and_taken_away_by_null(team: Team) -> None:
    lists = {
        "allowed_models": ["gpt-4o*", "gpt-4o*"],
        "allowed_virtual_keys": ["openai-prod"],
        "allowed_configs": [team.config.slug, f"{team.config.slug}@1"],
        "allowed_ips": ["203.0.113.7/24", "::1", "::ffff:10.0.0.1"],
    }
    status, made = _new_key(team, **lists)
    assert status == 200
    read = team.api.get(f"/api-keys/{made['id']}")[1]
    assert read["allowed_models"] == ["gpt-4o*"]
    assert read["allowed_virtual_keys"] == ["openai-prod"]
    assert read["allowed_ips"] == ["203.0.113.0/24", "::1/128", "10.0.0.1/32"]
    status, changed = team.api.put(f"/api-keys/{made['id']}", dict.fromkeys(lists))
    assert status == 200
    assert [changed[name] for name in lists] == [None] * 4


@pytest.mark.parametrize(
    ("field", "value", "param"),
    [
        ("allowed_models", [], "allowed_models"),
        ("allowed_models", "gpt-4o", "allowed_models"),
        ("allowed_models", [""], "allowed_models[0]"),
        ("allowed_virtual_keys", ["openai-prod", "nowhere"], "allowed_virtual_keys[1]"),
        ("allowed_configs", ["nowhere"], "allowed_configs[0]"),
        ("allowed_ips", ["203.0.113.0/33"], "allowed_ips[0]"),
        ("allowed_ips", ["localhost"], "allowed_ips[0]"),
        ("allowed_ips", [2130706433], "allowed_ips[0]"),
        ("allowed_ips", ["10.0.0.1"] * 201, "allowed_ips"),
        ("defaults", {"allow_config_override": False}, "defaults.allow_config_override"),
        ("defaults", {"allow_config_override": "no"}, "defaults.allow_config_override"),
        ("allowed_model", ["gpt-4o"], "allowed_model"),
    ],
)
def test_a_list_that_means_nothing_is_refused_with_its_path(team: Team, field: str, value: Any, param: str) -> None:
    status, answer = _new_key(team, **{field: value})
    assert (status, answer["error"]["param"]) == (400, param)


def test_a_rotation_shows_the_new_key_once_and_ends_the_one_before_the_last(team: Team) -> None:
    status, first = _new_key(team, scopes=["configs.list"])
    rotate = f"/api-keys/{first['id']}/rotate"
    status, second = team.api.post(rotate, {})
    assert (status, second["id"]) == (200, first["id"])
    assert [Api(one["key"]).get("/configs")[0] for one in (first, second)] == [200, 200]
    _, third = team.api.post(rotate, {"key_transition_period_ms": 60_000})
    assert [Api(one["key"]).get("/configs")[0] for one in (first, second, third)] == [401, 200, 200]
    ApiKey.objects.filter(pk=first["id"]).update(previous_until=datetime.now(UTC))
    assert Api(second["key"]).get("/configs")[0] == 401
    assert third["key"] not in str(team.api.get(f"/api-keys/{first['id']}"))
    team.api.put(f"/api-keys/{first['id']}", {"status": "revoked"})
    assert Api(third["key"]).get("/configs")[0] == 401
    assert team.api.post(rotate, {})[0] == 409


@pytest.mark.parametrize("value", [-1, 1.5, True, "soon", 10**12, 91 * 86_400_000])
def test_an_overlap_is_a_sensible_time(team: Team, value: Any) -> None:
    _, made = _new_key(team)
    status, answer = team.api.post(f"/api-keys/{made['id']}/rotate", {"key_transition_period_ms": value})
    assert (status, answer["error"]["param"]) == (400, "key_transition_period_ms")


def test_nobody_gets_a_key_with_scopes_of_somebody_elses_by_rotating_it(team: Team) -> None:
    _, made = _new_key(team, scopes=["configs.delete"])
    weak = key_with(team, "workspace_service_api_keys.update")
    assert weak.post(f"/api-keys/{made['id']}/rotate", {})[0] == 403


@pytest.mark.parametrize("end", ["rotate", "revoke", "delete"])
def test_a_key_without_our_beginning_is_remembered_when_it_is_no_more(team: Team, end: str) -> None:
    key, _ = actions.create_api_key(workspace=team.workspace, name="own", actor=actions.SYSTEM, raw_key="my-own-gateway-key")
    match end:
        case "rotate":
            actions.rotate_api_key(key, actor=actions.SYSTEM)
        case "revoke":
            actions.revoke_api_key(key, actor=actions.SYSTEM)
        case _:
            actions.delete_api_key(key, actor=actions.SYSTEM)
    assert RetiredKey.objects.filter(key_hash=actions.hash_api_key("my-own-gateway-key")).exists()
