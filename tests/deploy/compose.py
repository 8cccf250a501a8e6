"""docker-compose.yml as Compose would see it, and what the code reads of the environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES = ("manage.py", "gateway_project", "routing", "keys", "analytics", "deploy")

_VARIABLE = re.compile(r"\$\{(?P<name>[A-Z_]+):-(?P<default>[^}]*)\}")
_READ = re.compile(r"(?:env_(?:str|bool|int|list|choice|secret)|_secret)\(\s*\"(?P<name>[A-Z][A-Z0-9_]*)\"")


def interpolate(value: Any, environment: Mapping[str, str]) -> Any:
    """``${NAME:-default}`` everywhere in a document, as Compose replaces it; ``$$`` stands for a dollar sign."""
    if isinstance(value, dict):
        return {key: interpolate(inner, environment) for key, inner in value.items()}
    if isinstance(value, list):
        return [interpolate(inner, environment) for inner in value]
    if not isinstance(value, str):
        return value
    filled = _VARIABLE.sub(lambda match: environment.get(match["name"]) or match["default"], value)
    return filled.replace("$$", "$")


def load(environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    document: dict[str, Any] = interpolate(yaml.safe_load(text), environment or {})
    return document


def ours(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The services that run Gatehouse's own image."""
    return {name: service for name, service in document["services"].items() if "build" in service}


def sources() -> list[Path]:
    return [
        path for name in SOURCES for path in ([ROOT / name] if name.endswith(".py") else sorted((ROOT / name).rglob("*.py")))
    ]


def variables_read() -> frozenset[str]:
    """The names that the code gives to the readers of gateway_project/env.py."""
    return frozenset(match["name"] for path in sources() for match in _READ.finditer(path.read_text(encoding="utf-8")))


def is_read(variable: str, known: frozenset[str]) -> bool:
    return variable in known or variable.removesuffix("_FILE") in known
