from __future__ import annotations

import time

import pytest

from analytics import record as records
from analytics.ids import uuid7
from analytics.record import Record
from analytics.spool import Spool

WORKSPACE = "0193b1f0-0000-7000-8000-000000000001"


@pytest.fixture
def spool(tmp_path):
    made = Spool(tmp_path / "spool", 1024**3)
    yield made
    made.close()


@pytest.fixture
def make_record():
    """A record of now; keyword arguments replace its fields."""

    def make(**fields):
        given = {
            "id": uuid7(),
            "started_at_us": time.time_ns() // 1000,
            "workspace_id": WORKSPACE,
            "api_key_id": None,
            "trace_id": "trace",
            "endpoint": "chat/completions",
            "provider": "openai",
            "model": "gpt-4o",
            "status": 200,
            **fields,
        }
        return Record(**given)

    return make


@pytest.fixture
def encoded(make_record):
    return lambda **fields: records.encode(make_record(**fields))
