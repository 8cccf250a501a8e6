"""Every page and every endpoint of the admin API, as nobody, as a stranger of another workspace, and as each role.

The routes are read from the URL tables, so a new one is walked as soon as it is there.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern

from gateway_project.console_urls import urlpatterns as pages
from keys import actions, policy, team
from keys.models import ApiKey, Member, VirtualKey, Workspace
from routing.models import Config
from tests.keys.people import Api, Team, make_team
from tests.keys.urls import _rest as rest

LogIn = Callable[..., Client]
_METHODS = ("GET", "POST", "PUT", "DELETE")
# Before a login, and the language, which is everybody's.
_OPEN = frozenset({"login", "logout", "set_language", "invitation"})
_ROUTE = re.compile(r"<(?:\w+:)?(\w+)>")


@pytest.fixture
def acme(db: None, plain_static: None) -> Team:
    return make_team("crew")


def _names(one: Team, route: str) -> dict[str, str]:
    """What the parameters of a route are for a team's own objects."""
    slug = one.config.slug if "configs" in route else one.virtual_key.slug
    invitation, _ = team.invite(
        workspace=one.workspace, email=f"{uuid.uuid4().hex}@crew.example", role="viewer", actor=one.owner
    )
    own = {"slug": slug, "key_id": one.key.pk, "user_id": one.owner.pk, "invite_id": invitation.pk}
    own |= {
        "workspace_id": one.workspace.slug,
        "number": 1,
        "version": 1,
        "other": 1,
        "kind": "workspace",
        "sub_type": "service",
    }
    return {name: str(value) for name, value in own.items()}


def _paths(patterns: list[Any], one: Team) -> Iterator[tuple[URLPattern, str, str]]:
    """Each route with a team's own objects in it, and with what is nobody's."""
    for pattern in patterns:
        route = str(pattern.pattern)
        names = _names(one, route) if "<" in route else {}
        nobodys = {"number": "9999", "version": "9999", "other": "9999", "kind": "workspace", "sub_type": "service"}
        own = _ROUTE.sub(lambda match: names.get(match[1], str(uuid.uuid4())), route)  # noqa: B023
        none = _ROUTE.sub(lambda match: nobodys.get(match[1], str(uuid.uuid4())), route)  # noqa: B023
        yield pattern, f"/{own}", f"/{none}"


def _counts() -> list[int]:
    return [model.objects.count() for model in (ApiKey, VirtualKey, Config, Member, Workspace)]


def test_nobody_sees_a_page_without_logging_in(acme: Team) -> None:
    for pattern, own, _ in _paths(pages, acme):
        if pattern.name in _OPEN:
            continue
        for method in ("GET", "POST"):
            answer = Client().generic(method, own)
            assert answer.status_code in {302, 405}, (method, own)
            assert answer.status_code == 405 or answer["Location"].startswith("/login"), (method, own)


def test_to_a_stranger_what_is_there_looks_like_what_is_not(acme: Team, log_in: LogIn) -> None:
    stranger = log_in("owner", of=actions.create_workspace(slug="elsewhere", name="Elsewhere"))
    for pattern, own, none in _paths(pages, acme):
        if pattern.name in _OPEN or own == none:
            continue
        before = _counts()
        for method in ("GET", "POST"):
            seen = [stranger.generic(method, path).status_code for path in (own, none)]
            assert seen[0] == seen[1], (method, own, seen)
            assert seen[0] in {404, 405}, (method, own)
        assert _counts() == before, own


@pytest.mark.parametrize("role", ["owner", "admin", "editor", "viewer"])
def test_each_role_gets_an_answer_from_every_page_and_no_secret(acme: Team, log_in: LogIn, role: str) -> None:
    if role == "owner":
        person = Client()
        person.force_login(acme.owner)
    else:
        person = log_in(role, of=acme.workspace)
    for _pattern, own, _none in _paths(pages, acme):
        answer = person.get(own)
        assert answer.status_code in {200, 302, 403, 404, 405, 422}, own
        assert b"0123456789abcdefSECRET" not in b"".join(answer), own
        assert acme.raw.encode() not in answer.content, own


def test_a_viewer_changes_nothing_by_any_page(acme: Team, log_in: LogIn) -> None:
    viewer = log_in("viewer", of=acme.workspace)
    paths = list(_paths(pages, acme))
    before = _counts()
    for pattern, own, _ in paths:
        if pattern.name in _OPEN | {"switch_workspace", "account"}:
            continue
        if any(word in own for word in ("check-", "convert-", "dry-run", "preview")):
            continue  # they answer a question and keep nothing
        assert viewer.post(own).status_code in {400, 403, 404, 405, 422}, own
    assert _counts() == before


def test_the_admin_api_answers_nobody(acme: Team) -> None:
    nobody = Api(None)
    for _pattern, own, _ in _paths(rest, acme):
        for method in _METHODS:
            assert nobody.call(method, own)[0] in {401, 405}, (method, own)


def test_to_a_strangers_key_what_is_there_looks_like_what_is_not(acme: Team) -> None:
    elsewhere = actions.create_workspace(slug="elsewhere", name="Elsewhere")
    _, raw = actions.create_api_key(workspace=elsewhere, name="all", actor=actions.SYSTEM, scopes=policy.ALL_SCOPES)
    stranger = Api(raw)
    for _pattern, own, none in _paths(rest, acme):
        if "/api-keys/workspace/" in own or own == none:
            continue
        before = _counts()
        for method in _METHODS:
            seen = [stranger.call(method, path, {})[0] for path in (own, none)]
            assert seen[0] == seen[1], (method, own, seen)
            assert seen[0] in {400, 404, 405}, (method, own)
        assert _counts() == before, own


def test_a_key_that_may_only_call_models_administers_nothing(acme: Team) -> None:
    _, raw = actions.create_api_key(workspace=acme.workspace, name="app", actor=actions.SYSTEM, scopes=policy.DEFAULT_SCOPES)
    weak = Api(raw)
    for _pattern, own, _ in _paths(rest, acme):
        if own.startswith("/feedback"):
            continue  # of one's own calls
        before = _counts()
        for method in _METHODS:
            assert weak.call(method, own, {})[0] in {403, 405}, (method, own)
        assert _counts() == before
