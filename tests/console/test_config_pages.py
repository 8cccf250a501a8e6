"""The pages of configs without a browser: history, differences, labels, checks, dry run, and who may do what."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from keys import actions as key_actions
from keys.models import AuditEvent, Workspace
from routing import trial
from routing.actions import check_config, create_config, set_label, update_config
from routing.health import OpenBreaker, subject
from routing.models import Config
from routing.pages.reasons import reason
from routing.pages.texts import line_of, templates
from routing.plan import resolve

SYSTEM = key_actions.SYSTEM
FIRST = {"targets": [{"provider": "mock", "weight": 30}, {"provider": "mock", "name": "second"}], "strategy": "loadbalance"}
SECOND = {"targets": [{"provider": "mock", "weight": 75}, {"provider": "mock", "name": "second"}], "strategy": "loadbalance"}


@pytest.fixture
def owner(log_in: Callable[..., Client]) -> Client:
    return log_in("owner")


@pytest.fixture
def config(workspace: Workspace) -> Config:
    made, _ = create_config(workspace=workspace, name="Main", config=FIRST, actor=SYSTEM, comment="first")
    return update_config(made, body=SECOND, actor=SYSTEM, comment="more for the first")[0]


def place(name: str, *args: Any) -> str:
    return reverse(f"console:{name}", args=args)


def text(answer: Any) -> str:
    return str(answer.content.decode())


# --- Who sees what ----------------------------------------------------------------------------------------------------


def _reads(config: Config) -> dict[str, tuple[Any, ...]]:
    return {"config_history": (config.slug,), "config_diff": (config.slug,), "config_breakers": (config.slug,)}


def test_pages_of_other_workspaces_do_not_exist(log_in: Callable[..., Client], config: Config) -> None:
    set_label(config, "production", 1, actor=SYSTEM)
    stranger = log_in("owner", of=key_actions.create_workspace(slug="other", name="Other"))
    for name, args in _reads(config).items():
        assert stranger.get(place(name, *args)).status_code == 404, name
    assert stranger.post(place("config_label", config.slug), {"label": "x", "version": 1}).status_code == 404
    assert stranger.post(place("config_label_delete", config.slug, "production")).status_code == 404
    assert stranger.post(place("config_restore", config.slug, 1)).status_code == 404


def test_viewers_read_the_history_and_move_nothing(log_in: Callable[..., Client], config: Config) -> None:
    set_label(config, "production", 1, actor=SYSTEM)
    viewer = log_in("viewer")
    for name, args in _reads(config).items():
        assert viewer.get(place(name, *args)).status_code == 200, name
    assert "Roll back" not in text(viewer.get(place("config_history", config.slug)))
    assert viewer.post(place("config_label", config.slug), {"label": "x", "version": 1}).status_code == 403
    assert viewer.post(place("config_label_delete", config.slug, "production")).status_code == 403
    assert viewer.post(place("config_delete", config.slug), {"confirm": config.slug}).status_code == 403
    # A dry run changes nothing and calls nobody. It takes the config from a field, which viewers have too.
    assert '<textarea class="d-none" id="id_body" name="body" hidden' in text(viewer.get(place("config", config.slug)))
    assert viewer.post(place("config_dry_run"), {"body": '{"provider": "mock"}', "request": "{}"}).status_code == 200


def test_visitors_are_sent_to_log_in(config: Config) -> None:
    for path in (place("config_history", config.slug), place("config_diff", config.slug)):
        assert Client().get(path)["Location"].startswith("/login")


# --- History ----------------------------------------------------------------------------------------------------------


def test_the_history_tells_author_comment_checksum_and_labels(owner: Client, config: Config) -> None:
    set_label(config, "production", 1, actor=SYSTEM)
    page = text(owner.get(place("config_history", config.slug)))
    for version in config.versions.all():
        assert version.checksum in page
        assert version.comment in page
    assert "production" in page
    assert "system" in page


def test_the_differences_stand_beside_each_other(owner: Client, config: Config) -> None:
    answer = owner.get(place("config_diff", config.slug), {"before": 1, "after": 2})
    assert [(change["path"], change["before"], change["after"]) for change in answer.context["changes"]] == [
        ("/targets/0/weight", "30", "75")
    ]
    assert "<del>30</del>" in text(answer)
    assert "<ins>75</ins>" in text(answer)
    same = owner.get(place("config_diff", config.slug), {"before": 2, "after": 2})
    assert "They say the same" in text(same)


@pytest.mark.parametrize(
    "chosen", [{"before": 1}, {"before": 0, "after": 1}, {"before": 1, "after": 3}, {"before": "x", "after": 1}]
)
def test_versions_that_are_not_there_are_not_compared(owner: Client, config: Config, chosen: dict[str, Any]) -> None:
    answer = owner.get(place("config_diff", config.slug), chosen)
    assert answer.status_code == 422
    assert answer.context["compare"].errors


def test_what_a_config_says_is_shown_as_text(owner: Client, workspace: Workspace) -> None:
    nasty = "<script>alert(1)</script>"
    made, _ = create_config(
        workspace=workspace, name=nasty, config={"provider": "mock", "name": nasty}, actor=SYSTEM, comment=nasty
    )
    update_config(made, body={"provider": "mock", "name": f"{nasty}2"}, actor=SYSTEM)
    for path in ("config", "config_history", "config_diff"):
        assert nasty not in text(owner.get(place(path, made.slug))), path


def test_a_version_that_could_not_be_saved_today_does_not_come_back(owner: Client, workspace: Workspace) -> None:
    key = key_actions.create_virtual_key(workspace=workspace, name="gone", provider="mock", key="", actor=SYSTEM)
    made, _ = create_config(workspace=workspace, name="Main", config={"virtual_key": "gone"}, actor=SYSTEM)
    update_config(made, body={"provider": "mock"}, actor=SYSTEM)
    key_actions.delete_virtual_key(key, actor=SYSTEM)
    page = text(owner.post(place("config_restore", made.slug, 1), follow=True))
    assert "Version 1 cannot come back" in page
    assert Config.objects.get(pk=made.pk).version == 2


# --- Labels and use ---------------------------------------------------------------------------------------------------


def test_a_label_is_set_moved_and_taken_away(owner: Client, config: Config) -> None:
    for number in (1, 2):
        answer = owner.post(place("config_label", config.slug), {"label": "production", "version": number}, follow=True)
        assert f"production points at version {number}." in text(answer)
    assert AuditEvent.objects.filter(action="config.label.set").count() == 2
    assert "Take the label production away?" in text(owner.get(place("config_label_delete", config.slug, "production")))
    owner.post(place("config_label_delete", config.slug, "production"))
    assert not config.labels.exists()


@pytest.mark.parametrize(("label", "version", "field"), [("Prod", 1, "label"), ("7", 1, "label"), ("ok", 9, "version")])
def test_a_wrong_label_says_so_beside_its_field(owner: Client, config: Config, label: str, version: int, field: str) -> None:
    answer = owner.post(place("config_label", config.slug), {"label": label, "version": version})
    assert answer.status_code == 422
    assert field in answer.context["label_form"].errors


def test_what_is_in_use_goes_only_when_its_name_is_typed(owner: Client, config: Config, workspace: Workspace) -> None:
    set_label(config, "production", 1, actor=SYSTEM)
    default = {"config_id": f"{config.slug}@production"}
    key_actions.create_api_key(workspace=workspace, name="checkout", actor=SYSTEM, defaults=default)
    assert "checkout" in text(owner.get(place("config", config.slug)))
    for path, name in (
        (place("config_label_delete", config.slug, "production"), "production"),
        (place("config_delete", config.slug), config.slug),
    ):
        for typed in ("", "something else"):
            refused = owner.post(path, {"confirm": typed})
            assert refused.status_code == 409
            assert "checkout" in text(refused)
        assert owner.post(path, {"confirm": name}).status_code == 302
    assert not Config.objects.exists()


# --- The editor -------------------------------------------------------------------------------------------------------


def test_every_template_can_be_saved_as_it_is(workspace: Workspace) -> None:
    for _ in range(3):
        for name, _title, body in templates(workspace):
            assert check_config(workspace, body), name
        key_actions.create_virtual_key(workspace=workspace, name="next", provider="mock", key="", actor=SYSTEM)


def test_the_editor_is_told_what_is_wrong_and_in_which_line(owner: Client) -> None:
    body = '{\n  "targets": [\n    {"provider": "mock"},\n    {"provider": "mock", "rety": 1}\n  ]\n}'
    page = text(owner.post(place("config_check"), {"body": body}))
    assert 'data-line="4"' in page
    assert "targets[1].rety" in page
    assert 'data-line="2"' in text(owner.post(place("config_check"), {"body": '{\n  "provider": "mock" "x"\n}'}))
    assert "Can be saved" in text(owner.post(place("config_check"), {"body": '{"provider": "mock"}'}))
    unknown = text(owner.post(place("config_check"), {"body": '{"virtual_key": "nobody"}'}))
    assert "there is no virtual key" in unknown


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("strategy", 2),
        ("strategy.mode", 3),
        ("strategy.nothing", 2),
        ("targets[0]", 6),
        ("targets[0].weight", 6),
        ("targets[1].override_params.stop[1]", 9),
        ("targets[1].provider", 7),
        ("targets[5].x", 5),
        ("nothing", None),
        ("", None),
    ],
)
def test_a_path_has_a_line(path: str, line: int | None) -> None:
    body = (
        '{\n  "strategy": {\n    "mode": "a,}]{[\\"x"\n  },\n  "targets": [\n    {"weight": 1},\n    {\n'
        '      "override_params": {"stop": ["a",\n        "b"]}}\n  ]\n}'
    )
    assert line_of(body, path) == line


@pytest.mark.parametrize("body", ["", "{", "]", "}{", '{"a"', '{"a": [1, {"b"', "provider: mock", '"', "\\"])
def test_looking_for_a_line_survives_any_text(body: str) -> None:
    assert line_of(body, "a[0].b.c") in {None, 1}


def test_yaml_becomes_json_in_the_editor_and_when_saved(owner: Client) -> None:
    yaml = "strategy: fallback\ntargets:\n  - provider: mock\n  - provider: mock\n    weight: 2\n"
    answer = owner.post(place("config_convert"), {"body": yaml})
    assert '"strategy": "fallback"' in text(answer)
    assert owner.post(place("config_convert"), {"body": "a: [1"}).status_code == 422
    owner.post(place("config_new"), {"name": "From YAML", "body": yaml, "comment": ""})
    assert Config.objects.get().versions.get().body["strategy"] == {"mode": "fallback"}


# --- The dry run ------------------------------------------------------------------------------------------------------

REQUEST = '{"body": {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}}'


def test_the_panel_shows_order_and_reasons(owner: Client) -> None:
    body = '{"strategy": "fallback", "targets": [{"provider": "mock", "name": "one"}, {"provider": "openai"}]}'
    page = text(owner.post(place("config_dry_run"), {"body": body, "request": REQUEST}))
    assert page.index("one") < page.index("openai")
    assert "tried first" in page
    assert "There is no credential for openai" in page


REASONS = {
    '{"provider": "mock"}': ["the only target"],
    '{"strategy": "fallback", "targets": [{"provider": "mock"}, {"provider": "mock"}]}': [
        "first of 2 in a fallback",
        "after a failure of the one before it, of 2 in a fallback",
    ],
    '{"strategy": "loadbalance", "targets": [{"provider": "mock"}]}': ["drawn by its share of 100.0%"],
    '{"strategy": {"mode": "loadbalance", "sticky": {"hash_fields": ["params.model"]}}, "targets": [{"provider": "mock"}]}': [
        "chosen by params.model, with a share of 100.0%"
    ],
    '{"targets": [{"provider": "mock", "conditions": {"max_tokens": 5}}]}': [
        "it takes calls for at most 5 tokens, and this one asks for 9"
    ],
    '{"strategy": {"mode": "conditional", "conditions": [{"query": {"params.model": "m; n"}, "then": "a"}], "default": "a"},'
    ' "targets": [{"name": "a", "strategy": "fallback", "targets": [{"provider": "mock"}]}]}': [
        "the default, since no condition holds; first of 1 in a fallback"
    ],
}


@pytest.mark.parametrize("body", REASONS)
def test_every_reason_of_the_walk_is_told_in_the_readers_words(owner: Client, body: str) -> None:
    request_text = '{"body": {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}}'
    answer = owner.post(place("config_dry_run"), {"body": body, "request": request_text})
    assert [told for _, told in answer.context["targets"]] == REASONS[body]
    chinese = owner.post(place("config_dry_run"), {"body": body, "request": request_text}, headers={"accept-language": "zh-CN"})
    for _, told in chinese.context["targets"]:
        assert not re.search(r"\b(first|failure|share|target|condition|takes)\b", told), told


def test_a_target_that_waits_for_a_failure_says_for_which(owner: Client) -> None:
    dear = '{"virtual_key": "dear", "conditions": {"fallback_on": ["timeout", 429]}}'
    body = f'{{"strategy": "least_cost", "targets": [{dear}, {dear}]}}'
    workspace = Workspace.objects.get()
    key_actions.create_virtual_key(workspace=workspace, name="dear", provider="mock", key="", actor=SYSTEM)
    answer = owner.post(place("config_dry_run"), {"body": body, "request": REQUEST})
    said = "it is used only after a failure of these kinds: 429, timeout"
    assert [told for _, told in answer.context["targets"]] == [said, said]


def test_a_condition_may_look_like_the_end_of_a_reason() -> None:
    assert reason('the condition {"a": "x holds; first"} holds; the only target') == (
        'the condition {"a": "x holds; first"} holds; the only target'
    )
    assert reason("the only target; something new") == "the only target; something new"


@pytest.mark.parametrize(
    ("body", "request_text", "said"),
    [
        ("{", REQUEST, "not valid JSON"),
        ("[]", REQUEST, "not an object"),
        ('{"provider": "mock"}', "{", "The request is not valid JSON"),
        ('{"provider": "mock"}', "[]", "must be an object"),
        ('{"provider": "mock"}', '{"body": {}}', "Missing required parameter"),
        ('{"virtual_key": "nobody"}', REQUEST, "There is no virtual key"),
    ],
)
def test_the_panel_says_why_nothing_can_be_run(owner: Client, body: str, request_text: str, said: str) -> None:
    page = text(owner.post(place("config_dry_run"), {"body": body, "request": request_text}))
    assert "The call would be refused" in page
    assert said in page


def test_a_target_that_is_left_alone_is_named_with_its_end(
    owner: Client, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"cb_config": {"failure_threshold": 2}, "targets": [{"provider": "mock", "name": "pier"}]}
    made, _ = create_config(workspace=workspace, name="Guarded", config=body, actor=SYSTEM)
    caller = trial._caller(workspace, SYSTEM)
    headers = {"x-portkey-config": made.slug}
    root: Any = resolve(headers, caller, None, trial.load_workspace(str(workspace.pk))).root
    target = root.children[0]
    now = trial.time.time()
    opened = OpenBreaker(
        subject(str(workspace.pk), target).id, str(workspace.pk), "mock", "x", None, None, now - 5, now + 25, 2, False
    )
    for known, said in (([opened], "pier"), ([], ""), (None, "Redis does not answer")):
        monkeypatch.setattr(trial, "breakers", lambda _workspace, known=known: known)
        page = text(owner.get(place("config_breakers", made.slug)))
        assert said in page
        assert ("open breaker" in page) == (known == [opened])
