"""Who is calling, by every combination of headers."""

from __future__ import annotations

import dataclasses

import pytest

from keys.auth import INFERENCE_SCOPE, Caller, authenticate, bearer
from routing.errors import Forbidden, GatewayError, Unauthenticated
from routing.snapshot import Snapshot

NOW = 1_000_000.0
ME = Caller("w1", "key-1", scopes=frozenset({INFERENCE_SCOPE}))
OTHER = dataclasses.replace(ME, workspace_id="w2", api_key_id="key-2")
SNAPSHOT = Snapshot(
    version=1,
    default_workspace_id="w1",
    hash_key=str,
    keys={
        "gh-mine": ME,
        "gh-other": OTHER,
        "a-key-without-the-prefix": ME,
        "gh-expired": dataclasses.replace(ME, expires_at=NOW),
        "gh-lasting": dataclasses.replace(ME, expires_at=NOW + 1),
        "gh-viewer": dataclasses.replace(ME, scopes=frozenset({"logs.view"})),
    },
    retired=frozenset({"a-retired-key"}),
)


def call(required=True, portkey=None, bearer=None, x_api_key=None):
    headers = {"x-portkey-api-key": portkey, "authorization": bearer and f"Bearer {bearer}", "x-api-key": x_api_key}
    given = {name: value for name, value in headers.items() if value is not None}
    return authenticate(given, SNAPSHOT, required=required, now=NOW)


KNOWN = [
    # (headers, API key, provider key)
    ({"portkey": "gh-mine"}, "key-1", None),
    ({"portkey": " gh-mine "}, "key-1", None),
    ({"bearer": "gh-mine"}, "key-1", None),
    ({"x_api_key": "gh-mine"}, "key-1", None),
    ({"bearer": "a-key-without-the-prefix"}, "key-1", None),
    ({"bearer": "gh-lasting"}, "key-1", None),
    # The provider's key comes along in whichever place is left.
    ({"portkey": "gh-mine", "bearer": "sk-1"}, "key-1", "sk-1"),
    ({"portkey": "gh-mine", "x_api_key": "sk-1"}, "key-1", "sk-1"),
    ({"portkey": "gh-mine", "bearer": "sk-1", "x_api_key": "sk-2"}, "key-1", "sk-1"),
    ({"bearer": "gh-mine", "x_api_key": "sk-1"}, "key-1", "sk-1"),
    ({"bearer": "sk-1", "x_api_key": "gh-mine"}, "key-1", "sk-1"),
    # SDKs repeat the gateway's key, or send a placeholder for a missing one.
    ({"portkey": "gh-mine", "bearer": "gh-mine"}, "key-1", None),
    ({"portkey": "gh-mine", "bearer": "OPENAI_API_KEY"}, "key-1", None),
    ({"portkey": "gh-mine", "bearer": "OPENAI_API_KEY", "x_api_key": "sk-1"}, "key-1", "sk-1"),
    ({"bearer": "OPENAI_API_KEY", "x_api_key": "gh-mine"}, "key-1", None),
    ({"portkey": "gh-mine", "bearer": "gh-mine", "x_api_key": "sk-1"}, "key-1", "sk-1"),
    ({"portkey": "", "bearer": "gh-mine"}, "key-1", None),
    # The named key speaks; a second gateway key is no provider's.
    ({"portkey": "gh-other", "bearer": "gh-mine"}, "key-2", None),
    ({"portkey": "gh-mine", "bearer": "gh-mine", "x_api_key": "gh-mine"}, "key-1", None),
    ({"portkey": "gh-mine", "x_api_key": "gh-mine"}, "key-1", None),
    ({"portkey": "gh-mine", "bearer": "a-key-without-the-prefix"}, "key-1", None),
    ({"portkey": "gh-mine", "bearer": "gh-revoked"}, "key-1", None),
    ({"bearer": "gh-mine", "x_api_key": "gh-mine"}, "key-1", None),
    ({"bearer": "gh-mine", "x_api_key": "gh-other"}, "key-1", None),
    ({"portkey": "gh-mine", "bearer": "gh-other", "x_api_key": "sk-1"}, "key-1", "sk-1"),
]


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize(("headers", "api_key", "provider_key"), KNOWN)
def test_a_known_key_is_found_wherever_it_stands_and_never_goes_on(headers, api_key, provider_key, required):
    caller, key = call(required, **headers)
    assert (caller.api_key_id, key) == (api_key, provider_key)
    assert not caller.is_anonymous


REFUSED = [
    # (headers, error, code, words)
    ({}, Unauthenticated, "invalid_api_key", "No API key provided"),
    ({"bearer": "OPENAI_API_KEY"}, Unauthenticated, "invalid_api_key", "No API key provided"),
    ({"bearer": "sk-1"}, Unauthenticated, "invalid_api_key", "Incorrect gateway API key"),
    ({"x_api_key": "sk-1"}, Unauthenticated, "invalid_api_key", "Incorrect gateway API key"),
]
ALWAYS_REFUSED = [
    ({"portkey": "gh-unknown"}, Unauthenticated, "invalid_api_key", "Incorrect gateway API key"),
    ({"portkey": "sk-1"}, Unauthenticated, "invalid_api_key", "Incorrect gateway API key"),
    ({"portkey": "gh-unknown", "bearer": "gh-mine"}, Unauthenticated, "invalid_api_key", "Incorrect gateway API key"),
    ({"bearer": "gh-unknown"}, Unauthenticated, "invalid_api_key", "Incorrect gateway API key"),
    ({"x_api_key": "gh-unknown"}, Unauthenticated, "invalid_api_key", "Incorrect gateway API key"),
    ({"portkey": "gh-expired"}, Unauthenticated, "expired_api_key", "expired"),
    ({"bearer": "gh-expired"}, Unauthenticated, "expired_api_key", "expired"),
    ({"bearer": "gh-viewer"}, Forbidden, "forbidden", INFERENCE_SCOPE),
]


@pytest.mark.parametrize(
    ("required", "headers", "kind", "code", "words"),
    [*((True, *case) for case in REFUSED + ALWAYS_REFUSED), *((False, *case) for case in ALWAYS_REFUSED)],
)
def test_any_other_is_refused_and_told_why(required, headers, kind, code, words):
    with pytest.raises(GatewayError, match=words) as caught:
        call(required, **headers)
    assert (type(caught.value), caught.value.code) == (kind, code)
    for value in headers.values():
        assert value == "OPENAI_API_KEY" or value not in str(caught.value.body())


@pytest.mark.parametrize(
    ("headers", "provider_key"),
    [
        ({}, None),
        ({"bearer": "OPENAI_API_KEY"}, None),
        ({"bearer": "sk-1"}, "sk-1"),
        ({"x_api_key": "sk-1"}, "sk-1"),
        ({"bearer": "sk-1", "x_api_key": "sk-2"}, "sk-1"),
        ({"bearer": "OPENAI_API_KEY", "x_api_key": "sk-2"}, "sk-2"),
        ({"bearer": "ghp_a-key-of-another-vendor"}, "ghp_a-key-of-another-vendor"),
    ],
)
def test_where_keys_are_not_required_anybody_calls_with_their_own_provider_key(headers, provider_key):
    caller, key = call(required=False, **headers)
    assert caller == Caller("w1")
    assert caller.is_anonymous
    assert key == provider_key


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer sk-1", "sk-1"),
        ("bearer sk-1", "sk-1"),
        ("BEARER   sk-1 ", "sk-1"),
        ("sk-1", "sk-1"),
        ("Bearer Bearer", "Bearer"),
        ("Bearer", None),
        ("Bearer ", None),
        ("  ", None),
        ("", None),
        ("Bearer OPENAI_API_KEY", None),
        ("OPENAI_API_KEY", None),
    ],
)
def test_it_reads_the_token_of_the_authorization_header(header, token):
    assert bearer({"authorization": header}) == token
    assert bearer({}) is None


@pytest.mark.parametrize("required", [True, False])
@pytest.mark.parametrize("place", ["bearer", "x_api_key", "portkey"])
def test_a_key_that_is_no_more_is_no_providers_business(required, place):
    """It does not show by its beginning that it was a key of the gateway, and it must not be sent out as a provider's."""
    with pytest.raises(Unauthenticated):
        call(required=required, **{place: "a-retired-key"})
    other = "x_api_key" if place == "bearer" else "bearer"
    if place != "portkey":
        assert call(portkey="gh-mine", **{place: "a-retired-key"})[1] is None
        assert call(portkey="gh-mine", **{place: "a-retired-key", other: "sk-1"})[1] == "sk-1"
