"""Who sees which page: by login, by role, by workspace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client, override_settings
from django.urls import reverse

from keys import actions, guesses
from keys.models import ApiKey, Member, User, VirtualKey, Workspace
from routing.actions import create_config
from routing.models import Config
from tests.console.conftest import PASSWORD

LogIn = Callable[..., Client]
SECRET = "sk-live-0123456789abcdefSECRET"


@pytest.fixture
def virtual_key(workspace: Workspace) -> VirtualKey:
    return actions.create_virtual_key(
        workspace=workspace, name="OpenAI prod", provider="openai", key=SECRET, actor=actions.SYSTEM
    )


@pytest.fixture
def config(workspace: Workspace, virtual_key: VirtualKey) -> Config:
    made, _ = create_config(workspace=workspace, name="Main", config={"virtual_key": "openai-prod"}, actor=actions.SYSTEM)
    return made


@pytest.fixture
def api_key(workspace: Workspace) -> ApiKey:
    key, _ = actions.create_api_key(workspace=workspace, name="ci", actor=actions.SYSTEM)
    return key


def _pages(virtual_key: VirtualKey, config: Config, api_key: ApiKey) -> dict[str, tuple[Any, ...]]:
    return {
        "home": (),
        "logs": (),
        "virtual_keys": (),
        "virtual_key_new": (),
        "virtual_key": (virtual_key.slug,),
        "virtual_key_delete": (virtual_key.slug,),
        "api_keys": (),
        "api_key_new": (),
        "api_key_revoke": (api_key.pk,),
        "configs": (),
        "config_new": (),
        "config": (config.slug,),
        "config_delete": (config.slug,),
        "config_version": (config.slug, 1),
    }


def test_visitors_are_sent_to_log_in_and_back(virtual_key: VirtualKey, config: Config, api_key: ApiKey) -> None:
    for name, args in _pages(virtual_key, config, api_key).items():
        path = reverse(f"console:{name}", args=args)
        answer = Client().get(path)
        assert answer.status_code == 302, path
        assert answer["Location"] == f"/login?next={path}"


def test_the_login_page_costs_visitors_no_query(workspace: Workspace, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        assert Client().get("/login").status_code == 200
    with django_assert_num_queries(0):
        assert Client().get("/nowhere").status_code == 404


def test_pages_of_other_workspaces_do_not_exist(
    log_in: LogIn, virtual_key: VirtualKey, config: Config, api_key: ApiKey
) -> None:
    stranger = log_in("owner", of=actions.create_workspace(slug="other", name="Other"))
    for name, args in _pages(virtual_key, config, api_key).items():
        expected = 404 if args else 200
        assert stranger.get(reverse(f"console:{name}", args=args)).status_code == expected, name


def test_owners_see_every_page_and_no_secret(log_in: LogIn, virtual_key: VirtualKey, config: Config, api_key: ApiKey) -> None:
    owner = log_in("owner")
    for name, args in _pages(virtual_key, config, api_key).items():
        answer = owner.get(reverse(f"console:{name}", args=args))
        assert answer.status_code == 200, name
        assert SECRET not in answer.content.decode(), name
        assert "no-store" in answer["Cache-Control"], name


def test_viewers_see_lists_and_change_nothing(log_in: LogIn, virtual_key: VirtualKey, config: Config, api_key: ApiKey) -> None:
    viewer = log_in("viewer")
    pages = _pages(virtual_key, config, api_key)
    seen = {name for name, args in pages.items() if viewer.get(reverse(f"console:{name}", args=args)).status_code == 200}
    assert seen == {"home", "logs", "virtual_keys", "virtual_key", "api_keys", "configs", "config", "config_version"}
    for name in set(pages) - {"home", "logs"}:
        refused = viewer.post(reverse(f"console:{name}", args=pages[name]), {"name": "changed"})
        assert refused.status_code in {403, 405}, name
    assert viewer.post(reverse("console:config_restore", args=[config.slug, 1])).status_code == 403
    assert "New virtual key" not in viewer.get(reverse("console:virtual_keys")).content.decode()


def test_editors_change_keys_of_providers_but_make_no_api_keys(log_in: LogIn, virtual_key: VirtualKey) -> None:
    editor = log_in("editor")
    fields = {"name": "Renamed", "note": "", "key": "", "custom_host": ""}
    assert editor.post(reverse("console:virtual_key", args=["openai-prod"]), fields).status_code == 302
    virtual_key.refresh_from_db()
    assert virtual_key.name == "Renamed"
    assert editor.get(reverse("console:api_key_new")).status_code == 403


def test_people_without_a_workspace_are_told_so(workspace: Workspace, log_in: LogIn) -> None:
    client = log_in("viewer")
    Member.objects.all().delete()
    answer = client.get("/")
    assert answer.status_code == 403
    assert "You belong to no workspace." in answer.content.decode()


def test_a_member_of_two_workspaces_switches_between_them(workspace: Workspace, log_in: LogIn) -> None:
    client = log_in("owner")
    second = actions.create_workspace(slug="second", name="Second team")
    Member.objects.create(workspace=second, user=User.objects.get(email="owner@acme.example"), role="viewer")
    assert 'aria-current="true"><span class="gh-ellipsis">Acme' in client.get("/").content.decode()
    client.post("/console/workspace", {"workspace": str(second.pk)})
    assert 'aria-current="true"><span class="gh-ellipsis">Second team' in client.get("/").content.decode()
    client.post("/console/workspace", {"workspace": "00000000-0000-0000-0000-000000000000"})
    assert 'aria-current="true"><span class="gh-ellipsis">Second team' in client.get("/").content.decode()


def test_wrong_passwords_are_refused_and_then_slowed_down(workspace: Workspace, log_in: LogIn) -> None:
    log_in("owner")
    client = Client(REMOTE_ADDR="203.0.113.9")
    wrong = {"username": "owner@acme.example", "password": "wrong"}
    for _ in range(guesses.PER_ACCOUNT):
        assert "The e-mail address or the password is wrong." in client.post("/login", wrong).content.decode()
    right = {**wrong, "password": PASSWORD}
    assert "Too many wrong passwords." in client.post("/login", right).content.decode()
    assert Client(REMOTE_ADDR="203.0.113.10").post("/login", right).status_code == 302
    guesses.forget("203.0.113.9", "OWNER@acme.example")
    assert client.post("/login", {**right, "username": "OWNER@acme.example"}).status_code == 302


@override_settings(REDIS_URL="redis://127.0.0.1:1/0")
def test_without_redis_people_can_still_log_in(workspace: Workspace, log_in: LogIn) -> None:
    log_in("owner")
    answer = Client().post("/login", {"username": "owner@acme.example", "password": PASSWORD, "next": "/console/logs"})
    assert answer["Location"] == "/console/logs"


def test_login_leads_to_no_other_site(workspace: Workspace, log_in: LogIn) -> None:
    log_in("owner")
    fields = {"username": "owner@acme.example", "password": PASSWORD, "next": "https://evil.example/"}
    assert Client().post("/login", fields)["Location"] == "/"


def test_a_form_without_its_token_is_refused_with_a_page(workspace: Workspace) -> None:
    answer = Client(enforce_csrf_checks=True).post("/login", {"username": "a@b.example", "password": "x"})
    assert answer.status_code == 403
    assert "The form has expired" in answer.content.decode()


def test_a_fault_of_ours_shows_a_page_and_no_details(log_in: LogIn, monkeypatch: pytest.MonkeyPatch) -> None:
    client = log_in("owner")
    client.raise_request_exception = False
    monkeypatch.setattr("keys.queries.list_virtual_keys", lambda workspace: 1 / 0)
    answer = client.get("/console/virtual-keys")
    assert answer.status_code == 500
    assert "Something went wrong" in answer.content.decode()
    assert "ZeroDivisionError" not in answer.content.decode()
