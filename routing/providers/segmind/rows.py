"""Segmind's row."""

from __future__ import annotations

from routing.call import Endpoint
from routing.providers.auth import header_key
from routing.providers.base import Provider
from routing.providers.segmind import SegmindDialect

ROWS = (
    Provider(
        id="segmind",
        label="Segmind",
        base_url="https://api.segmind.com/v1",
        dialect=SegmindDialect(),
        auth=header_key("x-api-key"),
        supports=frozenset({Endpoint.IMAGES, Endpoint.PROXY}),
        source="https://github.com/Portkey-AI/gateway/blob/main/src/providers/segmind/api.ts",
    ),
)
