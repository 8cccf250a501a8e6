"""Images, documents, sound and film as Converse's blocks. They come as data URLs or lie in S3; no web address is fetched."""

from __future__ import annotations

import re
from typing import Any

from routing.call import Json
from routing.errors import InvalidRequest, Unsupported

_IMAGES = {"image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
_VIDEOS = {
    "video/x-matroska": "mkv",
    "video/quicktime": "mov",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "video/x-flv": "flv",
    "video/mpeg": "mpeg",
    "video/x-ms-wmv": "wmv",
    "video/3gpp": "three_gp",
}
_AUDIO = {"audio/mpeg": "mp3", "audio/mp3": "mp3", "audio/wav": "wav", "audio/x-wav": "wav", "audio/ogg": "ogg"}
_AUDIO |= {"audio/flac": "flac", "audio/aac": "aac", "audio/opus": "opus", "audio/mp4": "m4a", "audio/webm": "webm"}
_KINDS = {"image": _IMAGES, "document": _DOCUMENTS, "video": _VIDEOS, "audio": _AUDIO}
_BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
# What Bedrock takes in a document's name: letters, digits, single spaces, hyphens, round and square brackets.
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9\-()\[\] ]+")
_NAME_CHARACTERS = 200


class Media:
    """Makes the blocks of one request, in which the name of each document is another."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._names: set[str] = set()

    def image(self, part: Json, path: str) -> Json:
        """An ``image_url`` part. Its data may also be a document or a film: callers have no other place for those."""
        image = part.get("image_url")
        address = image.get("url") if isinstance(image, dict) else image
        return self._from_url(address, f"{path}.image_url.url", None)

    def audio(self, part: Json, path: str) -> Json:
        """An ``input_audio`` part."""
        audio = part.get("input_audio")
        if not isinstance(audio, dict) or not isinstance(audio.get("data"), str):
            raise InvalidRequest(f"{path}.input_audio needs data and format.", param=f"{path}.input_audio")
        data = _checked(audio["data"], f"{path}.input_audio.data")
        return {"audio": {"format": audio.get("format"), "source": {"bytes": data}}}

    def file(self, part: Json, path: str) -> Json:
        """A ``file`` part, whose data stand in it or lie in S3."""
        file = part.get("file")
        path = f"{path}.file"
        if not isinstance(file, dict):
            raise InvalidRequest(f"{path} must be an object.", param=path)
        name = file.get("filename") if isinstance(file.get("filename"), str) else None
        data = file.get("file_data")
        if isinstance(data, str) and not data.startswith("data:"):
            media_type = file.get("mime_type") or _type_of(name) or "application/pdf"
            return self._block(str(media_type), {"bytes": _checked(data, f"{path}.file_data")}, f"{path}.file_data", name)
        for field in ("file_data", "file_url", "file_id"):
            if isinstance(file.get(field), str):
                return self._from_url(file[field], f"{path}.{field}", name, file.get("mime_type"))
        raise InvalidRequest(f"{path} needs file_data.", param=path)

    def _from_url(self, address: Any, path: str, name: str | None, media_type: Any = None) -> Json:
        if isinstance(address, str) and address.startswith("s3://"):
            known = media_type if isinstance(media_type, str) else _type_of(address)
            return self._block(known or "", {"s3Location": {"uri": address}}, path, name or address.rsplit("/", 1)[-1])
        if isinstance(address, str) and address.startswith(("http://", "https://")):
            raise Unsupported(f"{self._label} fetches no web address: send the data itself, as a data URL.", param=path)
        head, comma, data = address.partition(",") if isinstance(address, str) else ("", "", "")
        if not head.startswith("data:") or not comma or not head.endswith(";base64"):
            raise InvalidRequest(f"{path} must be a base64 data URL or an s3:// address.", param=path)
        return self._block(head.removeprefix("data:").split(";")[0].lower(), {"bytes": _checked(data, path)}, path, name)

    def _block(self, media_type: str, source: Json, path: str, name: str | None) -> Json:
        for kind, formats in _KINDS.items():
            if media_type in formats:
                block: Json = {"format": formats[media_type], "source": source}
                if kind == "document":
                    block["name"] = self._name(name)
                return {kind: block}
        raise Unsupported(f"{self._label} cannot read data of type {media_type or 'unknown'!r}.", param=path)

    def _name(self, name: str | None) -> str:
        stem = (name or "").rsplit(".", 1)[0]
        clean = " ".join(_NOT_IN_A_NAME.sub(" ", stem).split())[:_NAME_CHARACTERS].strip() or "document"
        unique, number = clean, 1
        while unique in self._names:
            number += 1
            unique = f"{clean} ({number})"
        self._names.add(unique)
        return unique


def _type_of(name: str | None) -> str | None:
    """The media type that a file's ending tells."""
    ending = (name or "").rpartition(".")[2].lower()
    for formats in _KINDS.values():
        for media_type, known in formats.items():
            if ending == known or (ending, known) in (("jpg", "jpeg"), ("3gp", "three_gp")):
                return media_type
    return None


def _checked(data: str, path: str) -> str:
    """The base64 itself, which is what goes over the wire; decoding it here would only cost."""
    if not data or len(data) % 4 or not _BASE64.fullmatch(data):
        raise InvalidRequest(f"{path} is not base64.", param=path)
    return data
