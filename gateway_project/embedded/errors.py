"""Why the stack cannot start."""

from __future__ import annotations


class StartError(Exception):
    """The start cannot go on. The message is for the person at the terminal: what is wrong, and what to do about it."""
