"""Answers that pass through as bytes: audio, files, subtitles."""

from __future__ import annotations

import re
from collections.abc import Mapping

from routing.call import Target, Usage
from routing.providers import failures

_PAGE = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)
_ERROR = re.compile(rb"\s*\{\s*\"(?:error|message|detail)\"\s*:")


class Bytes:
    """See `StreamTranslator`: the pieces of a body, untouched. Complete when the body is.

    `typed` says that the answer is to one of our endpoints, so that a page or an error in its place is refused; `needed` that
    an empty one is none.
    """

    __slots__ = ("_begun", "_content_type", "_target", "_typed", "deltas", "done", "ends_with_body", "model", "usage")

    def __init__(self, target: Target, *, typed: bool, needed: bool, usage: Usage | None = None) -> None:
        self.usage = usage
        self.model: str | None = None
        self.done = False
        self.deltas = 0
        self.ends_with_body = not needed
        self._target = target
        self._typed = typed
        self._begun = False
        self._content_type = ""

    def begin(self, headers: Mapping[str, str]) -> dict[str, str]:
        """The answer's headers have come: what the caller gets of those that describe the body."""
        self._content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        described = {"content-type": headers.get("content-type") or "application/octet-stream"}
        if (length := headers.get("content-length")) and not headers.get("content-encoding"):
            described["content-length"] = length
        return described

    def feed(self, data: bytes) -> bytes:
        if not self._begun and data:
            self._begun = self.ends_with_body = True
            if self._typed and (self._content_type == "text/html" or _PAGE.match(data)):
                raise failures.invalid(self._target, "the answer is a page", data)
            if self._typed and _ERROR.match(data):
                raise failures.invalid(self._target, "the answer is an error", data)
        return data
