"""Every accepted form of a routing config, turned into the canonical one.

The canonical form is what is stored, shown, versioned and run: snake_case keys, `strategy` as an object, numbers as numbers,
times in milliseconds, `retry.attempts`, a target's `model` inside `override_params`, a fallback's targets in their order.
Normalising it again changes nothing. What is not known is refused with its path and the nearest known key; nothing is dropped.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from routing.call import Json
from routing.configs import fields, settings, shape, values
from routing.errors import InvalidConfig
from routing.providers import table

MAX_DEPTH = 8
MAX_TARGETS = 256
MODES = settings.MODES

_NOT_YET = "this version of the gateway does not support {key}."
_ELSEWHERE = "{key} belongs to the whole workspace and not to a routing config."
# Keys that Portkey's schema or a form in use knows and this version does not run: refused by name, so that nobody believes
# that they work.
REFUSED: dict[str, str] = {
    **dict.fromkeys(("cache", "input_guardrails", "output_guardrails", "guardrails"), _NOT_YET),
    **dict.fromkeys(("before_request_hooks", "after_request_hooks", "input_mutators", "output_mutators"), _NOT_YET),
    **dict.fromkeys(("default_input_guardrails", "default_output_guardrails"), _NOT_YET),
    **dict.fromkeys(("prompt_id", "deployments", "fetch_integrated_models"), _NOT_YET),
    **dict.fromkeys(("metrics", "alerts"), _ELSEWHERE),
    "options": "this is a config of a version long past; put its entries into targets.",
}
_KNOWN: fields.Fields = {**settings.TARGET, **settings.OPTIONS, **settings.ROOT, **settings.WRAPPERS}


def normalise(config: object, *, saved: bool = False) -> Json:
    """The canonical form of `config`, a parsed JSON document. Raises `InvalidConfig` with the offending path in `param`.

    With `saved` the config is meant for the database, where a credential in clear text is refused.
    """
    canonical = _Normaliser(saved).node(config, "", 0)
    if not canonical:
        raise InvalidConfig(
            "The config is empty: it needs at least a provider, a virtual_key, targets or an option.", param="config"
        )
    shape.check_failures(canonical)
    return canonical


class _Normaliser:
    """One document on its way. `_targets` counts what has been read of it."""

    def __init__(self, saved: bool) -> None:
        self._saved = saved
        self._count = 0

    def node(self, raw: object, path: str, depth: int) -> Json:
        """A target, or the whole config, which has the same keys and some more; `depth` counts the strategies above it."""
        if depth > MAX_DEPTH:
            fields.refuse(path, f"targets are nested deeper than {MAX_DEPTH} levels.")
        canonical: Json = {}
        for key, value, where in self._pairs(raw, path):
            if key in settings.ROOT and depth:
                fields.refuse(where, f"{key} belongs to the whole config, not to one of its targets.")
            if key == "targets":
                fields.put(canonical, key, self._targets(value, where, depth), where)
            elif key == "conditional_routing":
                for name, read in self._conditional_routing(value, where, depth).items():
                    fields.put(canonical, name, read, where)
            else:
                self._put(canonical, key, value, where)
        if "targets" in canonical and "strategy" not in canonical:
            automatic = canonical.get("cost_optimization", {}).get("auto_switch")
            canonical["strategy"] = {"mode": "fallback" if automatic else "single"}
        return shape.checked(canonical, path)

    def _pairs(self, raw: object, path: str) -> Iterator[tuple[str, Any, str]]:
        """Each key, its value and its path. What stands in ``fallback`` counts as if it stood beside it."""
        for written, value in fields.object_of(raw, path).items():
            where = values.join(path, written)
            if (name := fields.snake(written)) in REFUSED and written not in _KNOWN:
                fields.refuse(where, REFUSED[name].format(key=name), code="unsupported")
            key = fields.find(written, where, _KNOWN)
            if key != "fallback":
                yield key, value, where
                continue
            inner = fields.object_of(value, where)
            if "fallback" in inner:
                fields.refuse(f"{where}.fallback", "cannot stand in fallback.")
            if "strategy" not in inner:
                yield "strategy", "fallback", where
            elif (mode := settings.STRATEGY_FORM.parse(inner["strategy"], f"{where}.strategy")["mode"]) != "fallback":
                fields.refuse(f"{where}.strategy", f"contradicts fallback: {mode} is another strategy.")
            yield from self._pairs(inner, where)

    def _put(self, canonical: Json, key: str, value: object, where: str) -> None:
        field = _KNOWN[key]
        name = field.name or key
        if self._saved and (key == "api_key" or name in table.SECRET_OPTIONS):
            fields.refuse(where, "a saved config holds no credential; store it as a virtual key and name that in virtual_key.")
        read = field.form.parse(value, where)
        if name == "provider" and read.startswith("@"):
            name, read = "virtual_key", read[1:].strip()
        if name == "strategy" and "cb_config" in read:
            fields.put(canonical, "cb_config", read.pop("cb_config"), where)
        if name == "timeouts" and "attempt_ms" in read:
            fields.put(canonical, "request_timeout_ms", read.pop("attempt_ms"), where)
        if (name, read) not in (("timeouts", {}), ("passthrough", False)):
            fields.put(canonical, name, read, where)

    def _targets(self, raw: object, path: str, depth: int) -> list[Json]:
        if not isinstance(raw, list):
            fields.refuse(path, "expected an array of targets.")
        if not raw:
            fields.refuse(path, "is empty; give at least one target.")
        return [self._target(target, f"{path}[{index}]", depth) for index, target in enumerate(raw)]

    def _target(self, raw: object, path: str, depth: int) -> Json:
        self._count += 1
        if self._count > MAX_TARGETS:
            fields.refuse(path, f"a config has at most {MAX_TARGETS} targets.")
        return self.node(raw, path, depth + 1)

    def _conditional_routing(self, raw: object, path: str, depth: int) -> Json:
        """Rules that hold their targets: the targets get names, and the rules name them."""
        known = ("rules", "default", "targets")
        given: Json = {}
        for written, value in fields.object_of(raw, path).items():
            where = values.join(path, written)
            fields.put(given, fields.find(written, where, known), value, where)
        rules = given.get("rules")
        if not isinstance(rules, list) or not rules:
            fields.refuse(f"{path}.rules", "expected an array of rules with at least one in it.")
        targets = self._targets(given["targets"], f"{path}.targets", depth) if "targets" in given else []
        named = _Names(targets)
        conditions = []
        for index, rule in enumerate(rules):
            where = f"{path}.rules[{index}]"
            entry = dict(fields.object_of(rule, where))
            if isinstance(entry.get("target"), dict):
                name = named.add(self._target(entry.pop("target"), f"{where}.target", depth), f"rule-{index + 1}")
                fields.put(entry, "then", name, where)
            elif "target" in entry:
                fields.put(entry, "then", entry.pop("target"), where)
            conditions.append(entry)
        strategy: Json = {"mode": "conditional", "rules": conditions}
        if isinstance(default := given.get("default"), dict):
            strategy["default"] = named.add(self._target(default, f"{path}.default", depth), "default")
        elif "default" in given:
            strategy["default"] = default
        return {"strategy": fields.read(_RULES, strategy, path), "targets": targets}


# The keys of a strategy, by the words and so with the paths of this form.
_RULES: fields.Fields = {
    "mode": settings.STRATEGY["mode"],
    "rules": dataclasses.replace(settings.STRATEGY["conditions"], name="conditions"),
    "default": settings.STRATEGY["default"],
}


class _Names:
    """The names of the targets of a conditional strategy, of which some are given and the others are made."""

    def __init__(self, targets: list[Json]) -> None:
        self._targets = targets

    def add(self, target: Json, wanted: str) -> str:
        """The target's name, once it is among the targets. The very same target may stand in several rules."""
        name: str = target.get("name", "")
        if name and target in self._targets:
            return name
        if not name:
            taken = {other.get("name") for other in self._targets}
            name, number = wanted, 2
            while name in taken:
                name, number = f"{wanted}-{number}", number + 1
            target["name"] = name
        self._targets.append(target)
        return name
