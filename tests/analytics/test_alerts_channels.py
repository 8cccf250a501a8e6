"""Where alerts may go, what is shown of it, and what nobody ever sees."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection

from analytics.alerts import actions, channels, outbox
from analytics.alerts.channels import NotDelivered
from analytics.alerts.models import AlertChannel, AlertDelivery
from analytics.alerts.sender import scrubbed
from keys.models import AuditEvent
from routing.egress import EgressGuard
from routing.errors import InvalidRequest
from tests.inboxes import Mailbox, Receiver
from tests.keys.people import Team, key_with
from tests.keys.people import stranger as stranger
from tests.keys.people import team as team

pytestmark = pytest.mark.django_db

TOKEN = "hook-t0ken-9876543210"
SIGNING = "signing-s3cret-4711"
SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def loopback(settings: Any) -> None:
    settings.EGRESS = EgressGuard.parse(["127.0.0.1"])


def channel(team: Team, url: str, **fields: Any) -> AlertChannel:
    return actions.create_channel(workspace=team.workspace, actor=team.owner, name="hook", url=url, **fields)


# --- What an address may be ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "scheme", "masked"),
    [
        (SLACK, "slack", "slack://••••"),
        ("https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", "slack", "slack://••••"),
        ("https://alerts.example/in/" + TOKEN, "https", "https://alerts.example/••••"),
        (f"mailtos://bot:{TOKEN}@mail.example:465?to=ops@b.example", "mailtos", "mailtos://mail.example:465/••••"),
        ("pagerduty://0123456789abcdef0123456789abcdef@fedcba9876543210fedc", "pagerduty", "pagerduty://••••"),
        ("dingtalk://" + "a" * 40, "dingtalk", "dingtalk://••••"),
        ("feishu://" + "b" * 36, "feishu", "feishu://••••"),
        ("wecombot://" + "c" * 36, "wecombot", "wecombot://••••"),
        ("twilio://AC" + "d" * 32 + ":" + "e" * 32 + "@12223334444/15556667777", "twilio", "twilio://••••"),
    ],
)
def test_an_address_is_understood_and_shown_without_its_secret(url: str, scheme: str, masked: str) -> None:
    address = channels.check_address(url)
    assert (address.scheme, address.masked) == (scheme, masked)


@pytest.mark.parametrize(
    "url",
    [
        "",
        None,
        7,
        "ops@example.com",
        "syslog://",
        "dbus://",
        "file:///etc/passwd",
        "windows://",
        "slack://too/short",
        "http://127.0.0.1:6379/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1]/x",
        "mailto://a:b@10.0.0.1?to=x@y.example",
        f"{SLACK}?template=/etc/passwd",
        f"{SLACK}?+Template=https://a.example",
        "https://a.example/x y",
        "https://a.example/\r\nx-evil: 1",
        "https://[::1",
        "https://a.example/" + "x" * 3000,
    ],
)
def test_other_addresses_are_refused_without_being_repeated(url: Any) -> None:
    with pytest.raises(InvalidRequest) as refused:
        channels.check_address(url)
    assert refused.value.param == "url"
    assert "TIiajkdn" not in refused.value.message
    assert "passwd" not in refused.value.message


def test_the_operator_narrows_the_schemes_and_old_channels_fall_silent(team: Team, settings: Any, loopback: None) -> None:
    made = channel(team, "https://alerts.example/in")
    settings.ALERT_SCHEMES = frozenset({"slack"})
    with pytest.raises(InvalidRequest, match="https is not an allowed scheme"):
        channels.check_address("https://alerts.example/in")
    sent = outbox.send_test(made)
    assert (sent.state, sent.error) == ("failed", "https is not an allowed scheme any more")


# --- Where it may connect ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["http://localhost:{port}/x", "json://localhost:{port}/x", "mailto://a:b@localhost:{port}?smtp=localhost"]
)
def test_names_that_lead_to_private_addresses_are_refused_when_they_are_used(team: Team, receiver: Receiver, path: str) -> None:
    made = channel(team, path.format(port=receiver.url.rpartition(":")[2]))
    sent = outbox.send_test(made)
    assert sent.state == "failed"
    assert "localhost is a private address; list it in GATEHOUSE_PRIVATE_HOSTS" in sent.error
    assert receiver.bodies == []


@pytest.mark.parametrize("scheme", ["http", "json"])
def test_redirects_are_not_followed(team: Team, receiver: Receiver, loopback: None, scheme: str) -> None:
    with Receiver() as elsewhere:
        receiver.status, receiver.location = 307, elsewhere.url
        sent = outbox.send_test(channel(team, receiver.url.replace("http:", f"{scheme}:")))
        assert sent.state == "failed"
        assert elsewhere.bodies == []
        assert len(receiver.bodies) == 1


def test_a_silent_host_costs_only_the_time_limit(team: Team, loopback: None, monkeypatch: Any) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as deaf:
        made = channel(team, f"http://127.0.0.1:{deaf.getsockname()[1]}/")
        monkeypatch.setattr(channels, "TIMEOUT_S", 1.5)
        sent = outbox.send_test(made)
    assert (sent.state, sent.error) == ("failed", "no answer within 2 seconds")


# --- What arrives --------------------------------------------------------------------------------------------------------


def test_a_webhook_is_signed_so_that_its_receiver_can_trust_it(team: Team, receiver: Receiver, loopback: None) -> None:
    assert outbox.send_test(channel(team, f"{receiver.url}/in", signing_secret=SIGNING)).state == "sent"
    moment, _, given = receiver.headers[0]["x-gatehouse-signature"].removeprefix("t=").partition(",v1=")
    digest = hmac.new(SIGNING.encode(), moment.encode() + b"." + receiver.bodies[0], hashlib.sha256)
    assert given == digest.hexdigest()
    assert receiver.payloads[0]["type"] == "alert.test"


def test_mail_arrives_over_smtp_with_a_password(team: Team, loopback: None) -> None:
    with Mailbox() as mailbox:
        url = f"mailto://bot:{TOKEN}@127.0.0.1:{mailbox.port}?smtp=127.0.0.1&mode=insecure&from=bot@a.example&to=ops@b.example"
        assert outbox.send_test(channel(team, url)).state == "sent"
        assert (mailbox.recipients, mailbox.passwords) == (["ops@b.example"], [TOKEN])
        assert "Alerts of Gatehouse arrive here." in mailbox.text()


# --- What nobody sees ----------------------------------------------------------------------------------------------------


def test_an_address_lies_in_no_sink(team: Team, receiver: Receiver, loopback: None, caplog: Any, capfd: Any) -> None:
    receiver.status = 500
    status, made = team.api.post(
        "/alert-channels", {"name": "ops", "url": f"{receiver.url}/in/{TOKEN}", "signing_secret": SIGNING}
    )
    assert status == 200
    shown = [made, team.api.post("/alert-channels/ops/test", None), team.api.get("/alert-deliveries")]
    shown += [team.api.get("/alert-channels/ops"), team.api.get("/alert-channels")]
    shown += [team.api.post("/alert-channels", {"name": "bad", "url": f"slack://{TOKEN}"})]
    shown += [list(AuditEvent.objects.values()), list(AlertDelivery.objects.values()), caplog.text, *capfd.readouterr()]
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT t::text FROM "{table}" AS t')
            shown.append(cursor.fetchall())
    for secret in (TOKEN, SIGNING, TOKEN.encode().hex(), SIGNING.encode().hex()):
        assert secret not in str(shown)
    assert shown[1][1]["error"] == "it answered with status 500"


@pytest.mark.parametrize(
    "text",
    ["cannot reach https://bot:pass%77ord@a.example/in/tok-en-1?k=v-alue", "password: password", "TOK-EN-1 and V-ALUE"],
)
def test_errors_are_scrubbed_of_every_part_of_an_address(text: str) -> None:
    found = scrubbed(text, {"url": "https://bot:pass%77ord@a.example/in/tok-en-1?k=v-alue", "sender": "webhook"}).lower()
    assert not [secret for secret in ("pass%77ord", "tok-en-1", "v-alue") if secret in found]
    assert "password: password" not in found


def test_a_credential_that_cannot_be_decrypted_is_said_so(team: Team, settings: Any) -> None:
    made = channel(team, SLACK)
    AlertChannel.objects.update(secret=b"nonsense")
    made.refresh_from_db()
    with pytest.raises(NotDelivered, match="its address cannot be decrypted"):
        channels.send(made, AlertDelivery(workspace=team.workspace))


# --- The REST API --------------------------------------------------------------------------------------------------------


def test_the_rules_of_a_document_are_taken_as_they_are_written(team: Team) -> None:
    for name, url in (
        ("slack", SLACK),
        ("email", "mailto://u:p@gmail.com"),
        ("sms", "https://sms.example/x"),
        ("pagerduty", "https://p.example/x"),
    ):
        assert team.api.post("/alert-channels", {"name": name, "url": url})[0] == 200
    document = {
        "alerts": [
            {"type": "latency", "condition": "p95 > 5000", "channels": ["slack", "email", "sms"]},
            {"type": "error_rate", "condition": "rate > 0.05", "channels": ["pagerduty", "slack"]},
        ]
    }
    status, made = team.api.post("/alerts", document)
    assert status == 200
    assert [(one["type"], one["condition"], one["window"], one["state"]) for one in made["data"]] == [
        ("latency", "p95 > 5000", "5m", "ok"),
        ("error_rate", "rate > 0.05", "5m", "ok"),
    ]
    assert made["data"][1]["channels"] == ["pagerduty", "slack"]
    assert team.api.delete("/alert-channels/slack") == (409, team.api.delete("/alert-channels/slack")[1])
    rule = made["data"][0]["id"]
    assert team.api.put(f"/alerts/{rule}", {"condition": "p99.9 >= 2s"})[1]["condition"] == "p99.9 >= 2000"
    assert team.api.delete(f"/alerts/{rule}")[0] == 200
    assert team.api.get(f"/alerts/{rule}")[0] == 404


RULE = {"type": "latency", "condition": "p95 > 5000", "channels": ["hook"]}


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"type": "latncy"}, "type"),
        ({"type": None}, "type"),
        ({"condition": "p95 over 5000"}, "condition"),
        ({"condition": "p95 > NaN"}, "condition"),
        ({"condition": "p95 > -1"}, "condition"),
        ({"condition": "p95 > 1e400"}, "condition"),
        ({"condition": "p0 > 1"}, "condition"),
        ({"condition": "p95 > 5 parsecs"}, "condition"),
        ({"condition": "rate > 0.05"}, "condition"),
        ({"type": "error_rate", "condition": "rate > 5"}, "condition"),
        ({"type": "breaker", "condition": "state > 1"}, "condition"),
        ({"type": "spool", "condition": "bytes > 1", "window": "5m"}, "window"),
        ({"window": "0m"}, "window"),
        ({"window": "32d"}, "window"),
        ({"window": 5}, "window"),
        ({"channels": []}, "channels"),
        ({"channels": ["slak"]}, "channels[0]"),
        ({"channels": [["hook"]]}, "channels[0]"),
        ({"filters": {"modle": "x"}}, "filters.modle"),
        ({"filters": {"provider": "nobody"}}, "filters.provider"),
        ({"filters": {"virtual_key": "nothing"}}, "filters.virtual_key"),
        ({"filters": {"config": "nothing"}}, "filters.config"),
        ({"filters": {"api_key": "nothing"}}, "filters.api_key"),
        ({"filters": []}, "filters"),
        ({"minimum_calls": 0}, "minimum_calls"),
        ({"minimum_calls": True}, "minimum_calls"),
        ({"repeat_minutes": -1}, "repeat_minutes"),
        ({"enabled": "yes"}, "enabled"),
        ({"muted_until": "yesterday"}, "muted_until"),
        ({"chanels": ["hook"]}, "chanels"),
        ({"actor": "x"}, "actor"),
        ({"alerts": []}, "type"),
    ],
)
def test_what_makes_no_rule_is_refused_with_its_path(team: Team, change: dict[str, Any], path: str) -> None:
    channel(team, SLACK)
    status, answer = team.api.post("/alerts", {**RULE, **change})
    assert (status, answer["error"]["param"]) == (400, path)
    if "type" in change and change["type"] is None:
        return
    assert team.api.get("/alerts")[1]["total"] == 0


def test_one_bad_rule_of_several_makes_none(team: Team) -> None:
    channel(team, SLACK)
    status, answer = team.api.post("/alerts", {"alerts": [RULE, {**RULE, "condition": "p95"}]})
    assert (status, answer["error"]["param"]) == (400, "alerts[1].condition")
    assert team.api.get("/alerts")[1]["total"] == 0


def test_a_preview_says_what_a_rule_would_say_and_saves_nothing(team: Team) -> None:
    status, found = team.api.post("/alerts/preview", {"type": "requests", "condition": "count < 5"})
    assert (status, found["would_fire"]) == (200, True)
    assert found["readings"][0]["text"] == "number of requests is 0 (rule: count < 5, last 5m)"
    assert team.api.get("/alerts")[1]["total"] == 0


def test_rules_and_channels_of_others_do_not_exist(team: Team, stranger: Team) -> None:
    channel(team, SLACK)
    rule = team.api.post("/alerts", RULE)[1]["id"]
    for path in (f"/alerts/{rule}", "/alert-channels/hook"):
        assert [stranger.api.get(path)[0], stranger.api.put(path, {})[0], stranger.api.delete(path)[0]] == [404, 404, 404]
    assert stranger.api.post("/alert-channels/hook/test", None)[0] == 404
    assert [stranger.api.get(f"/{name}")[1]["total"] for name in ("alerts", "alert-channels")] == [0, 0]
    assert stranger.api.post("/alerts", RULE)[0] == 400


def test_each_method_needs_its_scope(team: Team) -> None:
    channel(team, SLACK)
    reader = key_with(team, "alerts.list", "alerts.read")
    assert reader.get("/alerts")[0] == reader.get("/alert-channels/hook")[0] == 200
    refused = [
        reader.post("/alerts", RULE),
        reader.post("/alert-channels/hook/test", None),
        reader.delete("/alert-channels/hook"),
    ]
    assert [status for status, _ in refused] == [403, 403, 403]
