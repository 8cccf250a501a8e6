"""The headers that tell a caller what happened."""

from __future__ import annotations

import pytest

from keys.auth import Caller
from routing.api import incoming
from routing.exchange import Exchange


def headers(*dropped: str) -> dict[str, str]:
    call = incoming.begin_socket({"query_string": b"model=m"}, "realtime", {"x-portkey-trace-id": "t"})
    exchange = Exchange(call, Caller("w"))
    exchange.dropped = dropped
    return exchange.headers()


def test_what_was_left_out_is_named():
    assert headers("seed", "messages[0].name")["x-gatehouse-dropped-params"] == "seed, messages[0].name"
    assert "x-gatehouse-dropped-params" not in headers()


@pytest.mark.parametrize("name", ["a\r\nset-cookie: b", "naïve 世界", "\x00\x7f", "x" * 100_000])
def test_a_name_cannot_break_the_header(name):
    value = headers(name)["x-gatehouse-dropped-params"]
    assert value.isascii()
    assert value.isprintable()
    assert len(value) <= 1024
