"""Becomes another program, with what has to be arranged between fork and exec.

Run as a script (``python -I -S launch.py ...``) because doing this in ``preexec_fn`` is unsafe in a process with threads. It
imports nothing of the project and nothing outside the standard library, so that a start costs some ten milliseconds:

1. writes its process id into the lock file that it inherited (the id stays the same across exec);
2. as root, for PostgreSQL which refuses to run as root: becomes another user;
3. asks the kernel, where it can, for a signal when the supervisor dies, so that even a killed supervisor leaves no orphans.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

_NEW_USER_NAMESPACE = 0x10000000
_PR_SET_PDEATHSIG, _PR_SET_KEEPCAPS, _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> None:
    """Calls a function of the C library; raises OSError where it fails or does not exist (macOS has no ``unshare``)."""
    function = getattr(_libc, name, None)
    if function is None:
        raise OSError(f"{name} does not exist on this system")
    if function(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def _enter_namespace(uid: int, gid: int) -> None:
    """Root outside, `uid` inside: the program sees an ordinary user, and files belong to root as before."""
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    _call("unshare", _NEW_USER_NAMESPACE)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {outer_uid} 1"), ("gid_map", f"{gid} {outer_gid} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def _become(uid: int, gid: int) -> None:
    """Changes to the user for good, keeping only the right to pass directory modes, so that a data directory below a
    home with mode 0700 can be reached."""
    keeps = hasattr(_libc, "prctl") and hasattr(_libc, "capset")
    if keeps:
        _call("prctl", _PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if not keeps:
        return
    mask = 1 << _CAP_DAC_OVERRIDE
    header = struct.pack("Ii", _CAPABILITY_VERSION_3, 0)
    try:
        _call("capset", header, struct.pack("6I", mask, mask, mask, 0, 0, 0))
        _call("prctl", _PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)
    except PermissionError:
        # A container without this capability: goes on as a plain user. Whether that is enough is what the probe finds out.
        return


def _follow(parent: int, death_signal: int) -> None:
    """Asks for `death_signal` when `parent` dies. After the change of user, which would clear it."""
    if hasattr(_libc, "prctl"):
        _call("prctl", _PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the supervisor died while this process was starting")


def main(arguments: list[str]) -> None:
    """Arguments: parent pid, signal on its death, lock descriptor or -1, identity (``same``, ``namespace:uid:gid`` or
    ``user:uid:gid``), then the program and its arguments."""
    parent, death_signal, lock, identity, *program = arguments
    if int(lock) >= 0:
        os.ftruncate(int(lock), os.pwrite(int(lock), f"{os.getpid()}\n".encode(), 0))
    kind, _, ids = identity.partition(":")
    if kind != "same":
        uid, gid = (int(number) for number in ids.split(":"))
        (_enter_namespace if kind == "namespace" else _become)(uid, gid)
    _follow(int(parent), int(death_signal))
    try:
        os.execvp(program[0], program)  # noqa: S606 - the supervisor names the program
    except OSError as error:
        sys.exit(f"cannot run {program[0]}: {error.strerror}")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as failure:
        sys.exit(f"cannot start {sys.argv[5]}: {failure}")
