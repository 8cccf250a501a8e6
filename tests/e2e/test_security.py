"""Where credentials go and what callers can make the gateway do."""

from __future__ import annotations

import json
import socket

import pytest

from tests.e2e.product import CHAT, HELLO, STORED_KEY, Product, new_trace
from tests.fakes import Lane, answer, redirect

# --- A stored credential goes nowhere else ---------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["header", "config", "config above the target", "header over a saved config"])
def test_a_stored_credential_is_never_sent_to_a_host_of_the_callers(
    product: Product, lane: Lane, other_lane: Lane, virtual_key: str, way: str
) -> None:
    config, headers = {
        "header": (None, {"x-portkey-virtual-key": virtual_key, "x-portkey-custom-host": other_lane.url}),
        "config": (json.dumps({"virtual_key": virtual_key, "custom_host": other_lane.url}), {}),
        "config above the target": (
            json.dumps({"strategy": "single", "custom_host": other_lane.url, "targets": [{"virtual_key": virtual_key}]}),
            {},
        ),
        "header over a saved config": (
            product.config({"virtual_key": virtual_key}),
            {"x-portkey-custom-host": other_lane.url},
        ),
    }[way]

    answered = product.call(config=config, headers=headers)

    assert answered.status_code == 400
    assert "custom_host" in answered.json()["error"]["param"].replace("-", "_")
    assert lane.received == other_lane.received == []


@pytest.mark.parametrize("name", ["authorization", "Authorization", "x-api-key", "api-key"])
def test_a_stored_credential_is_not_replaced_by_a_forwarded_header(
    product: Product, lane: Lane, virtual_key: str, name: str
) -> None:
    headers = {"x-portkey-forward-headers": name, name: "Bearer sk-mine"}

    answered = product.call(virtual_key=virtual_key, headers=headers)

    assert answered.status_code == 400
    assert answered.json()["error"]["param"].endswith("forward_headers")
    assert lane.received == []


@pytest.mark.parametrize("name", ["host", "content-length", "transfer-encoding", "x-portkey-api-key", "connection"])
def test_headers_that_break_the_message_or_hold_our_key_are_not_forwarded(
    product: Product, lane: Lane, virtual_key: str, name: str
) -> None:
    answered = product.call(virtual_key=virtual_key, headers={"x-portkey-forward-headers": name})

    assert answered.status_code == 400
    assert lane.received == []


def test_other_headers_are_forwarded_and_no_more(product: Product, lane: Lane, virtual_key: str) -> None:
    headers = {"x-portkey-forward-headers": "x-tenant", "x-tenant": "blue", "x-other": "red", "cookie": "session=1"}

    product.call(virtual_key=virtual_key, headers=headers)

    assert lane.last.headers["x-tenant"] == "blue"
    assert set(lane.last.headers) == {"host", "content-type", "content-length", "accept", "authorization", "x-tenant"}


def test_the_gateways_key_as_bearer_does_not_reach_the_provider(product: Product, lane: Lane, virtual_key: str) -> None:
    headers = {"authorization": f"Bearer {product.api_key}"}

    assert product.call(key=None, virtual_key=virtual_key, headers=headers).status_code == 200
    assert product.api_key not in str(lane.last)


def test_the_gateways_key_is_no_provider_key(product: Product, lane: Lane) -> None:
    """A caller who confuses the two must not hand the gateway's key to a host of somebody's choice."""
    headers = {
        "authorization": f"Bearer {product.api_key}",
        "x-portkey-provider": "openai",
        "x-portkey-custom-host": lane.url,
    }

    for key in (None, product.api_key):
        assert product.call(key=key, headers=headers).status_code == 400
    assert lane.received == []


@pytest.mark.parametrize("name", ["authorization", "x-api-key"])
def test_the_gateways_key_is_not_forwarded_either(product: Product, lane: Lane, name: str) -> None:
    config = {"provider": "openai", "api_key": "sk-own", "custom_host": lane.url, "forward_headers": [name]}
    value = f"Bearer {product.api_key}" if name == "authorization" else product.api_key

    answered = product.call(key=None, headers={name: value}, config=json.dumps(config))

    assert answered.status_code == 200
    assert product.api_key not in str(lane.last)
    assert lane.last.headers["authorization"] == "Bearer sk-own"


def test_a_redirect_is_not_followed(product: Product, lane: Lane, other_lane: Lane, virtual_key: str) -> None:
    lane.will(redirect(f"{other_lane.url}/chat/completions"))

    assert product.call(virtual_key=virtual_key).status_code == 502
    assert other_lane.received == []


def test_keys_never_stand_in_the_log(product: Product, lane: Lane, virtual_key: str) -> None:
    """Neither the gateway's, nor the stored one, nor one in a config given by value."""
    trace_id = new_trace()
    config = {"provider": "openai", "api_key": "sk-in-a-config-0123456789", "custom_host": lane.url}

    product.call(virtual_key=virtual_key, trace_id=trace_id)
    product.call(config=json.dumps(config), trace_id=trace_id)

    for record in product.records(trace_id, 2):
        whole = str(product.admin("GET", f"/v1/logs/{record['id']}"))
        for secret in (product.api_key, STORED_KEY, "sk-in-a-config-0123456789"):
            assert secret not in whole


# --- Private addresses -----------------------------------------------------------------------------------------------

PRIVATE = (
    "http://127.0.0.1:1/v1",
    "http://127.1:1/v1",
    "http://2130706433:1/v1",
    "http://0x7f000001:1/v1",
    "http://0x7f.0.0.1:1/v1",
    "http://0177.0.0.1:1/v1",
    "http://0.0.0.0:1/v1",
    "http://[::1]:1/v1",
    "http://[::ffff:127.0.0.1]:1/v1",
    "http://[::ffff:7f00:1]:1/v1",
    "http://localhost:1/v1",
    "http://LOCALHOST:1/v1",
    "http://10.0.0.1/v1",
    "http://192.168.1.1/v1",
    "http://172.16.0.1/v1",
    "http://100.64.0.1/v1",
    "http://169.254.169.254/latest/meta-data",
    "http://[fd00:ec2::254]/latest/meta-data",
    "http://2852039166/latest/meta-data",
    "http://[fe80::1]/v1",
    "http://224.0.0.1/v1",
)


@pytest.mark.xdist_group("cluster")
@pytest.mark.parametrize("host", PRIVATE)
def test_private_addresses_are_refused_however_they_are_written(cluster: Product, host: str) -> None:
    headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": host, "authorization": "Bearer sk-own"}

    answered = cluster.call(headers=headers)

    assert answered.status_code == 400, answered.text
    # Some spellings are no address for the gateway at all.
    assert answered.json()["error"]["code"] in ("private_host", "invalid_request", "invalid_config")


@pytest.mark.xdist_group("cluster")
def test_a_virtual_key_may_not_lead_to_a_private_address_either(cluster: Product) -> None:
    slug = cluster.virtual_key("http://169.254.169.254/v1")

    answered = cluster.call(virtual_key=slug)

    assert answered.json()["error"]["code"] == "private_host"


@pytest.mark.parametrize("host", ["http://10.0.0.1/v1", "http://169.254.169.254/v1", "http://[::1]:1/v1"])
def test_an_allowed_address_allows_no_other(product: Product, host: str) -> None:
    headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": host, "authorization": "Bearer sk-own"}

    assert product.call(headers=headers).json()["error"]["code"] == "private_host"


@pytest.mark.parametrize(
    "host", ["http://user:pass@127.0.0.1/v1", "ftp://127.0.0.1/v1", "gopher://x/", "http:///v1", "http://a b/v1", "//x/v1"]
)
def test_a_custom_host_is_a_plain_http_address(product: Product, host: str) -> None:
    headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": host, "authorization": "Bearer sk-own"}

    answered = product.call(headers=headers)

    assert answered.status_code == 400
    assert answered.json()["error"]["param"] == "x-portkey-custom-host"


# --- Headers cannot be smuggled --------------------------------------------------------------------------------------


def raw_exchange(product: Product, *headers: bytes) -> bytes:
    """The answer to a chat request with these header lines, byte by byte, which no HTTP client would send."""
    body = json.dumps({**HELLO, "model": "mock"}).encode()
    lines = [
        b"POST %s HTTP/1.1" % CHAT.encode(),
        b"host: 127.0.0.1",
        b"connection: close",
        b"content-type: application/json",
        b"content-length: %d" % len(body),
        b"x-portkey-api-key: %s" % product.api_key.encode(),
        b"x-portkey-virtual-key: mock",
        *headers,
    ]
    with socket.create_connection(("127.0.0.1", product.stack.port), timeout=10) as connection:
        connection.sendall(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer


@pytest.mark.parametrize(
    "trace_id",
    [b"a\rset-cookie: x=1", b"a\x00b", b"a\x7fb", b"\xc3\xbc-\xff", "痕迹".encode(), b"a\tb", b"<script>alert(1)</script>"],
    ids=repr,
)
def test_a_trace_id_cannot_write_headers_of_the_answer(product: Product, trace_id: bytes) -> None:
    """It comes back in a header of the answer."""
    answer = raw_exchange(product, b"x-portkey-trace-id: " + trace_id)

    head = answer.partition(b"\r\n\r\n")[0]
    assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 400"))
    names = [line.partition(b":")[0].lower() for line in head.split(b"\r\n")[1:]]
    assert b"set-cookie" not in names
    assert b"\r" not in head.replace(b"\r\n", b"")
    assert b"Traceback" not in answer


def test_a_trace_id_is_cut_at_its_bound(product: Product) -> None:
    trace_id = new_trace() + "x" * 5000

    answered = product.call(virtual_key="mock", body={**HELLO, "model": "mock"}, trace_id=trace_id)

    assert answered.headers["x-portkey-trace-id"] == trace_id[:128]


def test_metadata_cannot_write_headers_to_the_provider(product: Product, lane: Lane, virtual_key: str) -> None:
    metadata = json.dumps({"user": "a\r\nx-evil: 1", "x\r\ny": "b"})
    trace_id = new_trace()

    answered = product.call(virtual_key=virtual_key, headers={"x-portkey-metadata": metadata}, trace_id=trace_id)

    assert answered.status_code == 200
    assert "x-evil" not in lane.last.headers
    assert product.record(trace_id)["metadata"] == json.loads(metadata)


@pytest.mark.parametrize("option", ["openai_organization", "openai_project", "openai_beta"])
def test_a_providers_option_cannot_write_headers(product: Product, lane: Lane, option: str) -> None:
    config = {"provider": "openai", "api_key": "sk-own", "custom_host": lane.url, option: "org\r\nx-evil: 1"}

    answered = product.call(config=json.dumps(config))

    assert answered.status_code == 400
    assert lane.received == []


def test_a_providers_key_cannot_write_headers(product: Product, lane: Lane) -> None:
    config = {"provider": "openai", "api_key": "sk-own\r\nx-evil: 1", "custom_host": lane.url}

    answered = product.call(config=json.dumps(config))

    assert answered.status_code == 400
    assert lane.received == []


def test_a_providers_headers_cannot_pose_as_the_gateways(product: Product, lane: Lane, virtual_key: str) -> None:
    lane.will(
        answer(headers={"x-portkey-trace-id": "forged", "set-cookie": "a=1", "x-portkey-cache-status": "HIT", "server": "x"})
    )
    trace_id = new_trace()

    answered = product.call(virtual_key=virtual_key, trace_id=trace_id)

    assert answered.headers["x-portkey-trace-id"] == trace_id
    assert answered.headers["x-portkey-cache-status"] == "DISABLED"
    assert "set-cookie" not in answered.headers
    assert "server" not in answered.headers
