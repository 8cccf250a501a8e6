"""`manage.py up` as a user runs it: one terminal, one Ctrl-C."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from gateway_project.embedded.readiness import probe
from tests.embedded.conftest import NOBODY, ROOT, become_nobody, nobodys_python
from tests.stack import wait_until


class Up:
    """A running `manage.py up`, its output in a file."""

    def __init__(
        self, directory: Path, *, port: int, env: Mapping[str, str] | None = None, command: list[str] | None = None
    ) -> None:
        self.data_dir = directory
        self.url = f"http://127.0.0.1:{port}"
        self.output = directory.with_name(f"{directory.name} output {port}")
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        with open(self.output, "wb") as output:
            self.process = subprocess.Popen(
                [*(command or [sys.executable]), str(ROOT / "manage.py"), "up"],
                env={
                    **inherited,
                    "PORT": str(port),
                    "GATEHOUSE_DATA_DIR": str(directory),
                    "GATEHOUSE_WORKERS": "1",
                    **(env or {}),
                },
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def text(self) -> str:
        return self.output.read_text(errors="replace")

    def wait_for(self, words: str, *, seconds: float = 60) -> None:
        wait_until(
            lambda: words in self.text() or self.process.poll() is not None, f"no {words!r}: {self.text()}", seconds=seconds
        )
        assert words in self.text(), self.text()

    def interrupt(self) -> int:
        """Ctrl-C: to the whole group of the terminal's foreground."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(60)

    def pids(self) -> dict[str, int]:
        return {file.name: int(file.read_text()) for file in (self.data_dir / "pids").iterdir()}

    def key(self) -> str:
        found = re.search(r"API key +(gh-\S+)", self.text())
        assert found, self.text()
        return found[1]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="gh up ", dir="/tmp"))
    yield directory / "data dir"
    shutil.rmtree(directory)


@pytest.fixture(scope="module")
def product(place: Path) -> Iterator[Up]:
    """The first start on an empty directory, in a path with spaces."""
    up = Up(place, port=_free_port())
    try:
        up.wait_for("Ctrl-C stops everything")
        yield up
    finally:
        if up.process.poll() is None:
            up.interrupt()


def test_the_first_start_shows_address_login_key_and_a_request_that_works(product):
    text = product.text()
    assert f"Gatehouse is at     {product.url}" in text
    assert re.search(r"admin@example.com +password: \S{12}", text)
    command = text[text.index("  curl ") : text.index("  Data in")]
    assert product.key() in command
    assert "first start: PostgreSQL makes its data directory" in text
    done = subprocess.run(
        ["sh", "-c", command.replace("curl", "curl -sS", 1)], capture_output=True, text=True, check=True, timeout=20
    )
    assert json.loads(done.stdout)["choices"][0]["message"]["content"]


def test_every_line_carries_the_name_of_its_process_and_is_kept(product):
    before_the_banner = product.text().split("-" * 78)[0].splitlines()
    assert {line[11:13] for line in before_the_banner} == {"| "}
    assert {"bootstrap.log", "postgres.log", "valkey.log"} <= {file.name for file in (product.data_dir / "logs").iterdir()}


def test_a_second_up_on_the_directory_says_who_holds_it(product, place):
    second = Up(place, port=_free_port())
    assert second.process.wait(30) == 1
    assert f"another `make up` (pid {product.process.pid}, {product.url}, since " in second.text()
    assert f"holds {place}" in second.text()


def test_a_port_in_use_is_named(product, place):
    second = Up(place.with_name("other data"), port=int(product.url.rsplit(":", 1)[1]))
    assert second.process.wait(30) == 1
    assert "is in use" in second.text()
    if Path("/proc/net/tcp").exists():
        assert re.search(r"in use by \S+ \(pid \d+\)", second.text())


def test_each_child_that_is_killed_comes_back(product):
    before = product.pids()
    assert set(before) == {"postgres", "valkey", "gateway.1", "worker", "beat"}
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)

    def all_back() -> bool:
        return all(pid != before[name] and _alive(pid) for name, pid in product.pids().items())

    wait_until(all_back, f"not all of {before} came back", seconds=30)
    wait_until(lambda: probe(product.url).ready, "the gateway does not come back", seconds=30)
    product.wait_for("worker was ended by SIGKILL; starting it again in 0.2 s")


def test_the_connection_of_a_caller_waits_while_the_gateway_restarts(product):
    os.kill(product.pids()["gateway.1"], signal.SIGKILL)
    with urllib.request.urlopen(f"{product.url}/health", timeout=30) as answer:
        assert answer.status == 200


def test_ctrl_c_stops_everything_and_the_next_start_finds_its_data(product, place):
    pids = product.pids()
    began = time.monotonic()
    assert product.interrupt() == 0
    assert time.monotonic() - began < 20
    assert not [name for name, pid in pids.items() if _alive(pid)]
    assert product.text().rstrip().endswith("stopped")

    began = time.monotonic()
    again = Up(place, port=_free_port())
    try:
        again.wait_for("Ctrl-C stops everything")
        assert time.monotonic() - began < 10
        assert "as printed at the first start" in again.text()
        request = urllib.request.Request(f"{again.url}/v1/models", headers={"authorization": f"Bearer {product.key()}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200
    finally:
        os.kill(again.process.pid, signal.SIGKILL)
        again.process.wait()

    third = Up(place, port=_free_port())
    try:  # also after the supervisor itself was killed
        third.wait_for("Ctrl-C stops everything")
    finally:
        assert third.interrupt() == 0


def test_servers_of_ones_own_replace_the_embedded_ones(place, servers):
    env = {
        "DATABASE_URL": servers.new_database_url("external"),
        "REDIS_URL": servers.new_redis_url(),
        "GATEHOUSE_API_KEY": "gh-given-" + "x" * 20,
    }
    up = Up(place.with_name("external"), port=_free_port(), env={**env, "GATEHOUSE_ADMIN_PASSWORD": "correct horse battery"})
    try:
        up.wait_for("Ctrl-C stops everything")
        assert set(up.pids()) == {"gateway.1", "worker", "beat"}
        assert "password: from GATEHOUSE_ADMIN_PASSWORD" in up.text()
        assert "API key             from GATEHOUSE_API_KEY" in up.text()
        assert "correct horse" not in up.text()
    finally:
        assert up.interrupt() == 0


@pytest.mark.parametrize(
    ("env", "line"),
    [
        ({"GATEHOUSE_WORKERS": "many"}, "GATEHOUSE_WORKERS: 'many' is not a whole number"),
        ({"GATEHOUSE_LIMITS_FAIL": "maybe"}, "GATEHOUSE_LIMITS_FAIL: 'maybe' is not one of open, closed"),
        (
            {"DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none?connect_timeout=1"},
            "DATABASE_URL: the database cannot be used: ",
        ),
    ],
)
def test_a_bad_value_stops_the_start_in_one_line(place, servers, env, line):
    urls = {"DATABASE_URL": servers.database_url, "REDIS_URL": servers.redis_url, "GATEHOUSE_DATABASE_WAIT_SECONDS": "1"}
    up = Up(place.with_name("bad value"), port=_free_port(), env={**urls, **env})
    assert up.process.wait(60) == 1
    last = up.text().rstrip().splitlines()[-1]
    assert last.startswith(line)
    assert "Traceback" not in up.text()


def test_an_ordinary_user_needs_nothing_but_a_home(place):
    env = nobodys_python("django, celery, redis, psycopg, uvicorn")
    home = place.with_name("home")
    home.mkdir(mode=0o700)
    os.chown(home, NOBODY, NOBODY)
    place.parent.chmod(0o755)
    up = Up(home / "data", port=_free_port(), env=env, command=[*become_nobody(), env["PYTHON"]])
    try:
        up.wait_for("Ctrl-C stops everything")
    finally:
        assert up.interrupt() == 0
