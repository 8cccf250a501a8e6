"""What a call will try: saved, default and header config merged once into a tree of targets with nothing left to look up."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from keys.auth import Caller
from keys.hashing import shown
from routing.call import DEFAULT_RETRY_STATUSES, Json, Retry, Target, Timeouts
from routing.configs import values
from routing.configs.facts import Facts
from routing.configs.normalise import normalise
from routing.errors import InvalidConfig, InvalidRequest, Unauthenticated
from routing.providers import table
from routing.providers.base import Provider
from routing.snapshot import ConfigEntry, Snapshot, VirtualKeyEntry

# The request headers that shape a plan: two calls of one workspace that agree on them share it.
_SHAPING = (
    "x-portkey-config",
    "x-portkey-provider",
    "x-portkey-virtual-key",
    "x-portkey-custom-host",
    "x-portkey-forward-headers",
    "x-portkey-request-timeout",
    "x-portkey-strict-open-ai-compliance",
    *table.OPTION_HEADERS,
)
# Anything else may be JSON that holds a credential, so a refusal never quotes it.
# After the @ stands a label or the number of a version.
_CONFIG_ID = re.compile(r"[\w-]{1,100}(?:@[\w-]{1,40})?", re.ASCII)
# A larger inline config is resolved each time: the plans in memory are bounded in number, so each of them must be small.
_REMEMBERED_CHARACTERS = 4096
_LEAF_KEYS = frozenset({"provider", "virtual_key", "targets"})


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition of a conditional strategy: which child is meant when `holds`. `text` is the condition as it was written."""

    holds: Callable[[Facts], bool]
    child: int
    text: str


@dataclass(frozen=True, slots=True)
class Branch:
    """A strategy over children.

    `on_status_codes` is None where a fallback continues after anything that is not a success. `rules` and `default` (the index
    of a child) are those of a conditional strategy. `sticky` names the fields of a call (``metadata.user_id``) whose hash picks
    the child of a load balance in place of chance.
    """

    mode: str
    children: tuple[Node, ...]
    path: str = "config"
    weights: tuple[float, ...] = ()
    on_status_codes: frozenset[int] | None = None
    rules: tuple[Rule, ...] = ()
    default: int | None = None
    sticky: tuple[str, ...] = ()


Node = Branch | Target


@dataclass(frozen=True, slots=True)
class Plan:
    """The tree of targets, and which saved config it came from.

    `deadline_ms` bounds the call as a whole, tries and waits together. With `stream_resume` the next target goes on with the
    text that a broken stream has already sent.
    """

    root: Node
    config_id: str | None = None
    config_version: int | None = None
    deadline_ms: int | None = None
    stream_resume: bool = False


_NO_RETRY = Retry()


@dataclass(frozen=True, slots=True)
class _Inherited:
    """What a target takes from the levels above it (portkey-wire 3.3)."""

    override_params: Json = field(default_factory=dict)
    retry: Retry = _NO_RETRY
    timeout_ms: int | None = None
    custom_host: str | None = None
    forward_headers: tuple[str, ...] = ()
    strict: bool = True


def resolve(headers: Mapping[str, str], caller: Caller, provider_key: str | None, snapshot: Snapshot) -> Plan:
    """The plan of one call. Raises `InvalidConfig`, `InvalidRequest` or `Unauthenticated`."""
    get = headers.get
    key = (caller.workspace_id, caller.is_anonymous, caller.default_config, provider_key, *(get(name) for name in _SHAPING))
    if (plan := snapshot.plan(key)) is None:
        plan = _resolve(headers, caller, provider_key, snapshot)
        if len(headers.get("x-portkey-config", "")) <= _REMEMBERED_CHARACTERS:
            snapshot.remember(key, plan)
    return plan


def _resolve(headers: Mapping[str, str], caller: Caller, provider_key: str | None, snapshot: Snapshot) -> Plan:
    body, entry = _config(headers.get("x-portkey-config"), caller, snapshot)
    if not _LEAF_KEYS & body.keys():
        body = {**body, **_leaf_from_headers(headers, provider_key)}
    builder = _Builder(headers, caller, snapshot)
    root = builder.node(body, "config", _Inherited())
    return Plan(root, entry.id if entry else None, entry.version if entry else None)


def _config(header: str | None, caller: Caller, snapshot: Snapshot) -> tuple[Json, ConfigEntry | None]:
    """The config in force: the header's, else the key's default, else an empty one."""
    named = (header or "").strip() or caller.default_config
    if not named:
        return {}, None
    if not _CONFIG_ID.fullmatch(named):
        try:
            parsed = orjson.loads(named)
        except orjson.JSONDecodeError as error:
            raise InvalidConfig(
                f"x-portkey-config is neither a config's id nor valid JSON: {error}.", param="x-portkey-config"
            ) from error
        return ({} if parsed == {} else normalise(parsed)), None
    if caller.is_anonymous:
        raise Unauthenticated("A saved config needs a gateway API key: send it in the x-portkey-api-key header.")
    entry = snapshot.config(caller.workspace_id, named)
    if entry is None:
        slug, _, version = named.partition("@")
        wanted = f"config {slug!r} with a version or label {version!r}" if version else f"config {slug!r}"
        raise InvalidConfig(
            f"x-portkey-config: there is no {wanted} in this workspace.",
            param="x-portkey-config",
            code="unknown_config",
        )
    return entry.body, entry


def _leaf_from_headers(headers: Mapping[str, str], provider_key: str | None) -> Json:
    """The target that the headers name, for a config that names none."""
    leaf: Json = {option: headers[header] for header, option in table.OPTION_HEADERS.items() if headers.get(header)}
    if virtual_key := headers.get("x-portkey-virtual-key", "").strip():
        leaf["virtual_key"] = virtual_key
        return leaf
    provider = headers.get("x-portkey-provider", "").strip()
    if not provider:
        raise InvalidRequest(
            "No target: send x-portkey-virtual-key, x-portkey-config, or x-portkey-provider with your own key.",
            param="x-portkey-provider",
            code="no_target",
        )
    leaf["provider"] = table.find(provider).id
    if provider_key:
        leaf["api_key"] = provider_key
    return leaf


class _Builder:
    """Turns the canonical config into bound targets, top down."""

    def __init__(self, headers: Mapping[str, str], caller: Caller, snapshot: Snapshot) -> None:
        self._caller = caller
        self._snapshot = snapshot
        # These three beat every level of the config.
        self._timeout_ms = _header(headers, "x-portkey-request-timeout", values.duration_ms)
        self._custom_host = _header(headers, "x-portkey-custom-host", values.http_url)
        self._forward = _header(headers, "x-portkey-forward-headers", values.header_names)
        self._lenient = headers.get("x-portkey-strict-open-ai-compliance", "").lower() == "false"

    def node(self, body: Json, path: str, above: _Inherited) -> Node:
        level = _merge(body, above)
        if "targets" not in body:
            return self._target(body, path, level)
        strategy = body["strategy"]
        codes = strategy.get("on_status_codes")
        children = tuple(self.node(child, f"{path}.targets[{index}]", level) for index, child in enumerate(body["targets"]))
        return Branch(
            mode=strategy["mode"],
            children=children,
            path=path,
            weights=tuple(child.get("weight", 1) for child in body["targets"]),
            on_status_codes=None if codes is None else frozenset(codes),
        )

    def _target(self, body: Json, path: str, level: _Inherited) -> Target:
        stored = self._virtual_key(body["virtual_key"], path) if "virtual_key" in body else None
        if stored is None and "provider" not in body:
            raise InvalidConfig(f"{path}: names neither a provider nor a virtual_key.", param=f"{path}.provider")
        provider = table.find(stored.provider if stored else body["provider"])
        custom_host = self._custom_host or level.custom_host
        if stored is not None and custom_host:
            raise InvalidRequest(
                "A stored credential only goes to the host that its virtual key names: send no custom host with it.",
                param="x-portkey-custom-host" if self._custom_host else f"{path}.custom_host",
            )
        forward = tuple(self._forward or level.forward_headers)
        if stored is not None and (refused := {"authorization", "x-api-key", "api-key"} & set(forward)):
            raise InvalidRequest(
                f"{min(refused)} cannot be forwarded over a stored credential.", param=f"{path}.forward_headers"
            )
        options: dict[str, Any] = dict(stored.options) if stored else {}
        given = {option: body[option] for option in table.OPTIONS & body.keys()}
        if stored is not None:
            _stays(provider, options, given, path)
        options |= given
        return Target(
            path=path,
            provider=provider,
            base_url=(stored.custom_host if stored else custom_host) or provider.base_url,
            api_key=stored.api_key if stored else body.get("api_key"),
            virtual_key_id=stored.id if stored else None,
            override_params=level.override_params,
            options=options,
            forward_headers=forward,
            retry=level.retry,
            timeouts=Timeouts(attempt_ms=self._timeout_ms or level.timeout_ms),
            strict=level.strict and not self._lenient,
            name=body.get("name"),
            limits=stored.limits if stored else (),
            expires_at=stored.expires_at if stored else None,
        )

    def _virtual_key(self, slug: str, path: str) -> VirtualKeyEntry:
        if self._caller.is_anonymous:
            raise Unauthenticated("A virtual key needs a gateway API key: send it in the x-portkey-api-key header.")
        entry = self._snapshot.virtual_keys.get((self._caller.workspace_id, slug))
        if entry is None:
            raise InvalidRequest(
                f"There is no virtual key {shown(slug)!r} in this workspace.",
                param=f"{path}.virtual_key",
                code="unknown_virtual_key",
            )
        return entry


def _stays(provider: Provider, stored: Mapping[str, Any], given: Mapping[str, Any], path: str) -> None:
    """Raises `InvalidRequest` where an option of the call would send a stored credential to another place."""
    for name in sorted(provider.destinations & given.keys()):
        if given[name] != stored.get(name):
            raise InvalidRequest(
                f"A stored credential only goes where its virtual key says: {name} cannot be given with it.",
                param=f"{path}.{name}",
            )


def _header(headers: Mapping[str, str], name: str, parse: Any) -> Any:
    value = headers.get(name, "").strip()
    return parse(value, name) if value else None


def _merge(body: Json, above: _Inherited) -> _Inherited:
    retry = body.get("retry")
    return _Inherited(
        override_params={**above.override_params, **body.get("override_params", {})},
        retry=_retry(retry) if retry is not None else above.retry,
        timeout_ms=body.get("request_timeout_ms") or above.timeout_ms,
        custom_host=body.get("custom_host") or above.custom_host,
        forward_headers=tuple(body.get("forward_headers") or above.forward_headers),
        strict=above.strict and body.get("strict_open_ai_compliance", True),
    )


def _retry(raw: Json) -> Retry:
    defaults = Retry()
    return Retry(
        attempts=raw["attempts"],
        on_status_codes=frozenset(raw.get("on_status_codes", DEFAULT_RETRY_STATUSES)),
        initial_delay_ms=raw.get("initial_delay_ms", defaults.initial_delay_ms),
        backoff_factor=raw.get("backoff_factor", defaults.backoff_factor),
        max_delay_ms=raw.get("max_delay_ms", defaults.max_delay_ms),
        use_retry_after=raw.get("use_retry_after_header", False),
    )
