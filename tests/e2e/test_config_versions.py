"""Configs while applications use them: versions, labels and rollback, seen from two gateway processes under load."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import httpx
import pytest

from tests import environment
from tests.e2e.product import CHAT, HELLO, Product, new_trace
from tests.fakes import FakeProvider, Lane, Turn
from tests.stack import Gatehouse, Servers, wait_until

pytestmark = pytest.mark.xdist_group("config-versions")


@pytest.fixture(scope="module")
def pair(servers: Servers) -> Iterator[Product]:
    """Two gateway processes that may reach a provider on loopback."""
    directory = environment.run_directory() / f"pair-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    env = {"GATEHOUSE_REQUIRE_API_KEY": "true", "GATEHOUSE_PRIVATE_HOSTS": "127.0.0.1"}
    with Gatehouse(directory, servers, gateways=2, env=env) as stack, closing(Product(stack, gateways=2)) as product:
        yield product


@pytest.fixture
def lane(fake: FakeProvider) -> Lane:
    """A provider that answers with the seed that it was sent, and objects where the two fields of one version differ."""
    lane = fake.lane()

    async def answer(turn: Turn) -> None:
        body = turn.received.json
        if body["user"] != f"version {body['seed']}":
            lane.problems.append(f"{body['user']} came with seed {body['seed']}")
        text = {"role": "assistant", "content": str(body["seed"])}
        choice = {"index": 0, "message": text, "finish_reason": "stop"}
        turn.whole(200, _json({"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}))

    return lane.will(answer)


def _json(body: Any) -> bytes:
    return httpx.Request("POST", "http://x", json=body).content


def _body(virtual_key: str, number: int) -> dict[str, Any]:
    """A config of which two fields must come from the same version."""
    return {"virtual_key": virtual_key, "override_params": {"seed": number, "user": f"version {number}"}}


def _write(product: Product, method: str, path: str, body: Any = None) -> Any:
    """A write that waits for no gateway."""
    answer = httpx.request(method, product.url + path, json=body, headers={"x-portkey-api-key": product.api_key})
    answer.raise_for_status()
    return answer.json()


def _seen(door: httpx.Client, product: Product, config: str) -> int:
    """The version that answers at this door."""
    headers = {"x-portkey-api-key": product.api_key, "x-portkey-config": config}
    answer = door.post(CHAT, json=HELLO, headers=headers)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["choices"][0]["message"]["content"])


@contextmanager
def _callers(product: Product, config: str, count: int = 6) -> Iterator[list[tuple[int, int]]]:
    """Applications that call through the config all the time; yields (status, version) of every answer so far."""
    stop = threading.Event()
    answers: list[tuple[int, int]] = []

    def call() -> None:
        headers = {"x-portkey-api-key": product.api_key, "x-portkey-config": config}
        with httpx.Client(base_url=product.url, timeout=20, headers=headers) as client:
            while not stop.wait(0.005):
                answer = client.post(CHAT, json=HELLO)
                version = int(answer.json()["choices"][0]["message"]["content"]) if answer.status_code == 200 else 0
                answers.append((answer.status_code, version))

    threads = [threading.Thread(target=call) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _seconds_until_seen(doors: Sequence[httpx.Client], product: Product, config: str, number: int) -> float:
    """How long it takes until every process answers with this version."""
    began = time.monotonic()
    for door in doors:
        while _seen(door, product, config) != number:
            assert time.monotonic() - began < 10, f"a process does not know version {number}"
    return time.monotonic() - began


def test_under_load_a_save_is_whole_and_everywhere_within_a_second(pair: Product, lane: Lane) -> None:
    key = pair.virtual_key(lane.url)
    slug = pair.config(_body(key, 1))
    with pair.doors() as doors, _callers(pair, slug) as answers:
        for number in range(2, 12):
            _write(pair, "PUT", f"/v1/configs/{slug}", {"config": _body(key, number), "comment": f"step {number}"})
            assert _seconds_until_seen(doors, pair, slug, number) < 1
        wait_until(lambda: answers[-1][1] == 11, "the callers do not see the last version")
    assert lane.problems == []
    assert {status for status, _ in answers} == {200}
    # The callers met most of the versions, and not only the first and the last.
    assert len({version for _, version in answers}) > 5


def test_under_load_a_label_moves_and_its_callers_with_it(pair: Product, lane: Lane) -> None:
    key = pair.virtual_key(lane.url)
    slug = pair.config(_body(key, 1))
    for number in (2, 3):
        pair.admin("PUT", f"/v1/configs/{slug}", {"config": _body(key, number)})
    pair.admin("PUT", f"/v1/configs/{slug}/labels/production", {"version": 1})
    with pair.doors() as doors, _callers(pair, f"{slug}@production") as answers:
        assert [_seen(door, pair, f"{slug}@production") for door in doors] == [1, 1]
        for number in (2, 3, 1, 2):
            _write(pair, "PUT", f"/v1/configs/{slug}/labels/production", {"version": number})
            assert _seconds_until_seen(doors, pair, f"{slug}@production", number) < 1
        # What names a number, or nothing, is not moved by a label.
        assert [_seen(door, pair, f"{slug}@1") for door in doors] == [1, 1]
        assert [_seen(door, pair, slug) for door in doors] == [3, 3]
    assert lane.problems == []
    assert {status for status, _ in answers} == {200}


def test_a_rollback_is_live_within_a_second(pair: Product, lane: Lane) -> None:
    key = pair.virtual_key(lane.url)
    slug = pair.config(_body(key, 1))
    pair.admin("PUT", f"/v1/configs/{slug}", {"config": _body(key, 2)})
    with pair.doors() as doors:
        assert [_seen(door, pair, slug) for door in doors] == [2, 2]
        answer = _write(pair, "POST", f"/v1/configs/{slug}/rollback", {"version": 1, "comment": "2 was wrong"})
        assert _seconds_until_seen(doors, pair, slug, 1) < 1
    assert answer["version"] == 3


def test_the_log_names_the_version_behind_a_label(pair: Product, lane: Lane) -> None:
    key = pair.virtual_key(lane.url)
    slug = pair.config(_body(key, 1))
    pair.admin("PUT", f"/v1/configs/{slug}", {"config": _body(key, 2)})
    pair.admin("PUT", f"/v1/configs/{slug}/labels/stable", {"version": 1})
    trace = new_trace()
    assert pair.call(config=f"{slug}@stable", trace_id=trace).status_code == 200
    assert pair.record(trace)["config_version"] == 1


@pytest.mark.parametrize("version", ["nobody", "7", "0"])
def test_a_version_or_label_that_is_not_there_is_refused_by_name(pair: Product, lane: Lane, version: str) -> None:
    slug = pair.config(_body(pair.virtual_key(lane.url), 1))
    answer = pair.call(config=f"{slug}@{version}")
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["code"], error["param"]) == ("unknown_config", "x-portkey-config")
    assert repr(version) in error["message"]


def test_an_api_key_stays_at_the_label_of_its_default(pair: Product, lane: Lane) -> None:
    key = pair.virtual_key(lane.url)
    slug = pair.config(_body(key, 1))
    pair.admin("PUT", f"/v1/configs/{slug}/labels/production", {"version": 1})
    _, raw = pair.new_key(defaults={"config_id": f"{slug}@production"})
    pair.admin("PUT", f"/v1/configs/{slug}", {"config": _body(key, 2)})
    assert pair.call(key=raw).json()["choices"][0]["message"]["content"] == "1"
    pair.admin("PUT", f"/v1/configs/{slug}/labels/production", {"version": 2})
    assert pair.call(key=raw).json()["choices"][0]["message"]["content"] == "2"


def test_portkeys_sdk_calls_a_label(pair: Product, lane: Lane, portkey_client: Callable[..., Any]) -> None:
    key = pair.virtual_key(lane.url)
    with httpx.Client(base_url=f"{pair.url}/v1/") as http:
        configs = portkey_client(base_url=f"{pair.url}/v1", api_key=pair.api_key, http_client=http).configs
        slug = configs.create(name="SDK", config=_body(key, 1)).slug
        pair.admin("PUT", f"/v1/configs/{slug}/labels/staging", {"version": 1})
        configs.update(slug=slug, config=_body(key, 2))
        found = configs.retrieve(slug=slug)
        assert found.config["override_params"]["seed"] == 2
        assert slug in [row["slug"] for row in configs.list().data]
        pair.settle()

    def said(config: str) -> str:
        staged = portkey_client(base_url=f"{pair.url}/v1", api_key=pair.api_key, config=config)
        return str(staged.chat.completions.create(**HELLO).choices[0].message.content)

    assert (said(f"{slug}@staging"), said(f"{slug}@2"), said(slug)) == ("1", "2", "2")
