"""Forms (``multipart/form-data``): read piece by piece, and written again with the caller's own boundary and headers.

A form that nobody changed is written byte for byte as a browser or an SDK wrote it. Its files are never in memory: they lie in
the spool one behind the other, and a part knows where.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from routing.call import Json
from routing.errors import InvalidRequest

MAX_PARTS = 1000
# Of one field that is no file. A prompt fits in, and a file that somebody forgot to give a name does not fill the memory.
MAX_FIELD_BYTES = 1024 * 1024
MAX_FIELDS_BYTES = 8 * 1024 * 1024
_CRLF = b"\r\n"

# Reads `size` bytes of the spool from `start` on.
Reading = Callable[[int, int], AsyncIterator[bytes]]


@dataclass(slots=True)
class Part:
    """One part. `value` is a plain field's, None for a file, which lies in the spool from `start` on."""

    headers: list[bytes] = field(default_factory=list)
    name: str = ""
    filename: str | None = None
    content_type: str = ""
    value: bytearray | None = None
    start: int = 0
    size: int = 0


class Reader:
    """Parses a form as it comes. `feed` gives the content of files, in order, for the spool."""

    def __init__(self, content_type: str) -> None:
        """Raises `InvalidRequest` where the type names no boundary."""
        _, options = parse_options_header(content_type)
        self.boundary = options.get(b"boundary", b"")
        if not self.boundary:
            raise _broken("its Content-Type names no boundary")
        self._parts: list[Part] = []
        self._field = bytearray()
        self._header = bytearray()
        self._content = bytearray()
        self._plain_bytes = 0
        self._file_bytes = 0
        self._ended = False
        try:
            self._parser = MultipartParser(
                self.boundary,
                {
                    "on_part_begin": self._begin,
                    "on_header_field": self._on_field,
                    "on_header_value": self._on_value,
                    "on_header_end": self._header_end,
                    "on_headers_finished": self._headers_end,
                    "on_part_data": self._data,
                    "on_end": self._end,
                },
            )
        except FormParserError as error:
            raise _broken(str(error)) from error

    def feed(self, data: bytes) -> bytes:
        """What the bytes hold of files. Raises `InvalidRequest` for bytes that are no form."""
        if self._ended:
            return b""  # what stands behind the last boundary means nothing
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise _broken(str(error)) from error
        content = bytes(self._content)
        self._content.clear()
        return content

    def end(self) -> list[Part]:
        """All parts. Raises `InvalidRequest` for a form that was cut."""
        if not self._ended:
            raise _broken("it ends before its last boundary")
        return self._parts

    def _begin(self) -> None:
        if len(self._parts) >= MAX_PARTS:
            raise _broken(f"it has more than {MAX_PARTS} parts")
        self._parts.append(Part())

    def _on_field(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_end(self) -> None:
        part, name, value = self._parts[-1], bytes(self._field), bytes(self._header)
        self._field.clear()
        self._header.clear()
        part.headers.append(name + b": " + value)
        if name.lower() == b"content-disposition":
            _, options = parse_options_header(value)
            part.name = options.get(b"name", b"").decode(errors="replace")
            if b"filename" in options:
                part.filename = options[b"filename"].decode(errors="replace")
        elif name.lower() == b"content-type":
            part.content_type = value.decode("latin1")

    def _headers_end(self) -> None:
        part = self._parts[-1]
        if not part.name:
            raise _broken("one of its parts has no name")
        if part.filename is None:
            part.value = bytearray()
        part.start = self._file_bytes

    def _data(self, data: bytes, start: int, end: int) -> None:
        part = self._parts[-1]
        part.size += end - start
        if part.value is None:
            self._file_bytes += end - start
            self._content += memoryview(data)[start:end]
            return
        self._plain_bytes += end - start
        if part.size > MAX_FIELD_BYTES or self._plain_bytes > MAX_FIELDS_BYTES:
            raise _broken(f"its field {part.name[:100]!r} is too long for one that is no file")
        part.value += memoryview(data)[start:end]

    def _end(self) -> None:
        self._ended = True


class Form:
    """See `Upload`: the form as it is sent on."""

    def __init__(self, parts: Sequence[Part], content_type: str, boundary: bytes, read: Reading) -> None:
        self._parts = parts
        self._boundary = boundary
        self._read = read
        self.content_type = content_type
        around = sum(len(piece) for part in parts for piece in (_head(boundary, part), _CRLF))
        self.size_bytes = around + sum(part.size for part in parts) + len(_tail(boundary))

    async def chunks(self) -> AsyncIterator[bytes]:
        """The whole form, from the first boundary to the last."""
        waiting = bytearray()
        for part in self._parts:
            waiting += _head(self._boundary, part)
            if part.value is not None:
                waiting += part.value
            else:
                yield bytes(waiting)
                waiting.clear()
                async for piece in self._read(part.start, part.size):
                    yield piece
            waiting += _CRLF
        yield bytes(waiting) + _tail(self._boundary)

    def edited(self, fields: Json) -> Form:
        """See `Upload`."""
        for part in self._parts:
            if part.value is None and _plain(part.name) in fields:
                raise InvalidRequest(f"{part.name!r} is a file and cannot be overridden.", param=part.name)
        kept = [part for part in self._parts if _plain(part.name) not in fields and part.name not in fields]
        added = [_part(name, value) for key, given in fields.items() for name, value in _flat(key, given)]
        for part in added:
            if self._boundary in (part.value or b"") or self._boundary in part.headers[0]:
                raise InvalidRequest(f"The override of {part.name[:100]!r} holds the form's boundary.", param=part.name[:100])
        return Form([*added, *kept], self.content_type, self._boundary, self._read)


def fields(parts: Sequence[Part]) -> Json:
    """The plain fields as parameters: a field given several times, or as ``name[]``, is a list; ``stream`` is a boolean."""
    found: Json = {}
    for part in parts:
        if part.value is None:
            continue
        name, text = part.name.removesuffix("[]"), part.value.decode(errors="replace")
        if part.name.endswith("[]"):
            found.setdefault(name, [])
        if name not in found:
            found[name] = text
        elif isinstance(found[name], list):
            found[name].append(text)
        else:
            found[name] = [found[name], text]
    if isinstance(stream := found.get("stream"), str) and stream.lower() in ("true", "false"):
        found["stream"] = stream.lower() == "true"
    return found


def shown(parts: Sequence[Part]) -> Json:
    """The form for the log: of files, their names and sizes."""
    files = [
        {"name": part.name, "filename": part.filename, "content_type": part.content_type, "bytes": part.size}
        for part in parts
        if part.value is None
    ]
    return {**fields(parts), **({"files": files} if files else {})}


def _plain(name: str) -> str:
    """The parameter that a field belongs to: ``chunking_strategy[type]`` is part of ``chunking_strategy``."""
    return name.partition("[")[0]


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """A parameter as the fields of a form, the way OpenAI's SDKs write them."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(f"{name}[{key}]", item)
    elif isinstance(value, list):
        for item in value:
            yield from _flat(f"{name}[]", item)
    elif value is not None:
        yield name, value if isinstance(value, str) else orjson.dumps(value).decode()


def _part(name: str, value: str) -> Part:
    quoted = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
    text = bytearray(value.encode(errors="replace"))
    head = f'Content-Disposition: form-data; name="{quoted}"'.encode(errors="replace")
    return Part([head], name, None, "", text, 0, len(text))


def _head(boundary: bytes, part: Part) -> bytes:
    return b"--" + boundary + _CRLF + _CRLF.join(part.headers) + _CRLF + _CRLF


def _tail(boundary: bytes) -> bytes:
    return b"--" + boundary + b"--" + _CRLF


def _broken(why: str) -> InvalidRequest:
    return InvalidRequest(f"The form cannot be read: {why[:300]}.", code="invalid_form")
