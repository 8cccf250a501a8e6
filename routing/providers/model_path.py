"""Models that stand in an address."""

from __future__ import annotations

from urllib.parse import quote

from routing.errors import InvalidRequest


def model_path(model: str) -> str:
    """The model's name as a part of a path. Its slashes stay; nothing in it leaves the path, or climbs out of it.

    Raises `InvalidRequest`.
    """
    if any(part in ("", ".", "..") for part in model.split("/")):
        raise InvalidRequest("model is not the name of a model.", param="model")
    return quote(model, safe="/@:")
