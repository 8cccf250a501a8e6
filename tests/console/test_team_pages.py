"""Members, invitations, one's account, and the pages of keys that are there already."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.test import Client

from keys import actions, queries
from keys.models import ApiKey, Invitation, Member, User, VirtualKey, Workspace
from tests.console.conftest import PASSWORD

LogIn = Callable[..., Client]
NEW = "another long passphrase"


def invited(client: Client, email: str = "new@acme.example", role: str = "editor") -> str:
    answer = client.post("/console/members", {"email": email, "role": role})
    found = re.search(r"/invitations/[\w-]+", answer.content.decode())
    assert found is not None
    return found[0]


def test_an_invited_person_joins_with_a_password_and_is_in(log_in: LogIn) -> None:
    owner = log_in("owner")
    link = invited(owner)
    assert link not in owner.get("/console/members").content.decode(), "the link is shown twice"
    visitor = Client()
    page = visitor.get(link)
    assert "Join Acme" in page.content.decode()
    assert (page["Referrer-Policy"], "no-store" in page["Cache-Control"]) == ("no-referrer", True)
    assert visitor.post(link, {"password": "short"}).status_code == 422
    assert visitor.post(link, {"password": NEW})["Location"] == "/"
    assert visitor.get("/").status_code == 200
    assert Member.objects.get(user__email="new@acme.example").role == "editor"
    assert Client().get(link).status_code == 404


def test_somebody_elses_session_does_not_take_an_invitation(log_in: LogIn) -> None:
    owner, viewer = log_in("owner"), log_in("viewer")
    link = invited(owner)
    assert viewer.post(link, {"password": NEW}).status_code == 422
    assert Invitation.objects.get().accepted_at is None


def test_who_has_an_account_logs_in_to_accept(log_in: LogIn) -> None:
    owner = log_in("owner")
    other = log_in("admin", of=actions.create_workspace(slug="other", name="Other"))
    link = invited(owner, "ADMIN@other.example")
    assert f"/login?next={link}" in Client().get(link).content.decode()
    assert Client().post(link, {"password": NEW}).status_code == 422
    assert other.post(link)["Location"] == "/"
    assert "Acme" in other.get("/").content.decode()


def test_roles_are_changed_and_members_removed(log_in: LogIn) -> None:
    owner = log_in("owner")
    log_in("viewer")
    viewer, me = User.objects.get(email="viewer@acme.example"), User.objects.get(email="owner@acme.example")
    owner.post(f"/console/members/{viewer.pk}/role", {"role": "editor"})
    assert Member.objects.get(user=viewer).role == "editor"
    assert owner.post(f"/console/members/{viewer.pk}/remove").status_code == 302
    assert not Member.objects.filter(user=viewer).exists()
    refused = owner.post(f"/console/members/{me.pk}/remove")
    assert refused.status_code == 422
    assert "The last owner of a workspace stays one" in refused.content.decode()


def test_a_new_password_ends_other_sessions_and_not_this_one(log_in: LogIn) -> None:
    here, elsewhere = log_in("viewer"), Client()
    elsewhere.force_login(User.objects.get(email="viewer@acme.example"))
    fields = {"form": "password", "old_password": PASSWORD, "new_password1": NEW, "new_password2": NEW}
    assert here.post("/console/account", {**fields, "old_password": "wrong"}).status_code == 422
    assert here.post("/console/account", fields).status_code == 302
    assert [client.get("/").status_code for client in (here, elsewhere)] == [200, 302]


def test_an_owner_founds_another_workspace_and_is_in_it(log_in: LogIn) -> None:
    owner, viewer = log_in("owner"), log_in("viewer")
    assert owner.post("/console/account", {"form": "workspace", "name": "Acme"}).status_code == 302
    assert Workspace.objects.filter(name="Acme").count() == 2
    assert viewer.post("/console/account", {"form": "workspace", "name": "Mine"}).status_code == 403


@pytest.fixture
def api_key(workspace: Workspace) -> ApiKey:
    return actions.create_api_key(workspace=workspace, name="ci", actor=actions.SYSTEM, defaults={"metadata": {"team": "a"}})[0]


def test_an_api_key_is_confined_in_the_console_and_keeps_what_the_form_does_not_show(log_in: LogIn, api_key: ApiKey) -> None:
    owner, path = log_in("owner"), f"/console/api-keys/{api_key.pk}"
    fields = {"name": "ci", "description": "builds", "allowed_models": "gpt-4o*\n\nmock\n", "allowed_ips": "10.0.0.1"}
    assert owner.post(path, fields).status_code == 302
    api_key.refresh_from_db()
    assert (api_key.allowed_models, api_key.allowed_ips) == (["gpt-4o*", "mock"], ["10.0.0.1/32"])
    assert api_key.defaults == {"metadata": {"team": "a"}}
    refused = owner.post(path, {**fields, "allowed_ips": "nowhere"})
    assert refused.status_code == 422
    assert 'id="id_allowed_ips_error"' in refused.content.decode()
    assert owner.post(path, {**fields, "enforced": "on"}).status_code == 422
    assert owner.post(path, {"name": "ci"}).status_code == 302
    api_key.refresh_from_db()
    assert (api_key.allowed_models, api_key.allowed_ips) == ([], [])


def test_a_rotated_key_is_shown_once(log_in: LogIn, api_key: ApiKey) -> None:
    owner, path = log_in("owner"), f"/console/api-keys/{api_key.pk}/rotate"
    assert "1 day" in owner.get(path).content.decode()
    shown = owner.post(path, {"overlap": "3600"}).content.decode()
    raw = re.search(r"gh-[\w-]{20,}", shown)
    assert raw is not None
    assert queries.find_live_api_key(raw[0]) == api_key
    assert raw[0] not in owner.get(f"/console/api-keys/{api_key.pk}").content.decode()


def test_a_virtual_key_is_paused_resumed_and_tested(log_in: LogIn, workspace: Workspace) -> None:
    key = actions.create_virtual_key(workspace=workspace, name="Mock", provider="mock", key="", actor=actions.SYSTEM)
    owner = log_in("owner")
    path = f"/console/virtual-keys/{key.slug}"
    assert "The provider accepts this key." in owner.post(f"{path}/test").content.decode()
    owner.post(f"{path}/pause", {"paused": "true"})
    assert VirtualKey.objects.get().paused_at is not None
    assert "The virtual key is paused." in owner.post(f"{path}/test").content.decode()
    owner.post(f"{path}/pause", {"paused": "false"})
    assert VirtualKey.objects.get().paused_at is None
