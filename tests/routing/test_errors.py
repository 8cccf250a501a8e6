"""Every error has a status, a code and words for its caller; the docstring's tree is the tree."""

from __future__ import annotations

import re

import pytest

from routing import errors
from routing.errors import (
    BudgetExceeded,
    GatewayError,
    InvalidConfig,
    ProviderError,
    RateLimited,
    Unavailable,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnreachable,
)


def family(kind=GatewayError):
    return [kind, *(below for child in kind.__subclasses__() for below in family(child))]


def test_the_tree_in_the_docstring_is_complete_and_true():
    drawn = re.findall(r"\+- (\w+)((?: \d{3})?)", errors.__doc__)
    own = [kind for kind in family() if kind.__module__ == errors.__name__]
    assert {name for name, _ in drawn} == {kind.__name__ for kind in own} - {"GatewayError"}
    for name, status in drawn:
        assert not status or getattr(errors, name).status == int(status)


def test_no_two_errors_share_a_code():
    codes = [kind.code for kind in family()[1:] if kind.__module__ == errors.__name__]
    assert sorted(codes) == sorted(set(codes))


def test_the_body_has_openais_shape():
    assert InvalidConfig("no", param="targets[1]").body() == {
        "error": {"message": "no", "type": "invalid_request_error", "param": "targets[1]", "code": "invalid_config"}
    }


def test_code_and_status_may_be_said_more_exactly():
    error = Unavailable("no", code="starting", status=500)
    assert (error.code, error.status, Unavailable.code, Unavailable.status) == ("starting", 500, "unavailable", 503)


def test_a_rate_limit_brings_its_headers_and_a_budget_none():
    error = RateLimited("no", retry_after_s=7, rate_headers={"x-ratelimit-limit-requests": "5"})
    assert error.headers() == {"retry-after": "7", "x-ratelimit-limit-requests": "5"}
    assert RateLimited("no", retry_after_s=1).headers() == {"retry-after": "1"}
    assert BudgetExceeded("no").headers() == {}


def test_a_providers_error_keeps_its_own_type_and_code():
    error = ProviderError("no", status=418, error_type="teapot", param="cup", code=7)
    error.provider = "mock"
    assert error.body() == {
        "error": {"message": "no", "type": "teapot", "param": "cup", "code": 7},
        "provider": "mock",
    }
    assert error.status == 418


@pytest.mark.parametrize(
    ("kind", "is_network"), [(UpstreamUnreachable, True), (UpstreamTimeout, False), (UpstreamError, False)]
)
def test_only_failures_of_the_network_count_as_such(kind, is_network):
    assert kind("no").is_network is is_network
    assert "provider" not in kind("no").body()
