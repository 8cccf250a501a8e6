"""Forms read piece by piece and written again, and the spool that holds their files."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing import multipart
from routing.api.uploads import MEMORY_BYTES, Received, Spooled
from routing.errors import BodyTooLarge, InvalidRequest
from tests.endpoints import form

KIND = "multipart/form-data; boundary=b0undary"
FILE = b"\x00\xff--b0unda\r\n--\r\n" * 40


def field(name: str, value: str) -> bytes:
    return f'--b0undary\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()


def file(name: str, content: bytes, filename: str = "a.bin") -> bytes:
    head = (
        f'--b0undary\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\nContent-Type: audio/x\r\n\r\n'
    )
    return head.encode() + content + b"\r\n"


END = b"--b0undary--\r\n"
WHOLE = field("model", "whisper-1") + field("t[]", "a") + field("t[]", "b") + file("file", FILE) + field("stream", "true") + END


async def pieces(body: bytes, cuts: list[int]):
    for start, end in itertools.pairwise([0, *sorted(cut for cut in cuts if cut < len(body)), len(body)]):
        yield body[start:end]


async def received(tmp_path, body: bytes, *cuts: int, most: int = 10_000_000):
    upload = Received(tmp_path, KIND, most)
    try:
        made, fields, shown = await upload.read(pieces(body, list(cuts)), None)
        return made, fields, shown, b"".join([piece async for piece in made.chunks()])
    finally:
        upload.close()


async def test_a_form_is_sent_on_as_it_came(tmp_path):
    made, fields, shown, sent = await received(tmp_path, WHOLE)
    assert sent == WHOLE
    assert (made.size_bytes, made.content_type) == (len(WHOLE), KIND)
    assert fields == {"model": "whisper-1", "t": ["a", "b"], "stream": True}
    assert shown == {**fields, "files": [{"name": "file", "filename": "a.bin", "content_type": "audio/x", "bytes": len(FILE)}]}


@settings(deadline=None)
@given(st.lists(st.integers(1, len(WHOLE)), max_size=40))
def test_a_form_reads_the_same_for_every_cut(cuts):
    reader, content = multipart.Reader(KIND), b""
    for start, end in itertools.pairwise([0, *sorted(set(cuts)), len(WHOLE)]):
        content += reader.feed(WHOLE[start:end])
    parts = reader.end()
    assert content == FILE
    assert multipart.fields(parts) == {"model": "whisper-1", "t": ["a", "b"], "stream": True}


async def edit(tmp_path, changes):
    upload = Received(tmp_path, KIND, 10_000_000)
    try:
        made, _, _ = await upload.read(pieces(WHOLE, []), None)
        changed = made.edited(changes)
        sent = b"".join([piece async for piece in changed.chunks()])
        assert changed.size_bytes == len(sent)
        return form(KIND, sent)
    finally:
        upload.close()


async def test_fields_are_replaced_added_and_left_out_while_files_stay(tmp_path):
    given = {"model": "gpt", "t": ["c"], "stream": None, "temperature": 0.5, "flag": True, "chunking": {"type": "auto"}}
    parts = await edit(tmp_path, given)
    texts = {name: [part.text for part in found] for name, found in parts.items() if name != "file"}
    assert texts == {"model": ["gpt"], "t[]": ["c"], "temperature": ["0.5"], "flag": ["true"], "chunking[type]": ["auto"]}
    assert [(part.filename, part.content, part.content_type) for part in parts["file"]] == [("a.bin", FILE, "audio/x")]


@pytest.mark.parametrize("changes", [{"file": "x"}, {"model": "x--b0undary\r\n"}, {"b0undary": "x"}])
async def test_an_override_cannot_replace_a_file_or_forge_a_part(tmp_path, changes):
    with pytest.raises(InvalidRequest):
        await edit(tmp_path, changes)


async def test_a_fields_name_cannot_forge_a_header(tmp_path):
    parts = await edit(tmp_path, {'x"\r\nContent-Type: text/html': "v"})
    assert "text/html" not in {part.content_type for found in parts.values() for part in found}


@pytest.mark.parametrize("size", [0, 1, MEMORY_BYTES, MEMORY_BYTES + 1, 3 * MEMORY_BYTES + 7])
async def test_a_spool_reads_what_was_written_again_and_again(tmp_path, size):
    spool = Spooled(tmp_path)
    content = bytes(range(251)) * (size // 251 + 1)
    for start in range(0, size, 100_000):
        await spool.write(content[start : min(start + 100_000, size)])
    await spool.finish()
    for _ in range(2):
        assert b"".join([piece async for piece in spool.read(0, size)]) == content[:size]
    assert b"".join([piece async for piece in spool.read(size // 2, size - size // 2)]) == content[size // 2 : size]
    spool.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [KIND, "audio/wav"])
async def test_more_than_the_bound_is_refused_while_it_comes(tmp_path, kind):
    async def endless():
        yield file("file", b"")[:-2]
        while True:
            yield b"x" * 1000

    upload = Received(tmp_path, kind, 5000)
    with pytest.raises(BodyTooLarge, match="5000 bytes"):
        await upload.read(endless(), None)
    upload.close()


async def test_an_announced_length_beyond_the_bound_is_refused_unread(tmp_path):
    async def never():
        raise AssertionError("the body was read")
        yield b""

    upload = Received(tmp_path, KIND, 5000)
    with pytest.raises(BodyTooLarge, match="5000 bytes"):
        await upload.read(never(), "5001")
    upload.close()
