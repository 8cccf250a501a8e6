"""The bill: what the log, its sums, the budget and the provider itself have counted agree to the last nano-dollar.

The provider here keeps its own books: of every call the tokens that it would charge, by the number that the call carries in
its text. What it says of broken and cancelled streams is what it had sent until then, by the rule of analytics/estimate.py.
`BILL_CALLS=10000` makes the run as long as that.
"""

from __future__ import annotations

import itertools
import json
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from decimal import Decimal
from typing import Any

import httpx
import psycopg
import pytest
import redis

from tests import environment
from tests.e2e.product import CHAT, Product
from tests.fakes import FakeProvider, Lane, Turn, head
from tests.stack import EmbeddedServers, Gatehouse, wait_until

pytestmark = pytest.mark.xdist_group("cluster")

CALLS = int(os.environ.get("BILL_CALLS", "1000"))
CALLERS = 12
MODEL = "gpt-4o-mini"
# Nano-dollars a token of that model: input, cached input, output (0.15, 0.075 and 0.60 USD per million).
INPUT, CACHED, OUTPUT = 150, 75, 600
PIECES = 4
KINDS = ("whole", "stream", "whole", "stream", "falls back", "is refused", "whole", "is cancelled", "stream", "breaks")


def text_of(number: int) -> str:
    return f"Call number {number}: tell me a story, please."


class Books:
    """What the provider charges, in nano-dollars by the number of the call."""

    def __init__(self) -> None:
        self.charged: dict[int, int] = {}
        self._lock = threading.Lock()

    def charge(self, number: int, prompt: int, cached: int, completion: int) -> None:
        with self._lock:
            cost = (prompt - cached) * INPUT + cached * CACHED + completion * OUTPUT
            self.charged[number] = self.charged.get(number, 0) + cost


def account(books: Books, *, fails_first: bool) -> Callable[[Turn], Any]:
    """A provider that behaves as the call's number says. The one that `fails_first` is the first target of a fallback."""

    async def behave(turn: Turn) -> None:
        body = turn.received.json
        number = int(body["messages"][0]["content"].removeprefix("Call number ").partition(":")[0])
        kind = KINDS[number % len(KINDS)]
        if (kind == "falls back" and fails_first) or kind == "is refused":
            code = 503 if kind == "falls back" else 400
            turn.whole(code, b'{"error": {"message": "no", "type": "x", "param": null, "code": null}}')
            return
        prompt, cached, completion = 20 + number % 37, number % 7, 5 + number % 11
        usage = {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": cached},
        }
        made = {"id": "chatcmpl-1", "created": 1, "model": body["model"]}
        if not body.get("stream"):
            books.charge(number, prompt, cached, completion)
            choice = {"index": 0, "message": {"role": "assistant", "content": "Once"}, "finish_reason": "stop"}
            turn.whole(200, json.dumps({**made, "object": "chat.completion", "choices": [choice], "usage": usage}).encode())
            return
        made["object"] = "chat.completion.chunk"
        turn.write(head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"}))
        for piece in range(PIECES):
            _event(turn, {**made, "choices": [{"index": 0, "delta": {"content": f"word{piece} "}}]})
        if kind in ("is cancelled", "breaks"):
            # Six tokens of a message's frame, and four characters to a token of its text.
            books.charge(number, 6 - (-len(text_of(number)) // 4), 0, PIECES)
            if kind == "breaks":
                await turn.drain()
                turn.hang_up()
            else:
                await turn.pause(60)
            return
        books.charge(number, prompt, cached, completion)
        _event(turn, {**made, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        _event(turn, {**made, "choices": [], "usage": usage})
        turn.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")

    return behave


def _event(turn: Turn, data: dict[str, Any]) -> None:
    event = b"data: " + json.dumps(data).encode() + b"\n\n"
    turn.write(b"%x\r\n%s\r\n" % (len(event), event))


class Run:
    """Mixed calls of one API key with a budget, on a config that falls back from one provider to the other."""

    def __init__(self, product: Product, first: Lane, second: Lane) -> None:
        self.name = secrets.token_hex(5)
        self.books = Books()
        self.product = product
        # Calls that their caller saw through to the end, those that it hung up on, and those whose connection broke.
        self.ended: set[int] = set()
        self.hung_up: set[int] = set()
        self.broken: set[int] = set()
        first.will(account(self.books, fails_first=True))
        second.will(account(self.books, fails_first=False))
        slugs = [product.virtual_key(lane.url) for lane in (first, second)]
        targets = [{"virtual_key": slug, "retry": {"attempts": 0}} for slug in slugs]
        config = {"strategy": {"mode": "fallback", "on_status_codes": [503]}, "targets": targets}
        self.headers = {"x-portkey-config": product.config(config), "content-type": "application/json"}
        self.key_id, self.headers["x-portkey-api-key"] = product.new_key(usage_limits={"credit_limit": 1000})
        self._numbers = itertools.count()

    def make(self, count: int) -> None:
        with ThreadPoolExecutor(CALLERS) as pool:
            for done in [pool.submit(self._calls, count // CALLERS) for _ in range(CALLERS)]:
                done.result()

    def _calls(self, count: int) -> None:
        with httpx.Client(base_url=self.product.url, timeout=30) as client:
            for _ in range(count):
                number = next(self._numbers)
                try:
                    self._call(client, number, KINDS[number % len(KINDS)])
                except httpx.TransportError:
                    self.broken.add(number)

    def _call(self, client: httpx.Client, number: int, kind: str) -> None:
        stream = kind in ("stream", "is cancelled", "breaks")
        body = {"model": MODEL, "messages": [{"role": "user", "content": text_of(number)}], "stream": stream}
        headers = {
            **self.headers,
            "x-portkey-trace-id": f"{self.name}-{number}",
            "x-portkey-metadata": json.dumps({"_user": f"u{number % 5}", "run": self.name}),
        }
        with client.stream("POST", CHAT, json=body, headers=headers) as answer:
            seen = ""
            for piece in answer.iter_text():
                seen += piece
                if kind == "is cancelled" and seen.count("word") == PIECES:
                    break  # leaving the block hangs up
        expected = {"is refused": 400}.get(kind, 200)
        if answer.status_code == expected:
            (self.hung_up if kind == "is cancelled" else self.ended).add(number)

    # --- What was counted --------------------------------------------------------------------------------------------

    def logged(self) -> dict[int, int]:
        """Nano-dollars by call, from the log. No call is there twice."""
        rows = self._select(
            "SELECT trace_id, cost_usd FROM analytics_requestlog WHERE api_key_id = %s AND NOT unpriced", self.key_id
        )
        found: dict[int, int] = {}
        for trace_id, cost in rows:
            number = int(trace_id.rpartition("-")[2])
            assert number not in found, f"call {number} is in the log twice"
            found[number] = _nano(cost)
        return found

    def summed(self) -> dict[str, int]:
        """Nano-dollars of each table of sums."""
        by_key = {
            table: f"SELECT sum(cost_usd) FROM analytics_{table} WHERE api_key_id = %s"
            for table in ("rollupminute", "rolluphour")
        }
        sums = {table: _nano(self._select(query, self.key_id)[0][0]) for table, query in by_key.items()}
        by_run = "SELECT sum(cost_usd) FROM analytics_rollupmetadata WHERE key = 'run' AND value = %s"
        return {**sums, "rollupmetadata": _nano(self._select(by_run, self.name)[0][0])}

    def budget(self) -> int:
        """Nano-dollars that the key's budget has counted."""
        with redis.Redis.from_url(self.product.stack.env["REDIS_URL"]) as client:
            keys = list(client.scan_iter(f"gatehouse:limit:*key:{self.key_id}:cost:*"))
            return sum(int(value or 0) for value in (client.get(key) for key in keys))

    def invoice(self) -> int:
        rows = self._select(
            "SELECT to_char(min(started_at), 'YYYY-MM') FROM analytics_requestlog WHERE api_key_id = %s", self.key_id
        )
        headers = {"x-portkey-api-key": self.product.api_key}
        lines = httpx.get(f"{self.product.url}/v1/invoices/{rows[0][0]}?part=key", headers=headers).text.splitlines()
        at = lines[0].split(",").index("cost_usd")
        return sum(_nano(Decimal(line.split(",")[at])) for line in lines[1:] if self.key_id in line)

    def _select(self, query: str, value: str) -> list[Any]:
        with psycopg.connect(self.product.stack.env["DATABASE_URL"]) as connection:
            return connection.execute(query, [value]).fetchall()  # type: ignore[arg-type]


def _nano(cost: Decimal | None) -> int:
    return int((cost or Decimal(0)) * 1_000_000_000)


def assert_the_log_and_its_sums_agree(run: Run, expected: set[int], meanwhile: Callable[[], None] = lambda: None) -> int:
    """Waits for the log to have these calls. Every call in it costs what the provider charged; gives the sum."""
    logged: dict[int, int] = {}

    def complete() -> bool:
        nonlocal logged
        meanwhile()
        logged = run.logged()
        return expected <= logged.keys()

    try:
        wait_until(complete, "not all calls come into the log", seconds=60)
    except AssertionError as error:
        missing = {number: KINDS[number % len(KINDS)] for number in expected - logged.keys()}
        raise AssertionError(f"{error}: {missing}") from None
    charged = {number: run.books.charged.get(number, 0) for number in logged}
    assert {number: (cost, charged[number]) for number, cost in logged.items() if cost != charged[number]} == {}
    total = sum(logged.values())
    assert run.summed() == dict.fromkeys(("rollupminute", "rolluphour", "rollupmetadata"), total)
    assert run.invoice() == total
    return total


@pytest.fixture(scope="module")
def shop(own_servers: EmbeddedServers) -> Iterator[Product]:
    """Two gateways, worker and beat on servers that may be killed, with providers on loopback."""
    env = {"GATEHOUSE_REQUIRE_API_KEY": "true", "GATEHOUSE_PRIVATE_HOSTS": "127.0.0.1"}
    with (
        Gatehouse(environment.run_directory() / "shop", own_servers, gateways=2, beat=True, env=env) as stack,
        closing(Product(stack, gateways=2)) as product,
    ):
        yield product


@pytest.fixture
def run(shop: Product, fake: FakeProvider) -> Run:
    return Run(shop, fake.lane(), fake.lane())


def test_log_sums_budget_invoice_and_provider_agree(run: Run) -> None:
    run.make(CALLS)

    assert {KINDS[number % len(KINDS)] for number in run.broken} <= {"breaks"}
    assert len(run.ended | run.hung_up | run.broken) == CALLS // CALLERS * CALLERS
    total = assert_the_log_and_its_sums_agree(run, run.ended | run.hung_up | run.broken)
    assert total == sum(run.books.charged.values()) > 0
    wait_until(lambda: run.budget() == total, f"the budget counts {run.budget()} and not {total}")


@pytest.mark.parametrize("name", ["gateway.1", "worker", "valkey", "postgres"])
def test_they_agree_again_after_a_kill_in_the_middle(run: Run, own_servers: EmbeddedServers, name: str) -> None:
    """A gateway that dies takes the calls with it that it was in: their callers got no end, and only those may be missing."""
    product, count = run.product, CALLS // 3
    place: Any = own_servers if name in ("valkey", "postgres") else product.stack

    with ThreadPoolExecutor(1) as pool:
        calls = pool.submit(run.make, count)
        wait_until(lambda: len(run.ended) > count // 3, "the calls do not begin", seconds=60)
        place.kill(name)
        wait_until(lambda: len(run.ended) > count // 2, "the calls do not go on", seconds=60)
        place.restart(name)
        calls.result()

    def start_again_what_ended() -> None:
        for process in ("worker", "beat"):
            if not product.running(process):
                product.stack.restart(process)

    is_gateway = name.startswith("gateway")
    total = assert_the_log_and_its_sums_agree(run, run.ended if is_gateway else run.ended | run.hung_up, start_again_what_ended)
    lost = run.books.charged.keys() - run.logged().keys()
    assert lost.isdisjoint(run.ended)
    assert len(lost) <= (CALLERS if is_gateway else 0)
    if name in ("worker", "postgres"):
        wait_until(lambda: run.budget() == total, f"the budget counts {run.budget()} and not {total}")
