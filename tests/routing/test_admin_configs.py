from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import RestrictedError

from keys import actions as key_actions
from keys.models import AuditEvent
from routing import actions, queries
from routing.errors import InvalidRequest, NotFound
from routing.models import Config, ConfigLabel, ConfigVersion, SnapshotVersion
from tests.keys.people import Api, Team, key_with
from tests.keys.people import stranger as stranger
from tests.keys.people import team as team

BODY = {"strategy": {"mode": "fallback"}, "targets": [{"virtual_key": "openai-prod"}, {"provider": "mock"}]}


def test_a_config_is_created_read_listed_changed_and_deleted(team: Team) -> None:
    status, created = team.api.post(
        "/configs", {"name": "Two Targets", "config": BODY, "is_default": 1, "workspace_id": "acme"}
    )
    assert (status, created["object"]) == (200, "config")
    slug = created["slug"]
    assert slug.startswith("pc-two-targets-")
    assert len(slug) == len("pc-two-targets-") + 6

    status, read = team.api.get(f"/configs/{slug}")
    assert (status, read["config"], read["is_default"], read["status"]) == (200, BODY, 1, "active")
    assert (read["id"], read["version_id"], read["version"]) == (created["id"], created["version_id"], 1)
    assert team.api.get(f"/configs/{created['id']}") == (200, read)
    assert [row["slug"] for row in team.api.get("/configs")[1]["data"]] == [slug, team.config.slug]

    changed_body = {**BODY, "retry": {"attempts": 2}}
    status, changed = team.api.put(
        f"/configs/{slug}", {"slug": slug, "name": "Renamed", "config": changed_body, "comment": "retry"}
    )
    assert (status, changed["version"], changed["object"]) == (200, 2, "config")
    assert changed["version_id"] != created["version_id"]
    assert team.api.get(f"/configs/{slug}")[1]["name"] == "Renamed"

    versions = team.api.get(f"/configs/{slug}/versions")[1]
    assert versions["total"] == 2
    assert [(row["version"], row["is_current"], row["comment"]) for row in versions["data"]] == [
        (2, True, "retry"),
        (1, False, None),
    ]
    assert [row["config"] for row in versions["data"]] == [changed_body, BODY]

    assert team.api.delete(f"/configs/{slug}") == (200, {"success": True})
    assert team.api.get(f"/configs/{slug}")[0] == 404


def test_a_config_may_come_as_json_text(team: Team) -> None:
    created = team.api.post("/configs", {"name": "text", "config": '{"provider": "mock", "retry": {"count": 3}}'})[1]
    assert team.api.get(f"/configs/{created['slug']}")[1]["config"] == {"provider": "mock", "retry": {"attempts": 3}}


def test_a_body_that_says_the_same_makes_no_version(team: Team) -> None:
    number, events = SnapshotVersion.objects.get().number, AuditEvent.objects.count()
    for same in ({"virtual_key": "openai-prod"}, '{ "virtualKey" : "openai-prod" }'):
        assert team.api.put(f"/configs/{team.config.slug}", {"config": same})[1]["version"] == 1
    assert ConfigVersion.objects.filter(config=team.config).count() == 1
    assert (SnapshotVersion.objects.get().number, AuditEvent.objects.count()) == (number, events)


def test_a_new_name_makes_no_version(team: Team) -> None:
    assert team.api.put(f"/configs/{team.config.slug}", {"name": "Other"})[1]["version"] == 1
    assert team.api.get(f"/configs/{team.config.slug}")[1]["name"] == "Other"


def test_an_old_version_is_restored_as_a_new_one(team: Team) -> None:
    actions.update_config(team.config, body=BODY, actor=team.owner, comment="two")
    config, version = actions.rollback_config(team.config, 1, actor=team.owner)
    assert (config.version, version.number, version.comment) == (3, 3, "Restored version 1")
    assert version.body == {"virtual_key": "openai-prod"}
    with pytest.raises(InvalidRequest, match="no version 9"):
        actions.rollback_config(team.config, 9, actor=team.owner)


def test_a_version_says_who_made_it(team: Team) -> None:
    team.api.put(f"/configs/{team.config.slug}", {"config": BODY})
    authors = [row["author"] for row in team.api.get(f"/configs/{team.config.slug}/versions")[1]["data"]]
    assert authors == [f"API key all ({team.key.masked})", "owner@acme.example"]


def test_a_workspace_has_one_default_config_at_most(team: Team, stranger: Team) -> None:
    actions.update_config(stranger.config, actor=stranger.owner, is_default=True)
    team.api.put(f"/configs/{team.config.slug}", {"is_default": 1})
    new = team.api.post("/configs", {"name": "n", "config": BODY, "is_default": True})[1]["slug"]
    assert list(Config.objects.filter(workspace=team.workspace, is_default=True).values_list("slug", flat=True)) == [new]
    assert Config.objects.get(pk=stranger.config.pk).is_default
    team.api.put(f"/configs/{new}", {"is_default": 0})
    assert not Config.objects.filter(workspace=team.workspace, is_default=True).exists()


def test_a_config_in_use_is_not_deleted_and_its_users_are_named(team: Team) -> None:
    defaults = {"config_id": team.config.slug}
    key, _ = key_actions.create_api_key(workspace=team.workspace, name="billing app", actor=team.owner, defaults=defaults)
    status, answer = team.api.delete(f"/configs/{team.config.slug}")
    assert (status, answer["error"]["code"]) == (409, "config_in_use")
    assert "billing app" in answer["error"]["message"]
    key_actions.revoke_api_key(key, actor=team.owner)
    assert team.api.delete(f"/configs/{team.config.slug}")[0] == 200


def test_a_slug_of_ones_own_must_be_free(team: Team, stranger: Team) -> None:
    assert team.api.post("/configs", {"name": "n", "config": BODY, "slug": "pc-mine"})[1]["slug"] == "pc-mine"
    for api in (team.api, stranger.api):
        status, answer = api.post("/configs", {"name": "n", "config": {"provider": "mock"}, "slug": "pc-mine"})
        assert (status, answer["error"]["param"]) == (409, "slug")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "name"),
        ({"name": "n"}, "config"),
        ({"name": "", "config": BODY}, "name"),
        ({"name": 5, "config": BODY}, "name"),
        ({"name": "n", "config": None}, "config"),
        ({"name": "n", "config": []}, "config"),
        ({"name": "n", "config": 5}, "config"),
        ({"name": "n", "config": {}}, "config"),
        ({"name": "n", "config": "{"}, "config"),
        ({"name": "n", "config": ""}, "config"),
        ({"name": "n", "config": '"text"'}, "config"),
        ({"name": "n", "config": '{"provider": "mock", "name": "a\\u0000b"}'}, "config"),
        ({"name": "n", "config": '{"a":' * 200 + "1" + "}" * 200}, "config"),
        ({"name": "n", "config": {"provider": "mock", "override_params": {"stop": "x" * 300_000}}}, "config"),
        (
            {"name": "n", "config": {"targets": [{"provider": "mock"}, {"provider": "mock", "weights": 1}]}},
            "targets[1].weights",
        ),
        ({"name": "n", "config": {"provider": "openai", "api_key": "sk-0123456789"}}, "api_key"),
        ({"name": "n", "config": BODY, "is_default": "yes"}, "is_default"),
        ({"name": "n", "config": BODY, "is_default": 2}, "is_default"),
        ({"name": "n", "config": BODY, "is_default": None}, "is_default"),
        ({"name": "n", "config": BODY, "comment": 5}, "comment"),
        ({"name": "n", "config": BODY, "slug": "a b"}, "slug"),
        ({"name": "n", "config": BODY, "namee": "n"}, "namee"),
        ({"name": "n", "config": BODY, "version": 3}, "version"),
    ],
)
def test_a_wrong_config_is_refused_by_its_path(team: Team, body: dict[str, Any], param: str) -> None:
    status, answer = team.api.post("/configs", body)
    assert (status, answer["error"]["param"]) == (400, param)
    assert Config.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"slug": "pc-other"}, "slug"),
        ({"status": "archived"}, "status"),
        ({"config": {"provider": "nobody"}}, "provider"),
        ({"config": {"provider": "mock"}, "name": ""}, "name"),
    ],
)
def test_a_wrong_change_changes_nothing(team: Team, body: dict[str, Any], param: str) -> None:
    before = team.api.get(f"/configs/{team.config.slug}")
    status, answer = team.api.put(f"/configs/{team.config.slug}", body)
    assert (status, answer["error"]["param"]) == (400, param)
    assert team.api.get(f"/configs/{team.config.slug}") == before


def test_reads_stay_in_their_workspace(team: Team, stranger: Team) -> None:
    assert queries.get_config(team.workspace, team.config.slug) == team.config
    for name in (team.config.slug, str(team.config.pk), "", "a/b", "a\x00b", "x" * 5000):
        with pytest.raises(NotFound):
            queries.get_config(stranger.workspace, name)
    assert queries.get_version(team.config).number == 1
    with pytest.raises(NotFound):
        queries.get_version(team.config, 2)
    in_force = queries.versions_in_force(queries.list_configs(team.workspace))
    assert [version.config_id for version in in_force] == [team.config.pk]


def test_an_unknown_key_learns_nothing_about_a_config(team: Team) -> None:
    assert Api("gh-unknown").get(f"/configs/{team.config.slug}")[0] == 401


# --- Versions ---------------------------------------------------------------------------------------------------------


def test_a_version_shows_its_checksum_wherever_it_is_read(team: Team) -> None:
    created = team.api.post("/configs", {"name": "n", "config": BODY})[1]
    expected = hashlib.sha256(json.dumps(BODY, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
    place = f"/configs/{created['slug']}"
    assert created["checksum"] == expected
    assert team.api.get(place)[1]["checksum"] == expected
    assert team.api.get(f"{place}/versions")[1]["data"][0]["checksum"] == expected
    assert team.api.get(f"{place}/versions/1")[1]["checksum"] == expected
    assert team.api.put(place, {"config": {"provider": "mock"}})[1]["checksum"] != expected
    assert team.api.get(f"{place}/versions/7")[0] == 404


@pytest.mark.parametrize(
    ("column", "value"), [("body", '{"provider": "openai"}'), ("number", 7), ("checksum", "0" * 64), ("author_label", "me")]
)
def test_the_database_itself_keeps_a_version_as_it_is(team: Team, column: str, value: Any) -> None:
    before = ConfigVersion.objects.values().get(config=team.config)
    with pytest.raises(DatabaseError, match="never changed"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE routing_configversion SET {column} = %s", [value])
    assert ConfigVersion.objects.values().get(config=team.config) == before


def test_a_version_outlives_the_account_of_its_author(team: Team) -> None:
    team.owner.delete()
    version = queries.get_version(team.config)
    assert (version.author, version.author_label) == (None, "owner@acme.example")


def test_two_versions_are_compared_by_number_or_label(team: Team) -> None:
    place = f"/configs/{team.config.slug}"
    team.api.put(place, {"config": {"virtual_key": "openai-prod", "retry": {"attempts": 2}}})
    team.api.put(place, {"config": {"virtual_key": "openai-prod", "retry": {"attempts": 5}}})
    team.api.put(f"{place}/labels/production", {"version": 2})

    status, found = team.api.get(f"{place}/versions/production/diff/3")

    assert (status, found["from"]["version"], found["to"]["version"]) == (200, 2, 3)
    assert found["changes"] == [{"op": "replace", "path": "/retry/attempts", "before": 2, "after": 5}]
    back = team.api.get(f"{place}/versions/3/diff/1")[1]["changes"]
    assert back == [{"op": "remove", "path": "/retry", "before": {"attempts": 5}}]
    assert team.api.get(f"{place}/versions/1/diff/1")[1]["changes"] == []
    for missing in ("9", "nobody", "0", "99999999999999999999"):
        assert team.api.get(f"{place}/versions/1/diff/{missing}")[0] == 404


def test_a_rollback_is_a_new_version_and_is_audited(team: Team) -> None:
    place = f"/configs/{team.config.slug}"
    first = team.api.get(place)[1]
    team.api.put(place, {"config": BODY})

    status, back = team.api.post(f"{place}/rollback", {"version": 1, "comment": "the new one was slow"})

    assert (status, back["version"], back["checksum"]) == (200, 3, first["checksum"])
    newest = team.api.get(f"{place}/versions")[1]["data"][0]
    assert (newest["config"], newest["comment"]) == ({"virtual_key": "openai-prod"}, "the new one was slow")
    event = AuditEvent.objects.latest("pk")
    assert (event.action, event.details) == ("config.rollback", {"to": 1, "version": 3})
    # What is in force already makes no version.
    assert team.api.post(f"{place}/rollback", {"version": 1})[1]["version"] == 3


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({}, 400, "version"),
        ({"version": 9}, 404, "version"),
        ({"version": 0}, 400, "version"),
        ({"version": "1"}, 400, "version"),
        ({"version": True}, 400, "version"),
        ({"version": 1, "comment": 5}, 400, "comment"),
        ({"version": 1, "to": 1}, 400, "to"),
        ({"version": 1, "expected_version": 1}, 409, "expected_version"),
    ],
)
def test_a_wrong_rollback_changes_nothing(team: Team, body: dict[str, Any], status: int, param: str) -> None:
    place = f"/configs/{team.config.slug}"
    team.api.put(place, {"config": BODY})
    answered, answer = team.api.post(f"{place}/rollback", body)
    assert (answered, answer["error"]["param"]) == (status, param)
    assert team.api.get(place)[1]["version"] == 2


def test_a_writer_who_has_not_seen_the_last_version_overwrites_nothing(team: Team) -> None:
    place = f"/configs/{team.config.slug}"
    seen = team.api.client.get(f"/v1{place}", headers=team.api.headers)["ETag"]
    assert seen == '"1"'
    assert team.api.put(place, {"config": BODY, "expected_version": 1})[0] == 200
    mine = {"config": {"provider": "mock"}}
    for status, answer in (
        team.api.put(place, {**mine, "expected_version": 1}),
        team.api.call("PUT", place, mine, **{"If-Match": seen}),
    ):
        assert (status, answer["error"]["code"]) == (409, "version_conflict")
    assert team.api.get(place)[1]["config"] == BODY
    assert team.api.call("PUT", place, {**mine, "expected_version": 2}, **{"If-Match": seen})[0] == 400
    assert team.api.call("PUT", place, mine, **{"If-Match": "yesterday"})[0] == 400
    assert team.api.call("PUT", place, mine, **{"If-Match": '"2"'})[1]["version"] == 3


# --- Labels -----------------------------------------------------------------------------------------------------------


def test_a_label_is_made_moved_listed_and_taken_away(team: Team) -> None:
    place = f"/configs/{team.config.slug}"
    team.api.put(place, {"config": BODY})
    number = SnapshotVersion.objects.get().number

    status, made = team.api.put(f"{place}/labels/production", {"version": 1})
    assert (status, made["label"], made["version"], made["moved_by"]) == (
        200,
        "production",
        1,
        f"API key all ({team.key.masked})",
    )
    assert team.api.put(f"{place}/labels/production", {"version": 2})[1]["version"] == 2
    assert SnapshotVersion.objects.get().number == number + 2
    moves = AuditEvent.objects.filter(action="config.label.set").order_by("pk").values_list("details", flat=True)
    assert list(moves) == [
        {"label": "production", "before": None, "version": 1},
        {"label": "production", "before": 1, "version": 2},
    ]
    # A label that stands there already says nothing new.
    team.api.put(f"{place}/labels/production", {"version": 2})
    assert SnapshotVersion.objects.get().number == number + 2

    team.api.put(f"{place}/labels/canary-2", {"version": 1})
    assert [row["label"] for row in team.api.get(f"{place}/labels")[1]["data"]] == ["canary-2", "production"]
    assert team.api.get(place)[1]["labels"] == {"canary-2": 1, "production": 2}
    assert team.api.get(f"{place}/versions/canary-2")[1]["labels"] == ["canary-2"]

    assert team.api.delete(f"{place}/labels/production") == (200, {"success": True})
    assert team.api.get(f"{place}/labels/production")[0] == 404
    assert AuditEvent.objects.latest("pk").action == "config.label.delete"


@pytest.mark.parametrize("name", ["Production", "a b", "a_b", "7", "x" * 41, "a@b", "ä"])
def test_a_label_has_a_name_that_a_call_can_say(team: Team, name: str) -> None:
    status, answer = team.api.put(f"/configs/{team.config.slug}/labels/{name}", {"version": 1})
    assert (status, answer["error"]["param"]) == (400, "label")


@pytest.mark.parametrize(
    ("body", "status"), [({"version": 2}, 404), ({}, 400), ({"version": "1"}, 400), ({"version": -1}, 400)]
)
def test_a_label_points_at_a_version_that_is_there(team: Team, body: dict[str, Any], status: int) -> None:
    answered, answer = team.api.put(f"/configs/{team.config.slug}/labels/production", body)
    assert (answered, answer["error"]["param"]) == (status, "version")
    assert not ConfigLabel.objects.exists()


def test_a_labelled_version_is_not_lost(team: Team) -> None:
    actions.set_label(team.config, "production", 1, actor=team.owner)
    with pytest.raises(RestrictedError):
        queries.get_version(team.config).delete()
    actions.delete_config(team.config, actor=team.owner)  # which takes its labels with it
    assert not ConfigLabel.objects.exists()


def test_only_who_may_change_a_config_moves_its_labels(team: Team, stranger: Team) -> None:
    place = f"/configs/{team.config.slug}"
    reader = key_with(team, "configs.read")
    for path, body in ((f"{place}/labels/production", {"version": 1}),):
        assert reader.put(path, body)[0] == 403
        assert stranger.api.put(path, body)[0] == 404
    assert reader.post(f"{place}/rollback", {"version": 1})[0] == 403
    assert stranger.api.post(f"{place}/rollback", {"version": 1})[0] == 404
    assert reader.get(f"{place}/labels")[0] == 200
    for path in (f"{place}/labels", f"{place}/versions/1", f"{place}/versions/1/diff/1"):
        assert stranger.api.get(path)[0] == 404


# --- Where a config is used -------------------------------------------------------------------------------------------


def test_a_key_may_have_a_version_or_a_label_as_its_default(team: Team) -> None:
    actions.set_label(team.config, "production", 1, actor=team.owner)
    for default in (team.config.slug, f"{team.config.slug}@production", f"{team.config.slug}@1"):
        key_actions.create_api_key(workspace=team.workspace, name=default, actor=team.owner, defaults={"config_id": default})
    for default in (f"{team.config.slug}@nobody", f"{team.config.slug}@2", f"{team.config.slug}@", "pc-nobody@production"):
        with pytest.raises(InvalidRequest, match=r"defaults\.config_id"):
            key_actions.create_api_key(workspace=team.workspace, name="n", actor=team.owner, defaults={"config_id": default})
    used_by = team.api.get(f"/configs/{team.config.slug}")[1]["used_by"]
    assert sorted(row["config_id"] for row in used_by) == sorted(row["name"] for row in used_by)
    assert len(used_by) == 3


def test_what_is_in_use_is_deleted_only_by_force(team: Team) -> None:
    place = f"/configs/{team.config.slug}"
    actions.set_label(team.config, "production", 1, actor=team.owner)
    defaults = {"config_id": f"{team.config.slug}@production"}
    key_actions.create_api_key(workspace=team.workspace, name="billing app", actor=team.owner, defaults=defaults)

    for path, code in ((f"{place}/labels/production", "label_in_use"), (place, "config_in_use")):
        status, answer = team.api.delete(path)
        assert (status, answer["error"]["code"]) == (409, code)
        assert "billing app" in answer["error"]["message"]
        assert team.api.delete(f"{path}?force=perhaps")[0] == 400
        assert team.api.delete(f"{path}?force=true") == (200, {"success": True})
        assert AuditEvent.objects.latest("pk").details["used_by"] == ["billing app"]
        assert team.api.get(path)[0] == 404
