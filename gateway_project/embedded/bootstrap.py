"""The run of `manage.py bootstrap` beside the servers' start."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from gateway_project.embedded import banner
from gateway_project.embedded.errors import StartError
from gateway_project.embedded.process import Spec, launch
from gateway_project.embedded.relay import Relay


class Bootstrap:
    """Starts at once, uses the database after `go`, and has a result when it is `done`."""

    def __init__(self, spec: Spec, relay: Relay) -> None:
        self._relay = relay
        reader, writer = os.pipe()
        self._output = open(reader, encoding="utf-8")  # noqa: SIM115 - closed by `kill`
        self._process = launch(spec, stdin=subprocess.PIPE, stdout=writer)
        os.close(writer)
        if self._process.stderr is None:
            raise RuntimeError("started without a pipe")
        self._reader = relay.attach("bootstrap", self._process.stderr, until="Traceback (most recent call last):")
        self._facts: dict[str, Any] | None = None

    def go(self) -> None:
        """The database can be used now."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    def done(self) -> bool:
        return self._process.poll() is not None

    def result(self) -> dict[str, Any]:
        """What was made; for `banner.render`. Raises StartError, with the reason in one line where there is one."""
        self._reader.join(2.0)
        if self._process.returncode != 0:
            raise StartError(banner.failure("bootstrap", self._relay.tail("bootstrap", 40)))
        if self._facts is None:
            self._facts = json.loads(self._output.read())
        return self._facts or {}

    def kill(self) -> None:
        """The end, done or not. Any point will do: its work is done in transactions, or done again next time."""
        self._process.kill()
        self._process.wait()
        self._output.close()
