"""The product's own processes: what each of them is started with."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from gateway_project.embedded.paths import Paths
from gateway_project.embedded.process import Spec

BASE_DIR = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True, slots=True)
class Programs:
    """The processes of one installation; `env` is what all of them see."""

    paths: Paths
    env: Mapping[str, str]

    @classmethod
    def of(cls, paths: Paths, env: Mapping[str, str]) -> Programs:
        extra = {
            "GATEHOUSE_DATA_DIR": str(paths.data_dir),
            "DJANGO_SETTINGS_MODULE": "gateway_project.settings",
            "PYTHONUNBUFFERED": "1",
            # glibc keeps a memory arena for each thread and core; two are enough and save some ten megabytes a process.
            "MALLOC_ARENA_MAX": "2",
        }
        return cls(paths, {**env, **extra})

    def bootstrap(self) -> Spec:
        """Migrations, static files and first objects. Waits for the end of its standard input before it needs the database."""
        return self._spec("bootstrap", str(BASE_DIR / "manage.py"), "bootstrap", "--wait-for-stdin")

    def gateway(self, number: int, listener: socket.socket) -> Spec:
        return self._spec(
            f"gateway.{number}", "-m", "gateway_project.server", "--fd", str(listener.fileno()), pass_fds=(listener.fileno(),)
        )

    def worker(self) -> Spec:
        # One worker per installation: gossip, mingle and heartbeat are talk between workers.
        light = ("--pool=threads", "--concurrency=4", "--without-gossip", "--without-mingle", "--without-heartbeat")
        # It warns about root at every start; that root is a poor choice is the README's to say, once.
        return self._celery("worker", *light, PYTHONWARNINGS="ignore:You're running the worker with superuser privileges")

    def beat(self) -> Spec:
        return self._celery("beat", "--schedule", str(self.paths.data_dir / "celerybeat"), "--pidfile=")

    def _celery(self, name: str, *arguments: str, **env: str) -> Spec:
        level = self.env.get("GATEHOUSE_LOG_LEVEL") or "info"
        spec = self._spec(name, "-m", "celery", "-A", "gateway_project", "--quiet", name, "--loglevel", level, *arguments)
        return replace(spec, env={**spec.env, **env})

    def _spec(self, name: str, *arguments: str, pass_fds: tuple[int, ...] = ()) -> Spec:
        return Spec(name, (sys.executable, *arguments), self.env, BASE_DIR, pass_fds=pass_fds)
