"""Places in a workspace: who is invited, who has which role, and who leaves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from keys import actions, team
from keys.models import Invitation, Member, User, Workspace
from routing.errors import Forbidden, InvalidRequest, NotFound
from tests.keys.people import PASSWORD, Api, Team, make_team

INVITE = {"email": "new@acme.example", "role": "editor"}


@pytest.fixture
def acme(db: None, settings: Any) -> Team:
    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)
    return make_team("acme")


def person(home: Workspace, role: str, name: str = "") -> User:
    email = f"{name or role}@{home.slug}.example"
    return actions.create_user(email=email, password=PASSWORD, workspace=home, role=role)


def place(user: User) -> Member:
    return Member.objects.get(user=user)


def token_of(answer: Any) -> str:
    return str(answer["invite_link"]).rpartition("/")[2]


def test_an_invitation_is_accepted_once_with_a_password(acme: Team) -> None:
    status, made = acme.api.post("/admin/users/invites", INVITE)
    assert (status, made["status"], made["role"]) == (200, "pending", "editor")
    token = token_of(made)
    assert token not in str(Invitation.objects.values())
    assert token not in str(acme.api.get("/admin/users/invites"))
    user = team.accept(token, password=PASSWORD)
    assert (place(user).role, place(user).workspace) == ("editor", acme.workspace)
    assert acme.api.get(f"/admin/users/invites/{made['id']}")[1]["status"] == "accepted"
    with pytest.raises(NotFound):
        team.accept(token, password=PASSWORD)
    assert acme.api.get("/admin/users?email=NEW@acme.example")[1]["data"][0]["role"] == "editor"


def test_a_person_of_another_workspace_joins_as_who_they_are(acme: Team) -> None:
    other = make_team("other")
    _, token = team.invite(workspace=acme.workspace, email="OWNER@other.example", role="viewer", actor=acme.owner)
    with pytest.raises(InvalidRequest):
        team.accept(token, password=PASSWORD)
    with pytest.raises(Forbidden):
        team.accept(token, user=acme.owner)
    team.accept(token, user=other.owner)
    assert {one.role for one in Member.objects.filter(user=other.owner)} == {"owner", "viewer"}


def test_a_link_is_void_when_it_is_old_renewed_or_withdrawn(acme: Team) -> None:
    made = acme.api.post("/admin/users/invites", INVITE)[1]
    renewed = acme.api.post(f"/admin/users/invites/{made['id']}/resend", None)[1]
    assert team.find_invitation(token_of(made)) is None
    assert team.find_invitation(token_of(renewed)) is not None
    Invitation.objects.update(expires_at=datetime.now(UTC))
    assert team.find_invitation(token_of(renewed)) is None
    assert acme.api.delete(f"/admin/users/invites/{made['id']}") == (200, {"success": True})
    assert acme.api.get(f"/admin/users/invites/{made['id']}")[0] == 404


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        ({"role": "viewer"}, 400, "email"),
        ({"email": "nonsense"}, 400, "email"),
        ({**INVITE, "role": "god"}, 400, "role"),
        ({**INVITE, "rank": "viewer"}, 400, "rank"),
        ({**INVITE, "workspaces": [{"id": "other", "role": "viewer"}]}, 404, "workspace_id"),
        ({"email": "OWNER@acme.example"}, 409, "email"),
        ({**INVITE, "role": "owner"}, 403, "role"),
    ],
)
def test_what_cannot_be_invited_is_refused_with_its_path(acme: Team, body: Any, status: int, param: str) -> None:
    answered, answer = acme.api.post("/admin/users/invites", body)
    assert (answered, answer["error"]["param"]) == (status, param)


def test_an_address_is_invited_once_at_a_time(acme: Team) -> None:
    assert acme.api.post("/admin/users/invites", INVITE)[0] == 200
    assert acme.api.post("/admin/users/invites", {**INVITE, "email": "NEW@acme.example"})[0] == 409


def test_the_last_owner_stays(acme: Team) -> None:
    with pytest.raises(InvalidRequest) as refused:
        team.change_role(place(acme.owner), "viewer", actor=acme.owner)
    assert refused.value.code == "last_owner"
    with pytest.raises(InvalidRequest):
        team.remove(place(acme.owner), actor=acme.owner)
    second = person(acme.workspace, "owner", "second")
    team.change_role(place(acme.owner), "viewer", actor=second)
    assert place(acme.owner).role == "viewer"


def test_only_owners_touch_owners(acme: Team) -> None:
    admin, viewer = person(acme.workspace, "admin"), person(acme.workspace, "viewer")
    for act in (
        lambda: team.change_role(place(viewer), "owner", actor=admin),
        lambda: team.change_role(place(acme.owner), "viewer", actor=admin),
        lambda: team.remove(place(acme.owner), actor=admin),
        lambda: team.change_role(place(viewer), "owner", actor=acme.key),
        lambda: team.invite(workspace=acme.workspace, email="x@acme.example", role="owner", actor=admin),
    ):
        with pytest.raises(Forbidden):
            act()
    assert team.change_role(place(viewer), "editor", actor=admin).role == "editor"


def test_who_is_removed_loses_their_own_keys_and_no_others(acme: Team) -> None:
    admin = person(acme.workspace, "admin")
    keys = {
        kind: actions.create_api_key(workspace=acme.workspace, name=kind, actor=admin, sub_type=kind, scopes=["configs.list"])[
            1
        ]
        for kind in ("user", "service")
    }
    status, _ = acme.api.delete(f"/admin/users/{admin.pk}")
    assert status == 200
    assert not Member.objects.filter(user=admin).exists()
    assert [Api(keys[kind]).get("/configs")[0] for kind in ("user", "service")] == [401, 200]


def test_roles_are_changed_and_workspaces_read_as_the_sdk_does(acme: Team) -> None:
    viewer = person(acme.workspace, "viewer")
    assert acme.api.put(f"/admin/users/{viewer.pk}", {"role": "editor"})[1]["role"] == "editor"
    assert acme.api.put(f"/admin/workspaces/acme/users/{viewer.pk}", {"role": "viewer"})[1]["role"] == "viewer"
    assert acme.api.get("/admin/workspaces?pageSize=5&currentPage=0")[1]["data"][0]["slug"] == "acme"
    assert len(acme.api.get("/admin/workspaces/acme")[1]["users"]) == 2
    assert acme.api.put("/admin/workspaces/acme", {"name": "Renamed"})[1]["name"] == "Renamed"
    assert acme.api.post("/admin/workspaces/acme/users", {"users": []})[1]["error"]["code"] == "invitation_needed"
    assert acme.api.get("/admin/workspaces/other")[0] == 404
