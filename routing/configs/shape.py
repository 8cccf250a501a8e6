"""The rules of a config that span several keys, and the forms that only such a view can make canonical."""

from __future__ import annotations

import dataclasses
from typing import Any

from routing.call import Json
from routing.configs import fields, values

_ORDERED = frozenset({"fallback", "least_latency", "least_cost", "least_busy"})
_CREDENTIALS = ("provider", "virtual_key", "api_key", "passthrough")


def checked(node: Json, path: str) -> Json:
    """A node whose keys have been read, canonical as a whole. Raises `InvalidConfig`."""
    node = _model_into_params(node, path)
    if "targets" in node:
        _branch(node, path)
    else:
        _leaf(node, path)
    return node


def _refuse(path: str, key: str, reason: str, *, code: str | None = None) -> Any:
    fields.refuse(values.join(path, key), reason, code=code)


def _model_into_params(node: Json, path: str) -> Json:
    """`model` on a target is short for ``override_params.model``."""
    if "model" not in node:
        return node
    model = node.pop("model")
    params = node.setdefault("override_params", {})
    if params.get("model", model) != model:
        _refuse(path, "model", f"{values.shown(model)} contradicts override_params.model.")
    params["model"] = model
    return node


# --- Targets ----------------------------------------------------------------------------------------------------------------


def _leaf(node: Json, path: str) -> None:
    _slug_of_model(node, path)
    if "strategy" in node:
        _refuse(path, "strategy", "needs targets to choose from.")
    if "on_status_codes" in node:
        _refuse(path, "on_status_codes", "belongs to a fallback, or into retry.")
    if node.get("passthrough"):
        for key in _CREDENTIALS[:-1]:
            if key in node:
                _refuse(path, key, "stands beside passthrough, which takes the provider from the request.")
    if "virtual_key" in node:
        if "api_key" in node:
            _refuse(path, "api_key", "stands beside virtual_key, which already holds the credential.")
        if "custom_host" in node:
            _refuse(
                path,
                "custom_host",
                "stands beside virtual_key, whose credential only goes to the host that it names itself.",
            )


def _slug_of_model(node: Json, path: str) -> None:
    """``@slug/model`` names a virtual key and a model of it, where the target names none by itself.

    Some vendors' models begin with @ themselves (``@cf/meta/llama-3``): beside a provider or another virtual key they stay.
    """
    model = node.get("override_params", {}).get("model", "")
    if not model.startswith("@"):
        return
    slug, _, name = model[1:].partition("/")
    if "provider" in node or node.get("virtual_key", slug) != slug:
        return
    while slug and name.startswith(f"@{slug}/"):  # so that normalising again changes nothing
        name = name.removeprefix(f"@{slug}/")
    if not slug or not name:
        _refuse(path, "override_params.model", "write it as @slug/model, with the slug of a virtual key.")
    node["virtual_key"] = slug
    node["override_params"]["model"] = name


# --- Strategies -------------------------------------------------------------------------------------------------------------


def _branch(node: Json, path: str) -> None:
    strategy, targets = node["strategy"], node["targets"]
    mode = strategy["mode"]
    for key in _CREDENTIALS:
        if key in node:
            _refuse(path, key, "stands beside targets; put it into a target.")
    if "conditions" in node:
        _refuse(path, "conditions", "belong to a target that calls a provider.")
    if node.get("override_params", {}).get("model", "").startswith("@"):
        _refuse(path, "override_params.model", "names a virtual key; put it into a target.")
    if "on_status_codes" in node:
        if "on_status_codes" in strategy:
            _refuse(path, "on_status_codes", "is given twice: here and in the strategy.")
        strategy["on_status_codes"] = node.pop("on_status_codes")
    _check_strategy(strategy, mode, path)
    _check_cost(node, mode, path)
    if mode == "loadbalance" and not any(target.get("weight", 1) > 0 for target in targets):
        _refuse(path, "targets", "their weights sum to zero; give at least one a positive weight.")
    _check_names(node, path)
    _put_in_order(node, mode, path)


def _check_strategy(strategy: Json, mode: str, path: str) -> None:
    """Each key of a strategy belongs to some modes only."""
    for key, modes in (
        ("on_status_codes", _ORDERED),
        ("conditions", {"conditional"}),
        ("default", {"conditional"}),
        ("sticky", {"loadbalance"}),
    ):
        if key in strategy and mode not in modes:
            _refuse(path, f"strategy.{key}", f"belongs to the mode {' or '.join(sorted(modes))}, not to {mode}.")
    if mode == "conditional" and "conditions" not in strategy:
        _refuse(path, "strategy.conditions", "is missing: No conditions passed in the query router.")


def _check_cost(node: Json, mode: str, path: str) -> None:
    cost = node.get("cost_optimization", {})
    if cost.get("auto_switch") and mode != "fallback":
        _refuse(path, "cost_optimization.auto_switch", f"orders the targets of a fallback, and this is a {mode}.")
    if cost.get("auto_switch") and "preferences" not in cost:
        _refuse(path, "cost_optimization.preferences", "is missing: auto_switch goes by it.")


def _check_names(node: Json, path: str) -> None:
    """Names are unique among siblings; of a conditional strategy, every rule leads to one and every target is led to."""
    strategy = node["strategy"]
    names: dict[str, int] = {}
    for index, target in enumerate(node["targets"]):
        if (name := target.get("name")) in names:
            _refuse(path, f"targets[{index}].name", f"{values.shown(name)} is the name of targets[{names[name]}] already.")
        if name is not None:
            names[name] = index
    if strategy["mode"] != "conditional":
        return
    meant = [(f"strategy.conditions[{index}].then", rule["then"]) for index, rule in enumerate(strategy["conditions"])]
    if "default" in strategy:
        meant.append(("strategy.default", strategy["default"]))
    for where, name in meant:
        if name not in names:
            _refuse(path, where, f"Invalid target name found in the query router: {values.shown(name)}; {_listed(names)}.")
    for index, target in enumerate(node["targets"]):
        if target.get("name") not in {name for _, name in meant}:
            _refuse(path, f"targets[{index}]", "is never reached: no condition and no default names it.")


def _listed(names: dict[str, int]) -> str:
    return f"the targets are called {', '.join(list(names)[:10])}" if names else "the targets have no names"


def _put_in_order(node: Json, mode: str, path: str) -> None:
    """A fallback's targets by their priority, those without one last, and otherwise as they are written."""
    targets = node["targets"]
    for index, target in enumerate(targets):
        if "priority" in target and mode != "fallback":
            _refuse(path, f"targets[{index}].priority", f"belongs to a target of a fallback, and this is a {mode}.")
    node["targets"] = sorted(targets, key=lambda target: target.get("priority", float("inf")))
    for target in node["targets"]:
        target.pop("priority", None)


# --- The whole --------------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class _Place:
    node: Json
    path: str
    after_failure: bool


def check_failures(config: Json) -> None:
    """Refuses what stands where it can have no effect: `fallback_on` of a target that no failure comes before."""
    if "priority" in config:
        fields.refuse("priority", "belongs to a target of a fallback.")
    left = [_Place(config, "", False)]
    while left:
        place = left.pop()
        if "fallback_on" in place.node.get("conditions", {}) and not place.after_failure:
            where = values.join(place.path, "conditions.fallback_on")
            fields.refuse(where, "no failure can come before this target; put it behind another target of a fallback.")
        targets = place.node.get("targets", [])
        mode = place.node.get("strategy", {}).get("mode")
        for index, target in enumerate(targets):
            behind = mode in _ORDERED and (index > 0 or (mode != "fallback" and len(targets) > 1))
            left.append(_Place(target, values.join(place.path, f"targets[{index}]"), place.after_failure or behind))
