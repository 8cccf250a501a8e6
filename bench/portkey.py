"""The peer: Portkey's open-source gateway from npm, alone, with no keys, limits or logs."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from bench.contestant import CACHE, GATEWAY, Contestant, Cores, Missing, free_port, process, wait_for_port
from bench.load import Door
from gateway_project.env import environment

VERSION = "1.15.2"
_PACKAGE = {
    "private": True,
    "dependencies": {"@portkey-ai/gateway": VERSION},
    # What this release was built with. With the newer versions that its ranges allow, every stream answers 500.
    "overrides": {"hono": "4.9.7", "@hono/node-server": "1.13.5"},
}
_INSTALL_SECONDS = 180


@contextlib.contextmanager
def portkey(upstream_port: int, directory: Path, cores: Cores) -> Iterator[Contestant]:
    node = shutil.which("node")
    if node is None:
        raise Missing("node is not installed")
    start = _install()
    port, log = free_port(), directory / "portkey.log"
    with process([node, str(start), f"--port={port}", "--headless"], log, cores.gateway, _environment()) as child:
        wait_for_port(port, child, log)
        headers = {
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": f"http://127.0.0.1:{upstream_port}/v1",
            "authorization": "Bearer sk-bench",
        }
        yield Contestant("Portkey", Door(port, headers), {GATEWAY: child.pid})


def _environment() -> dict[str, str]:
    return {**environment(), "NODE_ENV": "production"}


def _install() -> Path:
    """The program to start, installed into the cache on the first run. Raises Missing."""
    directory = CACHE / f"portkey-{VERSION}"
    start = directory / "node_modules/@portkey-ai/gateway/build/start-server.js"
    if start.exists():
        return start
    npm = shutil.which("npm")
    if npm is None:
        raise Missing("npm is not installed")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "package.json").write_text(json.dumps(_PACKAGE), encoding="utf-8")
    command = [npm, "install", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise Missing(f"npm did not finish within {_INSTALL_SECONDS} s") from error
    if not start.exists():
        reason = done.stderr.strip().splitlines()[-1:] or ["no reason given"]
        raise Missing(f"npm could not install it ({reason[0]})")
    return start
