"""One part of a message in the vendor's words: text, and media inside the request or at an address."""

from __future__ import annotations

import mimetypes
import re
from typing import Any
from urllib.parse import urlsplit

from routing.call import Json
from routing.errors import InvalidRequest
from routing.providers.wishes import Wishes

_AUDIO = {
    "mp3": "audio/mp3",
    "wav": "audio/wav",
    "opus": "audio/ogg",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "aac": "audio/aac",
    "aiff": "audio/aiff",
    "m4a": "audio/m4a",
    "webm": "audio/webm",
    "pcm16": "audio/pcm",
    "pcm": "audio/pcm",
}
# The vendor's own parts, which pass as they are.
_NATIVE = frozenset({"text", "inlineData", "inline_data", "fileData", "file_data", "executableCode", "codeExecutionResult"})
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_ADDRESSES = ("http://", "https://", "gs://")
# What a media part is where neither the caller nor the address says it.
_USUAL = {"image_url": "image/jpeg", "video_url": "video/mp4", "audio_url": "audio/mp3"}


def translated(part: Any, path: str, wishes: Wishes) -> Json | None:
    """The part; None for one without content. Raises `InvalidRequest` or `Unsupported` with the path."""
    if isinstance(part, str):
        return {"text": part} if part else None
    if not isinstance(part, dict):
        raise InvalidRequest(f"{path} must be an object.", param=path)
    kind = part.get("type")
    if kind is not None and not isinstance(kind, str):
        raise InvalidRequest(f"{path}.type must be a text.", param=f"{path}.type")
    if kind in ("text", "input_text", "output_text", "refusal"):
        return _text(part, "refusal" if kind == "refusal" else "text", path)
    if kind == "thinking":
        return signed({"text": str(part.get("thinking") or ""), "thought": True}, part)
    if kind in _USUAL:
        return signed(_media(part, kind, path), part)
    if kind == "input_audio":
        return _audio(part.get("input_audio"), f"{path}.input_audio")
    if kind == "file":
        return _file(part.get("file"), f"{path}.file")
    if kind is not None or not _NATIVE & part.keys():
        wishes.never(f"{path}.type", f"{wishes.label} cannot read a content part of type {kind!r}.")
    return part


def signed(out: Json, source: Json) -> Json:
    """`out` with the thought signature that `source` carries; the vendor wants it back where it gave it."""
    signature = source.get("signature") or source.get("thought_signature")
    if isinstance(signature, str):
        out["thoughtSignature"] = signature
    return out


def _text(part: Json, key: str, path: str) -> Json | None:
    text = part.get(key)
    if not isinstance(text, str):
        raise InvalidRequest(f"{path}.{key} must be a text.", param=f"{path}.{key}")
    return signed({"text": text}, part) if text else None


def _media(part: Json, kind: str, path: str) -> Json:
    media = part.get(kind)
    address = media.get("url") if isinstance(media, dict) else media
    given = media.get("mime_type") or media.get("format") if isinstance(media, dict) else None
    where = f"{path}.{kind}.url"
    if not isinstance(address, str) or not address:
        raise InvalidRequest(f"{where} must be an address or a data URL.", param=where)
    if address.startswith("data:"):
        return _inline(address, where)
    if address.lower().startswith(_ADDRESSES):
        return _at(address, given, _USUAL[kind], where)
    if not _BASE64.fullmatch(address):
        raise InvalidRequest(f"{where} must be an http(s) or gs address or a base64 data URL.", param=where)
    return {"inlineData": {"mimeType": given or _USUAL[kind], "data": address}}


def _audio(audio: Any, path: str) -> Json:
    if not isinstance(audio, dict) or not isinstance(audio.get("data"), str):
        raise InvalidRequest(f"{path}.data must be the audio in base64.", param=f"{path}.data")
    if audio["data"].startswith("data:"):
        return _inline(audio["data"], f"{path}.data")
    form = str(audio.get("format") or "wav").lower()
    return {"inlineData": {"mimeType": _AUDIO.get(form, f"audio/{form}"), "data": audio["data"]}}


def _file(file: Any, path: str) -> Json:
    if not isinstance(file, dict):
        raise InvalidRequest(f"{path} must be an object.", param=path)
    given = file.get("mime_type") or file.get("format") or mimetypes.guess_type(str(file.get("filename") or ""))[0]
    data = file.get("file_data")
    if isinstance(data, str) and data.startswith("data:"):
        return _inline(data, f"{path}.file_data")
    if isinstance(data, str):
        return {"inlineData": {"mimeType": given or "application/pdf", "data": data}}
    # An id is that of the vendor's own files, whose name is an address.
    address = file.get("file_url") or file.get("file_id")
    if not isinstance(address, str):
        raise InvalidRequest(f"{path} needs file_data, file_url or file_id.", param=path)
    return _at(address, given, "application/pdf", path)


def _inline(url: str, path: str) -> Json:
    head, comma, data = url.partition(",")
    # Parameters such as ;charset=utf-8 stand between the type and ;base64.
    kind, *settings = head.removeprefix("data:").split(";")
    if not comma or "base64" not in settings or "/" not in kind:
        raise InvalidRequest(f"{path} must be an http(s) or gs address or a base64 data URL.", param=path)
    return {"inlineData": {"mimeType": kind.lower(), "data": data}}


def _at(address: str, given: Any, usual: str, path: str) -> Json:
    """Media at an address. The vendor knows the kind of a file that it keeps itself, and cannot be told better."""
    if isinstance(given, str):
        return {"fileData": {"mimeType": given, "fileUri": address}}
    try:
        pieces = urlsplit(address)
    except ValueError:
        raise InvalidRequest(f"{path} is not an address.", param=path) from None
    if pieces.scheme not in ("http", "https", "gs") or ("/files/" in pieces.path and _is_the_vendors(pieces.hostname)):
        return {"fileData": {"fileUri": address}}
    if (pieces.hostname or "").removeprefix("www.") in ("youtube.com", "youtu.be"):
        usual = "video/mp4"
    return {"fileData": {"mimeType": mimetypes.guess_type(pieces.path)[0] or usual, "fileUri": address}}


def _is_the_vendors(host: str | None) -> bool:
    return host is not None and host.endswith(".googleapis.com")
