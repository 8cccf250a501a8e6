"""What the forms take, what they refuse, and where they show it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from analytics.forms import LogFilterForm
from keys import actions, policy, vault
from keys.models import ApiKey, VirtualKey, Workspace
from routing.actions import create_config
from routing.models import Config

LogIn = Callable[..., Client]


@pytest.fixture
def owner(log_in: LogIn) -> Client:
    return log_in("owner")


def _errors(answer: Any) -> dict[str, list[str]]:
    assert answer.status_code == 422
    return {name: [str(error) for error in errors] for name, errors in answer.context["form"].errors.items()}


# --- Virtual keys -----------------------------------------------------------------------------------------------------

NEW_KEY = {
    "name": "OpenAI prod",
    "provider": "openai",
    "key": "sk-live-0123456789abcdef",
    "custom_host": "",
    "note": "",
    "slug": "",
}


def test_a_virtual_key_is_stored_under_a_slug_of_its_name(owner: Client) -> None:
    assert owner.post("/console/new-virtual-key", NEW_KEY)["Location"] == "/console/virtual-keys"
    key = VirtualKey.objects.get()
    assert (key.slug, vault.decrypt(key.secret), key.created_by and key.created_by.email) == (
        "openai-prod",
        NEW_KEY["key"],
        "owner@acme.example",
    )


@pytest.mark.parametrize(
    ("changed", "field", "message"),
    [
        ({"name": ""}, "name", "This field is required."),
        ({"key": ""}, "key", "This field is required."),
        ({"provider": "nobody"}, "provider", "There is no such provider. Choose one from the list."),
        ({"slug": "Not A Slug"}, "slug", "Enter a valid “slug” consisting of letters, numbers, underscores or hyphens."),
    ],
)
def test_a_wrong_field_says_so_beside_it(owner: Client, changed: dict[str, str], field: str, message: str) -> None:
    assert _errors(owner.post("/console/new-virtual-key", {**NEW_KEY, **changed})) == {field: [message]}
    assert not VirtualKey.objects.exists()


def test_what_the_action_refuses_stands_beside_its_field(owner: Client) -> None:
    owner.post("/console/new-virtual-key", NEW_KEY)
    assert _errors(owner.post("/console/new-virtual-key", {**NEW_KEY, "slug": "openai-prod"})) == {
        "slug": ["This is taken already."]
    }
    errors = _errors(owner.post("/console/new-virtual-key", {**NEW_KEY, "custom_host": "ftp://host"}))
    assert list(errors) == ["custom_host"]


def test_a_key_is_never_sent_back_into_its_field(owner: Client) -> None:
    answer = owner.post("/console/new-virtual-key", {**NEW_KEY, "name": ""})
    assert NEW_KEY["key"] not in answer.content.decode()


def test_an_edit_keeps_the_key_unless_a_new_one_is_given(owner: Client) -> None:
    owner.post("/console/new-virtual-key", NEW_KEY)
    fields = {"name": "Prod", "note": "ours", "key": "", "custom_host": ""}
    assert owner.post("/console/virtual-keys/openai-prod", fields).status_code == 302
    assert vault.decrypt(VirtualKey.objects.get().secret) == NEW_KEY["key"]
    owner.post("/console/virtual-keys/openai-prod", {**fields, "key": "sk-rotated-0123456789"})
    assert vault.decrypt(VirtualKey.objects.get().secret) == "sk-rotated-0123456789"


def test_a_new_host_needs_the_key_again(owner: Client) -> None:
    owner.post("/console/new-virtual-key", NEW_KEY)
    fields = {"name": "Prod", "note": "", "key": "", "custom_host": "https://elsewhere.example/v1"}
    errors = _errors(owner.post("/console/virtual-keys/openai-prod", fields))
    assert list(errors) == ["custom_host"]
    assert "only be changed together with the key" in errors["custom_host"][0]


def test_a_list_is_searched_word_by_word_and_paged(owner: Client, workspace: Workspace) -> None:
    for number in range(30):
        actions.create_virtual_key(
            workspace=workspace,
            name=f"Key {number:02}",
            provider="mock",
            key="",
            actor=actions.SYSTEM,
            note="even" * (1 - number % 2),
        )
    first = owner.get("/console/virtual-keys").content.decode()
    assert "Page 1 of 2" in first
    assert "30 entries" in first
    found = owner.get("/console/virtual-keys", {"q": "KEY even 1"}).content.decode()
    assert "Key 10" in found
    assert "Key 11" not in found
    assert "Nothing found" in owner.get("/console/virtual-keys", {"q": "\0 nothing like it"}).content.decode()


# --- API keys ---------------------------------------------------------------------------------------------------------

NEW_API_KEY = {
    "name": "ci",
    "preset": "inference",
    "requests_per_minute": "",
    "monthly_budget": "",
    "default_config": "",
    "expires_on": "",
}


def test_an_api_key_is_shown_once_with_its_limits_stored(owner: Client, workspace: Workspace) -> None:
    create_config(workspace=workspace, name="Main", config={"provider": "mock"}, actor=actions.SYSTEM, slug="main")
    tomorrow = timezone.now().date() + dt.timedelta(days=1)
    limited = {
        "requests_per_minute": "60",
        "monthly_budget": "12.50",
        "default_config": "main",
        "expires_on": tomorrow.isoformat(),
    }
    answer = owner.post("/console/new-api-key", {**NEW_API_KEY, **limited})
    raw = answer.context["raw"]
    assert raw in answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    assert raw not in owner.get("/console/api-keys").content.decode()
    key = ApiKey.objects.get()
    assert key.key_hash == actions.hash_api_key(raw)
    assert key.scopes == ["completions.write"]
    assert key.rate_limits == [{"type": "requests", "unit": "rpm", "value": 60}]
    assert key.usage_limits == {"credit_limit": 12.5, "periodic_reset": "monthly"}
    assert key.defaults == {"config_id": "main"}
    assert key.expires_at == dt.datetime.combine(tomorrow, dt.time(23, 59, 59), dt.UTC)


def test_the_admin_preset_gives_every_scope(owner: Client) -> None:
    owner.post("/console/new-api-key", {**NEW_API_KEY, "preset": "admin"})
    assert set(ApiKey.objects.get().scopes) == policy.ALL_SCOPES


def test_a_past_day_is_refused_beside_its_field(owner: Client) -> None:
    answer = owner.post("/console/new-api-key", {**NEW_API_KEY, "expires_on": "2020-01-01"})
    assert _errors(answer) == {"expires_on": ["must be in the future"]}


def test_revoking_asks_first_and_leaves_the_key_in_the_list(owner: Client, workspace: Workspace) -> None:
    key, _ = actions.create_api_key(workspace=workspace, name="ci", actor=actions.SYSTEM)
    assert "Revoke the API key ci?" in owner.get(f"/console/api-keys/{key.pk}/revoke").content.decode()
    assert owner.post(f"/console/api-keys/{key.pk}/revoke").status_code == 302
    key.refresh_from_db()
    assert key.revoked_at is not None
    assert "Revoked" in owner.get("/console/api-keys").content.decode()


# --- Configs ----------------------------------------------------------------------------------------------------------


def test_a_refused_config_names_the_place_and_keeps_the_text(owner: Client) -> None:
    body = '{"targets": [{"provider": "mock", "retryy": 1}]}'
    answer = owner.post("/console/new-config", {"name": "Main", "body": body, "comment": ""})
    assert answer.context["form"].fault.path == "targets[0].retryy"
    assert "did you mean" in _errors(answer)["body"][0]
    assert "retryy" in answer.content.decode()


def test_text_that_is_no_json_says_where_it_ends(owner: Client) -> None:
    errors = _errors(owner.post("/console/new-config", {"name": "Main", "body": '{"provider": "mock"', "comment": ""}))
    assert "line 1, column 20" in errors["body"][0]


def test_a_config_gains_versions_and_an_old_one_comes_back(owner: Client) -> None:
    owner.post("/console/new-config", {"name": "Main", "body": '{"provider": "mock"}', "comment": "first"})
    config = Config.objects.get()
    place = f"/console/configs/{config.slug}"
    changed = {"name": "Main", "body": '{"provider": "openai"}', "comment": "second"}
    assert owner.post(place, changed)["Location"] == place
    assert "so there is no new version" in owner.post(place, changed, follow=True).content.decode()
    restored = owner.post(f"{place}/versions/1/restore", follow=True).content.decode()
    assert "Version 1 is in force again, as version 3." in restored
    config.refresh_from_db()
    assert (config.version, config.versions.get(number=3).body) == (3, {"provider": "mock"})
    assert owner.get(f"{place}/versions/9").status_code == 404


def test_an_editor_opened_before_a_colleague_saved_overwrites_nothing(owner: Client) -> None:
    owner.post("/console/new-config", {"name": "Main", "body": '{"provider": "mock"}', "comment": ""})
    place = f"/console/configs/{Config.objects.get().slug}"
    base = owner.get(place).context["form"]["base"].value()
    mine = {"name": "Main", "body": '{"provider": "openai"}', "comment": "", "base": base}
    owner.post(place, {**mine, "body": '{"provider": "anthropic"}'})
    assert "Version 2 was saved meanwhile." in _errors(owner.post(place, mine))["__all__"][0]
    assert Config.objects.get().version == 2


def test_a_config_in_use_says_by_whom_and_stays(owner: Client, workspace: Workspace) -> None:
    config, _ = create_config(workspace=workspace, name="Main", config={"provider": "mock"}, actor=actions.SYSTEM)
    actions.create_api_key(workspace=workspace, name="checkout", actor=actions.SYSTEM, defaults={"config_id": config.slug})
    answer = owner.post(f"/console/configs/{config.slug}/delete")
    assert answer.status_code == 409
    assert "checkout" in answer.content.decode()
    assert Config.objects.exists()


# --- Filters of the log -----------------------------------------------------------------------------------------------


def _filters(**given: str) -> LogFilterForm:
    form = LogFilterForm(given, api_keys=[])
    form.is_valid()
    return form


def test_filters_are_read_from_the_url() -> None:
    form = _filters(status="4xx", provider="mock", metadata="user=ada", started_from="2026-01-31T12:00")
    assert form.errors == {}
    assert (form.filters.status_class, form.filters.provider, form.filters.metadata) == (4, "mock", {"user": "ada"})
    assert form.filters.started_from == dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
    assert form.is_active
    assert form.uses_more


def test_a_range_reaches_back_from_now_and_never_behind_the_start() -> None:
    hour_ago = timezone.now() - dt.timedelta(hours=1)
    since = _filters(range="1h").filters.started_from
    assert since is not None
    assert abs(since - hour_ago) < dt.timedelta(seconds=5)
    late = (timezone.now() - dt.timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M")
    narrowed = _filters(range="1h", started_from=late).filters.started_from
    assert narrowed is not None
    assert narrowed > since


@pytest.mark.parametrize(("name", "value"), [("status", "many"), ("metadata", "ada"), ("provider", "nobody"), ("range", "1y")])
def test_a_filter_that_means_nothing_says_so(name: str, value: str) -> None:
    assert list(_filters(**{name: value}).errors) == [name]


def test_a_wrong_cursor_is_refused_with_a_page(owner: Client) -> None:
    answer = owner.get("/console/logs", {"cursor": "made up"})
    assert answer.status_code == 422
    assert "cursor" in answer.content.decode()
