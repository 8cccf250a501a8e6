from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.frames import HEAD_BYTES, MAGIC, frame, payloads, spans


@given(st.lists(st.binary(max_size=200), max_size=10))
def test_what_is_framed_comes_back(records):
    assert payloads(b"".join(map(frame, records))) == records


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=4), st.data())
def test_a_torn_tail_costs_the_last_record_only(records, data):
    whole = b"".join(map(frame, records))
    cut = data.draw(st.integers(len(whole) - len(frame(records[-1])), len(whole) - 1))
    found = list(spans(whole[:cut]))
    assert [span.payload for span in found if span.payload is not None] == records[:-1]


@given(st.lists(st.binary(min_size=1, max_size=60), min_size=2, max_size=5), st.data())
def test_a_changed_byte_costs_one_record_only(records, data):
    whole = bytearray(b"".join(map(frame, records)))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= 1 << data.draw(st.integers(0, 7))
    found = list(spans(bytes(whole)))
    kept = [span.payload for span in found if span.payload is not None]
    assert len(kept) == len(records) - 1
    assert all(payload in records for payload in kept)
    assert found[0].start == 0
    assert found[-1].end == len(whole)
    assert all(left.end == right.start for left, right in itertools.pairwise(found))


def test_the_magic_inside_a_payload_does_not_mislead():
    inner = b"x" + MAGIC + b"\x01\x00\x00\x00"
    assert payloads(frame(inner) + frame(b"next")) == [inner, b"next"]


@pytest.mark.parametrize("data", [b"\0" * HEAD_BYTES, frame(b"abc")[:-1], b"junk" + frame(b"abc")])
def test_a_stretch_that_must_be_whole_and_is_not_is_refused(data):
    with pytest.raises(ValueError, match="not a whole frame"):
        payloads(data)
