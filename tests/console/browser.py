"""A Chromium for the tests, wherever the machine has one, and what a page may not do in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
]
MISSING = "no Chromium: install one (`apt-get install chromium`, or `playwright install chromium`) or name it in CHROMIUM"


def find(playwrights_own: str) -> str | None:
    """The path of a Chromium: CHROMIUM, the usual names, then the one that playwright installs."""
    if named := os.environ.get("CHROMIUM"):
        if not shutil.which(named):
            raise FileNotFoundError(f"CHROMIUM names {named}, which is not there")
        return named
    found = next((path for name in _NAMES if (path := shutil.which(name))), None)
    return found or (playwrights_own if Path(playwrights_own).exists() else None)


@contextmanager
def launched() -> Iterator[Browser]:
    """A browser; the test is skipped where the machine has none."""
    # Playwright keeps an event loop in this thread as long as it runs, and Django takes every test after it for asynchronous.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        path = find(playwright.chromium.executable_path)
        if path is None:
            pytest.skip(MISSING)
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


class Watch:
    """Collects what a page complains about: violations of the content security policy, script errors, failed files."""

    def __init__(self, page: Page) -> None:
        self.complaints: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", self._failed)

    def _heard(self, message: ConsoleMessage) -> None:
        # Chromium logs every answer with an error status; a refused form is one on purpose.
        if message.type in {"error", "warning"} and "status of 422" not in message.text:
            self.complaints.append(f"{message.type}: {message.text}")

    def _failed(self, error: Error) -> None:
        self.complaints.append(f"script: {error}")
