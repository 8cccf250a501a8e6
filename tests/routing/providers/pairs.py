"""Captured pairs: what a caller sent, what went to the vendor, what the vendor answered and what the caller got.

One JSON file each, under the id of its row. A stream stands beside it as it comes over the wire (`<case>.in.sse`) and as the
caller gets it (`<case>.out.sse`).
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from routing.call import Call, Endpoint, Target, Usage
from routing.providers import raw
from routing.providers.base import Dialect, Provider
from routing.providers.table import PROVIDERS, find

HERE = Path(__file__).parent
KEY = "sk-test-0123456789abcdefXYZ"
OWN = "https://own.example/v1"


def make_call(body: dict[str, Any], endpoint: str = Endpoint.CHAT, headers: dict[str, str] | None = None) -> Call:
    return Call(
        id="call-1",
        endpoint=endpoint,
        body=body,
        raw=orjson.dumps(body, option=orjson.OPT_INDENT_2),
        headers=headers or {},
        trace_id="trace-1",
        metadata={},
        started=0.0,
        started_at_us=1_700_000_000_000_000,
    )


# Options that a row can do without in a virtual key, but not in a call.
_GIVEN = {"vertex-ai": {"vertex_project_id": "sample", "vertex_region": "global"}}


def make_target(provider: str, **settings: Any) -> Target:
    """A target with everything that the row needs; a server without an address of its own stands at `OWN`."""
    row = find(provider)
    kinds = {"text": "sample", "url": "https://sample.example", "json": "{}"}
    options = {option.name: kinds[option.kind] for option in row.options if option.required or option.name in row.placeholders}
    options |= _GIVEN.get(row.id, {})
    settings = {"path": "config", "base_url": row.base_url or OWN, "api_key": KEY, "options": options, **settings}
    return Target(provider=row, **settings)


SAMPLES: dict[str, dict[str, Any]] = {
    Endpoint.CHAT: {"messages": [{"role": "user", "content": "Hi"}]},
    Endpoint.EMBEDDINGS: {"input": ["Hi"]},
    Endpoint.IMAGES: {"prompt": "A gate"},
}


def sample_call(row: Provider, body: dict[str, Any] | None = None, headers: dict[str, str] | None = None) -> Call:
    """A plain call for something that the row offers."""
    endpoint = next((endpoint for endpoint in SAMPLES if endpoint in row.supports), Endpoint.CHAT)
    return make_call({"model": "m", **SAMPLES[endpoint], **(body or {})}, endpoint, headers)


@dataclass(frozen=True)
class Pair:
    provider: str
    case: str
    data: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.provider}/{self.case}"

    @property
    def call(self) -> Call:
        call = make_call(self.data["call"], self.data.get("endpoint", Endpoint.CHAT), self.data.get("headers"))
        return replace(call, path=self.data.get("path", ""))

    @property
    def target(self) -> Target:
        settings = dict(self.data.get("target", {}))
        if "forward_headers" in settings:
            settings["forward_headers"] = tuple(settings["forward_headers"])
        return make_target(self.provider, **settings)

    @property
    def dialect(self) -> Dialect:
        """What speaks: the row's own dialect, or the one that passes all through."""
        return raw.DIALECT if self.call.endpoint == Endpoint.PROXY else self.target.provider.dialect

    @property
    def usage(self) -> Usage | None:
        return None if self.data["usage"] is None else Usage(**self.data["usage"])

    @property
    def stream(self) -> bytes:
        """The stream as it comes over the wire; ``.in.bin`` for one that is no text."""
        return self.file("in.bin" if (HERE / self.provider / f"{self.case}.in.bin").exists() else "in.sse")

    def file(self, ending: str) -> bytes:
        return (HERE / self.provider / f"{self.case}.{ending}").read_bytes()


def load() -> list[Pair]:
    files = (path for row in PROVIDERS for path in sorted((HERE / row).glob("*.json")))
    return [Pair(path.parent.name, path.stem, orjson.loads(path.read_bytes())) for path in files]


PAIRS = load()


def having(key: str) -> list[Pair]:
    """The pairs that hold `key`: ``answer``, ``chunks`` or ``failure``."""
    return [pair for pair in PAIRS if key in pair.data]
