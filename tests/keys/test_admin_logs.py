from __future__ import annotations

import json
import time
from typing import Any

import pytest

from analytics import record as records
from analytics.ids import uuid7
from analytics.ingest import ingest
from analytics.record import AttemptRecord, Record
from tests.keys.people import Team, key_with
from tests.keys.people import stranger as stranger
from tests.keys.people import team as team

STREAM = b"".join(
    b"data: "
    + json.dumps({"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": word}}]}).encode()
    + b"\n\n"
    for word in ("Hello", " there")
)


def log(team: Team, **fields: Any) -> str:
    """Puts one call into the log, and gives its id."""
    made: dict[str, Any] = {
        "id": uuid7(),
        "started_at_us": time.time_ns() // 1000,
        "workspace_id": str(team.workspace.pk),
        "api_key_id": str(team.key.pk),
        "trace_id": "trace-1",
        "endpoint": "chat/completions",
        "provider": "mock",
        "model": "mock-small",
        "status": 200,
        **fields,
    }
    ingest([records.encode(Record(**made))])
    return str(made["id"])


def test_the_list_is_newest_first_and_says_what_happened(team: Team) -> None:
    attempt = AttemptRecord("config.targets[0]", "mock", "mock-small", 500, 12.5, "server error")
    first = log(team, status=502, error_code="upstream_error", error_message="no answer", attempts=[attempt], retry_count=1)
    second = log(team, input_tokens=7, output_tokens=5, cost_usd="0.0001250", metadata={"_user": "ann"}, ttft_ms=3.5)
    status, page = team.api.get("/logs")
    assert (status, page["object"], page["has_more"], page["next_cursor"]) == (200, "list", False, None)
    newer, older = page["data"]
    assert (newer["id"], older["id"]) == (second, first)
    assert (newer["cost_usd"], newer["usage"]["input_tokens"], newer["usage"]["output_tokens"]) == ("0.000125", 7, 5)
    assert (newer["metadata"], newer["ttft_ms"], newer["error"], newer["status"]) == ({"_user": "ann"}, 3.5, None, 200)
    assert older["error"] == {"code": "upstream_error", "message": "no answer"}
    assert (older["attempts"][0]["status"], older["retry_count"], older["cost_usd"]) == (500, 1, None)
    assert "request" not in newer


def test_pages_follow_one_another(team: Team) -> None:
    made = [log(team) for _ in range(5)]
    seen, cursor = [], ""
    while cursor is not None:
        page = team.api.get(f"/logs?limit=2&cursor={cursor}")[1]
        assert page["has_more"] is (page["next_cursor"] is not None)
        seen += [row["id"] for row in page["data"]]
        cursor = page["next_cursor"]
    assert seen == made[::-1]


@pytest.mark.parametrize(
    "query",
    [
        "trace_id=t",
        "status=429",
        "status=4xx",
        "model=m",
        "metadata.session=s&metadata.env=e",
        "trace_id=t&status=429&workspace_id=acme",
    ],
)
def test_filters_narrow_the_list(team: Team, query: str) -> None:
    log(team)
    wanted = log(team, trace_id="t", status=429, model="m", metadata={"session": "s", "env": "e"})
    assert [row["id"] for row in team.api.get(f"/logs?{query}")[1]["data"]] == [wanted]


def test_a_misspelt_filter_is_refused_with_the_nearest_name(team: Team) -> None:
    status, answer = team.api.get("/logs?trace_di=t")
    assert (status, answer["error"]["param"]) == (400, "trace_di")
    assert 'did you mean "trace_id"?' in answer["error"]["message"]


def test_one_call_is_shown_with_its_bodies(team: Team) -> None:
    one = log(team, request=b'{"model": "mock-small"}', response=b'{"id": "chatcmpl-1"}')
    status, detail = team.api.get(f"/logs/{one}")
    assert (status, detail["id"], detail["request"], detail["response"]) == (
        200,
        one,
        {"model": "mock-small"},
        {"id": "chatcmpl-1"},
    )


def test_a_stream_is_shown_as_the_message_it_made(team: Team) -> None:
    one = log(team, request=b"{}", response=STREAM, response_is_stream=True, is_stream=True)
    detail = team.api.get(f"/logs/{one}")[1]
    assert detail["response_is_stream"] is True
    assert detail["response"]["choices"][0]["message"]["content"] == "Hello there"


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        (b"", None),
        (b'{"cut": "at the lim', '{"cut": "at the lim'),
        (b"<html>", "<html>"),
        (b'{"a":' * 900 + b"1" + b"}" * 900, '{"a":' * 900 + "1" + "}" * 900),
    ],
    ids=["nothing", "cut", "no json", "too deep to be written"],
)
def test_a_body_that_is_no_json_is_shown_as_text(team: Team, stored: bytes, shown: str | None) -> None:
    one = log(team, request=b"{}", response=stored)
    status, detail = team.api.get(f"/logs/{one}")
    assert (status, detail["response"]) == (200, shown)


def test_a_stranger_sees_no_log(team: Team, stranger: Team) -> None:
    one = log(team)
    assert stranger.api.get("/logs")[1]["data"] == []
    assert stranger.api.get(f"/logs/{one}")[0] == 404


def test_the_bodies_need_a_scope_of_their_own(team: Team) -> None:
    one = log(team)
    assert key_with(team, "logs.list").get(f"/logs/{one}")[0] == 403
    assert key_with(team, "logs.view").get(f"/logs/{one}")[0] == 200
