"""One gateway process: ``python -m gateway_project.server``.

The supervisor opens the listening socket and hands it down (``--fd``), so that connections wait in its backlog while a process
is being restarted. Without it (containers) the process binds GATEHOUSE_HOST and PORT itself. SIGTERM drains: no new
connections, running answers get `_DRAIN_SECONDS`.
"""

from __future__ import annotations

import argparse
import socket
import sys

import uvicorn

from gateway_project.embedded import ports
from gateway_project.embedded.errors import StartError
from gateway_project.env import EnvError, env_bool, env_int, env_str

_DRAIN_SECONDS = 10


def config() -> uvicorn.Config:
    # Behind a proxy, the caller's address and scheme come from its headers; FORWARDED_ALLOW_IPS says which proxies count.
    behind_proxy = env_bool("GATEHOUSE_BEHIND_TLS_PROXY", default=False)
    return uvicorn.Config(
        "gateway_project.asgi:application",
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        lifespan="on",
        log_config=None,  # Django's LOGGING rules
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=behind_proxy,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
        timeout_keep_alive=env_int("GATEHOUSE_KEEP_ALIVE_SECONDS", 75, minimum=1),
        backlog=ports.BACKLOG,
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m gateway_project.server", description="One gateway process.")
    parser.add_argument("--fd", type=int, help="an inherited listening socket")
    fd: int | None = parser.parse_args().fd
    try:
        if fd is None:
            host, port = env_str("GATEHOUSE_HOST", "127.0.0.1"), env_int("PORT", 8787, minimum=1, maximum=65535)
            listener = ports.listen(host, port)
        else:
            listener = socket.socket(fileno=fd)
        server = uvicorn.Server(config())
        server.run(sockets=[listener])
    except (EnvError, StartError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 0
    return 0 if server.started else 3


if __name__ == "__main__":
    sys.exit(main())
