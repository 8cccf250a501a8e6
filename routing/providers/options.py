"""The options of a vendor: what each may hold, and how they make an address.

One reading for all ways in: a config, a request header, a virtual key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import orjson

from routing.call import Target
from routing.configs import values
from routing.errors import InvalidConfig, InvalidRequest
from routing.providers.base import Option, Provider

# An option may hold a service account or a private key.
MOST_CHARACTERS = 20_000
# What may stand for a part of a host's name: it cannot end the host, name a port or bring user information.
_HOST_PART = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9_-]*[A-Za-z0-9])?)*")


def read(option: Option, value: Any, path: str) -> str:
    """The option's value as a text. Raises `InvalidConfig` with the path and never with the value."""
    if option.unfit:
        raise InvalidConfig(f"{path}: {option.unfit}", param=path)
    if option.kind == "json" and isinstance(value, dict):
        value = orjson.dumps(value).decode()
    text = values.text(value, path)
    if len(text) > MOST_CHARACTERS:
        raise InvalidConfig(f"{path}: is longer than {MOST_CHARACTERS} characters.", param=path)
    if option.kind == "url":
        return values.http_url(text, path)
    if option.kind == "json" and not _is_object(text):
        raise InvalidConfig(f"{path}: expected a JSON object, or its text.", param=path)
    return text


def address(provider: Provider, options: Mapping[str, Any]) -> str:
    """The vendor's base URL with the options filled in. Raises `InvalidRequest` for one that is missing or fits no address."""
    url = provider.base_url
    for option in provider.options:
        hole = "{" + option.name + "}"
        if hole in url:
            url = url.replace(
                hole, _filling(provider, option, options.get(option.name) or option.default, url.partition(hole)[0])
            )
    return url


def base_url(target: Target) -> str:
    """Where the target's calls go. Raises `InvalidRequest` where a part of the address is missing."""
    provider = target.provider
    if not target.base_url:
        raise InvalidRequest(f"{provider.label} has no fixed address: set custom_host.", param="custom_host")
    if target.base_url != provider.base_url or not provider.placeholders:
        return target.base_url.rstrip("/")
    return address(provider, target.options).rstrip("/")


def _filling(provider: Provider, option: Option, value: Any, before: str) -> str:
    if not value:
        raise InvalidRequest(
            f"{provider.label} needs {option.name}: set it in the virtual key or the config, or send {option.request_header}.",
            param=option.name,
            code="missing_option",
        )
    text = str(value)
    if not before:
        return read(option, text, option.name).rstrip("/")
    if before.count("/") > 2:
        if text in {".", ".."}:
            raise InvalidRequest(f"{option.name}: cannot stand in an address.", param=option.name)
        return quote(text, safe="")
    if not _HOST_PART.fullmatch(text):
        raise InvalidRequest(f"{option.name}: is no part of a host's name.", param=option.name)
    return text


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False
