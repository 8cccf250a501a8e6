"""A vendor for large files: it counts and hashes what comes in, and sends as much as it is asked for, holding neither."""

from __future__ import annotations

import hashlib
import http.server
import threading
from types import TracebackType
from typing import Any, Self

PIECE = bytes(range(256)) * 256


class Sink:
    """Start it with `with`. `digest` and `size` are those of the last body; `sends` bytes answer each GET."""

    def __init__(self, sends: int = 0) -> None:
        self.sends = sends
        self.digest = ""
        self.size = 0
        self.headers: dict[str, str] = {}

    def __enter__(self) -> Self:
        sink = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                left, digest = int(self.headers["content-length"]), hashlib.sha256()
                sink.headers, sink.size = {name.lower(): value for name, value in self.headers.items()}, left
                while left:
                    piece = self.rfile.read(min(left, 1 << 16))
                    digest.update(piece)
                    left -= len(piece)
                sink.digest = digest.hexdigest()
                self._answer(b'{"text": "heard"}', "application/json")

            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("content-type", "application/octet-stream")
                self.send_header("content-length", str(sink.sends))
                self.end_headers()
                for _ in range(sink.sends // len(PIECE)):
                    self.wfile.write(PIECE)

            def _answer(self, body: bytes, content_type: str) -> None:
                self.send_response(200)
                self.send_header("content-type", content_type)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                """Nothing to say."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="sink")
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
