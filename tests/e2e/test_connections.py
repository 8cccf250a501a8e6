"""What a request leaves behind: nothing in the database."""

from __future__ import annotations

import psycopg

from tests.e2e.product import Product
from tests.stack import Servers


def test_requests_to_the_admin_api_leave_no_connection_behind(product: Product, servers: Servers) -> None:
    # Each runs on a thread of its own; kept connections would use up the server's after some hundred requests.
    before = connections(servers)
    for _ in range(40):
        product.admin("GET", "/virtual-keys")
    assert connections(servers) < before + 10


def connections(servers: Servers) -> int:
    with psycopg.connect(servers.database_url) as database:
        row = database.execute("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'").fetchone()
    assert row is not None
    return int(row[0])
