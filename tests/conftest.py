"""The servers of a test run: started once, by the process that pytest was started in."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable

import pytest
import uvloop

from tests import environment
from tests.stack import EmbeddedServers, Servers

_servers = pytest.StashKey[EmbeddedServers]()


def pytest_configure(config: pytest.Config) -> None:
    is_worker = hasattr(config, "workerinput")
    if not is_worker and not config.option.collectonly:
        config.stash[_servers] = EmbeddedServers(environment.run_directory() / "servers").start()


def pytest_unconfigure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return
    servers = config.stash.get(_servers, None)
    if servers is not None:
        servers.stop()
    shutil.rmtree(environment.run_directory())


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop of the gateway processes, whose transports are not asyncio's."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """The test databases go with their server. Dropping them first fails while any thread still holds a connection."""
    return True


@pytest.fixture(scope="session")
def servers() -> Servers:
    """The PostgreSQL and Valkey that all tests of this run share."""
    return Servers(environment.run_directory() / "servers")
