"""What an API key is confined to: which configs, virtual keys and models it may use, and from which networks."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from keys.hashing import shown
from routing.errors import Forbidden

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Fence:
    """An empty list allows everything of its kind.

    `models` may hold ``*`` for any run of characters. With `virtual_keys` no call brings a credential of its own, and with
    `configs` none goes without a config. `enforced` is the one config that every call uses.
    """

    configs: tuple[str, ...] = ()
    virtual_keys: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    enforced: str | None = None

    def check_config(self, named: str | None) -> None:
        """`named` is the id of a saved config, None for an inline one or none at all. Raises `Forbidden`."""
        if self.enforced is not None and named != self.enforced:
            raise Forbidden(
                f"This API key always uses the config {self.enforced!r}: send no other in x-portkey-config.",
                param="x-portkey-config",
                code="config_enforced",
            )
        if self.configs and (named is None or not {named, named.partition("@")[0]} & set(self.configs)):
            what = "a call without a saved config" if named is None else f"the config {shown(named)!r}"
            raise Forbidden(
                f"This API key does not allow {what}. It may use: {', '.join(self.configs)}.",
                param="x-portkey-config",
                code="config_not_allowed",
            )

    def check_virtual_key(self, slug: str | None, path: str) -> None:
        """None is a target with a credential of the caller's own. Raises `Forbidden`."""
        if self.virtual_keys and slug not in self.virtual_keys:
            what = "provider keys of your own" if slug is None else f"the virtual key {shown(slug)!r}"
            raise Forbidden(
                f"This API key does not allow {what}. It may use: {', '.join(self.virtual_keys)}.",
                param=f"{path}.virtual_key",
                code="virtual_key_not_allowed",
            )

    def check_model(self, name: str) -> None:
        """An empty name is a call of which the gateway cannot tell the model. Raises `Forbidden`."""
        if self.models and not (name and any(fnmatchcase(name, pattern) for pattern in self.models)):
            what = f"the model {shown(name)!r}" if name else "calls that name no model"
            raise Forbidden(
                f"This API key does not allow {what}. It may use: {', '.join(self.models)}.",
                param="model",
                code="model_not_allowed",
            )


def network(text: str) -> Network:
    """A network or a single address; an IPv4 one in IPv6's clothes is the IPv4 one. Raises ValueError."""
    found = ipaddress.ip_network(text.strip(), strict=False)
    if isinstance(found, ipaddress.IPv6Network) and found.prefixlen >= 96 and found.network_address.ipv4_mapped is not None:
        return ipaddress.ip_network(f"{found.network_address.ipv4_mapped}/{found.prefixlen - 96}", strict=False)
    return found


def check_address(networks: Iterable[Network], address: str) -> None:
    """Raises `Forbidden` for a caller from elsewhere, or whose address is not known. No networks at all allow everybody."""
    if not networks:
        return
    try:
        # A link-local address may come with its zone, which says nothing about the network.
        found = network(address.partition("%")[0])
    except ValueError:
        found = None
    if found is None or not any(found.version == one.version and found.subnet_of(one) for one in networks):  # type: ignore[arg-type]
        raise Forbidden(
            f"This API key may not be used from {address or 'an unknown address'}: its list of addresses does not hold it.",
            code="address_not_allowed",
        )
