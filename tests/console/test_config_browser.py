"""Configs in a real browser: editor, history, differences, rollback, labels and dry run, in both languages."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.console.test_browser import UNLABELLED
from tests.stack import wait_until

FIRST = {"strategy": {"mode": "fallback"}, "targets": [{"virtual_key": "mock", "retry": {"attempts": 2}}, {"provider": "mock"}]}
SECOND = {
    "strategy": {"mode": "fallback"},
    "targets": [
        {"provider": "mock", "name": "pier", "override_params": {"model": "mock-name-pier"}},
        {"virtual_key": "mock", "retry": {"attempts": 5}},
        {"provider": "mock"},
    ],
}


@pytest.fixture
def slug(api: httpx.Client) -> str:
    """A config with two versions."""
    made = api.post("/v1/configs", json={"name": f"Route {secrets.token_hex(3)}", "config": FIRST, "comment": "first draft"})
    made.raise_for_status()
    name = str(made.json()["slug"])
    api.put(f"/v1/configs/{name}", json={"config": SECOND, "comment": "the pier first"}).raise_for_status()
    return name


def _answered(api: httpx.Client, config: str) -> str:
    """The model that a call through the config is answered by; empty where it is refused."""
    body = {"model": "mock-name-sea", "messages": [{"role": "user", "content": "Hi"}]}
    answer = api.post("/v1/chat/completions", json=body, headers={"x-portkey-config": config})
    return str(answer.json().get("model", ""))


# --- The editor -------------------------------------------------------------------------------------------------------


def test_a_fault_is_marked_at_its_line_while_one_types(page: Page) -> None:
    page.goto("/console/new-config")
    editor, check = page.get_by_label("Config as JSON"), page.locator("#config-check")
    expect(check).to_contain_text("Can be saved.")
    editor.fill('{\n  "provider": "mock",\n  "rety": {"attempts": 2}\n}')
    expect(check).to_contain_text('Line 3 rety unknown key, did you mean "retry"?')
    expect(page.locator(".gh-gutter-bad")).to_have_text("3")
    expect(editor).to_have_attribute("aria-invalid", "true")
    editor.press("ControlOrMeta+End")
    page.keyboard.press("Enter")
    expect(page.locator(".gh-gutter span")).to_have_count(5)
    editor.fill('{"provider": "mock"}')
    expect(check).to_contain_text("Can be saved.")
    expect(page.locator(".gh-gutter-bad")).to_have_count(0)


@pytest.mark.parametrize(
    "name", ["Fallback", "Load balance", "By conditions on the call", "Canary: each user stays on one side"]
)
def test_a_template_is_good_as_it_is(page: Page, name: str) -> None:
    page.goto("/console/new-config")
    page.get_by_text("Templates").click()
    page.get_by_role("button", name=name, exact=True).click()
    assert '"strategy"' in page.get_by_label("Config as JSON").input_value()
    expect(page.locator("#config-check")).to_contain_text("Can be saved.")
    expect(page.get_by_role("button", name=name, exact=True)).to_be_hidden()


def test_what_a_template_replaced_can_be_brought_back(page: Page) -> None:
    page.goto("/console/new-config")
    editor = page.get_by_label("Config as JSON")
    editor.fill('{"provider": "mock"}')
    page.get_by_text("Templates").click()
    page.get_by_role("button", name="Fallback", exact=True).click()
    expect(editor).to_have_value(re.compile("fallback"))
    page.keyboard.press("ControlOrMeta+z")
    expect(editor).to_have_value('{"provider": "mock"}')
    expect(page.locator("#config-check")).to_contain_text("Can be saved.")


def test_a_file_in_yaml_is_imported_as_json(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "route.yaml"
    file.write_text("# from the wiki\nstrategy: fallback\ntargets:\n  - provider: mock\n  - provider: mock\n    weight: 2\n")
    page.goto("/console/new-config")
    page.locator("input[type=file]").set_input_files(file)
    editor = page.get_by_label("Config as JSON")
    expect(editor).to_have_value(re.compile(r'^\{\n  "strategy": "fallback",\n  "targets": \['))
    expect(page.locator("#config-check")).to_contain_text("Can be saved.")
    page.get_by_label("Name").fill(f"Imported {secrets.token_hex(3)}")
    page.get_by_role("button", name="Create config").click()
    expect(page.locator(".gh-toast")).to_contain_text("is in force")


def test_a_save_over_a_colleagues_is_stopped_and_can_be_repeated(page: Page, api: httpx.Client, slug: str) -> None:
    page.goto(f"/console/configs/{slug}")
    api.put(f"/v1/configs/{slug}", json={"config": {"provider": "mock"}, "comment": "meanwhile"}).raise_for_status()
    editor = page.get_by_label("Config as JSON")
    mine = '{"provider": "mock", "retry": {"attempts": 9}}'
    editor.fill(mine)
    page.get_by_role("button", name="Save as a new version").click()
    expect(page.get_by_role("alert")).to_contain_text("Version 3 was saved meanwhile.")
    assert editor.input_value() == mine
    expect(page.get_by_role("link", name="See what changed meanwhile")).to_have_attribute(
        "href", re.compile("before=2&after=3")
    )
    page.get_by_role("button", name="Save as a new version").click()
    expect(page.locator(".gh-toast")).to_contain_text("Version 4 is in force.")


# --- History ----------------------------------------------------------------------------------------------------------


def test_history_differences_and_rollback(page: Page, api: httpx.Client, slug: str) -> None:
    page.goto(f"/console/configs/{slug}")
    page.get_by_role("link", name="History", exact=True).click()
    rows = page.locator("#rows tbody tr")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("the pier first")
    checksum = api.get(f"/v1/configs/{slug}/versions/1").json()["checksum"]
    expect(rows.last).to_contain_text(checksum[:12])

    page.get_by_role("link", name="What version 2 changed").click()
    expect(page.locator(".gh-changes li")).to_have_count(2)
    expect(page.locator(".gh-changes")).to_contain_text("/targets/1/retry/attempts")
    expect(page.locator(".gh-diff del")).to_have_text(["2"])
    expect(page.locator(".gh-diff ins")).to_have_text(["5"])
    assert page.locator(".gh-diff-added").count() > 3
    left = page.locator(".gh-diff-changed .gh-diff-left").bounding_box()
    right = page.locator(".gh-diff-changed .gh-diff-right").bounding_box()
    assert left is not None
    assert right is not None
    assert (left["y"], left["x"] + left["width"] <= right["x"] + 1) == (right["y"], True)

    page.get_by_role("button", name="Roll back to version 1").click()
    expect(page.locator(".gh-toast")).to_contain_text("Version 1 is in force again, as version 3.")
    wait_until(lambda: _answered(api, slug) == "mock-name-sea", "the rollback is not in force")
    assert api.get(f"/v1/configs/{slug}").json()["checksum"] == checksum


def test_on_a_phone_the_versions_stand_one_above_the_other(visit: Callable[..., Page], slug: str) -> None:
    page = visit(width=390, dark=True)
    page.goto(f"/console/configs/{slug}/diff?before=1&after=2")
    left = page.locator(".gh-diff-changed .gh-diff-left").bounding_box()
    right = page.locator(".gh-diff-changed .gh-diff-right").bounding_box()
    assert left is not None
    assert right is not None
    assert (left["x"], left["y"] + left["height"] <= right["y"] + 1) == (right["x"], True)
    assert page.locator(".gh-diff-same .gh-diff-left").first.is_hidden()


# --- Labels -----------------------------------------------------------------------------------------------------------


def test_a_label_moves_and_calls_follow(page: Page, api: httpx.Client, slug: str) -> None:
    page.goto(f"/console/configs/{slug}")
    page.get_by_label("Label", exact=True).fill("production")
    page.get_by_label("Version", exact=True).fill("1")
    page.get_by_role("button", name="Set the label").click()
    expect(page.locator(".gh-toast")).to_contain_text("production points at version 1.")
    wait_until(lambda: _answered(api, f"{slug}@production") == "mock-name-sea", "the label is not in force")
    assert _answered(api, slug) == "mock-name-pier"

    page.get_by_label("Label", exact=True).fill("production")
    page.get_by_label("Version", exact=True).fill("2")
    page.get_by_role("button", name="Set the label").click()
    wait_until(lambda: _answered(api, f"{slug}@production") == "mock-name-pier", "the label did not move")
    page.goto("/console/configs")
    expect(page.locator("tr", has=page.get_by_text(slug))).to_contain_text("production v2")

    page.goto(f"/console/configs/{slug}")
    page.get_by_role("link", name="Take the label production away").click()
    page.get_by_role("button", name="Take the label away").click()
    wait_until(lambda: _answered(api, f"{slug}@production") == "", "the label is still there")


def test_a_config_in_use_is_deleted_by_typing_its_slug(page: Page, api: httpx.Client, slug: str) -> None:
    name = f"desk {secrets.token_hex(3)}"
    body = {"name": name, "defaults": {"config_id": slug}}
    api.post("/v1/api-keys/workspace/service", json=body).raise_for_status()
    page.goto(f"/console/configs/{slug}")
    expect(page.get_by_role("region", name="Where it is used")).to_contain_text(name)
    page.get_by_role("link", name="Delete").click()
    expect(page.locator(".gh-users")).to_contain_text(name)
    page.get_by_label(re.compile("to delete it all the same")).fill(slug)
    page.get_by_role("button", name="Delete config").click()
    expect(page.locator(".gh-toast")).to_contain_text("is deleted")
    assert api.get(f"/v1/configs/{slug}").status_code == 404


# --- The dry run ------------------------------------------------------------------------------------------------------


def test_the_dry_run_tries_what_stands_in_the_editor(page: Page, api: httpx.Client, slug: str) -> None:
    page.goto(f"/console/configs/{slug}")
    result = page.locator("#dry-result")
    page.get_by_role("button", name="Run without calling anyone").click()
    targets = result.locator(".gh-target")
    expect(targets).to_have_count(3)
    expect(targets.first).to_contain_text("pier")
    expect(targets.first).to_contain_text("tried first")
    expect(targets.first).to_contain_text("mock-name-pier")
    expect(targets.nth(1)).to_contain_text("tried when those before it fail")
    targets.first.get_by_text("What is sent").click()
    expect(targets.first.locator("pre")).to_contain_text('"model": "mock-name-pier"')

    conditional = {
        "strategy": {
            "mode": "conditional",
            "conditions": [{"query": {"metadata.user_plan": {"$eq": "paid"}}, "then": "premium"}],
            "default": "standard",
        },
        "targets": [{"name": "premium", "virtual_key": "mock"}, {"name": "standard", "provider": "mock"}],
    }
    page.get_by_label("Config as JSON").fill(str(httpx.Request("POST", "http://x", json=conditional).content.decode()))
    page.get_by_text("Examples").click()
    page.get_by_role("button", name="Chat with metadata").click()
    page.get_by_role("button", name="Run without calling anyone").click()
    expect(targets).to_have_count(1)
    expect(targets).to_contain_text("premium")
    expect(result.locator(".gh-rules li").first).to_contain_text("decides")

    page.get_by_label("Request as JSON").fill('{"body": {}}')
    page.get_by_role("button", name="Run without calling anyone").click()
    expect(result).to_contain_text("The call would be refused")
    expect(result).to_contain_text("request.body.messages")
    assert api.get(f"/v1/configs/{slug}").json()["version"] == 2


# --- In Chinese, narrow and wide --------------------------------------------------------------------------------------


def test_everything_is_there_in_chinese(visit: Callable[..., Page], slug: str) -> None:
    page = visit(locale="zh-CN")
    page.goto(f"/console/configs/{slug}")
    expect(page.locator("#config-check")).to_contain_text("可以保存。")
    page.get_by_role("button", name="运行，但不调用任何提供商").click()
    expect(page.locator(".gh-target").first).to_contain_text("最先尝试")
    page.get_by_role("combobox", name="标签").fill("production")
    page.get_by_role("button", name="设置标签").click()
    expect(page.locator(".gh-toast")).to_contain_text("production 现在指向版本 2。")
    page.get_by_role("link", name="历史", exact=True).click()
    page.get_by_role("link", name="版本 2 的变更").click()
    expect(page.get_by_role("heading", name="变更内容")).to_be_visible()
    page.get_by_role("button", name="回滚到版本 1").click()
    expect(page.locator(".gh-toast")).to_contain_text("版本 1 已作为版本 3 重新生效。")


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_of_a_config_is_wider_than_the_screen(
    visit: Callable[..., Page], api: httpx.Client, slug: str, locale: str, width: int
) -> None:
    long: dict[str, Any] = {"provider": "mock", "override_params": {"system": "x" * 300}}
    api.put(f"/v1/configs/{slug}", json={"config": long, "comment": "y" * 200}).raise_for_status()
    api.put(f"/v1/configs/{slug}/labels/{'a' * 40}", json={"version": 3}).raise_for_status()
    page = visit(locale=locale, width=width, dark=width == 390)
    for path in ("", "/versions", "/versions/3", "/diff?before=1&after=3", "/delete", f"/labels/{'a' * 40}/delete"):
        page.goto(f"/console/configs/{slug}{path}")
        if not path:
            page.locator("#dry-run .gh-form-foot button").click()
            expect(page.locator(".gh-target")).to_have_count(1)
            page.locator(".gh-sent summary").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert page.evaluate(UNLABELLED) == [], path
