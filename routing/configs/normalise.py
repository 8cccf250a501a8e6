"""Every accepted form of a routing config, turned into the canonical one.

The canonical form is what is stored, shown, versioned and run: snake_case keys, `strategy` as an object, numbers as numbers,
`request_timeout_ms`, `retry.attempts`, a target's `model` inside `override_params`. Normalising it again changes nothing.
What is not known is refused with its path and the nearest known key; nothing is dropped.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NoReturn

from routing.call import Json
from routing.configs import values
from routing.errors import InvalidConfig, InvalidRequest
from routing.providers import table

MAX_DEPTH = 8
MODES = ("single", "fallback", "loadbalance")

# Keys that Portkey's schema knows and this version does not run: refused by name, so that nobody believes they work.
_NOT_SUPPORTED = frozenset(
    (
        *("cache", "input_guardrails", "output_guardrails", "guardrails", "before_request_hooks", "after_request_hooks"),
        *("input_mutators", "output_mutators", "cb_config", "conditional_routing", "cost_optimization", "connection_pool"),
        *("conditions", "default_params", "drop_params", "prompt_id", "fallback", "priority", "metrics", "alerts"),
        *("default", "sticky"),  # of a strategy
    )
)

_CAMEL = re.compile(r"(?<=[a-z0-9])([A-Z])")

Parser = Callable[[Any, str], Any]


def normalise(config: object, *, saved: bool = False) -> Json:
    """The canonical form of `config`, a parsed JSON document. Raises `InvalidConfig` with the offending path in `param`.

    With `saved` the config is meant for the database, where a credential in clear text is refused.
    """
    canonical = _node(config, "", saved=saved, depth=1)
    if not canonical:
        raise InvalidConfig(
            "The config is empty: it needs at least a provider, a virtual_key, targets or an option.", param="config"
        )
    return canonical


def _node(raw: object, path: str, *, saved: bool, depth: int) -> Json:
    fields = _object(raw, path)
    if depth > MAX_DEPTH:
        raise InvalidConfig(f"{path}: targets are nested deeper than {MAX_DEPTH} levels.", param=path)
    canonical: Json = {}
    for written, value in fields.items():
        key = _canonical_key(written, values.join(path, written), _FIELDS)
        name, parse = _FIELDS[key]
        where = values.join(path, written)
        if key == "targets":
            parsed: Any = _targets(value, where, saved=saved, depth=depth)
        elif saved and (key == "api_key" or name in table.SECRET_OPTIONS):
            raise InvalidConfig(
                f"{where}: a saved config holds no credential; store it as a virtual key and name that in virtual_key.",
                param=where,
            )
        else:
            parsed = parse(value, where)
        if name in canonical:
            raise InvalidConfig(f"{where}: {name} is given twice.", param=where)
        canonical[name] = parsed
    return _checked(_model_into_params(canonical, path), path)


def _targets(raw: object, path: str, *, saved: bool, depth: int) -> list[Json]:
    if not isinstance(raw, list):
        raise InvalidConfig(f"{path}: expected an array of targets.", param=path)
    if not raw:
        raise InvalidConfig(f"{path}: is empty; give at least one target.", param=path)
    return [_node(target, f"{path}[{index}]", saved=saved, depth=depth + 1) for index, target in enumerate(raw)]


def _model_into_params(node: Json, path: str) -> Json:
    """`model` on a target is short for ``override_params.model``."""
    if "model" not in node:
        return node
    model = node.pop("model")
    params = node.setdefault("override_params", {})
    if params.get("model", model) != model:
        where = values.join(path, "model")
        raise InvalidConfig(f"{where}: {values.shown(model)} contradicts override_params.model.", param=where)
    params["model"] = model
    return node


def _checked(node: Json, path: str) -> Json:
    """The rules that span several keys of one node."""
    if "targets" in node:
        node.setdefault("strategy", {"mode": "single"})
        _check_branch(node, path)
    elif "strategy" in node:
        _refuse(path, "strategy", "needs targets to choose from.")
    if "virtual_key" in node:
        if "api_key" in node:
            _refuse(path, "api_key", "stands beside virtual_key, which already holds the credential.")
        if "custom_host" in node:
            _refuse(
                path,
                "custom_host",
                "stands beside virtual_key, whose credential only goes to the host that it names itself.",
            )
    return node


def _check_branch(node: Json, path: str) -> None:
    strategy = node["strategy"]
    for key in ("provider", "virtual_key", "api_key"):
        if key in node:
            _refuse(path, key, "stands beside targets; put it into a target.")
    if strategy["mode"] == "loadbalance" and not any(target.get("weight", 1) > 0 for target in node["targets"]):
        _refuse(path, "targets", "their weights sum to zero; give at least one a positive weight.")
    if "on_status_codes" in strategy and strategy["mode"] != "fallback":
        _refuse(path, "strategy.on_status_codes", "belongs to the mode fallback.")


def _refuse(path: str, key: str, reason: str) -> NoReturn:
    where = values.join(path, key)
    raise InvalidConfig(f"{where}: {reason}", param=where)


def _object(raw: object, path: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise InvalidConfig(f"{path or 'config'}: expected an object, got {values.kind(raw)}.", param=path or "config")
    return raw


def _canonical_key(written: str, where: str, known: Mapping[str, object]) -> str:
    key = _CAMEL.sub(r"_\1", written).lower() if written not in known else written
    if key in known:
        return key
    if key in _NOT_SUPPORTED:
        raise InvalidConfig(f"{where}: this version of the gateway does not support {key}.", param=where, code="unsupported")
    near = difflib.get_close_matches(key, known, n=1)
    hint = f', did you mean "{near[0]}"?' if near else "."
    raise InvalidConfig(f"{where}: unknown key{hint}", param=where)


def _strategy(raw: object, path: str) -> Json:
    if isinstance(raw, str):
        raw = {"mode": raw}
    fields = _object(raw, path)
    canonical: Json = {}
    for written, value in fields.items():
        where = values.join(path, written)
        key = _canonical_key(written, where, {"mode": 1, "on_status_codes": 1})
        if key in canonical:
            raise InvalidConfig(f"{where}: {key} is given twice.", param=where)
        canonical[key] = values.choice(MODES)(value, where) if key == "mode" else values.status_codes(value, where)
    if "mode" not in canonical:
        raise InvalidConfig(f"{path}.mode: is missing; use one of {', '.join(MODES)}.", param=f"{path}.mode")
    return canonical


_RETRY: dict[str, tuple[str, Parser]] = {
    "attempts": ("attempts", values.whole(0, 20)),
    "count": ("attempts", values.whole(0, 20)),
    "on_status_codes": ("on_status_codes", values.status_codes),
    "use_retry_after_header": ("use_retry_after_header", values.boolean),
    "use_retry_after_headers": ("use_retry_after_header", values.boolean),
    "backoff": ("backoff", values.choice(("exponential", "constant"))),
    "backoff_factor": ("backoff_factor", values.number(1, 10)),
    "initial_delay": ("initial_delay_ms", values.whole(0, 60_000)),
    "initial_delay_ms": ("initial_delay_ms", values.whole(0, 60_000)),
    "max_delay": ("max_delay_ms", values.whole(0, 60_000)),
    "max_delay_ms": ("max_delay_ms", values.whole(0, 60_000)),
}


def _retry(raw: object, path: str) -> Json:
    canonical: Json = {}
    for written, value in _object(raw, path).items():
        where = values.join(path, written)
        name, parse = _RETRY[_canonical_key(written, where, _RETRY)]
        if name in canonical:
            raise InvalidConfig(f"{where}: {name} is given twice.", param=where)
        canonical[name] = parse(value, where)
    if canonical.pop("backoff", None) == "constant" and canonical.setdefault("backoff_factor", 1) != 1:
        _refuse(path, "backoff", "is constant, which contradicts a backoff_factor other than 1.")
    if "attempts" not in canonical:
        raise InvalidConfig(f"{path}.attempts: is missing.", param=f"{path}.attempts")
    return canonical


def _override_params(raw: object, path: str) -> Json:
    params = values.json_object(raw, path)
    if "stream" in params:
        # The caller reads either a stream or a document; it cannot be given the other one.
        raise InvalidConfig(f"{path}.stream: whether to stream is the caller's choice.", param=f"{path}.stream")
    if not isinstance(params.get("model", ""), str):
        raise InvalidConfig(f"{path}.model: expected a text.", param=f"{path}.model")
    return params


def _provider(raw: object, path: str) -> str:
    try:
        return table.find(values.text(raw, path)).id
    except InvalidRequest as error:
        raise InvalidConfig(f"{path}: {error.message}", param=path, code=error.code) from error


_FIELDS: dict[str, tuple[str, Parser]] = {
    "strategy": ("strategy", _strategy),
    "targets": ("targets", values.never),
    "name": ("name", values.text),
    "weight": ("weight", values.number(0, 1e9, numeric_text=True)),
    "provider": ("provider", _provider),
    "api_key": ("api_key", values.text),
    "virtual_key": ("virtual_key", values.text),
    "model": ("model", values.text),
    "override_params": ("override_params", _override_params),
    "retry": ("retry", _retry),
    "request_timeout": ("request_timeout_ms", values.duration_ms),
    "request_timeout_ms": ("request_timeout_ms", values.whole(1, 3_600_000)),
    "custom_host": ("custom_host", values.http_url),
    "forward_headers": ("forward_headers", values.header_names),
    "strict_open_ai_compliance": ("strict_open_ai_compliance", values.boolean),
    **{written: (name, partial(table.option_value, name)) for written, name in table.OPTION_NAMES.items()},
}
