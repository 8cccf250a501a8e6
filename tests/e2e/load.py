"""Callers who call all the time, whole and streamed, and remember which calls were answered to their end."""

from __future__ import annotations

import secrets
import threading
from types import TracebackType
from typing import Any, Self

import httpx

from tests.e2e.product import CHAT, Product
from tests.stack import wait_until

# Between two calls of one caller: the load is steady, and leaves the machine room for what is being tested.
_BREATH_S = 0.02
_TIMEOUT_S = 20.0


class Load:
    """`answered` holds the trace ids of complete answers, `statuses` every status that came back."""

    def __init__(self, product: Product, callers: int = 6) -> None:
        self.run = secrets.token_hex(6)
        self.answered: set[str] = set()
        self.statuses: set[int] = set()
        self._product = product
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call, args=(number,)) for number in range(callers)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for_more(self, count: int) -> None:
        """Returns when `count` more calls have been answered."""
        wanted = len(self.answered) + count
        wait_until(lambda: len(self.answered) >= wanted, f"the load does not go on: {self.statuses}", seconds=60)

    def _call(self, caller: int) -> None:
        number = 0
        while not self._stop.is_set():
            with httpx.Client(base_url=self._product.url, timeout=_TIMEOUT_S) as client:
                try:
                    while not self._stop.wait(_BREATH_S):
                        number += 1
                        self._one(client, f"{self.run}-{caller}-{number}", stream=number % 2 == 0)
                except httpx.TransportError:
                    continue  # the gateway died; whether this call is in the log is open

    def _one(self, client: httpx.Client, trace_id: str, *, stream: bool) -> None:
        body: dict[str, Any] = {
            "model": "mock-chunks-4-1",
            "messages": [{"role": "user", "content": "one two three"}],
            "stream": stream,
        }
        headers = {
            "x-portkey-api-key": self._product.api_key,
            "x-portkey-virtual-key": "mock",
            "x-portkey-trace-id": trace_id,
            "x-portkey-metadata": f'{{"run": "{self.run}"}}',
        }
        answer = client.post(CHAT, json=body, headers=headers)
        self.statuses.add(answer.status_code)
        if answer.status_code == 200 and (not stream or answer.text.endswith("data: [DONE]\n\n")):
            self.answered.add(trace_id)
