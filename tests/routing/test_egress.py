"""Which addresses the gateway may connect to."""

from __future__ import annotations

import pytest

from routing.egress import EgressGuard, EgressRefused

CLOSED = EgressGuard()

PUBLIC = [
    *("8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.1", "100.63.255.255", "100.128.0.1", "223.255.255.254"),
    *("2606:4700:4700::1111", "2001:4860:4860::8888"),
    *("::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"),  # a public address inside another
]
PRIVATE = [
    *("127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254"),
    *("100.64.0.1", "100.127.255.255", "0.0.0.0", "0.1.2.3", "192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1"),
    *("192.0.0.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "ff0e::1", "2001:db8::1"),
    *("100::1", "2001::1", "4000::1", "::127.0.0.1", "::7f00:1", "::8.8.8.8"),
    *("::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "0:0:0:0:0:ffff:c0a8:1"),
    *("64:ff9b::7f00:1", "64:ff9b::169.254.169.254", "64:ff9b::10.0.0.1", "64:ff9b:1::8.8.8.8", "64:ff9b:1::1"),
    *("2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:c0a8:101::1"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_open(address):
    CLOSED.check("api.example", address)


@pytest.mark.parametrize("address", PRIVATE)
def test_everything_else_is_closed(address):
    with pytest.raises(EgressRefused, match=r"api\.example is a private address.*GATEHOUSE_PRIVATE_HOSTS"):
        CLOSED.check("api.example", address)


@pytest.mark.parametrize(
    ("entry", "host", "address", "allowed"),
    [
        ("10.1.2.3", "any", "10.1.2.3", True),
        ("10.1.2.3", "any", "10.1.2.4", False),
        ("10.0.0.0/8", "any", "10.9.9.9", True),
        ("10.1.2.3/8", "any", "10.9.9.9", True),
        ("10.0.0.0/8", "any", "::ffff:10.9.9.9", True),
        ("10.0.0.0/8", "any", "192.168.0.1", False),
        ("::1", "any", "::1", True),
        ("[::1]", "any", "::1", True),
        ("fd00::/8", "any", "fd00::5", True),
        ("fd00::/8", "any", "10.0.0.1", False),
        ("::/0", "any", "10.0.0.1", False),
        ("0.0.0.0/0", "any", "10.0.0.1", True),
        ("localhost", "localhost", "127.0.0.1", True),
        ("localhost", "any", "127.0.0.1", True),
        ("localhost", "any", "::1", True),
        ("localhost", "any", "10.0.0.1", False),
        ("ollama.lan", "ollama.lan", "192.168.0.5", True),
        ("Ollama.LAN.", "ollama.lan", "192.168.0.5", True),
        ("ollama.lan", "OLLAMA.lan.", "192.168.0.5", True),
        ("ollama.lan", "evil.ollama.lan", "192.168.0.5", False),
        ("ollama.lan", "ollama.lan.evil", "192.168.0.5", False),
        ("*.corp.example", "a.corp.example", "10.0.0.1", True),
        ("*.corp.example", "a.b.corp.example", "10.0.0.1", True),
        ("*.corp.example", "corp.example", "10.0.0.1", False),
        ("*.corp.example", "evilcorp.example", "10.0.0.1", False),
    ],
)
def test_the_allow_list_opens_what_it_names_and_no_more(entry, host, address, allowed):
    assert EgressGuard.parse([entry]).allows(host, address) is allowed


def test_a_listed_host_still_reaches_public_addresses():
    assert EgressGuard.parse(["ollama.lan"]).allows("api.example", "8.8.8.8")


@pytest.mark.parametrize(
    "entry", ["", "http://host", "host:8080", "a b", "me@host", "10.0.0.0/33", "/", "*", "a.*.example", "*x.example"]
)
def test_an_entry_that_means_nothing_is_refused_by_name(entry):
    with pytest.raises(ValueError, match="neither a host name, an address nor a network") as caught:
        EgressGuard.parse(["ok.example", entry])
    assert repr(entry) in str(caught.value)
