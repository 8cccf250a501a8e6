"""As whom PostgreSQL runs: it refuses root, and root is what many containers and small servers are used as."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from pathlib import Path

from gateway_project.embedded.errors import StartError
from gateway_project.embedded.process import Identity, Spec, launch
from gateway_project.env import environment

_UNPRIVILEGED = 65534


def namespace() -> Identity:
    """Root outside, an ordinary user inside a user namespace. The files belong to root."""
    return Identity(f"namespace:{_UNPRIVILEGED}:{_UNPRIVILEGED}")


def nobody() -> Identity:
    """The user nobody, where user namespaces are forbidden (containers). The files belong to nobody."""
    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        return Identity(f"user:{_UNPRIVILEGED}:{_UNPRIVILEGED}", owner=_UNPRIVILEGED)
    return Identity(f"user:{entry.pw_uid}:{entry.pw_gid}", owner=entry.pw_uid)


ROOT_CHOICES: tuple[Callable[[], Identity], ...] = (namespace, nobody)


def choose(directory: Path, binary: Path, choices: tuple[Callable[[], Identity], ...] = ROOT_CHOICES) -> Identity:
    """The first identity that can run `binary` and write `directory`, which then belongs to it.

    Raises StartError, with what was tried, when there is none.
    """
    if os.geteuid() != 0:
        return Identity()
    tried: list[str] = []
    for choice in choices:
        identity = choice()
        give(directory, identity)
        reason = _obstacle(identity, directory, binary)
        if reason is None:
            return identity
        tried.append(f"{choice.__name__}: {reason}")
    raise StartError(
        f"PostgreSQL does not run as root, and no other user can use {directory} ({'; '.join(tried)}). "
        "Run as an ordinary user, or set DATABASE_URL to a server of your own"
    )


def give(directory: Path, identity: Identity) -> None:
    """Makes `directory` and all in it belong to the identity, where it does not: another start may have used another one."""
    if directory.stat().st_uid == identity.owner:
        return
    for folder, _, files in os.walk(directory):
        os.chown(folder, identity.owner, -1)
        for name in files:
            os.chown(os.path.join(folder, name), identity.owner, -1, follow_symlinks=False)


def _obstacle(identity: Identity, directory: Path, binary: Path) -> str | None:
    test = 'test -x "$1" || { echo "$1 cannot be run"; exit 1; }; test -w "$2" || { echo "$2 cannot be written"; exit 1; }'
    argv = ("/bin/sh", "-c", test, "sh", str(binary), str(directory))
    process = launch(Spec("probe", argv, environment(), Path("/"), identity=identity))
    output, _ = process.communicate(timeout=30)
    return None if process.returncode == 0 else output.decode(errors="replace").strip()
