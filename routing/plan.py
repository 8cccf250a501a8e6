"""What a call will try: saved, default and header config merged once into a tree of targets with nothing left to look up."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from keys.auth import Caller
from keys.fences import Fence
from keys.hashing import shown
from keys.limits import NANO, Limit, Period, Unit
from routing.call import Json, Target
from routing.configs import values
from routing.configs.document import check_keys
from routing.configs.facts import Facts
from routing.configs.inherit import Level
from routing.configs.normalise import normalise
from routing.configs.params import PLACEHOLDER
from routing.configs.rules import compile_rule
from routing.configs.settings import PREFERENCES
from routing.errors import InvalidConfig, InvalidRequest, Unauthenticated
from routing.providers import table
from routing.providers.base import Provider
from routing.snapshot import ConfigEntry, Snapshot, VirtualKeyEntry

# The request headers that shape a plan: two calls of one workspace that agree on them share it.
_SHAPING = frozenset(
    (
        "x-portkey-config",
        "x-portkey-provider",
        "x-portkey-virtual-key",
        "x-portkey-custom-host",
        "x-portkey-forward-headers",
        "x-portkey-request-timeout",
        "x-portkey-strict-open-ai-compliance",
        *table.OPTION_HEADERS,
    )
)
# Anything else may be JSON that holds a credential, so a refusal never quotes it.
# After the @ stands a label or the number of a version.
_CONFIG_ID = re.compile(r"[\w-]{1,100}(?:@[\w-]{1,40})?", re.ASCII)
# Larger headers (an inline config, a service account) are resolved each time: the plans in memory are bounded in number, so
# that each of them must be small.
_REMEMBERED_CHARACTERS = 4096
_LEAF_KEYS = frozenset({"provider", "virtual_key", "targets"})
_BUDGETS = {"daily": Period.DAY, "monthly": Period.MONTH}


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
    the child of a load balance in place of chance. A `thrifty` one begins with the cheapest child when the config's budget is
    near its end.
    """

    mode: str
    children: tuple[Node, ...]
    path: str = "config"
    weights: tuple[float, ...] = ()
    on_status_codes: frozenset[int] | None = None
    rules: tuple[Rule, ...] = ()
    default: int | None = None
    sticky: tuple[str, ...] = ()
    thrifty: bool = False


Node = Branch | Target


@dataclass(frozen=True, slots=True)
class Plan:
    """The tree of targets, and which saved config it came from.

    `deadline_ms` bounds the call as a whole, tries and waits together. With `stream_resume` the next target goes on with the
    text that a broken stream has already sent. `limits` are the budgets of the config itself.
    """

    root: Node
    config_id: str | None = None
    config_version: int | None = None
    deadline_ms: int | None = None
    stream_resume: bool = False
    limits: tuple[Limit, ...] = ()


def resolve(headers: Mapping[str, str], caller: Caller, provider_key: str | None, snapshot: Snapshot, model: str = "") -> Plan:
    """The plan of one call. `model` is what the call asks for: ``@slug/model`` names a virtual key where no config does.

    Raises `InvalidConfig`, `InvalidRequest` or `Unauthenticated`.
    """
    # Of the model, only this shapes a plan: whether there is none, and whether it names a virtual key.
    named = model if model.startswith("@") else "" if model not in {"", PLACEHOLDER} else PLACEHOLDER
    who = (caller.workspace_id, caller.is_anonymous, caller.default_config, caller.fence, provider_key, named)
    shaping = tuple(header for header in headers.items() if header[0] in _SHAPING)
    key = (*who, shaping)
    if (plan := snapshot.plan(key)) is None:
        plan = _resolve(headers, caller, provider_key, snapshot, named)
        if sum(len(value) for _, value in shaping) <= _REMEMBERED_CHARACTERS:
            snapshot.remember(key, plan)
    return plan


def _resolve(headers: Mapping[str, str], caller: Caller, provider_key: str | None, snapshot: Snapshot, model: str) -> Plan:
    body, entry = _config(headers.get("x-portkey-config"), caller, snapshot)
    request = _FromRequest(
        headers, provider_key, model, knows=lambda slug: (caller.workspace_id, slug) in snapshot.virtual_keys
    )
    if not _LEAF_KEYS & body.keys():
        body = request.target(body)
    root = _Builder(request, caller, snapshot).node(body, "config", Level())
    return Plan(
        root,
        entry.id if entry else None,
        entry.version if entry else None,
        deadline_ms=body.get("deadline_ms"),
        stream_resume=body.get("stream_resume", False),
        limits=tuple(budgets(body, entry)),
    )


def budgets(body: Json, entry: ConfigEntry | None) -> Iterator[Limit]:
    """The budgets of a config, which all its calls share: a saved one by its id, another by what it says."""
    said_budgets = body.get("cost_optimization", {}).get("budget_limits", {})
    if not said_budgets:
        return
    label = f"config {entry.slug!r}" if entry else "this config"
    said = orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    owner = f"config:{entry.id if entry else hashlib.sha256(said).hexdigest()[:32]}"
    for name, usd in said_budgets.items():
        yield Limit(owner, label, Unit.COST, _BUDGETS[name], round(usd * NANO))


def _config(header: str | None, caller: Caller, snapshot: Snapshot) -> tuple[Json, ConfigEntry | None]:
    """The config in force: the header's, else the key's default, else an empty one."""
    named = (header or "").strip() or caller.default_config
    is_id = bool(named and _CONFIG_ID.fullmatch(named))
    if caller.fence is not None:
        caller.fence.check_config(named if is_id else None)
    if not named:
        return {}, None
    if not is_id:
        try:
            parsed = orjson.loads(named)
        except orjson.JSONDecodeError as error:
            raise InvalidConfig(
                f"x-portkey-config is neither a config's id nor valid JSON: {error}.", param="x-portkey-config"
            ) from error
        body = {} if parsed == {} else normalise(parsed)
        check_keys(named)
        return body, None
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


@dataclass(frozen=True, slots=True)
class _FromRequest:
    """What the request itself says about its target. `knows` tells whether the workspace has a virtual key of this slug."""

    headers: Mapping[str, str]
    provider_key: str | None
    model: str
    knows: Callable[[str], bool]

    def target(self, body: Json) -> Json:
        """`body`, a config that names no target, with the one that the request names."""
        leaf = {option: self.headers[header] for header, option in table.OPTION_HEADERS.items() if self.headers.get(header)}
        provider = self.headers.get("x-portkey-provider", "").strip()
        virtual_key = self.headers.get("x-portkey-virtual-key", "").strip()
        params = body.get("override_params", {})
        slug, _, model = self.model.removeprefix("@").partition("/")
        # Some vendors' models begin with @ themselves: where the target is named, only a slug that is one counts.
        if self.model.startswith("@") and (self.knows(slug) or not (virtual_key or provider)):
            virtual_key = slug
            if not model:
                raise InvalidRequest("A model that begins with @ is written as @slug/model.", param="model")
            params = {"model": model, **params}
        if provider.startswith("@") and not virtual_key:
            virtual_key = provider[1:]
        if virtual_key:
            leaf["virtual_key"] = virtual_key
        elif provider:
            leaf["provider"] = table.find(provider).id
            leaf |= {"api_key": self.provider_key} if self.provider_key else {}
        else:
            raise InvalidRequest(
                "No target: send x-portkey-virtual-key, x-portkey-config, or x-portkey-provider with your own key.",
                param="x-portkey-provider",
                code="no_target",
            )
        return {**body, **leaf, **({"override_params": params} if params else {})}


class _Builder:
    """Turns the canonical config into bound targets, top down."""

    def __init__(self, request: _FromRequest, caller: Caller, snapshot: Snapshot) -> None:
        headers = request.headers
        self._request = request
        self._caller = caller
        self._snapshot = snapshot
        # These three beat every level of the config.
        self._timeout_ms = _header(headers, "x-portkey-request-timeout", values.duration_ms)
        self._custom_host = _header(headers, "x-portkey-custom-host", values.http_url)
        self._forward = _header(headers, "x-portkey-forward-headers", values.header_names)
        self._lenient = headers.get("x-portkey-strict-open-ai-compliance", "").lower() == "false"

    def node(self, body: Json, path: str, above: Level) -> Node:
        level = above.below(body)
        if "targets" not in body:
            if body.get("passthrough"):
                body = self._request.target(body)
                level = above.below(body)  # a model that names a virtual key is one parameter more
            return self._target(body, path, level)
        return self._branch(body, path, level)

    def _branch(self, body: Json, path: str, level: Level) -> Branch:
        strategy, targets = body["strategy"], body["targets"]
        mode, codes = strategy["mode"], strategy.get("on_status_codes")
        cost = body.get("cost_optimization", {})
        if cost.get("auto_switch"):
            mode = PREFERENCES[cost["preferences"][0]]
        index_of = {target.get("name"): index for index, target in enumerate(targets)}
        rules = []
        for number, rule in enumerate(strategy.get("conditions", ())):
            holds, text = compile_rule(rule, f"{path}.strategy.conditions[{number}]")
            rules.append(Rule(holds, index_of[rule["then"]], text))
        return Branch(
            mode=mode,
            children=tuple(self.node(child, f"{path}.targets[{index}]", level) for index, child in enumerate(targets)),
            path=path,
            weights=tuple(child.get("weight", 1) for child in targets),
            on_status_codes=None if codes is None else frozenset(codes),
            rules=tuple(rules),
            default=index_of[strategy["default"]] if "default" in strategy else None,
            sticky=tuple(strategy["sticky"]["hash_fields"]) if "sticky" in strategy else (),
            thrifty=bool(cost.get("auto_switch")),
        )

    def _target(self, body: Json, path: str, level: Level) -> Target:
        fence, stored = self._caller.fence, self._virtual_key(body.get("virtual_key"), path)
        if stored is None and "provider" not in body:
            raise InvalidConfig(f"{path}: names neither a provider nor a virtual_key.", param=f"{path}.provider")
        provider = table.find(stored.provider if stored else body["provider"])
        if stored is not None and body.get("provider", provider.id) != provider.id:
            raise InvalidConfig(
                f"{path}.provider: {body['provider']} contradicts the virtual key, which is one of {provider.id}.",
                param=f"{path}.provider",
            )
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
        conditions = body.get("conditions", {})
        return Target(
            path=path,
            provider=provider,
            base_url=(stored.custom_host if stored else custom_host) or provider.base_url,
            api_key=stored.api_key if stored else body.get("api_key"),
            virtual_key_id=stored.id if stored else None,
            default_params=level.default_params,
            override_params=self._overrides(level),
            drop_params=level.drop_params,
            options=self._options(provider, stored, body, path),
            forward_headers=forward,
            retry=level.retry,
            timeouts=level.times(self._timeout_ms),
            breaker=level.breaker,
            pool=level.pool_of(provider.id),
            strict=level.strict and not self._lenient,
            drop_unsupported=level.drop_unsupported,
            fallback_on=frozenset(conditions["fallback_on"]) if "fallback_on" in conditions else None,
            most_tokens=conditions.get("max_tokens"),
            name=body.get("name"),
            tariffs=self._snapshot.tariffs.get(self._caller.workspace_id, ()),
            limits=stored.limits if stored else (),
            expires_at=stored.expires_at if stored else None,
            paused=stored is not None and stored.paused,
            fence=fence if fence is not None and fence.models else None,
        )

    def _options(self, provider: Provider, stored: VirtualKeyEntry | None, body: Json, path: str) -> dict[str, Any]:
        """The virtual key's options under those of the call, as far as the call may say them."""
        options: dict[str, Any] = dict(stored.options) if stored else {}
        given = {option: body[option] for option in table.OPTIONS & body.keys()}
        if stored is not None:
            _stays(provider, options, given, path)
        if self._caller.fence is not None:
            _named_by_options(self._caller.fence, options, given)
        return options | given

    def _overrides(self, level: Level) -> Json:
        """The overrides, with the model that a call without one is given: what is logged and billed goes by it."""
        if self._request.model == PLACEHOLDER and "model" in level.default_params:
            return {"model": level.default_params["model"], **level.override_params}
        return level.override_params

    def _virtual_key(self, slug: str | None, path: str) -> VirtualKeyEntry | None:
        if self._caller.fence is not None:
            self._caller.fence.check_virtual_key(slug, path)
        if slug is None:
            return None
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


def _named_by_options(fence: Fence, stored: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Some vendors' options name what is called, beside the model or in its place. Raises `Forbidden`."""
    for name in sorted(given):
        if ("model" in name or "deployment" in name) and given[name] != stored.get(name):
            fence.check_model(str(given[name]))


def _header(headers: Mapping[str, str], name: str, parse: Any) -> Any:
    value = headers.get(name, "").strip()
    return parse(value, name) if value else None
