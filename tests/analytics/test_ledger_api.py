"""Feedback, traces, invoices, retention and one person's data over the admin API."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from decimal import Decimal
from typing import Any

import pytest
from django.db.models import Sum

from analytics import retention
from analytics.models import Feedback, RequestBody, RequestLog, RollupHour, RollupMetadata
from analytics.record import AttemptRecord
from keys.models import AuditEvent
from tests.keys.people import Team, key_with
from tests.keys.people import stranger as stranger
from tests.keys.people import team as team
from tests.keys.test_admin_logs import log

ANN, BOB = {"_user": "ann", "session": "s-1"}, {"_user": "bob"}


# --- Feedback ---------------------------------------------------------------------------------------------------------


def test_feedback_is_given_changed_and_shown_with_the_call(team: Team) -> None:
    one = log(team, trace_id="t/1")
    status, answer = team.api.post("/feedback", {"trace_id": "t/1", "value": 5, "weight": 0.5, "metadata": {"_user": "ann"}})
    assert (status, answer["status"], len(answer["feedback_ids"])) == (200, "success", 1)
    assert team.api.put(f"/feedback/{answer['feedback_ids'][0]}", {"value": -3})[1]["feedback_ids"] == answer["feedback_ids"]
    shown = {"id": answer["feedback_ids"][0], "value": -3, "weight": 0.5, "metadata": {"_user": "ann"}}
    assert team.api.get(f"/logs/{one}")[1]["feedback"] == [shown]
    assert team.api.get("/feedback?trace_id=t/1")[1]["data"][0]["value"] == -3


def test_several_are_given_at_once_all_or_none(team: Team) -> None:
    several = [{"trace_id": "a", "value": 10}, {"trace_id": "b", "value": -10, "weight": 0}]
    assert len(team.api.post("/feedback", several)[1]["feedback_ids"]) == 2
    status, answer = team.api.post("/feedback", [{"trace_id": "c", "value": 1}, {"trace_id": "c", "value": 11}])
    assert (status, answer["error"]["param"]) == (400, "[1].value")
    assert Feedback.objects.count() == 2


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"value": 1}, "trace_id"),
        ({"trace_id": "t"}, "value"),
        ({"trace_id": "t", "value": 1.5}, "value"),
        ({"trace_id": "t", "value": True}, "value"),
        ({"trace_id": "t", "value": "5"}, "value"),
        ({"trace_id": "t", "value": 1, "weight": 1.1}, "weight"),
        ({"trace_id": "t", "value": 1, "weight": -0.1}, "weight"),
        ({"trace_id": "t", "value": 1, "metadata": []}, "metadata"),
        ({"trace_id": "", "value": 1}, "trace_id"),
        ({"trace_id": "t", "value": 1, "score": 2}, "score"),
        ([], "body"),
    ],
)
def test_wrong_feedback_is_refused_with_its_path(team: Team, body: Any, param: str) -> None:
    status, answer = team.api.post("/feedback", body)
    assert (status, answer["error"]["param"]) == (400, param)


def test_a_key_that_only_calls_models_may_give_feedback(team: Team, stranger: Team) -> None:
    caller = key_with(team, "completions.write")
    made = caller.post("/feedback", {"trace_id": "t", "value": 1})[1]["feedback_ids"][0]
    assert stranger.api.put(f"/feedback/{made}", {"value": 9})[0] == 404
    assert stranger.api.get("/feedback?trace_id=t")[1]["data"] == []
    assert key_with(team, "configs.list").post("/feedback", {"trace_id": "t", "value": 1})[0] == 403


# --- Traces -----------------------------------------------------------------------------------------------------------


def test_a_trace_shows_each_call_under_its_parent(team: Team) -> None:
    start = 1_770_000_000_000_000
    tries = [AttemptRecord("a", "mock", "m", 500, 5.0), AttemptRecord("b", "mock", "m", 200, 5.0, started_ms=15.0)]
    log(team, trace_id="t", started_at_us=start, span_id="root", duration_ms=100.0, cost_usd="0.5")
    log(team, trace_id="t", started_at_us=start + 90_000, parent_span_id="root", span_name="last", duration_ms=5.0, status=500)
    log(team, trace_id="t", started_at_us=start + 20_000, span_id="mid", parent_span_id="root", cost_usd="0.25", attempts=tries)
    log(team, trace_id="t", started_at_us=start + 30_000, parent_span_id="mid", unpriced=True, input_tokens=3)
    log(team, trace_id="t", started_at_us=start + 40_000, parent_span_id="elsewhere", span_name="orphan")
    status, found = team.api.get("/traces/t")
    assert [(one["depth"], one["offset_ms"], one["span_id"] or one["span_name"]) for one in found["calls"]] == [
        (0, 0.0, "root"),
        (1, 20.0, "mid"),
        (2, 30.0, ""),
        (1, 90.0, "last"),
        (0, 40.0, "orphan"),
    ]
    assert (status, found["cost_usd"], found["tokens"], found["failed"], found["unpriced"]) == (200, "0.75", 3, 1, 1)
    assert found["duration_ms"] == 100.0


def test_a_trace_whose_spans_go_in_a_circle_shows_each_call_once(team: Team) -> None:
    log(team, trace_id="t", span_id="a", parent_span_id="b")
    log(team, trace_id="t", span_id="b", parent_span_id="a")
    log(team, trace_id="t", span_id="c", parent_span_id="c")
    log(team, trace_id="t", span_id="d", parent_span_id="a")
    assert sorted(one["span_id"] for one in team.api.get("/traces/t")[1]["calls"]) == ["a", "b", "c", "d"]


def test_a_stranger_sees_no_trace(team: Team, stranger: Team) -> None:
    log(team, trace_id="t")
    assert stranger.api.get("/traces/t")[0] == 404
    assert team.api.get("/traces/other")[0] == 404


# --- Invoices ---------------------------------------------------------------------------------------------------------


def invoice(team: Team, query: str = "") -> list[dict[str, str]]:
    month = dt.datetime.now(dt.UTC).strftime("%Y-%m")
    answer = team.api.client.get(f"/v1/invoices/{month}{query}", headers=team.api.headers)
    assert (answer.status_code, answer["content-type"]) == (200, "text/csv; charset=utf-8"), answer.content
    return list(csv.DictReader(io.StringIO(answer.content.decode())))


def test_every_part_of_an_invoice_sums_up_to_the_log(team: Team) -> None:
    for number, who in enumerate((ANN, ANN, BOB, {})):
        log(team, model=f"m-{number % 2}", cost_usd=f"0.00000{number + 1}", input_tokens=number, metadata=who)
    log(team, api_key_id=None, unpriced=True, output_tokens=7, metadata=BOB)
    log(team, started_at_us=1_770_000_000_000_000, cost_usd="9")  # another month's
    rows = invoice(team)
    logged = RequestLog.objects.filter(cost_usd__lt=1).aggregate(cost=Sum("cost_usd"))["cost"]
    for part in ("model", "key", "user", "total"):
        lines = [row for row in rows if row["part"] == part]
        assert sum(Decimal(row["cost_usd"]) for row in lines) == logged == Decimal("0.00001")
        assert sum(int(row["calls"]) for row in lines) == 5
        assert sum(int(row["tokens"]) for row in lines) == 13
    users = {row["user"]: (row["calls"], Decimal(row["cost_usd"])) for row in rows if row["part"] == "user"}
    assert users == {"ann": ("2", Decimal("0.000003")), "bob": ("2", Decimal("0.000003")), "": ("1", Decimal("0.000004"))}
    assert [row["api_key"] for row in rows if row["part"] == "key"] == ["all", ""]
    assert {row["part"] for row in invoice(team, "?part=user")} == {"user"}


def test_an_invoice_is_safe_to_open_in_a_spreadsheet(team: Team) -> None:
    log(team, model="=HYPERLINK(1)", metadata={"_user": "@SUM(1)"})
    rows = invoice(team)
    assert {row["model"] for row in rows} == {"'=HYPERLINK(1)", ""}
    assert {row["user"] for row in rows} == {"'@SUM(1)", ""}


@pytest.mark.parametrize("month", ["2026-13", "2026", "2026-1", "x"])
def test_what_is_no_month_is_refused(team: Team, month: str) -> None:
    assert team.api.get(f"/invoices/{month}")[1]["error"]["param"] == "month"


def test_an_invoice_is_one_workspaces(team: Team, stranger: Team) -> None:
    log(team, cost_usd="1")
    assert [row["part"] for row in invoice(stranger)] == ["total"]


# --- Retention --------------------------------------------------------------------------------------------------------


def test_a_workspace_keeps_its_calls_for_its_own_number_of_days(team: Team, stranger: Team) -> None:
    now = dt.datetime.now(dt.UTC)
    old = int((now - dt.timedelta(days=4)).timestamp() * 1_000_000)
    log(team, started_at_us=old, request=b"{}")
    kept = [log(team, request=b"{}"), log(stranger, started_at_us=old)]
    assert team.api.put("/retention", {"days": 3})[1]["days"] == 3
    assert retention.delete_expired(now) == 1
    assert sorted(str(row.id) for row in RequestLog.objects.all()) == sorted(kept)
    assert RequestBody.objects.count() == 1
    assert RollupHour.objects.aggregate(calls=Sum("calls"))["calls"] == 3


@pytest.mark.parametrize("days", [0, -1, 1.5, 10_000, "3", True])
def test_a_retention_that_cannot_be_is_refused(team: Team, days: Any) -> None:
    assert team.api.put("/retention", {"days": days})[1]["error"]["param"] == "days"


def test_no_days_return_to_those_of_the_installation(team: Team) -> None:
    team.api.put("/retention", {"days": 3})
    answer = team.api.put("/retention", {"days": None})[1]
    assert (answer["days"], answer["own_days"]) == (answer["most_days"], None)


# --- One person's data ------------------------------------------------------------------------------------------------


def test_one_persons_calls_are_exported_with_their_bodies_page_by_page(team: Team) -> None:
    made = [log(team, trace_id=f"t{number}", metadata=ANN, request=b'{"secret": 1}') for number in range(3)]
    log(team, metadata=BOB)
    team.api.post("/feedback", {"trace_id": "t0", "value": 1})
    first = team.api.get("/personal-data?key=_user&value=ann&limit=2")[1]
    second = team.api.get(f"/personal-data?key=_user&value=ann&limit=2&after={first['data'][-1]['id']}")[1]
    assert [row["id"] for row in first["data"] + second["data"]] == made
    assert (first["has_more"], second["has_more"], len(first["feedback"])) == (True, False, 1)
    assert first["data"][0]["request"] == {"secret": 1}


def test_erasing_takes_the_person_away_and_leaves_the_numbers(team: Team, stranger: Team) -> None:
    tries = [AttemptRecord("config", "mock", "m", 500, 1.0, error="ann is unknown")]
    log(team, trace_id="ann-7", metadata=ANN, cost_usd="0.5", request=b"I am ann", error_message="ann!", attempts=tries)
    kept = log(team, trace_id="bob-1", metadata={**BOB, "session": "s-1"}, cost_usd="0.25", request=b"I am bob")
    log(stranger, metadata=ANN, request=b"another ann")
    team.api.post("/feedback", [{"trace_id": "ann-7", "value": 1}, {"trace_id": "bob-1", "value": 2}])
    before = RollupHour.objects.aggregate(cost=Sum("cost_usd"), calls=Sum("calls"))
    status, done = team.api.post("/personal-data/erase", {"key": "_user", "value": "ann"})
    assert (status, done["calls"], done["bodies"], done["feedback"]) == (200, 1, 1, 1)
    workspace = team.workspace.pk
    left = json.dumps([list(map(str, row)) for row in RequestLog.objects.filter(workspace_id=workspace).values_list()])
    assert "ann" not in left
    assert RequestLog.objects.filter(workspace_id=workspace).aggregate(cost=Sum("cost_usd"))["cost"] == Decimal("0.75")
    assert RollupHour.objects.aggregate(cost=Sum("cost_usd"), calls=Sum("calls")) == before
    by_metadata = set(RollupMetadata.objects.filter(workspace_id=workspace).values_list("key", "value", "calls", "cost_usd"))
    assert by_metadata == {("_user", "bob", 1, Decimal("0.25")), ("session", "s-1", 1, Decimal("0.25"))}
    assert sorted(body.request for body in RequestBody.objects.all()) == ["I am bob", "another ann"]
    assert [row["id"] for row in team.api.get("/personal-data?key=_user&value=bob")[1]["data"]] == [kept]
    assert "ann" not in json.dumps(list(AuditEvent.objects.filter(action="data.erase").values_list("details", flat=True)))


def test_only_who_may_change_the_workspace_may_erase(team: Team) -> None:
    reader = key_with(team, "logs.list", "logs.view", "logs.export")
    assert reader.get("/personal-data?key=_user&value=ann")[0] == 200
    assert reader.post("/personal-data/erase", {"key": "_user", "value": "ann"})[0] == 403
    assert key_with(team, "logs.view").get("/personal-data?key=_user&value=ann")[0] == 403
