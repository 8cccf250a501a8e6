"""Whether what a config names is there: the virtual keys of its workspace. Asked when a config is saved."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator

from keys.hashing import shown
from routing.call import Json
from routing.errors import InvalidConfig


def check_references(config: Json, virtual_keys: Collection[str]) -> None:
    """Raises `InvalidConfig` where a canonical config names a virtual key that is not among `virtual_keys` (slugs)."""
    for path, slug in named_virtual_keys(config):
        if slug not in virtual_keys:
            near = difflib.get_close_matches(slug, virtual_keys, n=1)
            hint = f', did you mean "{near[0]}"?' if near else "."
            raise InvalidConfig(
                f"{path}: there is no virtual key {shown(slug)!r} in this workspace{hint}",
                param=path,
                code="unknown_virtual_key",
            )


def named_virtual_keys(config: Json, path: str = "") -> Iterator[tuple[str, str]]:
    """The path and the slug of every virtual key that a canonical config names."""
    if "virtual_key" in config:
        yield f"{path}virtual_key", config["virtual_key"]
    for index, target in enumerate(config.get("targets", ())):
        yield from named_virtual_keys(target, f"{path}targets[{index}].")
