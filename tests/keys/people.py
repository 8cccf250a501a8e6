"""A team and a stranger, and how they call the admin REST API."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from keys import actions, policy
from keys.models import ApiKey, User, VirtualKey, Workspace
from routing.actions import create_config
from routing.models import Config

PASSWORD = "correct horse battery staple"
SECRET = "sk-live-0123456789abcdefSECRET"


class Api:
    """JSON calls to the admin REST API with one API key. Answers are (status, body)."""

    def __init__(self, raw_key: str | None, prefix: str = "/v1") -> None:
        self.client = Client(raise_request_exception=False)
        self.headers = {"x-portkey-api-key": raw_key} if raw_key else {}
        self.prefix = prefix

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        response = self.client.generic(
            method,
            self.prefix + path,
            data=body if isinstance(body, bytes) else _encode(body),
            content_type="application/json",
            headers={**self.headers, **headers},
        )
        return response.status_code, response.json()

    def get(self, path: str) -> tuple[int, Any]:
        return self.call("GET", path)

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        return self.call("POST", path, body)

    def put(self, path: str, body: Any) -> tuple[int, Any]:
        return self.call("PUT", path, body)

    def delete(self, path: str) -> tuple[int, Any]:
        return self.call("DELETE", path)


def _encode(body: Any) -> bytes:
    return b"" if body is None else json.dumps(body).encode()


@dataclass
class Team:
    """A workspace with its owner, a key that may do everything, and one of each object."""

    workspace: Workspace
    owner: User
    key: ApiKey
    raw: str
    api: Api
    virtual_key: VirtualKey
    config: Config


def make_team(slug: str) -> Team:
    workspace = actions.create_workspace(slug=slug, name=slug.title())
    owner = actions.create_user(email=f"owner@{slug}.example", password=PASSWORD, workspace=workspace, role="owner")
    key, raw = actions.create_api_key(workspace=workspace, name="all", actor=actions.SYSTEM, scopes=policy.ALL_SCOPES)
    virtual_key = actions.create_virtual_key(
        workspace=workspace, name="OpenAI prod", provider="openai", key=SECRET, actor=owner
    )
    config, _ = create_config(workspace=workspace, name="Main", config={"virtual_key": "openai-prod"}, actor=owner)
    return Team(workspace, owner, key, raw, Api(raw), virtual_key, config)


@pytest.fixture
def team(db: None, settings: Any) -> Team:
    settings.ROOT_URLCONF = "tests.keys.urls"
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)
    return make_team("acme")


@pytest.fixture
def stranger(team: Team) -> Team:
    return make_team("other")


def key_with(team: Team, *scopes: str) -> Api:
    """The API as a key with just these scopes sees it."""
    return Api(actions.create_api_key(workspace=team.workspace, name="some", actor=actions.SYSTEM, scopes=scopes)[1])
