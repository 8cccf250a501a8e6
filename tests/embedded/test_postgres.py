from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from gateway_project.embedded import identity
from gateway_project.embedded.errors import StartError
from gateway_project.embedded.paths import Paths
from gateway_project.embedded.postgres import FAST_SETTINGS, Postgres
from gateway_project.embedded.process import Child, Identity
from gateway_project.embedded.relay import Relay, Terminal
from tests.embedded.conftest import NOBODY, ROOT, become_nobody, nobodys_python
from tests.stack import EmbeddedServers, Servers, wait_until


@pytest.fixture
def home(short_dir: Path) -> Path:
    """A home that nobody but its owner can enter."""
    home = short_dir / "home"
    home.mkdir(mode=0o700)
    return home


def _add_row(servers: Servers, word: str) -> None:
    servers.postgres.sql(
        f"CREATE TABLE IF NOT EXISTS words (word text); INSERT INTO words VALUES ('{word}')", database="gatehouse"
    )


def _rows(servers: Servers) -> list[str]:
    return servers.postgres.sql("SELECT word FROM words ORDER BY word", database="gatehouse").split()


def test_it_speaks_utf8_and_knows_vectors(servers):
    answer = servers.postgres.sql(
        "SELECT datcollate, datlocprovider, pg_encoding_to_char(encoding),"
        " (SELECT extversion >= '0.8' FROM pg_extension WHERE extname = 'vector'),"
        " current_setting('server_version_num')::int / 10000 FROM pg_database WHERE datname = 'gatehouse'",
        database="gatehouse",
    )
    assert answer.strip() == "C|b|UTF8|t|18"


def test_it_listens_on_no_port(servers):
    assert servers.postgres.sql("SHOW listen_addresses").strip() == ""


def test_rows_survive_a_stop_and_a_kill(home):
    with EmbeddedServers(home / "da ta") as servers:
        _add_row(servers, "stopped")
        servers.restart("postgres")
        _add_row(servers, "killed")
        servers.kill("postgres")
        servers.restart("postgres")
        assert _rows(servers) == ["killed", "stopped"]


def test_the_number_of_a_living_process_in_a_pid_file_does_not_matter(home):
    with EmbeddedServers(home / "data") as servers:
        servers.kill("postgres")
        for name in (servers.paths.postgres / "postmaster.pid", servers.paths.sockets / ".s.PGSQL.5432.lock"):
            lines = name.read_text().splitlines()
            name.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
        servers.restart("postgres")
        assert servers.postgres.ready()


def test_a_server_that_somebody_started_by_hand_is_named(home):
    with EmbeddedServers(home / "data") as servers:
        other = Postgres(servers.paths)
        with pytest.raises(StartError, match=f"process {servers.pid('postgres')} is a PostgreSQL server on"):
            (other.prepare().before_start or pytest.fail)()


def test_an_interrupted_first_start_leaves_no_half_cluster(home):
    (home / "data" / "postgres.new" / "base").mkdir(parents=True)
    with EmbeddedServers(home / "data") as servers:
        assert not (servers.paths.data_dir / "postgres.new").exists()


def test_the_data_of_another_major_version_is_refused(home):
    paths = Paths(home / "data")
    paths.create()
    paths.postgres.mkdir()
    (paths.postgres / "PG_VERSION").write_text("16\n")
    with pytest.raises(StartError, match="was made by PostgreSQL 16, this release brings 18"):
        Postgres(paths).prepare()


@pytest.mark.usefixtures("as_root")
@pytest.mark.parametrize("choice", [identity.namespace, identity.nobody])
def test_root_runs_it_as_another_user_below_a_closed_home(home, choice):
    with EmbeddedServers(home / "data", root_choices=(choice,)) as servers:
        owner = servers.paths.postgres.stat().st_uid
        uid = next(
            line for line in Path(f"/proc/{servers.pid('postgres')}/status").read_text().splitlines() if line.startswith("Uid")
        )
        _add_row(servers, "there")
    assert owner == int(uid.split()[1]) == choice().owner


@pytest.mark.usefixtures("as_root")
def test_the_files_change_hands_when_the_way_of_running_changes(home):
    for choice in (identity.nobody, identity.namespace, identity.nobody):
        with EmbeddedServers(home / "data", root_choices=(choice,)) as servers:
            _add_row(servers, choice.__name__)
            assert choice.__name__ in _rows(servers)


@pytest.mark.usefixtures("as_root")
def test_the_second_way_is_taken_where_the_first_is_impossible(home, monkeypatch):
    impossible = Identity("namespace:65534:not-a-number")
    paths = Paths(home / "data")
    paths.create()
    monkeypatch.setattr(identity, "namespace", lambda: impossible)
    chosen = identity.choose(paths.data_dir, Path("/bin/sh"), (identity.namespace, identity.nobody))
    assert chosen == identity.nobody()
    with pytest.raises(StartError, match="does not run as root, and no other user can use"):
        identity.choose(paths.data_dir, Path("/bin/sh"), (identity.namespace,))


def test_an_ordinary_user_runs_it_below_a_closed_home(home):
    env = nobodys_python("gateway_project.embedded.postgres")
    os.chown(home.parent, NOBODY, NOBODY)
    os.chown(home, NOBODY, NOBODY)
    script = f"""
from pathlib import Path
from gateway_project.embedded.paths import Paths
from gateway_project.embedded.postgres import FAST_SETTINGS, Postgres
from gateway_project.embedded.process import Child, Identity
from gateway_project.embedded.relay import Relay, Terminal

paths = Paths(Path({str(home / "data")!r}))
paths.create()
postgres = Postgres(paths, settings=FAST_SETTINGS)
child = Child(postgres.prepare(), paths.pids, Relay(paths.logs, Terminal(visible=False)))
child.start()
while not postgres.ready():
    assert child.running(), child.tail()
print(postgres.sql("SELECT 42").strip())
child.stop()
"""
    command = [*become_nobody(), env["PYTHON"], "-c", script]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.stdout.strip() == "42", done.stderr


def test_the_servers_end_when_their_starter_is_killed(home):
    """What `kill -9` of the supervisor leaves."""
    if not Path("/proc/self/status").exists():
        pytest.skip("this system does not tell a child that its parent has died; the next start ends what is left")
    paths = Paths(home / "data")
    paths.create()
    spec = Postgres(paths, settings=FAST_SETTINGS).prepare()
    ready, write = os.pipe()
    starter = os.fork()
    if starter == 0:
        child = Child(spec, paths.pids, Relay(paths.logs, Terminal(visible=False)))
        child.start()
        os.write(write, str(child.pid).encode())
        signal.pause()
    pid = int(os.read(ready, 20))
    os.kill(starter, signal.SIGKILL)
    os.waitpid(starter, 0)
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), "PostgreSQL lives on")
