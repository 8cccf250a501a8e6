"""The console's pages of prices, traces and invoices."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from analytics import record as records
from analytics.ids import uuid7
from analytics.ingest import ingest
from analytics.models import Feedback, PriceOverride, RequestLog
from analytics.record import Record
from keys.models import Workspace

FORM = {"provider": "openai", "model": "in-house-*", "input": "2", "output": "10", "try_input": "1000", "try_output": "100"}


def log(workspace: Workspace, **fields: Any) -> str:
    made: dict[str, Any] = {
        "id": uuid7(),
        "started_at_us": time.time_ns() // 1000,
        "workspace_id": str(workspace.pk),
        "api_key_id": None,
        "trace_id": "t/1",
        "endpoint": "chat/completions",
        "provider": "openai",
        "model": "in-house-1",
        "status": 200,
        **fields,
    }
    ingest([records.encode(Record(**made))])
    return str(made["id"])


def test_a_price_is_made_edited_and_deleted(log_in: Callable[..., Client]) -> None:
    client = log_in()
    assert client.post("/console/new-price", FORM).status_code == 302
    row = PriceOverride.objects.get()
    assert row.prices == {"input": "2", "output": "10"}
    assert b"in-house-*" in client.get("/console/prices").content
    assert b'value="10"' in client.get(f"/console/prices/{row.pk}").content
    client.post(f"/console/prices/{row.pk}", {**FORM, "output": "", "discount_percent": "5"})
    row.refresh_from_db()
    assert (row.prices, row.discount_percent) == ({"input": "2"}, 5)
    client.post(f"/console/prices/{row.pk}/delete")
    assert not PriceOverride.objects.exists()


def test_the_form_keeps_the_prices_that_only_the_api_can_set(log_in: Callable[..., Client], workspace: Workspace) -> None:
    client, tiers = log_in(), {"base": "1", "tiers": [{"above": 200_000, "price": "2"}]}
    row = PriceOverride.objects.create(workspace=workspace, provider="*", model="x", prices={"input": tiers, "output": "3"})
    client.post(f"/console/prices/{row.pk}", {"provider": "*", "model": "x", "output": "4"})
    row.refresh_from_db()
    assert row.prices == {"input": tiers, "output": "4"}


def test_a_wrong_price_is_shown_beside_its_field(log_in: Callable[..., Client]) -> None:
    answer = log_in().post("/console/new-price", {**FORM, "input": "-1"})
    assert answer.status_code == 422
    assert answer.context["form"].errors["input"] == ["must be from 0 to 1000000"]


def test_the_preview_tells_the_cost_of_a_call_as_one_types(log_in: Callable[..., Client]) -> None:
    client = log_in()
    assert b"$0.003" in client.post("/console/price-preview", FORM).content
    assert b"no price" in client.post("/console/price-preview", {**FORM, "output": ""}).content
    assert b"must be a number" in client.post("/console/price-preview", {**FORM, "output": "much"}).content


def test_unpriced_models_are_named_and_priced(log_in: Callable[..., Client], workspace: Workspace) -> None:
    client = log_in()
    log(workspace, unpriced=True, input_tokens=1_000_000)
    assert b"openai/in-house-1" in client.get("/console/prices").content
    client.post("/console/new-price", FORM)
    client.post("/console/price-again")
    assert RequestLog.objects.get().cost_usd == 2
    assert b"openai/in-house-1" not in client.get("/console/prices").content


def test_a_trace_and_its_feedback_are_shown(log_in: Callable[..., Client], workspace: Workspace) -> None:
    client = log_in("viewer")
    one = log(workspace, span_id="a", span_name="plan the <trip>", cost_usd="0.5")
    log(workspace, parent_span_id="a", status=500)
    Feedback.objects.create(workspace=workspace, trace_id="t/1", value=-7, metadata={"why": "wrong"})
    shown = client.get("/console/trace?id=t/1").content.decode()
    assert "plan the &lt;trip&gt;" in shown
    assert "why=wrong" in shown
    assert "-7" in client.get(f"/console/logs/{one}").content.decode()
    assert client.get("/console/trace?id=other").status_code == 404


def test_an_invoice_is_downloaded(log_in: Callable[..., Client], workspace: Workspace) -> None:
    client = log_in()
    log(workspace, cost_usd="0.5", started_at_us=1_770_000_000_000_000)
    answer = client.get("/console/invoice?month=2026-02")
    assert "attachment" in answer["content-disposition"]
    assert b"0.5000000000" in answer.content
    assert client.get("/console/invoice?month=no").status_code == 404


@pytest.mark.parametrize("path", ["/console/new-price", "/console/price-again"])
def test_a_viewer_changes_no_price(log_in: Callable[..., Client], path: str) -> None:
    client = log_in("viewer")
    assert client.get("/console/prices").status_code == 200
    assert client.post(path, FORM).status_code == 403
