"""The running product as its users meet it: the admin REST API, calls, and the log."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import httpx
import psycopg

from tests.stack import Gatehouse, wait_until

# What a test stores as a vendor's key, so that it can look for it where it must not be.
STORED_KEY = "sk-stored-3fJ9xQ27LmZp"
CHAT = "/v1/chat/completions"
HELLO: dict[str, Any] = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say hello."}]}


class Product:
    """A started `Gatehouse`. What is made through it is in force in every gateway process when the method returns."""

    def __init__(self, stack: Gatehouse, gateways: int = 1) -> None:
        self.stack = stack
        self.url = stack.url
        self.api_key = stack.api_key
        self._gateways = [f"gateway.{number}" for number in range(1, gateways + 1)]
        self._http = httpx.Client(base_url=stack.url, timeout=30)

    def close(self) -> None:
        self._http.close()

    # --- Calls -------------------------------------------------------------------------------------------------------

    def call(
        self,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        path: str = CHAT,
        key: str | None = "",
        virtual_key: str | None = None,
        config: str | None = None,
        trace_id: str | None = None,
        content: bytes | None = None,
        method: str = "POST",
    ) -> httpx.Response:
        """One call, read to its end. `key` is the gateway's key, None for no key at all."""
        given = {
            "x-portkey-api-key": self.api_key if key == "" else key,
            "x-portkey-virtual-key": virtual_key,
            "x-portkey-config": config,
            "x-portkey-trace-id": trace_id,
            **(headers or {}),
        }
        return self._http.request(
            method,
            path,
            json=(HELLO if body is None else body) if content is None and method == "POST" else None,
            content=content,
            headers={name: value for name, value in given.items() if value is not None},
        )

    def pieces(self, virtual_key: str, trace_id: str, body: Mapping[str, Any] = HELLO) -> Iterator[str]:
        """A streamed call, piece by piece as they come."""
        headers = {
            "x-portkey-api-key": self.api_key,
            "x-portkey-virtual-key": virtual_key,
            "x-portkey-trace-id": trace_id,
        }
        with self._http.stream("POST", CHAT, json={**body, "stream": True}, headers=headers) as response:
            assert response.status_code == 200, response.read()
            yield from response.iter_text()

    # --- The log -----------------------------------------------------------------------------------------------------

    def record(self, trace_id: str) -> dict[str, Any]:
        """The log's one record of this trace. Waits for it."""
        found = self.records(trace_id, 1)
        assert len(found) == 1, found
        return found[0]

    def records(self, trace_id: str, count: int, *, seconds: float = 20.0) -> list[dict[str, Any]]:
        """All records of this trace, oldest first, once there are at least `count`."""
        found: list[dict[str, Any]] = []

        def enough() -> bool:
            nonlocal found
            found = [_flat(row) for row in reversed(self.logs({"trace_id": trace_id}))]
            return len(found) >= count

        wait_until(enough, f"the log does not have {count} records of {trace_id}", seconds=seconds)
        return found

    def logs(self, filters: Mapping[str, str]) -> list[dict[str, Any]]:
        """All records that the filters let through, newest first."""
        rows: list[dict[str, Any]] = []
        query = {**filters, "limit": "500"}
        while True:
            page = self.admin("GET", f"/v1/logs?{urlencode(query)}")
            rows += page["data"]
            if not page["has_more"]:
                return rows
            query["cursor"] = page["next_cursor"]

    # --- The admin REST API ------------------------------------------------------------------------------------------

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """A request of the API's, which must succeed."""
        answer = self._http.request(method, path, json=body, headers={"x-portkey-api-key": self.api_key})
        assert answer.status_code == 200, answer.text
        if method != "GET":
            self.settle()
        return answer.json()

    def virtual_key(self, custom_host: str | None, provider: str = "openai", **fields: Any) -> str:
        """The slug of a new virtual key."""
        name = f"{provider} {secrets.token_hex(4)}"
        host = {"custom_host": custom_host} if custom_host else {}
        made = self.admin("POST", "/v1/virtual-keys", {"name": name, "provider": provider, "key": STORED_KEY, **host, **fields})
        return str(made["slug"])

    def config(self, body: Mapping[str, Any]) -> str:
        """The slug of a new saved config."""
        return str(self.admin("POST", "/v1/configs", {"name": f"e2e {secrets.token_hex(4)}", "config": body})["slug"])

    def new_key(self, **fields: Any) -> tuple[str, str]:
        """Id and text of a new API key."""
        name = f"e2e {secrets.token_hex(4)}"
        made = self.admin("POST", "/v1/api-keys/workspace/service", {"name": name, "scopes": ["completions.write"], **fields})
        return made["id"], made["key"]

    # --- The processes -----------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Waits until every gateway process has what the database has now."""
        with psycopg.connect(self.stack.env["DATABASE_URL"]) as connection:
            row = connection.execute("SELECT number FROM routing_snapshotversion").fetchone()
        assert row is not None
        with self.doors() as doors:
            for door in doors:
                wait_until(lambda door=door: _version(door) >= row[0], "a gateway did not learn of a change")

    def running(self, name: str) -> bool:
        return self.stack._children[name].running()

    @contextmanager
    def doors(self) -> Iterator[Sequence[httpx.Client]]:
        """A client for each gateway process, with one open connection to that very process.

        All processes accept from the same socket, so for the moment of connecting all but one are paused.
        """
        one = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=None)
        doors: list[httpx.Client] = []
        try:
            for name in self._gateways:
                others = [other for other in self._gateways if other != name]
                doors.append(httpx.Client(base_url=self.url, timeout=30, limits=one))
                try:
                    for other in others:
                        self.stack.pause(other)
                    doors[-1].get("/health").raise_for_status()
                finally:
                    for other in others:
                        self.stack.resume(other)
            yield doors
        finally:
            for door in doors:
                door.close()


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """A record of the API's with what it nests beside the rest, and money as a number."""
    error, cost = row["error"] or {"code": "", "message": ""}, row["cost_usd"]
    flat = {**row, **row["usage"], "error_code": error["code"], "error_message": error["message"]}
    return {**flat, "cost_usd": None if cost is None else Decimal(cost)}


def _version(door: httpx.Client) -> int:
    return int(door.get("/ready").json()["checks"]["snapshot"]["version"] or 0)


def new_trace() -> str:
    return f"trace-{secrets.token_hex(8)}"


def sse(text: str) -> list[str]:
    """The data of a stream's events."""
    return [line.removeprefix("data:").strip() for line in text.splitlines() if line.startswith("data:")]
