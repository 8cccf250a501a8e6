"""The environment of a test run, set before Django's settings are read.

The process that pytest was started in makes a directory for the run and tells it to the pytest-xdist workers, which inherit
the environment. Each of them has a data directory, a database and a Redis database of its own.
"""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from pathlib import Path

from gateway_project.embedded.paths import Paths

_RUN_DIRECTORY = "GATEHOUSE_TEST_DIRECTORY"


def run_directory() -> Path:
    """The directory of this run; the shared servers lie in it."""
    return Path(os.environ[_RUN_DIRECTORY])


def prepare() -> None:
    if _RUN_DIRECTORY not in os.environ:
        _forget_the_developers_settings()
        # Under /tmp, because the path of a Unix socket must be short.
        os.environ[_RUN_DIRECTORY] = tempfile.mkdtemp(prefix="gatehouse-tests-", dir="/tmp")
    servers = Paths(run_directory() / "servers")
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    number = int(worker.removeprefix("gw")) + 1 if worker.startswith("gw") else 0
    os.environ.update(
        {
            "GATEHOUSE_SECRET_KEY": "a secret for tests, long enough for everything that signs",
            "GATEHOUSE_VAULT_KEYS": base64.urlsafe_b64encode(hashlib.sha256(b"tests").digest()).decode(),
            "GATEHOUSE_DATA_DIR": str(run_directory() / f"data-{worker}"),
            "DATABASE_URL": servers.database_url,
            "REDIS_URL": servers.redis_url.replace("?db=0", f"?db={number}"),
        }
    )


def _forget_the_developers_settings() -> None:
    for name in list(os.environ):
        if name.startswith("GATEHOUSE_") or name.removesuffix("_FILE") in {"PORT", "DATABASE_URL", "REDIS_URL"}:
            del os.environ[name]
