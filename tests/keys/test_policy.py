from __future__ import annotations

from pathlib import Path

import pytest

from keys import actions, policy
from keys.models import Role
from tests.keys.people import PASSWORD, Team
from tests.keys.people import stranger as stranger
from tests.keys.people import team as team

ROOT = Path(__file__).parent.parent.parent


def test_each_role_has_all_that_the_next_lower_one_has() -> None:
    viewer, editor, admin, owner = (policy.role_permissions(role) for role in ("viewer", "editor", "admin", "owner"))
    assert viewer < editor < admin <= owner == policy.ALL_SCOPES


@pytest.mark.parametrize(
    ("role", "may", "may_not"),
    [
        ("viewer", "configs.read", "configs.update"),
        ("viewer", "logs.list", "completions.write"),
        ("editor", "virtual_keys.update", "workspace_service_api_keys.create"),
        ("editor", "completions.write", "workspace_users.create"),
        ("admin", "workspace_users.delete", "nothing.of_the_kind"),
        ("emperor", None, "logs.list"),
    ],
)
def test_a_role_may_what_it_may(role: str, may: str | None, may_not: str) -> None:
    assert may is None or may in policy.role_permissions(role)
    assert may_not not in policy.role_permissions(role)


def test_only_owners_touch_owners() -> None:
    table = {(manager, role): policy.may_manage_role(manager, role) for manager in Role.values for role in Role.values}
    assert all(table["owner", role] for role in Role.values)
    assert [role for role in Role.values if table["admin", role]] == ["admin", "editor", "viewer"]
    assert not any(table[manager, role] for manager in ("editor", "viewer") for role in Role.values)


def test_a_key_has_its_scopes_in_its_own_workspace_only(team: Team, stranger: Team) -> None:
    assert policy.permissions(team.key, team.workspace) == policy.ALL_SCOPES
    assert policy.permissions(team.key, stranger.workspace) == frozenset()


def test_inert_scopes_open_nothing(team: Team) -> None:
    key, _ = actions.create_api_key(
        workspace=team.workspace, name="n", actor=team.owner, scopes=["virtual_keys.copy", "prompts.render"]
    )
    assert policy.permissions(key, team.workspace) == frozenset()


def test_a_person_who_left_may_nothing(team: Team, stranger: Team) -> None:
    user = actions.create_user(email="gone@acme.example", password=PASSWORD, workspace=team.workspace, role="admin")
    assert policy.permissions(user, stranger.workspace) == frozenset()
    user.is_active = False
    user.save()
    assert policy.permissions(user, team.workspace) == frozenset()


def test_the_documents_name_every_scope() -> None:
    text = (ROOT / "docs" / "admin-api.md").read_text()
    missing = [
        scope for scope in sorted(policy.ALL_SCOPES) if f"`{scope}`" not in text and f"{scope.rsplit('.', 1)[0]}.*" not in text
    ]
    assert not missing
