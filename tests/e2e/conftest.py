"""One running product for the tests of a pytest worker, and a provider of each test's own."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import httpx
import openai
import pytest

from tests import environment
from tests.e2e.product import Product
from tests.fakes import FakeProvider, Lane
from tests.stack import EmbeddedServers, Gatehouse, Servers

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # the SDK's own
    import portkey_ai

_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
_ALLOWS_LOOPBACK = {"GATEHOUSE_PRIVATE_HOSTS": "127.0.0.1"}


@pytest.fixture(scope="session")
def fake() -> Iterator[FakeProvider]:
    with FakeProvider() as provider:
        yield provider


@pytest.fixture
def lane(fake: FakeProvider) -> Iterator[Lane]:
    """A provider for one test. In the end, it has nothing to object to in what it was sent."""
    lane = fake.lane()
    yield lane
    assert lane.problems == []


@pytest.fixture
def other_lane(fake: FakeProvider) -> Iterator[Lane]:
    lane = fake.lane()
    yield lane
    assert lane.problems == []


@pytest.fixture(scope="session")
def product(servers: Servers) -> Iterator[Product]:
    """The product as a team runs it: keys are required; providers on loopback are allowed."""
    directory = environment.run_directory() / f"product-{_WORKER}"
    env = {**_ALLOWS_LOOPBACK, "GATEHOUSE_REQUIRE_API_KEY": "true"}
    with Gatehouse(directory, servers, env=env) as stack, closing(Product(stack)) as product:
        yield product


@pytest.fixture(scope="session")
def open_product(servers: Servers) -> Iterator[Product]:
    """The product on one's own machine, where no key is required."""
    directory = environment.run_directory() / f"open-{_WORKER}"
    env = {**_ALLOWS_LOOPBACK, "GATEHOUSE_REQUIRE_API_KEY": "false"}
    with Gatehouse(directory, servers, env=env) as stack, closing(Product(stack)) as product:
        yield product


@pytest.fixture(scope="session")
def own_servers() -> Iterator[EmbeddedServers]:
    """A PostgreSQL and a Valkey that a test may kill."""
    with EmbeddedServers(environment.run_directory() / f"servers-{_WORKER}") as servers:
        yield servers


@pytest.fixture(scope="session")
def cluster(own_servers: EmbeddedServers) -> Iterator[Product]:
    """Two gateway processes, worker and beat on servers of their own; no private address is allowed."""
    directory = environment.run_directory() / f"cluster-{_WORKER}"
    env = {"GATEHOUSE_REQUIRE_API_KEY": "true"}
    with (
        Gatehouse(directory, own_servers, gateways=2, beat=True, env=env) as stack,
        closing(Product(stack, gateways=2)) as product,
    ):
        yield product


@pytest.fixture(scope="session")
def pair(servers: Servers) -> Iterator[Product]:
    """Two gateway processes on the run's own servers; providers on loopback are allowed."""
    directory = environment.run_directory() / f"pair-{_WORKER}"
    env = {**_ALLOWS_LOOPBACK, "GATEHOUSE_REQUIRE_API_KEY": "true"}
    with (
        Gatehouse(directory, servers, gateways=2, env=env) as stack,
        closing(Product(stack, gateways=2)) as product,
    ):
        yield product


@pytest.fixture
def virtual_key(product: Product, lane: Lane) -> str:
    """Leads to this test's `lane` in OpenAI's dialect."""
    return product.virtual_key(lane.url)


@pytest.fixture
def anthropic_key(product: Product, other_lane: Lane) -> str:
    """Leads to this test's `other_lane` in Anthropic's dialect."""
    return product.virtual_key(other_lane.url, "anthropic")


@pytest.fixture
def openai_client(product: Product) -> Iterator[Callable[..., openai.OpenAI]]:
    """Makes the OpenAI SDK's client; it does not retry by itself."""
    with ExitStack() as stack:

        def make(path: str = "/v1", **headers: str) -> openai.OpenAI:
            client = openai.OpenAI(
                base_url=f"{product.url}{path}",
                api_key=product.api_key,
                max_retries=0,
                default_headers={f"x-portkey-{name.replace('_', '-')}": value for name, value in headers.items()},
            )
            return stack.enter_context(client)

        yield make


@pytest.fixture
def portkey_client(product: Product) -> Iterator[Callable[..., Any]]:
    """Makes the Portkey SDK's client."""
    with ExitStack() as stack:

        def make(path: str = "/v1", **options: Any) -> Any:
            http = stack.enter_context(httpx.Client(timeout=30))
            given = {"base_url": f"{product.url}{path}", "api_key": product.api_key, "http_client": http}
            return portkey_ai.Portkey(**{**given, **options})

        yield make
