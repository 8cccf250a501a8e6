"""A dry run says what a call would do, in the words of the code that does it."""

from __future__ import annotations

from typing import Any

import pytest

from keys import actions as key_actions
from routing import trial
from routing.actions import set_label, update_config
from routing.health import OpenBreaker, subject
from routing.loader import load_workspace
from routing.plan import resolve
from tests.keys.people import Team, key_with
from tests.keys.people import stranger as stranger
from tests.keys.people import team as team

CHAT = {"endpoint": "chat/completions", "body": {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hello"}]}}
FALLBACK = {
    "strategy": {"mode": "fallback"},
    "targets": [
        {"virtual_key": "openai-prod", "retry": {"attempts": 3, "initial_delay_ms": 500}, "request_timeout": 30},
        {"provider": "mock", "name": "spare", "override_params": {"model": "mock-fast"}},
    ],
}


def run(team: Team, config: Any = FALLBACK, request: Any = CHAT) -> dict[str, Any]:
    status, answer = team.api.post("/configs/dry-run", {"config": config, "request": request})
    assert status == 200, answer
    return answer


def refused(team: Team, body: dict[str, Any]) -> tuple[int, str]:
    status, answer = team.api.post("/configs/dry-run", body)
    return status, answer["error"]["param"]


def test_it_lists_the_targets_in_the_order_in_which_they_would_be_tried(team: Team) -> None:
    found = run(team)
    first, second = found["targets"]
    assert [first["order"], second["order"]] == [1, 2]
    assert (first["path"], first["provider"], first["virtual_key"], first["model"]) == (
        "config.targets[0]",
        "openai",
        "openai-prod",
        "gpt-4o",
    )
    assert (second["name"], second["model"], second["request"]["model"]) == ("spare", "mock-fast", "mock-fast")
    assert first["request"]["messages"] == CHAT["body"]["messages"]
    assert first["retry"]["attempts"] == 3
    assert first["retry"]["delays_ms"] == [500, 1000, 2000]
    assert first["timeouts"] == {"attempt_ms": 30_000}
    assert first["branches"] == [{"path": "config", "mode": "fallback"}]
    assert "fallback" in first["reason"]


def test_it_tells_the_shares_of_a_loadbalance(team: Team) -> None:
    weighted = {
        "strategy": {"mode": "loadbalance"},
        "targets": [{"provider": "mock", "weight": 3}, {"virtual_key": "openai-prod", "weight": 1}],
    }
    found = run(team, weighted)
    shares = {"config.targets[0]": 0.75, "config.targets[1]": 0.25}
    for target in found["targets"]:
        assert target["branches"][0]["share"] == shares[target["path"]]


def test_it_evaluates_every_condition_and_marks_the_one_that_decides(team: Team) -> None:
    conditional = {
        "strategy": {
            "mode": "conditional",
            "conditions": [
                {"query": {"metadata.plan": {"$eq": "free"}}, "then": "cheap"},
                {"query": {"metadata.plan": {"$eq": "paid"}}, "then": "good"},
                {"query": {"params.model": {"$eq": "gpt-4o"}}, "then": "cheap"},
            ],
            "default": "cheap",
        },
        "targets": [{"name": "cheap", "provider": "mock"}, {"name": "good", "virtual_key": "openai-prod"}],
    }
    found = run(team, conditional, {**CHAT, "metadata": {"plan": "paid"}})
    assert [target["name"] for target in found["targets"]] == ["good"]
    assert [(rule["holds"], rule["decides"]) for rule in found["conditions"]] == [
        (False, False),
        (True, True),
        (True, False),
        (True, False),
    ]
    assert found["conditions"][1]["then"] == "config.targets[1]"


def test_a_call_for_which_no_condition_holds_is_told_as_refused(team: Team) -> None:
    rule = {"query": {"metadata.plan": {"$eq": "free"}}, "then": "cheap"}
    strategy = {"mode": "conditional", "conditions": [rule]}
    found = run(team, {"strategy": strategy, "targets": [{"name": "cheap", "provider": "mock"}]})
    assert (found["targets"], found["error"]["status"], found["error"]["code"]) == ([], 400, "no_target")
    assert [told["holds"] for told in found["conditions"]] == [False]


def test_metadata_and_names_are_read_in_any_script(team: Team) -> None:
    rule = {"query": {"metadata.队": {"$eq": "搜索"}}, "then": "好"}
    strategy = {"mode": "conditional", "conditions": [rule]}
    config = {"strategy": strategy, "targets": [{"name": "好", "provider": "mock"}]}
    found = run(team, config, {**CHAT, "metadata": {"队": "搜索"}})
    assert [target["name"] for target in found["targets"]] == ["好"]


def test_a_target_that_the_gateway_would_not_send_to_says_why(team: Team) -> None:
    found = run(team, {"targets": [{"provider": "openai"}, {"provider": "mock"}], "strategy": "fallback"})
    assert found["targets"][0]["refused"]["code"] == "missing_provider_key"
    assert found["targets"][0]["request"] is None
    assert found["targets"][1]["refused"] is None


def test_the_callers_own_key_is_used_and_never_shown(team: Team) -> None:
    own = {**CHAT, "headers": {"Authorization": "Bearer sk-own-0123456789", "x-portkey-provider": "openai"}}
    status, found = team.api.post("/configs/dry-run", {"request": own})
    assert status == 200, found
    assert found["targets"][0]["refused"] is None
    assert "sk-own" not in str(found)


def test_no_credential_is_in_the_answer(team: Team) -> None:
    assert "sk-live" not in str(run(team))


def test_a_saved_config_is_named_by_slug_label_or_version(team: Team) -> None:
    set_label(team.config, "production", 1, actor=team.owner)
    update_config(team.config, body=FALLBACK, actor=team.owner)
    slug = team.config.slug
    assert len(run(team, slug)["targets"]) == 2
    for name in (f"{slug}@production", f"{slug}@1"):
        found = run(team, name)
        assert (len(found["targets"]), found["config"]["version"]) == (1, 1)
    for body, version in (({}, 2), ({"version": 1}, 1), ({"version": "production"}, 1)):
        answer = team.api.post(f"/configs/{slug}/dry-run", {"request": CHAT, **body})[1]
        assert answer["config"]["version"] == version
    assert team.api.post(f"/configs/{slug}/dry-run", {"request": CHAT, "version": 7})[0] == 404


def test_it_stays_in_its_workspace(team: Team, stranger: Team) -> None:
    assert refused(stranger, {"config": team.config.slug, "request": CHAT}) == (400, "x-portkey-config")
    assert stranger.api.post(f"/configs/{team.config.slug}/dry-run", {"request": CHAT})[0] == 404
    assert key_with(team, "completions.write").post("/configs/dry-run", {"request": CHAT})[0] == 403


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "request"),
        ({"request": []}, "request"),
        ({"request": {}}, "request.body"),
        ({"request": {"body": []}}, "request.body"),
        ({"request": {"body": {}}}, "request.body.messages"),
        ({"request": {**CHAT, "endpoint": "audio/transcriptions"}}, "request.endpoint"),
        ({"request": {**CHAT, "headers": {"x-portkey-api-key": "gh-1"}}}, "request.headers.x-portkey-api-key"),
        ({"request": {**CHAT, "headers": {"a": 5}}}, "request.headers.a"),
        ({"request": {**CHAT, "headers": {"x-t": "ä"}}}, "request.headers.x-t"),
        ({"request": {**CHAT, "headers": {"名": "x"}}}, "request.headers"),
        ({"request": {**CHAT, "metadata": "x"}}, "request.metadata"),
        ({"request": {**CHAT, "bodyy": {}}}, "request.bodyy"),
        ({"request": CHAT, "config": 5}, "config"),
        ({"request": CHAT, "config": {"targets": [{"providr": "mock"}]}}, "targets[0].providr"),
        ({"request": CHAT, "config": {"virtual_key": "nobody"}}, "config.virtual_key"),
        ({"request": CHAT, "config": "pc-nobody"}, "x-portkey-config"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_path(team: Team, body: dict[str, Any], param: str) -> None:
    assert refused(team, body) == (400, param)


def test_a_target_whose_breaker_is_open_is_skipped_and_says_for_how_long(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    guarded = {
        "strategy": {"mode": "fallback"},
        "targets": [{"virtual_key": "openai-prod", "cb_config": {"failure_threshold": 3}}, {"provider": "mock"}],
    }
    update_config(team.config, body=guarded, actor=team.owner)
    workspace_id = str(team.workspace.pk)
    call = trial.dry_run.read_request(CHAT, team.config.slug, trial._caller(team.workspace, team.owner))
    caller = trial._caller(team.workspace, team.owner)
    root: Any = resolve(call.headers, caller, None, load_workspace(workspace_id), call.model).root
    until = trial.time.time() + 20
    opened = OpenBreaker(
        subject(workspace_id, root.children[0]).id, workspace_id, "openai", "x", None, None, until - 30, until, 3, False
    )
    monkeypatch.setattr(trial.health, "states", lambda _url: [opened])
    first, second = run(team, team.config.slug)["targets"]
    assert (first["order"], first["skipped"]["rule"], first["breaker"]["state"]) == (None, "breaker", "open")
    assert 18 < first["skipped"]["wait_s"] <= 20
    assert second["order"] == 1


def test_without_redis_it_says_that_breakers_are_not_known(team: Team, settings: Any) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    found = run(team)
    assert found["breakers_known"] is False
    assert len(found["targets"]) == 2


def test_the_default_config_and_metadata_of_the_calling_key_count(team: Team) -> None:
    defaults = {"config_id": team.config.slug, "metadata": {"team": "search"}}
    scopes = ["configs.read", "completions.write"]
    _, raw = key_actions.create_api_key(workspace=team.workspace, name="n", actor=team.owner, scopes=scopes, defaults=defaults)
    status, found = type(team.api)(raw).post("/configs/dry-run", {"request": CHAT})
    assert (status, found["config"]["version"]) == (200, 1)


# --- Validation -------------------------------------------------------------------------------------------------------


def test_a_config_is_checked_without_being_saved(team: Team) -> None:
    status, good = team.api.post("/configs/validate", {"config": "provider: mock\nretry: {count: 2}"})
    assert (status, good["valid"], good["config"]) == (200, True, {"provider": "mock", "retry": {"attempts": 2}})
    status, bad = team.api.post("/configs/validate", {"config": {"targets": [{"virtual_key": "openai-prd"}]}})
    assert (status, bad["valid"], bad["error"]["param"]) == (200, False, "targets[0].virtual_key")
    assert "openai-prod" in bad["error"]["message"]
    assert team.api.get("/configs")[1]["total"] == 1


@pytest.mark.parametrize("slug", ["dry-run", "validate"])
def test_no_config_takes_the_name_of_a_path(team: Team, slug: str) -> None:
    status, answer = team.api.post("/configs", {"name": "n", "config": {"provider": "mock"}, "slug": slug})
    assert (status, answer["error"]["param"]) == (400, "slug")


def test_a_config_names_only_virtual_keys_that_are_there(team: Team) -> None:
    unknown = {"strategy": "fallback", "targets": [{"virtual_key": "openai-prod"}, {"virtual_key": "opnai-prod"}]}
    for status, answer in (
        team.api.post("/configs", {"name": "n", "config": unknown}),
        team.api.put(f"/configs/{team.config.slug}", {"config": unknown}),
    ):
        assert (status, answer["error"]["code"]) == (400, "unknown_virtual_key")
        assert answer["error"]["param"] == "targets[1].virtual_key"
        assert 'did you mean "openai-prod"?' in answer["error"]["message"]
