from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
NOBODY = 65534


@pytest.fixture
def short_dir() -> Iterator[Path]:
    """A directory with a short path: pytest's own is too long for Unix sockets."""
    directory = Path(tempfile.mkdtemp(prefix="gh-", dir="/tmp"))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def as_root() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")


def nobodys_python(*modules: str) -> dict[str, str]:
    """The environment and, as `PYTHON`, an interpreter with which the user nobody can import the modules from this checkout."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    packages = next(path for path in sys.path if path.endswith("site-packages"))
    minor = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, shutil.which(minor, path="/usr/local/bin:/usr/bin")):
        env = {"PYTHON": str(python), "PYTHONPATH": packages, "PATH": os.environ["PATH"]}
        test = [
            *become_nobody(),
            env["PYTHON"],
            "-c",
            f"import os, sys, {', '.join(modules)}; sys.exit(not os.access(sys.executable, os.X_OK))",
        ]
        if subprocess.run(test, capture_output=True, check=False, cwd=ROOT, env=env).returncode == 0:
            return env
    pytest.skip("the user nobody cannot read this checkout or run its interpreter")


def become_nobody() -> list[str]:
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
