"""Bodies that are no JSON: spooled with bounded memory, read again for every try, their plain fields parsed.

Up to a mebibyte stays in memory; beyond that a temporary file without a name takes over, which the system deletes with the
process at the latest. All work on the file is done on threads.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO

from routing import multipart
from routing.call import Json, Upload
from routing.errors import BodyTooLarge, InvalidRequest, Unavailable

MEMORY_BYTES = 1024 * 1024
_CHUNK_BYTES = 256 * 1024


class Spooled:
    """Bytes that are written once and read often."""

    def __init__(self, directory: Path) -> None:
        self.size = 0
        self._directory = directory
        self._buffer = bytearray()
        self._file: IO[bytes] | None = None

    async def write(self, data: bytes) -> None:
        """Raises `Unavailable` where the disk does not take it."""
        self._buffer += data
        self.size += len(data)
        if len(self._buffer) > MEMORY_BYTES:
            await self._flush()

    async def finish(self) -> None:
        """The last byte was written."""
        if self._file is not None:
            await self._flush()

    async def read(self, start: int, size: int) -> AsyncIterator[bytes]:
        """`size` bytes from `start` on."""
        if self._file is None:
            if size:
                yield bytes(memoryview(self._buffer)[start : start + size])
            return
        while size > 0:
            piece = await asyncio.to_thread(os.pread, self._file.fileno(), min(size, _CHUNK_BYTES), start)
            if not piece:
                raise Unavailable("The upload could not be read again from the gateway's disk.", code="upload_lost")
            yield piece
            start += len(piece)
            size -= len(piece)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    async def _flush(self) -> None:
        data = bytes(self._buffer)
        self._buffer.clear()
        try:
            await asyncio.to_thread(self._append, data)
        except OSError as error:
            raise Unavailable(f"The gateway cannot keep the upload: {error.strerror}.", code="upload_not_kept") from error

    def _append(self, data: bytes) -> None:
        if self._file is None:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=self._directory, buffering=0)  # noqa: SIM115 - closed by close()
        while data:
            data = data[self._file.write(data) :]


class Opaque:
    """See `Upload`: a body of which nothing is known but its type."""

    def __init__(self, spool: Spooled, content_type: str) -> None:
        self._spool = spool
        self.content_type = content_type
        self.size_bytes = spool.size

    def chunks(self) -> AsyncIterator[bytes]:
        return self._spool.read(0, self.size_bytes)

    def edited(self, fields: Json) -> Upload:
        raise InvalidRequest(
            f"override_params cannot be applied to a body of type {self.content_type[:100]}.", param="override_params"
        )


class Received:
    """An upload on the way in: `read` it, and `close` it when the call is over."""

    def __init__(self, directory: Path, content_type: str, max_bytes: int) -> None:
        self._spool = Spooled(directory)
        self._content_type = content_type
        self._max_bytes = max_bytes

    async def read(self, pieces: AsyncIterator[bytes], announced: str | None) -> tuple[Upload, Json, Json]:
        """The upload, the plain fields of a form, and what the log shows of it.

        `announced` is the request's Content-Length. Raises `BodyTooLarge`, `InvalidRequest` for a broken form, `Unavailable`.
        """
        if announced and announced.isdecimal() and int(announced) > self._max_bytes:
            raise self._too_large()
        if self._content_type.partition(";")[0].strip().lower() == "multipart/form-data":
            return await self._form(pieces)
        async for piece in pieces:
            if self._spool.size + len(piece) > self._max_bytes:
                raise self._too_large()
            await self._spool.write(piece)
        await self._spool.finish()
        shown = {"content_type": self._content_type, "bytes": self._spool.size}
        return Opaque(self._spool, self._content_type), {}, shown

    async def _form(self, pieces: AsyncIterator[bytes]) -> tuple[Upload, Json, Json]:
        reader = multipart.Reader(self._content_type)
        read = 0
        async for piece in pieces:
            read += len(piece)
            if read > self._max_bytes:
                raise self._too_large()
            if content := reader.feed(piece):
                await self._spool.write(content)
        parts = reader.end()
        await self._spool.finish()
        form = multipart.Form(parts, self._content_type, reader.boundary, self._spool.read)
        return form, multipart.fields(parts), multipart.shown(parts)

    def close(self) -> None:
        self._spool.close()

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(f"The upload is larger than {self._max_bytes} bytes (GATEHOUSE_MAX_UPLOAD_BYTES).")
