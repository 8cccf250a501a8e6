"""What a virtual key may hold beside the credential: the provider's own settings, of which some are credentials themselves.

The secret ones are kept apart: encrypted together in one envelope, and each masked for those who look.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from keys import validation as check
from keys import vault
from keys.models import VirtualKey
from routing.configs.values import http_url
from routing.errors import InvalidConfig
from routing.providers import options as reading
from routing.providers.base import Option, Provider

CUSTOM_HOST = "custom_host"
_CAMEL = re.compile(r"(?<=[a-z0-9])([A-Z])")


@dataclass(frozen=True, slots=True)
class Written:
    """The options that somebody gave, under their canonical names. `emptied` are those given as null or as nothing."""

    plain: Mapping[str, str]
    secret: Mapping[str, str]
    emptied: frozenset[str]


def canonical_name(written: str) -> str:
    """Portkey's SDK writes some options in camelCase (``apiVersion``); configs and the store use snake_case."""
    return _CAMEL.sub(r"_\1", written).lower()


def clean(provider: Provider, value: Any, path: str) -> Written:
    """The options of a virtual key of this provider. Raises `InvalidRequest` for one that the provider does not know."""
    known = {name: option for option in provider.options for name in option.names}
    checks: dict[str, check.Check] = {CUSTOM_HOST: _host, **{name: _reader(option) for name, option in known.items()}}
    named: dict[str, Any] = {}
    for written, content in check.mapping({} if value is None else value, path).items():
        name = canonical_name(str(written))
        name = known[name].name if name in known else name
        if name in named:
            check.refuse(f"{path}.{name}", "is given twice")
        named[name] = content
    emptied = frozenset(name for name, content in named.items() if content in (None, ""))
    cleaned = check.clean({name: content for name, content in named.items() if name not in emptied}, checks, path)
    secret = {option.name: cleaned.pop(option.name) for option in provider.options if option.secret and option.name in cleaned}
    return Written(cleaned, secret, emptied)


def complete(provider: Provider, options: Mapping[str, Any], path: str) -> None:
    """Raises `InvalidRequest` with the name of an option that the provider cannot do without."""
    if not provider.base_url and CUSTOM_HOST not in options:
        check.refuse(f"{path}.{CUSTOM_HOST}", f"is required: {provider.label} has no address of its own", code="missing_field")
    for option in provider.options:
        in_address = option.name in provider.placeholders and CUSTOM_HOST not in options
        if (option.required or in_address) and not option.default and option.name not in options:
            check.refuse(f"{path}.{option.name}", f"is required for {provider.label}", code="missing_field")


def columns(provider: Provider, written: Written, before: VirtualKey | None = None) -> dict[str, Any]:
    """The columns of a virtual key for these options.

    A secret that `before` holds stays where it is not given again, or given as its own mask; null takes it away.
    """
    secret = dict(written.secret)
    masks: Mapping[str, str] = before.masked_options if before is not None else {}
    kept = kept_secrets(provider, written, before)
    if kept and before is not None:
        stored = _stored(before)
        secret |= {name: stored[name] for name in kept}
    found: dict[str, Any] = {"options": dict(written.plain)}
    complete(provider, {**written.plain, **secret}, "options")
    masked = {name: masks[name] if name in kept else vault.mask(value) for name, value in sorted(secret.items())}
    if written.secret.keys() - kept or masked != masks:
        found |= {"masked_options": masked, "secret_options": vault.encrypt(orjson.dumps(secret).decode()) if secret else b""}
    return found


def _stored(key: VirtualKey) -> dict[str, str]:
    try:
        return secrets(key)
    except vault.VaultError:
        check.refuse("options", "the stored secrets among them cannot be read: give them again", code="key_required")


def kept_secrets(provider: Provider, written: Written, before: VirtualKey | None) -> frozenset[str]:
    """The secret options that are stored and stay as they are."""
    if before is None or provider.id != before.provider:
        return frozenset()
    known = {option.name for option in provider.options if option.secret}
    masks = before.masked_options
    given = {name for name, value in written.secret.items() if value != masks.get(name)}
    return frozenset((masks.keys() & known) - given - written.emptied)


def secrets(key: VirtualKey) -> dict[str, str]:
    """The secret options in the clear. Raises `VaultError`."""
    if not key.secret_options:
        return {}
    envelope: dict[str, str] = orjson.loads(vault.decrypt(key.secret_options))
    return envelope


def moved(provider: Provider, before: Mapping[str, Any], after: Mapping[str, Any]) -> str | None:
    """The first option by which the credential would be sent to another place; None where it goes to the same one."""
    deciding = sorted(provider.destinations | {CUSTOM_HOST})
    return next((name for name in deciding if before.get(name) != after.get(name)), None)


def _reader(option: Option) -> check.Check:
    def read(value: Any, path: str) -> str:
        text = check.text(reading.MOST_CHARACTERS)(value, path) if isinstance(value, str) or option.kind != "json" else value
        try:
            return reading.read(option, text, path)
        except InvalidConfig as error:
            check.refuse(path, error.message.removeprefix(f"{path}: "))

    return read


def _host(value: Any, path: str) -> str:
    text = check.text(1000)(value, path)
    try:
        return http_url(text, path)
    except InvalidConfig as error:
        check.refuse(path, error.message.removeprefix(f"{path}: "))
