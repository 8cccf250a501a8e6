"""The egress guard: which addresses the gateway may connect to.

Public addresses are open. Everything else (private networks, loopback, link-local with the clouds' metadata services,
multicast, reserved ranges) is closed unless GATEHOUSE_PRIVATE_HOSTS lists the host name, the address or a network that holds
it. The check looks at resolved addresses, at the moment of connecting, so a name cannot be rebound after it was checked.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# "localhost" allows its addresses too: people write one and mean both.
_LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1"))
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Everything public in IPv6 lies here; `is_global` also says yes to addresses that are merely assigned to nothing.
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")


class EgressRefused(OSError):
    """The guard's no. An OSError, since it is raised in the midst of connecting."""


@dataclass(frozen=True, slots=True)
class EgressGuard:
    """`names` are lower-case host names (``*.corp.example`` matches below), `networks` hold single addresses too."""

    names: frozenset[str] = frozenset()
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()

    @classmethod
    def parse(cls, entries: Iterable[str]) -> EgressGuard:
        """From host names, addresses and networks. Raises ValueError with the entry that is none of these."""
        names, networks = set(), []
        for entry in entries:
            try:
                networks.append(ipaddress.ip_network(entry.strip("[]"), strict=False))
            except ValueError:
                name = entry.lower().rstrip(".")
                if not name or any(character in name.removeprefix("*.") for character in "/: @*"):
                    raise ValueError(f"{entry!r} is neither a host name, an address nor a network") from None
                names.add(name)
                if name == "localhost":
                    networks += _LOOPBACK
        return cls(frozenset(names), tuple(networks))

    def check(self, host: str, address: str) -> None:
        """Raises `EgressRefused` unless `host`, which resolved to `address`, may be connected to."""
        if not self.allows(host, address):
            raise EgressRefused(f"{host} is a private address; list it in GATEHOUSE_PRIVATE_HOSTS to allow it")

    def allows(self, host: str, address: str) -> bool:
        ip = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
        if _is_public(ip):
            return True
        if any(ip in network for network in self.networks if network.version == ip.version):
            return True
        name = host.lower().rstrip(".")
        if name in self.names:
            return True
        return any(f"*.{parent}" in self.names for parent in _parents(name))


def _is_public(ip: Address) -> bool:
    return ip.is_global and not ip.is_multicast and (ip.version == 4 or ip in _GLOBAL_UNICAST)


def _parents(name: str) -> Iterable[str]:
    while "." in name:
        name = name.partition(".")[2]
        yield name


def _unwrapped(ip: Address) -> Address:
    """An IPv4 address inside an IPv6 one is judged as itself."""
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        return inner or ip
    return ip
