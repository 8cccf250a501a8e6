"""Prices over the admin API, and what they do to the log."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import Sum

from analytics import price_queries
from analytics.models import RequestLog, RollupHour, RollupMetadata, RollupMinute
from routing.models import SnapshotVersion
from tests.keys.people import Team, key_with
from tests.keys.people import stranger as stranger
from tests.keys.people import team as team
from tests.keys.test_admin_logs import log

OWN: dict[str, Any] = {"provider": "openai", "model": "in-house-*", "prices": {"input": 2.5, "output": "10"}}


def test_a_price_is_made_shown_changed_and_deleted(team: Team) -> None:
    status, made = team.api.post("/prices", {**OWN, "note": "from the contract"})
    assert (status, made["prices"], made["discount_percent"]) == (200, {"input": "2.5", "output": "10"}, "0")
    assert team.api.get("/prices")[1]["data"][0]["id"] == made["id"]
    status, changed = team.api.put(f"/prices/{made['id']}", {"discount_percent": 12.5, "ends_at": "2030-01-01T00:00:00Z"})
    assert (status, changed["discount_percent"], changed["model"]) == (200, "12.5", "in-house-*")
    assert changed["ends_at"] == "2030-01-01T00:00:00.000Z"
    assert team.api.delete(f"/prices/{made['id']}")[0] == 200
    assert team.api.get(f"/prices/{made['id']}")[0] == 404


def test_gateways_hear_of_every_change(team: Team) -> None:
    def number() -> int:
        return SnapshotVersion.objects.get().number

    before = number()
    made = team.api.post("/prices", OWN)[1]["id"]
    team.api.put(f"/prices/{made}", {"note": "x"})
    team.api.delete(f"/prices/{made}")
    assert number() == before + 3


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prices": {"input": -1}}, "prices.input"),
        ({"prices": {"input": "NaN"}}, "prices.input"),
        ({"prices": {"input": "Infinity"}}, "prices.input"),
        ({"prices": {"input": True}}, "prices.input"),
        ({"prices": {"input": 10**7}}, "prices.input"),
        ({"prices": {"inptu": 1}}, "prices.inptu"),
        ({"prices": {"input": {"base": 1}}}, "prices.input.tiers"),
        (
            {"prices": {"input": {"base": 1, "tiers": [{"above": 5, "price": 1}, {"above": 5, "price": 2}]}}},
            "prices.input.tiers",
        ),
        ({"prices": {"input": {"base": 1, "tiers": [{"above": 0, "price": 1}]}}}, "prices.input.tiers[0].above"),
        ({"prices": {"image": [{"size": "512x512"}]}}, "prices.image[0].price"),
        ({"prices": {}}, "prices"),
        ({"prices": []}, "prices"),
        ({"discount_percent": 101}, "discount_percent"),
        ({"provider": "opneai"}, "provider"),
        ({"model": ""}, "model"),
        ({"model": "a[b]"}, "model"),
        ({"starts_at": "2026-02-02", "ends_at": "2026-02-01"}, "ends_at"),
        ({"starts_at": "yesterday"}, "starts_at"),
        ({"currency": "EUR"}, "currency"),
    ],
)
def test_a_wrong_price_is_refused_with_its_path(team: Team, fields: dict[str, Any], param: str) -> None:
    status, answer = team.api.post("/prices", {**OWN, **fields})
    assert (status, answer["error"]["param"]) == (400, param)
    assert team.api.get("/prices")[1]["total"] == 0


def test_a_stranger_finds_no_price_and_a_reader_changes_none(team: Team, stranger: Team) -> None:
    made = team.api.post("/prices", OWN)[1]["id"]
    assert stranger.api.get(f"/prices/{made}")[0] == 404
    assert stranger.api.delete(f"/prices/{made}")[0] == 404
    reader = key_with(team, "analytics.view")
    assert reader.get(f"/prices/{made}")[0] == 200
    assert reader.post("/prices", OWN)[0] == reader.delete(f"/prices/{made}")[0] == reader.post("/prices/reprice", {})[0] == 403


def test_a_preview_tells_what_a_call_costs_and_by_which_price(team: Team) -> None:
    team.api.post("/prices", OWN)
    call = {"provider": "openai", "model": "in-house-2", "input_tokens": 1000, "output_tokens": 100}
    shown = team.api.post("/prices/preview", {"call": call})[1]
    assert (shown["cost_usd"], shown["list_cost_usd"], shown["unpriced"]) == ("0.0035", None, False)
    assert shown["price"] == {"provider": "openai", "model": "in-house-*"}
    tried = {"provider": "*", "model": "*", "prices": {"request": "0.5"}}
    assert team.api.post("/prices/preview", {"call": call, "price": tried})[1]["cost_usd"] == "0.5"
    assert team.api.post("/prices/preview", {"call": {**call, "model": "else"}})[1]["unpriced"] is True


def test_a_preview_knows_images_and_audio(team: Team) -> None:
    tried = {"provider": "*", "model": "*", "prices": {"image": [{"size": "512x512", "price": "0.02"}], "audio_minute": "0.6"}}
    images = {"provider": "openai", "model": "x", "images": 2, "image_size": "512x512"}
    assert team.api.post("/prices/preview", {"call": images, "price": tried})[1]["cost_usd"] == "0.04"
    audio = {"provider": "openai", "model": "x", "audio_seconds": "90"}
    assert team.api.post("/prices/preview", {"call": audio, "price": tried})[1]["cost_usd"] == "0.9"


def sums(team: Team) -> list[Any]:
    """The cost and the unpriced calls: of the log, by minute and by hour; and the cost by metadata."""
    workspace = {"workspace_id": team.workspace.pk}
    of_log = RequestLog.objects.filter(**workspace).aggregate(cost=Sum("cost_usd"))["cost"]
    found = [(of_log, RequestLog.objects.filter(unpriced=True, **workspace).count())]
    for table in (RollupMinute, RollupHour):
        row = table.objects.filter(**workspace).aggregate(cost=Sum("cost_usd"), unpriced=Sum("unpriced"))
        found.append((row["cost"], row["unpriced"]))
    by_user = RollupMetadata.objects.filter(key="_user", **workspace).aggregate(cost=Sum("cost_usd"))["cost"]
    return [*found, by_user]


def test_unpriced_calls_get_the_price_that_came_later_and_all_sums_agree(team: Team) -> None:
    used = {
        "provider": "openai",
        "model": "in-house-1",
        "input_tokens": 1000,
        "output_tokens": 100,
        "metadata": {"_user": "ann"},
    }
    for _ in range(3):
        log(team, unpriced=True, **used)
    log(team, cost_usd="0.25", **used)
    log(team, status=500, provider="openai", model="in-house-1", cost_usd="0", metadata={"_user": "ann"})
    team.api.post("/prices", OWN)
    status, done = team.api.post("/prices/reprice", {})
    assert (status, done["seen"], done["changed"], done["difference_usd"]) == (200, 3, 3, "0.0105")
    whole = Decimal("0.2605")
    assert sums(team) == [(whole, 0), (whole, 0), (whole, 0), whole]
    assert team.api.post("/prices/reprice", {})[1]["changed"] == 0


def test_the_command_prices_all_calls_of_a_time_anew(team: Team, capsys: pytest.CaptureFixture[str]) -> None:
    log(team, provider="openai", model="gpt-4o", input_tokens=1000, cost_usd="0.0025", metadata={"_user": "ann"})
    team.api.post("/prices", {"provider": "openai", "model": "*", "discount_percent": 20})
    call_command("reprice", "acme", "--since", "2999-01-01", "--all")
    call_command("reprice", "acme", "--all")
    assert capsys.readouterr().out.splitlines() == [
        "0 calls, 0 of them changed, +0.000000 USD",
        "1 calls, 1 of them changed, -0.000500 USD",
    ]
    assert sums(team) == [(Decimal("0.002"), 0)] * 3 + [Decimal("0.002")]


def test_a_price_that_cannot_be_read_goes_out_of_service_alone(team: Team) -> None:
    made = team.api.post("/prices", OWN)[1]["id"]
    broken = price_queries.get_override(team.workspace, made)
    broken.pk, broken.prices = None, {"input": "much"}
    broken.save(force_insert=True)
    assert [one.model for one in price_queries.tariffs()[str(team.workspace.pk)]] == ["in-house-*"]
