"""Event streams come out the same however the network cuts them."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing import sse
from routing.errors import UpstreamInvalid

STREAM = (
    b"\xef\xbb\xbf: hello\n\nevent: greeting\ndata: one\ndata: two\nid: 7\nretry: 10\n\n"
    b"data:no space\r\n\r\ndata\r\rdata: a: b\r\n\n\n\nevent: nothing\n\ndata: last\n\n"
)
EVENTS = [("greeting", b"one\ntwo"), ("message", b"no space"), ("message", b""), ("message", b"a: b"), ("message", b"last")]


def decode(pieces):
    decoder = sse.Decoder()
    return [event for piece in pieces for event in decoder.feed(piece)]


def cut(data, places):
    bounds = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(bounds)]


def test_it_reads_every_form_of_line():
    assert decode([STREAM]) == EVENTS


@pytest.mark.parametrize("place", range(len(STREAM)))
def test_it_reads_the_same_for_every_cut(place):
    assert decode([STREAM[:place], STREAM[place:]]) == EVENTS


def test_it_reads_the_same_byte_by_byte():
    assert decode([bytes([byte]) for byte in STREAM]) == EVENTS


def test_it_keeps_half_an_event_back():
    decoder = sse.Decoder()
    assert decoder.feed(b"data: half") == []
    assert decoder.feed(b"\n") == []
    assert decoder.feed(b"\n") == [("message", b"half")]


def test_it_does_not_wait_for_the_byte_behind_a_carriage_return():
    decoder = sse.Decoder()
    assert decoder.feed(b"data: x\r\r") == [("message", b"x")]
    assert decoder.feed(b"\ndata: y\n\n") == [("message", b"y")]


texts = st.text(st.characters(exclude_characters="\r\n", exclude_categories=("Cs",)), max_size=12)
names = st.one_of(st.none(), st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=8))


@given(st.lists(st.tuples(names, st.lists(texts, min_size=1, max_size=3))), st.lists(st.integers(0, 10_000)), st.data())
def test_what_is_encoded_is_decoded(events, places, data):
    encoded = b"".join(sse.encode("\n".join(lines).encode(), name) for name, lines in events)
    ending = data.draw(st.sampled_from([b"\n", b"\r\n", b"\r"]))
    decoded = decode(cut(encoded.replace(b"\n", ending), places))
    assert decoded == [(name or "message", "\n".join(lines).encode()) for name, lines in events]


@given(
    st.lists(st.sampled_from([b"data: x", b": c", b"event: e", b"", b"\xff"]), max_size=12),
    st.lists(st.integers(0, 999)),
    st.data(),
)
def test_a_run_of_whole_events_keeps_every_byte(lines, places, data):
    stream = b"".join(line + data.draw(st.sampled_from([b"\n", b"\r\n"])) for line in lines)
    splitter = sse.Splitter()
    runs = [splitter.feed(piece) for piece in cut(stream, places)]
    assert b"".join(runs) + splitter.tail == stream
    assert b"".join(block for run in runs for block in sse.blocks(run)) == b"".join(runs)


@pytest.mark.parametrize("reader", [sse.Splitter, sse.Decoder])
def test_it_refuses_an_event_without_end(reader):
    reader = reader(limit=100)
    reader.feed(b"data: " + b"x" * 94)
    with pytest.raises(UpstreamInvalid, match="larger than 100 bytes"):
        reader.feed(b"x")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", True),
        (b"\r\n", True),
        (b"\xef", True),
        (b"\xef\xbb\xbfdata", True),
        (b":", True),
        (b"  <html>", False),
        (b"{", False),
    ],
)
def test_it_knows_a_page_by_its_first_character(data, expected):
    assert sse.may_begin(data) is expected


def test_it_encodes_lines():
    assert sse.encode(b"{}") == b"data: {}\n\n"
    assert sse.encode(b"a\r\nb\rc\n", "e") == b"event: e\ndata: a\ndata: b\ndata: c\ndata: \n\n"
