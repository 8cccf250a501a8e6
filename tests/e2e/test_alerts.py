"""The product watches itself: real calls fail, the scheduler looks, a real mail server and a receiver hear of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests import environment
from tests.inboxes import Mailbox, Receiver
from tests.stack import Gatehouse, Servers, wait_until

SECONDS = 90.0
HELLO = {"model": "mock", "messages": [{"role": "user", "content": "Hello"}]}


@pytest.fixture(scope="module")
def stack(servers: Servers) -> Iterator[Gatehouse]:
    directory = Path(environment.run_directory()) / "alerts"
    env = {"GATEHOUSE_PRIVATE_HOSTS": "127.0.0.1", "GATEHOUSE_REQUIRE_API_KEY": "true"}
    with Gatehouse(directory, servers, beat=True, env=env) as running:
        yield running


@pytest.fixture
def api(stack: Gatehouse) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.url, headers={"x-portkey-api-key": stack.api_key}, timeout=30) as client:
        yield client


def test_failing_calls_are_heard_of_by_mail_and_webhook_and_their_end_too(api: httpx.Client) -> None:
    with Mailbox() as mailbox, Receiver() as receiver:
        mail = f"mailto://bot:secret-pa55@127.0.0.1:{mailbox.port}?smtp=127.0.0.1&mode=insecure&from=a@a.example&to=b@b.example"
        for name, url in (("email", mail), ("hook", f"{receiver.url}/in")):
            api.post("/v1/alert-channels", json={"name": name, "url": url}).raise_for_status()
        rule = {"type": "error_rate", "condition": "rate > 0.5", "channels": ["email", "hook"], "name": "Calls fail"}
        api.post("/v1/alerts", json=rule).raise_for_status()
        target = {"x-portkey-virtual-key": "mock"}
        failed = api.post("/v1/chat/completions", headers=target, json={**HELLO, "model": "mock-status-503"})
        assert failed.status_code >= 400
        wait_until(lambda: receiver.bodies and mailbox.mails, "nobody heard of it", seconds=SECONDS)
        assert receiver.payloads[0]["type"] == "alert.firing"
        assert "error rate is 100%" in receiver.payloads[0]["text"]
        assert mailbox.subjects[0].endswith("Firing: Calls fail")
        for _ in range(3):
            api.post("/v1/chat/completions", headers=target, json=HELLO).raise_for_status()
        wait_until(lambda: len(receiver.bodies) > 1 and len(mailbox.mails) > 1, "nobody heard of the end", seconds=SECONDS)
        assert [one["type"] for one in receiver.payloads] == ["alert.firing", "alert.resolved"]

        def delivered() -> bool:
            return {one["state"] for one in api.get("/v1/alert-deliveries").json()["data"]} == {"sent"}

        wait_until(delivered, "the history does not say that all was sent")
        [incident] = api.get("/v1/alert-incidents").json()["data"]
        assert (incident["state"], len(incident["deliveries"])) == ("resolved", 4)
