"""The console as people use it: a real browser at the running product. Every page is watched for complaints (conftest)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.console.browser import Watch
from tests.stack import Gatehouse, wait_until

CHAT = "/v1/chat/completions"


def _call(api: httpx.Client, model: str = "mock", trace_id: str | None = None, **body: Any) -> str:
    """One call to the mock provider; gives its trace id."""
    trace = trace_id or f"trace-{secrets.token_hex(6)}"
    whole = {"model": model, "messages": [{"role": "user", "content": "Where is the gate?"}], **body}
    headers = {"x-portkey-virtual-key": "mock", "x-portkey-trace-id": trace, "x-portkey-metadata": '{"team": "harbour"}'}
    api.post(CHAT, json=whole, headers=headers).read()
    return trace


def _logged(api: httpx.Client, trace: str) -> None:
    def is_there() -> bool:
        return bool(api.get("/v1/logs", params={"trace_id": trace}).json()["data"])

    wait_until(is_there, f"the call {trace} is not in the log")


# --- Logging in -------------------------------------------------------------------------------------------------------


def test_a_wrong_password_is_told_and_the_right_one_leads_on(visit: Callable[..., Page], stack: Gatehouse) -> None:
    page = visit(log_in=False)
    page.goto("/console/configs")
    expect(page).to_have_url(re.compile("/login\\?next=/console/configs"))
    page.get_by_label("E-mail").fill(stack.admin_email)
    page.get_by_label("Password").fill("wrong password")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_have_text("The e-mail address or the password is wrong.")
    page.get_by_label("Password").fill(stack.admin_password)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Configs")
    page.get_by_label("Account and settings").click()
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(re.compile("/login"))


# --- Keys -------------------------------------------------------------------------------------------------------------


def test_a_virtual_key_is_made_found_rotated_and_deleted(page: Page) -> None:
    name, secret = f"Harbour {secrets.token_hex(3)}", "sk-test-0123456789abcdefXYZW"
    page.goto("/console/virtual-keys")
    page.get_by_role("link", name="New virtual key").click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Provider", exact=True).fill("openai")
    page.get_by_label("Provider's key").fill(secret)
    page.get_by_label("Note").fill("for the harbour team")
    page.get_by_role("button", name="Create virtual key").click()
    expect(page.locator(".gh-toast")).to_contain_text("is ready to use")

    page.keyboard.press("/")
    page.keyboard.type(name)
    rows = page.locator("#rows tbody tr")
    expect(rows).to_have_count(1)
    expect(page).to_have_url(re.compile("q=Harbour"))
    expect(rows).to_contain_text("sk-****XYZW")
    assert secret not in page.content()

    page.get_by_role("link", name=f"Edit {name}").click()
    page.get_by_label("New key").fill("sk-test-rotated-9876543210QRST")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("tr", has_text=name)).to_contain_text("sk-****QRST")

    page.get_by_role("link", name=f"Delete {name}").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Delete the virtual key {name}?")
    page.get_by_role("button", name="Delete virtual key").click()
    expect(page.locator("tr", has_text=name)).to_have_count(0)


def test_an_api_key_is_shown_once_works_and_is_revoked(page: Page, stack: Gatehouse) -> None:
    name = f"ci {secrets.token_hex(3)}"
    page.goto("/console/new-api-key")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Requests per minute").fill("600")
    page.get_by_label("Monthly budget").fill("25")
    page.get_by_role("button", name="Create API key").click()
    raw = page.locator("#raw-key").inner_text()
    page.locator("button[data-copy='#raw-key']").click()
    expect(page.locator("button[data-copy='#raw-key']")).to_contain_text(re.compile("Copied|Not copied"))
    # The address is the list's already, so that a reload does not make a second key.
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_have_text("API keys")
    row = page.locator("tr", has_text=name)
    expect(row).to_contain_text("600 requests (rpm)")
    expect(row).to_contain_text("$25.00 a month")
    assert raw not in page.content()

    headers = {"authorization": f"Bearer {raw}", "x-portkey-virtual-key": "mock"}
    body = {"model": "mock", "messages": [{"role": "user", "content": "Hi"}]}

    def status() -> int:
        return httpx.post(f"{stack.url}{CHAT}", json=body, headers=headers, timeout=30).status_code

    wait_until(lambda: status() == 200, "the new key does not work")
    page.get_by_role("link", name=f"Revoke {name}").click()
    page.get_by_role("button", name="Revoke API key").click()
    expect(page.locator("tr", has_text=name)).to_contain_text("Revoked")
    wait_until(lambda: status() == 401, "the revoked key still works")


# --- Configs ----------------------------------------------------------------------------------------------------------


def test_a_config_is_written_corrected_saved_again_and_rolled_back(page: Page) -> None:
    page.goto("/console/new-config")
    page.get_by_label("Name").fill(f"Route {secrets.token_hex(3)}")
    page.get_by_text("Templates").click()
    page.get_by_role("button", name="Fallback", exact=True).click()
    editor = page.get_by_label("Config as JSON")
    assert '"mode": "fallback"' in editor.input_value()
    editor.fill('{"provider": "mock", "rety": {"attempts": 2}}')
    page.get_by_role("button", name="Create config").click()
    expect(page.locator("#id_body_error")).to_contain_text("rety")
    expect(page.locator("#id_body_error")).to_contain_text('unknown key, did you mean "retry"?')
    editor.fill('{"provider":"mock","retry":{"attempts":2}}')
    page.get_by_role("button", name="Format").click()
    expect(editor).to_have_value(re.compile('\n  "provider": "mock",\n'))
    page.get_by_role("button", name="Create config").click()
    expect(page.locator(".gh-version")).to_have_count(1)

    editor.fill('{"provider": "mock", "retry": {"attempts": 5}}')
    page.get_by_label("What changed and why").fill("more patience")
    page.get_by_role("button", name="Save as a new version").click()
    expect(page.locator(".gh-version").first).to_contain_text("more patience")
    page.get_by_role("link", name="v1").click()
    page.get_by_role("button", name="Put this version in force again").click()
    expect(page.locator(".gh-toast")).to_contain_text("Version 1 is in force again, as version 3.")
    assert '"attempts": 2' in editor.input_value()


def test_the_editor_indents_with_tab_and_lets_go_after_escape(page: Page) -> None:
    page.goto("/console/new-config")
    editor = page.get_by_label("Config as JSON")
    editor.fill("{")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.keyboard.type("x")
    page.keyboard.press("Tab")
    assert editor.input_value() == "{\n  x  "
    page.keyboard.press("Escape")
    page.keyboard.press("Tab")
    expect(editor).not_to_be_focused()


# --- The log ----------------------------------------------------------------------------------------------------------


def test_a_streamed_call_is_found_by_its_trace_and_put_together(page: Page, api: httpx.Client) -> None:
    trace = _call(api, "mock-name-pier", stream=True)
    _logged(api, trace)
    page.goto("/console/logs")
    page.keyboard.press("/")
    page.keyboard.type(trace)
    page.keyboard.press("Enter")
    row = page.locator("#rows tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("mock-name-pier")
    expect(row.get_by_text("Streamed")).to_be_attached()
    row.locator("a").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("mock-name-pier")
    answer = page.get_by_role("region", name="Answer").or_(page.locator("section", has=page.locator("#answer-title"))).first
    expect(answer).to_contain_text("Hello from mock-name-pier. You said: Where is the gate?")
    page.get_by_text("As it was streamed").click()
    expect(page.locator("#answer-stream")).to_contain_text("data: [DONE]")
    assert "$GATEHOUSE_API_KEY" in page.locator("#curl").inner_text()
    expect(page.get_by_role("link", name="harbour")).to_be_visible()
    page.get_by_role("link", name=trace).click()
    timeline = page.get_by_role("region", name="Timeline")
    expect(timeline.get_by_role("link")).to_have_count(1)
    expect(timeline).to_contain_text("mock-name-pier")


def test_retries_and_fallbacks_are_marked_and_drawn(page: Page, api: httpx.Client) -> None:
    config = {
        "strategy": {"mode": "fallback"},
        "targets": [
            {"provider": "mock", "override_params": {"model": "mock-status-500"}},
            {"provider": "mock", "override_params": {"model": "mock-name-second"}},
        ],
    }
    made = api.post("/v1/configs", json={"name": "Two piers", "config": config}).json()["slug"]
    trace = f"trace-{secrets.token_hex(6)}"
    headers = {"x-portkey-config": made, "x-portkey-trace-id": trace}
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}
    wait_until(lambda: api.post(CHAT, json=body, headers=headers).status_code == 200, "the config is not in force")
    _logged(api, trace)
    page.goto(f"/console/logs?trace_id={trace}&status=2xx")
    row = page.locator("#rows tbody tr").first
    expect(row.get_by_text("Fell back to another target")).to_be_attached()
    row.locator("a").first.click()
    attempts = page.locator(".gh-attempt")
    expect(attempts).to_have_count(2)
    expect(attempts.first).to_contain_text("500")
    expect(attempts.last).to_contain_text("mock-name-second")
    expect(page.get_by_role("link", name="Two piers v1")).to_be_visible()


def test_the_log_follows_live(page: Page, api: httpx.Client) -> None:
    trace = f"trace-{secrets.token_hex(6)}"
    page.goto(f"/console/logs?trace_id={trace}")
    expect(page.get_by_text("Nothing found")).to_be_visible()
    page.get_by_role("button", name="Follow live").click()
    _call(api, trace_id=trace)
    expect(page.locator("#rows tbody tr")).to_have_count(1, timeout=20_000)
    page.get_by_role("button", name="Pause").click()
    expect(page).not_to_have_url(re.compile("live=1"))


# --- Language, theme, keyboard ----------------------------------------------------------------------------------------


def test_the_language_is_switched_and_kept(page: Page) -> None:
    page.goto("/console/virtual-keys?q=mock")
    page.get_by_label("Account and settings").click()
    page.get_by_role("button", name="简体中文").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("虚拟密钥")
    expect(page).to_have_url(re.compile("q=mock"))
    expect(page.locator("html")).to_have_attribute("lang", "zh-hans")
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_have_text("概览")
    page.get_by_label("账户与设置").click()
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")


def test_a_chinese_browser_is_greeted_in_chinese(visit: Callable[..., Page]) -> None:
    page = visit(locale="zh-CN", log_in=False)
    page.goto("/login")
    expect(page.get_by_role("button", name="登录")).to_be_visible()


def test_the_theme_is_chosen_kept_and_there_before_the_first_paint(page: Page) -> None:
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "light")
    page.get_by_label("Account and settings").click()
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    page.goto("/console/logs", wait_until="commit")
    # The body is not there yet, or was never seen without the theme: the script stands before the style sheets.
    page.wait_for_selector("head link[rel=stylesheet]", state="attached")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    page.get_by_label("Account and settings").click()
    page.get_by_role("button", name="As the system").click()
    page.emulate_media(color_scheme="light")
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "light")


def test_the_keyboard_reaches_search_help_and_pages(page: Page) -> None:
    page.keyboard.press("?")
    help_dialog = page.get_by_role("dialog", name="Keyboard shortcuts")
    expect(help_dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(help_dialog).to_be_hidden()
    page.keyboard.press("g")
    page.keyboard.press("v")
    expect(page.get_by_role("heading", level=1)).to_have_text("Virtual keys")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("?/g")
    expect(page.get_by_role("searchbox")).to_have_value("?/g")


def test_the_first_page_teaches_a_call_in_three_languages(page: Page, stack: Gatehouse) -> None:
    expect(page.locator("#code-curl")).to_contain_text(f"{stack.url}/v1/chat/completions")
    page.get_by_role("tab", name="curl").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#code-python")).to_be_visible()
    expect(page.locator("#code-curl")).to_be_hidden()
    page.get_by_role("tab", name="JavaScript").click()
    expect(page.locator("#code-js")).to_contain_text("baseURL")


# --- Every page -------------------------------------------------------------------------------------------------------

PAGES = (
    "/",
    "/console/logs",
    "/console/virtual-keys",
    "/console/new-virtual-key",
    "/console/virtual-keys/mock",
    "/console/virtual-keys/mock/delete",
    "/console/api-keys",
    "/console/new-api-key",
    "/console/configs",
    "/console/new-config",
)


UNLABELLED = """[...document.querySelectorAll("input:not([type=hidden]), select, textarea")]
    .filter((field) => !field.labels.length && !field.ariaLabel).map((field) => field.name)"""


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_the_screen(visit: Callable[..., Page], api: httpx.Client, locale: str, width: int) -> None:
    _logged(api, _call(api))
    page = visit(locale=locale, width=width, dark=width == 390)
    for path in PAGES:
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        assert page.evaluate(UNLABELLED) == [], path
    page.goto("/console/logs")
    page.locator("#rows tbody a").first.click()
    page.wait_for_url(re.compile("/console/logs/"))
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_menu_opens_on_a_phone(visit: Callable[..., Page]) -> None:
    page = visit(width=390)
    expect(page.get_by_role("link", name="Configs")).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Configs").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Configs")


def test_the_policy_stops_a_script_in_the_page(browser: Browser, stack: Gatehouse) -> None:
    """The watch sees violations: without that, its silence would mean nothing."""
    context = browser.new_context(base_url=stack.url)
    page = context.new_page()
    watch = Watch(page)
    page.goto("/login")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<p style=\"color:red\">x</p>')")
    page.evaluate("document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.x = 1'}))")
    assert page.evaluate("window.x") is None
    assert any("Content Security Policy" in complaint for complaint in watch.complaints)
    context.close()
