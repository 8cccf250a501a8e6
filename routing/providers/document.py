"""docs/providers.md, made from the table: what stands in it was asked of the rows and of their dialects, and written by nobody.

`manage.py providers_doc` writes it; a test holds it up to date.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from routing.call import Call, Endpoint, Json, Target
from routing.errors import InvalidRequest
from routing.providers import adapters
from routing.providers.base import Option, Provider
from routing.providers.table import PROVIDERS

_YES, _TRANSLATED, _NO = "●", "○", ""
_KEY = "<key>"
# What stands for options where an address or a credential needs some.
_SAMPLES: Mapping[str, str] = {"text": "sample", "url": "https://sample.example", "json": "{}"}
_PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
_TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
_SCHEMA = {"name": "answer", "schema": {"type": "object", "properties": {"a": {"type": "string"}}}}

_ENDPOINTS: tuple[tuple[str, Endpoint], ...] = (
    ("Chat", Endpoint.CHAT),
    ("Responses", Endpoint.RESPONSES),
    ("Messages", Endpoint.MESSAGES),
    ("Text", Endpoint.COMPLETIONS),
    ("Embed", Endpoint.EMBEDDINGS),
    ("Rerank", Endpoint.RERANK),
    ("Moderate", Endpoint.MODERATIONS),
    ("Image", Endpoint.IMAGES),
    ("Edit", Endpoint.IMAGE_EDITS),
    ("Speech", Endpoint.SPEECH),
    ("Transcribe", Endpoint.TRANSCRIPTIONS),
    ("Translate", Endpoint.TRANSLATIONS),
    ("Files", Endpoint.FILES),
    ("Batches", Endpoint.BATCHES),
    ("Tuning", Endpoint.FINE_TUNING),
    ("Realtime", Endpoint.REALTIME),
    ("Proxy", Endpoint.PROXY),
)
_FEATURES: tuple[tuple[str, Json], ...] = (
    ("Stream", {"stream": True}),
    ("Tools", {"tools": [_TOOL]}),
    ("Forced tool", {"tools": [_TOOL], "tool_choice": "required"}),
    ("Pictures", {"messages": [{"role": "user", "content": [{"type": "text", "text": "?"}, _PICTURE]}]}),
    ("JSON", {"response_format": {"type": "json_object"}}),
    ("Schema", {"response_format": {"type": "json_schema", "json_schema": _SCHEMA}}),
    ("Effort", {"reasoning_effort": "low"}),
    ("Seed", {"seed": 7}),
    ("Stop", {"stop": ["."]}),
    ("n", {"n": 2}),
    ("Logprobs", {"logprobs": True}),
    ("Penalties", {"frequency_penalty": 0.5}),
)

_HEAD = f"""# Providers

Made by `manage.py providers_doc` from the table in `routing/providers/`; do not edit it by hand.

{{count}} providers. A call names one by its id or an alias: in the header `x-portkey-provider`, in a config's `provider`, or
in a virtual key. A vendor that is not here but speaks OpenAI's dialect is `openai` with a `custom_host`.

An **option** is what a vendor needs beside the key. It stands in a virtual key, in a config under its name, or in a request in
the header `x-portkey-<header>`. Options in the address (`{{{{like_this}}}}`) are required unless there is a default or a custom
host. Options marked *secret* are credentials: a virtual key keeps them encrypted, and a saved config holds none. Over a virtual
key, a call cannot change where the credential goes.

## What they offer

{_YES} as the vendor speaks it; {_TRANSLATED} translated by the gateway to the vendor's chat and back. Anything else is refused
by name. *Proxy* passes every other path of the vendor through, with its credential.

"""
_FEATURES_HEAD = f"""
## What their chats take

{_YES} is sent to the vendor, as it is or in the vendor's words; whether a model can do it is the vendor's to say. Where there
is nothing, the gateway refuses the parameter by name instead of dropping it (with `drop_unsupported` it is left out, and the
answer names it).

"""
_ADDRESSES_HEAD = """
## Addresses, credentials and options

An empty address means a server of your own: give `custom_host`, with the version path.

"""


def markdown() -> str:
    """The whole document."""
    rows = sorted(PROVIDERS.values(), key=lambda row: row.id)
    talkers = [row for row in rows if Endpoint.CHAT in row.supports]
    offers = _table(
        ["Provider", *(title for title, _ in _ENDPOINTS)],
        ([f"`{row.id}`", *(_offer(row, endpoint) for _, endpoint in _ENDPOINTS)] for row in rows),
    )
    features = _table(
        ["Provider", *(title for title, _ in _FEATURES)],
        ([f"`{row.id}`", *(_YES if _takes(row, change) else _NO for _, change in _FEATURES)] for row in talkers),
    )
    addresses = _table(
        ["Provider", "Name", "Address", "Credential", "Options", "Also called", "Differs in"],
        (
            [_linked(row), row.label, _address(row), _credential(row), _options(row), _list(row.aliases), _quirks(row)]
            for row in rows
        ),
    )
    return _HEAD.format(count=len(rows)) + offers + _FEATURES_HEAD + features + _ADDRESSES_HEAD + addresses


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _described(row: Provider) -> list[str]:
    return [_linked(row), row.label, _address(row), _credential(row), _options(row), _list(row.aliases), _quirks(row)]


def _offer(row: Provider, endpoint: Endpoint) -> str:
    if endpoint in row.supports:
        return _YES
    return _TRANSLATED if endpoint != Endpoint.PROXY and adapters.serves(endpoint, row) else _NO


def _takes(row: Provider, change: Json) -> bool:
    """Whether the dialect has words for a chat with this."""
    return _refusal(row, _target(row), change) is None


def _refusal(row: Provider, target: Target, change: Json) -> InvalidRequest | None:
    body = {"model": "model", "messages": [{"role": "user", "content": "?"}], **change}
    try:
        row.dialect.request(_call(body), target)
    except InvalidRequest as error:
        return error
    return None


def _target(row: Provider) -> Target:
    """A target with every option that the row cannot do without, which its dialect may know alone."""
    samples = {option.name: _SAMPLES[option.kind] for option in row.options}
    needed = {option.name for option in row.options if option.required or option.name in row.placeholders}
    base = row.base_url or "https://own.example/v1"
    while True:
        target = Target("config", row, base, api_key=_KEY, options={name: samples[name] for name in sorted(needed)})
        refusal = _refusal(row, target, {})
        missing = (refusal.param or "").rpartition(".")[2] if refusal else ""
        if missing not in samples or missing in needed:
            return target
        needed.add(missing)


def _call(body: dict[str, Any]) -> Call:
    return Call("call", Endpoint.CHAT, body, orjson.dumps(body), {}, "trace", {}, 0.0, 0)


def _linked(row: Provider) -> str:
    return f"[`{row.id}`]({row.source})" if row.source else f"`{row.id}`"


def _address(row: Provider) -> str:
    return f"`{row.base_url}`" if row.base_url else ""


def _credential(row: Provider) -> str:
    """As the row's own function writes it."""
    headers: dict[str, str] = {}
    row.auth(headers, _target(row))
    shown = "; ".join(f"`{name}: {value}`" for name, value in headers.items())
    if row.signer is not None:
        shown = f"{shown}; signed or with a token" if shown else "signed, or with a token or the key"
    if not shown:
        return "none"
    return shown if row.needs_key or row.signer is not None else f"{shown}, if there is one"


def _options(row: Provider) -> str:
    return ", ".join(_option(option) for option in row.options if not option.unfit)


def _option(option: Option) -> str:
    header = option.request_header.removeprefix("x-portkey-")
    notes = [f"header `{header}`"] if header != option.name.replace("_", "-") else []
    notes += [f"also {_list(option.aliases)}"] if option.aliases else []
    notes += ["*secret*"] * option.secret + ["required"] * option.required
    notes += [f"`{option.default}` by default"] if option.default else []
    return f"`{option.name}`" + (f" ({', '.join(notes)})" if notes else "")


def _list(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _quirks(row: Provider) -> str:
    """The settings of OpenAI's dialect in which the row differs from OpenAI."""
    found = [f"`{ours}` is sent as `{theirs}`" for ours, theirs in getattr(row.dialect, "renames", {}).items()]
    found += [f"{endpoint} at `{path}`" for endpoint, path in getattr(row.dialect, "paths", {}).items()]
    if not getattr(row.dialect, "says_done", True):
        found.append("no `[DONE]` of its own ends a stream; the gateway adds it")
    if not row.stream_usage and Endpoint.CHAT in row.supports:
        found.append("gives usage in streams unasked, or not at all")
    return "; ".join(found)
