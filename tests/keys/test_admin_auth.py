from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError
from django.test import Client

from keys import actions, admin_auth, policy, queries
from keys.models import ApiKey, Member, User
from tests.keys.people import PASSWORD, Api, Team, key_with
from tests.keys.people import stranger as stranger
from tests.keys.people import team as team


def shape(body: Any) -> dict[str, Any]:
    """The error of an answer, which must be in OpenAI's shape."""
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    return dict(body["error"])


# --- Keys -------------------------------------------------------------------------------------------------------------


def test_a_key_is_taken_from_its_header_or_as_a_bearer_token(team: Team) -> None:
    nobody = Api(None)
    for headers in (
        {"x-portkey-api-key": team.raw},
        {"authorization": f"Bearer {team.raw}"},
        {"authorization": f"bearer   {team.raw} "},
        {"x-portkey-api-key": team.raw, "authorization": "Bearer OPENAI_API_KEY"},
        {"x-portkey-api-key": team.raw, "authorization": "Bearer sk-of-a-provider"},
    ):
        assert nobody.call("GET", "/configs", **headers)[0] == 200, headers


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer OPENAI_API_KEY"},
        {"authorization": "Basic abc"},
        {"authorization": "Bearer"},
        {"x-portkey-api-key": ""},
        {"x-portkey-api-key": "gh-unknown"},
        {"x-portkey-api-key": "é\u00ff"},
        {"x-portkey-api-key": "x" * 5000},
        {"authorization": "Bearer gh-unknown"},
    ],
)
def test_without_a_good_key_the_answer_is_401(team: Team, headers: dict[str, str]) -> None:
    status, body = Api(None).call("GET", "/configs", **headers)
    assert (status, shape(body)["code"]) == (401, "invalid_api_key")


def test_a_revoked_or_expired_key_is_refused_at_once(team: Team) -> None:
    key, raw = actions.create_api_key(workspace=team.workspace, name="n", actor=team.owner, scopes=["configs.list"])
    assert Api(raw).get("/configs")[0] == 200
    ApiKey.objects.filter(pk=key.pk).update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    assert Api(raw).get("/configs")[0] == 401
    ApiKey.objects.filter(pk=key.pk).update(expires_at=None)
    actions.revoke_api_key(key, actor=team.owner)
    assert Api(raw).get("/configs")[0] == 401


ENDPOINTS = [
    ("GET", "/virtual-keys", "virtual_keys.list"),
    ("POST", "/virtual-keys", "virtual_keys.create"),
    ("GET", "/virtual-keys/openai-prod", "virtual_keys.read"),
    ("PUT", "/virtual-keys/openai-prod", "virtual_keys.update"),
    ("DELETE", "/virtual-keys/openai-prod", "virtual_keys.delete"),
    ("GET", "/api-keys", "workspace_service_api_keys.list"),
    ("POST", "/api-keys/workspace/service", "workspace_service_api_keys.create"),
    ("POST", "/api-keys/workspace/user", "workspace_user_api_keys.create"),
    ("GET", "/api-keys/{key}", "workspace_service_api_keys.read"),
    ("PUT", "/api-keys/{key}", "workspace_service_api_keys.update"),
    ("DELETE", "/api-keys/{key}", "workspace_service_api_keys.delete"),
    ("GET", "/configs", "configs.list"),
    ("POST", "/configs", "configs.create"),
    ("GET", "/configs/{config}", "configs.read"),
    ("GET", "/configs/{config}/versions", "configs.read"),
    ("PUT", "/configs/{config}", "configs.update"),
    ("DELETE", "/configs/{config}", "configs.delete"),
    ("GET", "/logs", "logs.list"),
]


@pytest.mark.parametrize(("method", "path", "scope"), ENDPOINTS)
def test_an_endpoint_needs_its_scope_and_no_other(team: Team, method: str, path: str, scope: str) -> None:
    path = path.format(key=team.key.pk, config=team.config.slug)
    body: Any = {} if method in {"POST", "PUT"} else None
    status, answer = key_with(team, *(policy.ALL_SCOPES - {scope})).call(method, path, body)
    if (method, path) == ("GET", "/api-keys"):
        assert (status, answer["data"]) == (200, [])  # it may list the other kind, of which there is none
    else:
        assert (status, scope in shape(answer)["message"]) == (403, True)
    assert key_with(team, scope).call(method, path, body)[0] in {200, 400}


@pytest.mark.parametrize(("method", "path", "scope"), ENDPOINTS)
def test_a_stranger_finds_nothing_and_changes_nothing(team: Team, stranger: Team, method: str, path: str, scope: str) -> None:
    # Taken by a name that only the other workspace has.
    actions.create_virtual_key(workspace=team.workspace, name="Ours", provider="openai", key="sk-0123456789", actor=team.owner)
    path = path.format(key=team.key.pk, config=team.config.slug).replace("openai-prod", "ours")
    if path.count("/") == 1 or "/api-keys/workspace" in path:
        if method == "GET":
            text = str(stranger.api.call(method, path)[1])
            assert not any(ours in text for ours in (str(team.key.pk), team.config.slug, str(team.virtual_key.pk), "ours"))
        return
    status, body = stranger.api.call(method, path, {"name": "stolen"} if method == "PUT" else None)
    assert (status, shape(body)["code"]) == (404, "not_found")
    assert team.api.call("GET", path)[0] == 200


def test_a_workspace_of_others_does_not_exist(team: Team, stranger: Team) -> None:
    for name in (stranger.workspace.slug, str(stranger.workspace.pk), "nowhere"):
        assert team.api.get(f"/configs?workspace_id={name}")[0] == 404
        status, body = team.api.post("/virtual-keys", {"name": "n", "provider": "openai", "key": "k", "workspace_id": name})
        assert (status, shape(body)["param"]) == (404, "workspace_id")
    for name in (team.workspace.slug, str(team.workspace.pk)):
        assert team.api.get(f"/configs?workspace_id={name}")[0] == 200
    assert queries.list_virtual_keys(stranger.workspace).count() == 1


# --- Sessions ---------------------------------------------------------------------------------------------------------


def session(email: str) -> Client:
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.force_login(User.objects.get(email=email))
    return client


def test_a_session_reads_without_and_writes_only_with_the_csrf_token(team: Team) -> None:
    client = session("owner@acme.example")
    assert client.get("/v1/configs").status_code == 200
    good = {"name": "From the console", "config": {"virtual_key": "openai-prod"}}
    refused = client.post("/v1/configs", good, content_type="application/json")
    assert (refused.status_code, shape(refused.json())["type"]) == (403, "permission_error")
    client.cookies["csrftoken"] = "a" * 32
    accepted = client.post("/v1/configs", good, content_type="application/json", headers={"x-csrftoken": "a" * 32})
    assert accepted.status_code == 200


def test_a_session_has_the_permissions_of_the_role(team: Team) -> None:
    actions.create_user(email="viewer@acme.example", password=PASSWORD, workspace=team.workspace, role="viewer")
    client = session("viewer@acme.example")
    client.cookies["csrftoken"] = "a" * 32
    assert client.get(f"/v1/configs/{team.config.slug}").status_code == 200
    assert client.delete(f"/v1/configs/{team.config.slug}", headers={"x-csrftoken": "a" * 32}).status_code == 403


def test_a_session_works_in_the_workspace_it_chose_while_it_is_a_member(team: Team, stranger: Team) -> None:
    client = session("owner@acme.example")
    store = client.session
    store[admin_auth.SESSION_WORKSPACE] = str(stranger.workspace.pk)
    store.save()
    slugs = [row["slug"] for row in client.get("/v1/configs").json()["data"]]
    assert slugs == [team.config.slug]
    Member.objects.create(workspace=stranger.workspace, user=team.owner, role="viewer")
    slugs = [row["slug"] for row in client.get("/v1/configs").json()["data"]]
    assert slugs == [stranger.config.slug]


def test_a_bad_key_is_not_made_good_by_a_session(team: Team) -> None:
    assert session("owner@acme.example").get("/v1/configs", headers={"x-portkey-api-key": "gh-unknown"}).status_code == 401


def test_a_person_without_a_workspace_is_refused(team: Team) -> None:
    Member.objects.all().delete()
    assert session("owner@acme.example").get("/v1/configs").status_code == 403


# --- The shape of a refusal -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/virtual-keys/none", None, 404),
        ("GET", "/virtual-keys/a%00b", None, 404),
        ("GET", "/api-keys/not-a-uuid", None, 404),
        ("GET", "/configs/" + "x" * 3000, None, 404),
        ("PATCH", "/configs", {}, 405),
        ("OPTIONS", "/configs", None, 405),
        ("DELETE", "/virtual-keys", None, 405),
        ("POST", "/configs", b"", 400),
        ("POST", "/configs", b"{", 400),
        ("POST", "/configs", b"[]", 400),
        ("POST", "/configs", b'"text"', 400),
        ("POST", "/configs", b"null", 400),
        ("POST", "/configs", b'{"name": NaN}', 400),
        ("POST", "/configs", b'{"name": "\\ud800"}', 400),
        ("POST", "/configs", b'{"name": "\xff"}', 400),
        ("POST", "/configs", b'{"name": "a\\u0000b", "config": {}}', 400),
        ("POST", "/configs", b"[" * 100_000 + b"]" * 100_000, 400),
        ("POST", "/configs", b'{"name": ' + b'{"a":' * 500 + b"1" + b"}" * 500 + b"}", 400),
        ("POST", "/configs", b'{"name": "' + b"x" * 1_100_000 + b'"}', 413),
        ("GET", "/configs?page_size=0", None, 400),
        ("GET", "/configs?page_size=many", None, 400),
        ("GET", "/configs?page_size=1&page_size=2", None, 400),
        ("GET", "/configs?current_page=-1", None, 400),
        ("GET", "/configs?page=1", None, 400),
        ("GET", "/configs?workspace_id=%00", None, 404),
        ("GET", "/logs?limit=0", None, 400),
        ("GET", "/logs?limit=501", None, 400),
        ("GET", "/logs?limit=ten", None, 400),
        ("GET", "/logs?cursor=x", None, 400),
        ("GET", "/logs?cursor=%C3%A9", None, 400),
        ("GET", "/logs?cursor=" + "_" * 32, None, 400),
        ("GET", "/logs?status=abc", None, 400),
        ("GET", "/logs?status=999999999999", None, 400),
        ("GET", "/logs?staus=200", None, 400),
        ("GET", "/logs?status=200&status=400", None, 400),
        ("GET", "/logs?trace_id=%00", None, 400),
        ("GET", "/logs?metadata.a%00b=c", None, 400),
        ("GET", "/logs?api_key_id=me", None, 400),
        ("GET", "/logs?started_from=yesterday", None, 400),
        ("GET", "/logs?min_cost=NaN", None, 400),
        ("GET", "/logs?min_duration_ms=1e400", None, 400),
        ("GET", "/logs/none", None, 404),
        ("GET", "/logs/a%00b", None, 404),
        ("GET", "/logs/00000000-0000-4000-8000-000000000000", None, 404),
        ("GET", "/logs/ffffffff-ffff-7fff-bfff-ffffffffffff", None, 404),
        ("POST", "/api-keys/workspace/robot", {"name": "n"}, 404),
        ("POST", "/api-keys/team/service", {"name": "n"}, 404),
    ],
)
def test_every_refusal_is_in_openais_shape(team: Team, method: str, path: str, body: Any, status: int) -> None:
    answered, reply = team.api.call(method, path, body)
    assert (answered, shape(reply)["type"]) == (status, "invalid_request_error")


def test_a_body_that_is_not_json_by_its_type_is_refused(team: Team) -> None:
    response = team.api.client.post("/v1/configs", {"name": "n"}, headers=team.api.headers)
    assert response.status_code == 415
    shape(response.json())


def test_an_answer_that_is_not_json_is_not_to_be_had(team: Team) -> None:
    response = team.api.client.get("/v1/configs", headers={**team.api.headers, "accept": "text/html"})
    assert response.status_code == 406
    shape(response.json())


def test_a_fault_of_ours_is_logged_and_not_told(
    team: Team, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("sk-secret in a bug")

    monkeypatch.setattr(queries, "list_virtual_keys", broken)
    response = team.api.client.get("/v1/virtual-keys", headers=team.api.headers)
    assert (response.status_code, shape(response.json())["type"]) == (500, "server_error")
    assert "sk-secret" not in response.content.decode()
    assert response.headers["x-portkey-trace-id"] in caplog.text
    assert "RuntimeError" in caplog.text


def test_a_database_that_is_gone_is_not_the_callers_fault(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(queries, "list_virtual_keys", gone)
    status, body = team.api.get("/virtual-keys")
    assert (status, shape(body)["code"]) == (503, "unavailable")


def test_the_routes_exist_with_and_without_the_version(team: Team) -> None:
    assert team.api.get("/configs") == Api(team.raw, prefix="").get("/configs")
