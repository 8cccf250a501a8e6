"""Exit code 0 when the gateway in this container answers GET /health. The image has no curl."""

from __future__ import annotations

import http.client
import sys

from gateway_project.env import env_int


def healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if healthy(env_int("PORT", 8787)) else 1)
