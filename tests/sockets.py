"""A vendor of realtime calls on loopback: it greets, answers what it is asked, and keeps what it was sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.server import Server, ServerConnection, serve

USAGE = {
    "total_tokens": 30,
    "input_tokens": 20,
    "output_tokens": 10,
    "input_token_details": {"text_tokens": 12, "audio_tokens": 8, "cached_tokens": 0},
    "output_token_details": {"text_tokens": 4, "audio_tokens": 6},
}


class RealtimeVendor:
    """Start it with `with`. `received` holds the frames of the caller, `paths` and `headers` those of the handshakes."""

    def __init__(self, *, refuse: int | None = None) -> None:
        self.received: list[str | bytes] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.closed: tuple[int, str] | None = None
        self.over = threading.Event()
        self._refuse = refuse

    def __enter__(self) -> Self:
        self._server: Server = serve(self._talk, "127.0.0.1", 0, process_request=self._look)
        self._thread = threading.Thread(target=self._server.serve_forever, name="realtime vendor")
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.socket.getsockname()[1]}/v1"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()

    def _look(self, connection: ServerConnection, request: Any) -> Any:
        self.paths.append(request.path)
        self.headers.append({name.lower(): value for name, value in request.headers.raw_items()})
        return None if self._refuse is None else connection.respond(HTTPStatus(self._refuse), "no\n")

    def _talk(self, connection: ServerConnection) -> None:
        connection.send(json.dumps({"type": "session.created", "session": {"model": "gpt-realtime-2026"}}))
        try:
            for frame in connection:
                self.received.append(frame)
                self._answer(connection, frame)
        except ConnectionClosed:
            pass
        finally:
            self.closed = (connection.close_code or 0, connection.close_reason or "")
            self.over.set()

    def _answer(self, connection: ServerConnection, frame: str | bytes) -> None:
        if isinstance(frame, bytes):
            connection.send(frame[::-1])
            return
        event = json.loads(frame)
        answers: dict[str, Callable[[], None]] = {
            "response.create": lambda: connection.send(json.dumps({"type": "response.done", "response": {"usage": USAGE}})),
            "session.end": lambda: connection.close(4321, "enough"),
            "session.break": lambda: connection.socket.close(),
        }
        answers[event["type"]]()
