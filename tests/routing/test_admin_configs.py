from __future__ import annotations

from typing import Any

import pytest

from keys import actions as key_actions
from keys.models import AuditEvent
from routing import actions, queries
from routing.errors import InvalidRequest, NotFound
from routing.models import Config, ConfigVersion, SnapshotVersion
from tests.keys.people import Api, Team
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
    config, version = actions.restore_config(team.config, 1, actor=team.owner)
    assert (config.version, version.number, version.comment) == (3, 3, "Restored version 1")
    assert version.body == {"virtual_key": "openai-prod"}
    with pytest.raises(InvalidRequest, match="no version 9"):
        actions.restore_config(team.config, 9, actor=team.owner)


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
