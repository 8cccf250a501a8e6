"""A team for the pages, with and without a browser."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from django.test import Client
from playwright.sync_api import Browser, Page

from keys import actions
from keys.models import User, Workspace
from tests import environment
from tests.console.browser import Watch, launched
from tests.stack import Gatehouse, Servers

PASSWORD = "correct horse battery staple"


# --- Without a browser ------------------------------------------------------------------------------------------------


@pytest.fixture
def plain_static(settings: Any) -> None:
    """Static files by their own names: nothing is collected for these tests."""
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    }
    settings.STATIC_ROOT.mkdir(parents=True, exist_ok=True)


@pytest.fixture
def workspace(db: None, plain_static: None) -> Workspace:
    return actions.create_workspace(slug="acme", name="Acme")


@pytest.fixture
def log_in(workspace: Workspace) -> Callable[..., Client]:
    """Logs a new person of the given role in."""

    def make(role: str = "owner", *, of: Workspace | None = None) -> Client:
        home = of or workspace
        user: User = actions.create_user(
            email=f"{role}@{home.slug}.example", password=PASSWORD, workspace=home, role=role, actor=actions.SYSTEM
        )
        client = Client()
        client.force_login(user)
        return client

    return make


# --- In a browser -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def stack(servers: Servers) -> Iterator[Gatehouse]:
    """The product as it runs, one for each pytest worker."""
    directory = environment.run_directory() / f"console-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    with Gatehouse(directory, servers, env={"GATEHOUSE_REQUIRE_API_KEY": "true"}) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Ends with its file: while Playwright runs, this thread has a running event loop, and tests that bring their own fail."""
    with launched() as chromium:
        yield chromium


@pytest.fixture
def visit(browser: Browser, stack: Gatehouse) -> Iterator[Callable[..., Page]]:
    """Opens a page in a profile of its own, logged in. In the end, none of them has complained about anything."""
    contexts, watches = [], []

    def make(*, locale: str = "en-US", width: int = 1280, dark: bool = False, log_in: bool = True) -> Page:
        context = browser.new_context(
            base_url=stack.url,
            locale=locale,
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
        )
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = context.new_page()
        watches.append(Watch(page))
        if log_in:
            page.goto("/login")
            page.fill("input[name=username]", stack.admin_email)
            page.fill("input[name=password]", stack.admin_password)
            page.keyboard.press("Enter")
            page.wait_for_url(f"{stack.url}/")
        return page

    yield make
    complaints = [complaint for watch in watches for complaint in watch.complaints]
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def page(visit: Callable[..., Page]) -> Page:
    return visit()


@pytest.fixture
def api(stack: Gatehouse) -> Iterator[httpx.Client]:
    """Calls the gateway with its first key."""
    with httpx.Client(base_url=stack.url, headers={"x-portkey-api-key": stack.api_key}, timeout=30) as client:
        yield client
