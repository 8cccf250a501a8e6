"""One call as its page shows it, and how its values look."""

from __future__ import annotations

import datetime as dt
import subprocess
from decimal import Decimal
from typing import Any

import pytest
from django.utils import translation

from analytics import log_view
from analytics.models import RequestLog
from analytics.queries import LogDetail
from keys.templatetags import console as tags


def _log(**fields: Any) -> RequestLog:
    return RequestLog(**{"endpoint": "chat/completions", "duration_ms": 100.0, "attempts": [], **fields})


def _detail(response: str, answer: dict[str, Any] | None = None) -> LogDetail:
    return LogDetail(_log(), "", response, response_is_stream=answer is not None, answer=answer)


def test_messages_are_shown_as_text_with_the_rest_beside_it() -> None:
    request = """{"messages": [{"role": "system", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {}}]},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "call_1"}]}, "nonsense"]}"""
    system, user, assistant = log_view.asked(request)
    assert (system.role, system.text, system.extra) == ("system", "Be kind.", "")
    assert user.text == "What is this?"
    assert "image_url" in user.extra
    assert (assistant.text, "call_1" in assistant.extra) == ("", True)


@pytest.mark.parametrize("text", ["", "no json", "[1]", '{"messages": 3}', '{"input": "x"}'])
def test_requests_of_another_form_have_no_messages(text: str) -> None:
    assert log_view.asked(text) == []


def test_an_answer_comes_from_the_stream_or_from_the_body() -> None:
    whole = '{"choices": [{"message": {"role": "assistant", "content": "Hi"}}, {"text": "completion"}, {"other": 1}]}'
    assert [message.text for message in log_view.answered(_detail(whole))] == ["Hi", "completion"]
    streamed = {"choices": [{"message": {"role": "assistant", "content": "Streamed"}}]}
    assert [message.text for message in log_view.answered(_detail("data: x", streamed))] == ["Streamed"]
    assert log_view.answered(_detail("not json")) == []


def test_attempts_lie_one_after_the_other_on_the_line() -> None:
    attempts = [
        {"path": "targets[0]", "provider": "a", "model": "m", "status": 500, "duration_ms": 20.0, "error": "server_error"},
        {"path": "targets[1]", "provider": "b", "model": "m", "status": 200, "duration_ms": 60.0},
    ]
    log = _log(attempts=attempts, duration_ms=100.0)
    first, second = log_view.time_line(log)
    assert (first.start, first.width, first.error) == (0.0, 20.0, "server_error")
    assert (second.start, second.width, second.error) == (20.0, 60.0, "")
    assert log_view.waited_ms(log) == pytest.approx(20.0)
    assert log_view.waited_ms(_log(attempts=attempts[:1], duration_ms=900.0)) is None


def test_bars_stay_on_the_line_whatever_the_clock_said() -> None:
    attempts = [{"duration_ms": 0}, {"duration_ms": 5000.0}, {"duration_ms": None}]
    for bar in log_view.time_line(_log(attempts=attempts, duration_ms=0.0)):
        assert 0 <= bar.start <= 99
        assert bar.width >= 1


def test_the_curl_command_survives_a_shell_and_holds_no_key() -> None:
    body = """{"messages": [{"role": "user", "content": "it's $HOME `id` \\\\ \\"quoted\\""}]}"""
    command = log_view.curl(_log(), body, "http://gate.example/v1", "x-portkey-virtual-key: mock")
    assert '"Authorization: Bearer $GATEHOUSE_API_KEY"' in command
    spoken = command.replace("curl ", "printf '%s\\n' ", 1)
    shown = subprocess.run(["sh", "-c", spoken], capture_output=True, text=True, check=True).stdout.splitlines()
    assert shown[0] == "http://gate.example/v1/chat/completions"
    assert shown[-1] == body


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (None, "—"),
        (Decimal(0), "$0"),
        (Decimal("0.00000004"), "<$0.000001"),
        (Decimal("0.000125"), "$0.000125"),
        (Decimal("0.5"), "$0.50"),
        (Decimal("1234.567"), "$1,234.57"),
        (12, "$12.00"),
    ],
)
def test_costs_show_as_many_digits_as_they_need(amount: Decimal | int | None, shown: str) -> None:
    assert tags.usd(amount) == shown


@pytest.mark.parametrize(
    ("value", "english", "chinese"),
    [
        (None, "—", "—"),
        (0.42, "0.4 ms", "0.4 毫秒"),
        (840, "840 ms", "840 毫秒"),
        (1841, "1.84 s", "1.84 秒"),
        (125_000, "2 min 5 s", "2 分 5 秒"),
    ],
)
def test_durations_are_short_in_both_languages(value: float | None, english: str, chinese: str) -> None:
    assert tags.milliseconds(value) == english
    with translation.override("zh-hans"):
        assert tags.milliseconds(value) == chinese


def test_moments_are_in_utc_and_carry_the_exact_time() -> None:
    moment = dt.datetime(2026, 1, 31, 23, 59, 59, tzinfo=dt.timezone(dt.timedelta(hours=8)))
    shown = tags.ago(moment)
    assert 'datetime="2026-01-31T15:59:59+00:00"' in shown
    assert 'title="2026-01-31 15:59:59 UTC"' in shown
    assert tags.moment(None) == "—"


def test_numbers_are_grouped() -> None:
    assert (tags.number(1234567), tags.number(None)) == ("1,234,567", "—")
