from __future__ import annotations

import datetime as dt
import uuid

from analytics.ids import time_of, uuid7


def test_it_is_a_version_7_uuid_of_now():
    identity = uuid.UUID(uuid7())
    made = time_of(identity)
    assert identity.version == 7
    assert identity.variant == uuid.RFC_4122
    assert made is not None
    assert abs(dt.datetime.now(dt.UTC) - made) < dt.timedelta(seconds=5)


def test_ids_are_unique_and_sort_by_time():
    ids = [uuid7() for _ in range(20_000)]
    assert len(set(ids)) == len(ids)
    # A tick of 250 ns may hold two ids; nothing further apart may be out of order.
    prefixes = [identity[:18] for identity in ids]
    assert prefixes == sorted(prefixes)


def test_other_versions_have_no_time():
    assert time_of(uuid.uuid4()) is None
