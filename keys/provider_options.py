"""What a virtual key may hold beside the credential: the provider's own settings, none of them secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from keys import validation as check
from routing.configs.values import http_url
from routing.errors import InvalidConfig
from routing.providers.base import Provider

# Options that say to which host the credential goes.
DESTINATIONS = frozenset({"custom_host"})

_CAMEL = re.compile(r"(?<=[a-z0-9])([A-Z])")


def canonical_name(written: str) -> str:
    """Portkey's SDK writes some options in camelCase (``apiVersion``); configs and the store use snake_case."""
    return _CAMEL.sub(r"_\1", written).lower()


def clean(provider: Provider, value: Any, path: str) -> dict[str, str]:
    """The options of a virtual key of this provider. Raises `InvalidRequest` for one that the provider does not know."""
    written = check.mapping({} if value is None else value, path)
    named = {canonical_name(str(name)): content for name, content in written.items() if content not in (None, "")}
    known: dict[str, check.Check] = dict.fromkeys((option.name for option in provider.options), check.text(1000))
    return check.clean(named, {"custom_host": _host, **known}, path)


def destination(options: Mapping[str, Any]) -> dict[str, Any]:
    """The part of the options that says where the credential is sent."""
    return {name: content for name, content in options.items() if name in DESTINATIONS}


def _host(value: Any, path: str) -> str:
    text = check.text(1000)(value, path)
    try:
        return http_url(text, path)
    except InvalidConfig as error:
        check.refuse(path, error.message.removeprefix(f"{path}: "))
