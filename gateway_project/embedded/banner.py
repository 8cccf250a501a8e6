"""What the person at the terminal reads when the start has succeeded, or failed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway_project.embedded.paths import Paths

_RULE = "-" * 78


def render(url: str, paths: Paths, facts: Mapping[str, Any]) -> str:
    """Address, login, key and a first request. Secrets that were made just now are shown here and never again."""
    admin, key = facts["admin"], facts["api_key"]
    password = admin["password"] or ("from GATEHOUSE_ADMIN_PASSWORD" if admin["created"] else "as printed at the first start")
    raw = key["key"]
    given = (
        "from GATEHOUSE_API_KEY" if key["from_environment"] else "as printed at the first start; make a new one in the console"
    )
    lines = [
        _RULE,
        f"  Gatehouse is at     {url}",
        f"  Console             {url}/   {admin['email']}   password: {password}",
        f"  API key             {raw or given}",
        "",
        "  Try it (the virtual key `mock` needs no provider account):",
        "",
        *curl(url, raw or ("$GATEHOUSE_API_KEY" if key["from_environment"] else "YOUR_API_KEY")),
        "",
        f"  Data in {paths.data_dir}, Ctrl-C stops everything.",
        _RULE,
    ]
    return "\n".join(lines)


def curl(url: str, key: str) -> list[str]:
    """A first request, to copy and paste."""
    return [
        f"  curl {url}/v1/chat/completions \\",
        f'    -H "x-portkey-api-key: {key}" -H "x-portkey-virtual-key: mock" \\',
        '    -H "content-type: application/json" \\',
        """    -d '{"model": "mock", "messages": [{"role": "user", "content": "Hello"}]}'""",
    ]


def failure(name: str, tail: list[str]) -> str:
    """Why a process could not start: the one line that says it where there is one, else its last lines."""
    for line in reversed(tail):
        for kind in ("gateway_project.env.EnvError: ", "CommandError: ", "django.core.exceptions.ImproperlyConfigured: "):
            if line.startswith(kind):
                return line.removeprefix(kind)
    shown = "\n".join(f"  {line}" for line in tail[-20:]) or "  (it wrote nothing)"
    return f"{name} does not start. Its last lines:\n{shown}\nAll of it is in logs/{name}.log in the data directory."
