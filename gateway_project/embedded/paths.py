"""Where everything of one data directory lies, and the URLs of the embedded servers in it.

Both servers listen on Unix sockets only: nothing to collide with on the machine's ports, and the directory's mode (0700) is
the access rule.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from gateway_project.embedded.errors import StartError

# sun_path holds 108 bytes on Linux and 104 on macOS; the longest name we put behind the directory is ".s.PGSQL.5432.lock".
_LONGEST_SOCKET_DIR = 80


@dataclass(frozen=True, slots=True)
class Paths:
    """The layout of one data directory."""

    data_dir: Path

    @property
    def postgres(self) -> Path:
        return self.data_dir / "postgres"

    @property
    def valkey(self) -> Path:
        return self.data_dir / "valkey"

    @property
    def spool(self) -> Path:
        return self.data_dir / "spool"

    @property
    def uploads(self) -> Path:
        """Bodies of calls under way that are too large for memory; the files have no names."""
        return self.data_dir / "uploads"

    @property
    def secrets(self) -> Path:
        return self.data_dir / "secrets"

    @property
    def logs(self) -> Path:
        return self.data_dir / "logs"

    @property
    def pids(self) -> Path:
        """One file a running process, locked by that process; see `liveness.py`."""
        return self.data_dir / "pids"

    @property
    def lock(self) -> Path:
        return self.data_dir / "up.lock"

    @property
    def sockets(self) -> Path:
        """The directory of the Unix sockets; below the temporary directory where the data directory's path is too long."""
        inside = self.data_dir / "run"
        if len(os.fsencode(inside)) <= _LONGEST_SOCKET_DIR:
            return inside
        digest = hashlib.sha256(os.fsencode(self.data_dir)).hexdigest()[:12]
        return Path("/tmp") / f"gatehouse-{os.getuid()}-{digest}"  # noqa: S108 - its owner and mode are checked before use

    @property
    def valkey_socket(self) -> Path:
        return self.sockets / "valkey.sock"

    @property
    def database_url(self) -> str:
        # As a parameter: in the place of the host, URL parsers turn the path into lower case.
        return f"postgresql://gatehouse@/gatehouse?host={quote(str(self.sockets), safe='')}"

    @property
    def redis_url(self) -> str:
        return f"unix://{quote(str(self.valkey_socket))}?db=0"

    def secret(self, name: str) -> str | None:
        """A secret that `manage.py up` made on its first start, or None before that."""
        try:
            return (self.secrets / name).read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return None

    def create(self) -> None:
        """Makes the directories, for this user only. Raises StartError where that is impossible."""
        for directory in (self.data_dir, self.sockets, self.pids, self.logs, self.spool):
            private_directory(directory)


def private_directory(path: Path) -> None:
    """Makes `path` with mode 0700. Raises StartError where it cannot be made or belongs to somebody else."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.lstat()
        if status.st_uid != os.geteuid():
            raise StartError(
                f"{path} belongs to another user (uid {status.st_uid}): set GATEHOUSE_DATA_DIR to a directory of your own"
            )
        path.chmod(0o700)
    except OSError as error:
        raise StartError(
            f"cannot use {path}: {error.strerror}; set GATEHOUSE_DATA_DIR to a directory that can be written"
        ) from error
