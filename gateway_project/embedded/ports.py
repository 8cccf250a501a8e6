"""The gateway's listening socket, opened before anything else starts, so that a port in use is said at once."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from gateway_project.embedded.errors import StartError

# Connections that wait here while a gateway process is being restarted.
BACKLOG = 2048
_LISTEN_STATE = "0A"


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises StartError: the port is in use (and by whom), or the host is not one of this machine."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except socket.gaierror as error:
        raise StartError(f"GATEHOUSE_HOST: {host!r} is not an address of this machine ({error.strerror})") from error
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if host == "::":
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    try:
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise StartError(_explain(host, port, error)) from error
    return listener


def url(host: str, port: int) -> str:
    """The address to show to a person on this machine."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104 - compared, not bound
    return f"http://{shown}:{port}"


def _explain(host: str, port: int, error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"PORT: {port} may only be opened by root: use a number from 1024 on"
    if error.errno in {98, 48}:  # EADDRINUSE on Linux and macOS
        holder = _holder(port)
        by = f" by {holder}" if holder else ""
        return f"port {port} on {host} is in use{by}: stop that program, or choose another port with PORT=8788 make up"
    return f"cannot listen on {host}:{port}: {error.strerror}"


def _holder(port: int) -> str | None:
    """Name and pid of the process that listens on the port, where /proc tells."""
    wanted = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for link in Path("/proc").glob("[0-9]*/fd/*") if wanted else ():
        try:
            if os.readlink(link) in wanted:
                process = link.parent.parent
                return f"{(process / 'comm').read_text(encoding='utf-8', errors='replace').strip()} (pid {process.name})"
        except OSError:  # ended meanwhile, or another user's
            continue
    return None


def _listening_inodes(port: int) -> set[str]:
    found: set[str] = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if not table.exists():
            continue
        for line in table.read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == _LISTEN_STATE and int(fields[1].rsplit(":", 1)[1], 16) == port:
                found.add(fields[9])
    return found
