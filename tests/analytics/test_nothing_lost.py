"""The record path in one piece, with the faults that it must survive made for real.

Real PostgreSQL, Valkey and Celery worker; gateways are played by tests/analytics/writer.py. Whatever is killed, every record
whose number a writer has said ends up in the log exactly once.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path

import psycopg
import pytest

from gateway_project.env import environment
from tests.stack import EmbeddedServers, wait_until

pytestmark = pytest.mark.xdist_group("record-path")

ROOT = Path(__file__).resolve().parents[2]


class Writer:
    def __init__(self, env, root, count, rate):
        command = [sys.executable, "-m", "tests.analytics.writer", str(root), str(count), str(rate)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        self.said: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.stdout:
            if line.endswith("\n"):
                self.said.append(line.strip())

    def wait_for(self, count):
        wait_until(lambda: len(self.said) >= count, f"the writer has not said {count} numbers", seconds=60)

    def kill(self):
        self.process.kill()
        self._end()

    def close(self):
        self.stdin.close()
        self._end()

    def _end(self):
        self.process.wait(30)
        self._reader.join(30)
        self.stdin.close()
        self.stdout.close()


class RecordPath:
    """Servers and worker of this module, and the spool of one test."""

    worker: subprocess.Popen[bytes]
    root: Path

    def __init__(self, servers, env):
        self.servers, self.env = servers, env
        self.start_worker()

    def start_worker(self):
        command = [sys.executable, "-m", "celery", "-A", "gateway_project", "worker", "--pool=threads", "--concurrency=2"]
        self.worker = subprocess.Popen(
            [*command, "--without-gossip", "--without-mingle", "--loglevel=ERROR"],
            cwd=ROOT,
            env=self.env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def kill_worker(self):
        self.worker.kill()
        self.worker.wait(30)

    def stored(self):
        """How often each number is in the log."""
        with psycopg.connect(self.env["DATABASE_URL"]) as connection:
            return Counter(row[0] for row in connection.execute("SELECT trace_id FROM analytics_requestlog"))

    def expect(self, *writers):
        """Everything that was said is in the log, once; and the spool is empty."""
        said = {number for writer in writers for number in writer.said}

        def complete():
            if self.worker.poll() is not None:  # Celery may end with its broker: the supervisor starts it again
                self.start_worker()
            try:
                return said <= self.stored().keys()
            except psycopg.OperationalError:
                return False

        wait_until(complete, "records are missing", seconds=90)
        wait_until(lambda: not self.unshipped(), "the spool does not empty", seconds=60)
        stored = self.stored()
        assert [number for number, times in stored.items() if times > 1] == []
        # In one statement: what was on its way from an earlier writer may still come in.
        counts = "SELECT (SELECT count(*) FROM analytics_requestlog), (SELECT count(*) FROM analytics_requestbody)"
        with psycopg.connect(self.env["DATABASE_URL"]) as connection:
            found = connection.execute(counts).fetchone()
        assert found is not None
        assert found[0] == found[1]

    def unshipped(self):
        return [path for path in self.root.rglob("*.spool") if path.stat().st_size and path.name != self.newest(path.parent)]

    def newest(self, directory):
        """A live writer's file in use stays until it is half a minute old."""
        return max((path.name for path in directory.glob("*.spool")), default="")


@pytest.fixture(scope="module")
def path():
    directory = Path(tempfile.mkdtemp(prefix="gatehouse-", dir="/tmp"))  # the path of a socket must be short
    with EmbeddedServers(directory) as servers:
        env = {
            **environment(),
            "DJANGO_SETTINGS_MODULE": "gateway_project.settings",
            "DATABASE_URL": servers.new_database_url("record_path"),
            "REDIS_URL": servers.redis_url,
            "PYTHONWARNINGS": "ignore",
        }
        subprocess.run([sys.executable, "manage.py", "migrate", "-v0", "--skip-checks"], cwd=ROOT, env=env, check=True)
        record_path = RecordPath(servers, env)
        yield record_path
        record_path.kill_worker()
    shutil.rmtree(directory)


@pytest.fixture
def writer(path, tmp_path):
    writers = []
    path.root = tmp_path / "spool"

    def start(count=3000, rate=1500):
        writers.append(Writer(path.env, path.root, count, rate))
        return writers[-1]

    yield start
    for one in writers:
        if one.process.poll() is None:
            one.kill()


def test_without_any_fault_a_clean_end_leaves_an_empty_spool(path, writer):
    one = writer(count=1000, rate=5000)
    one.wait_for(1000)
    one.close()
    path.expect(one)
    assert list(path.root.iterdir()) == []


def test_killed_gateways_leave_their_records_to_a_sibling(path, writer):
    killed = [writer(count=100_000, rate=1000) for _ in range(2)]
    for one in killed:
        one.wait_for(1200)
        one.kill()
    heir = writer(count=10)
    path.expect(*killed, heir)
    wait_until(lambda: len(list(path.root.iterdir())) == 1, "the dead writers' directories stay", seconds=30)


def test_a_broker_that_loses_everything(path, writer):
    one = writer(count=4000, rate=1000)
    one.wait_for(1000)
    path.servers.kill("valkey")
    for file in path.servers.paths.valkey.rglob("*"):
        if file.is_file():
            file.unlink()
    one.wait_for(2000)
    path.servers.restart("valkey")
    one.wait_for(4000)
    path.expect(one)


def test_a_database_that_goes_and_comes_back(path, writer):
    one = writer(count=4000, rate=1000)
    one.wait_for(1000)
    path.servers.kill("postgres")
    one.wait_for(2000)
    path.servers.restart("postgres")
    one.wait_for(4000)
    path.expect(one)


def test_a_worker_that_is_killed_in_the_middle(path, writer):
    one = writer(count=3000, rate=1000)
    one.wait_for(1000)
    path.kill_worker()
    one.wait_for(2000)
    path.start_worker()
    path.expect(one)


def test_a_gateway_that_dies_while_everything_is_away(path, writer):
    path.servers.kill("valkey")
    path.servers.kill("postgres")
    one = writer(count=2000, rate=2000)
    one.wait_for(1500)
    one.kill()
    path.servers.restart("valkey")
    path.servers.restart("postgres")
    path.expect(one, writer(count=1))
