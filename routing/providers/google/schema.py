"""JSON Schema in the vendor's own schema language, a subset of OpenAPI's.

References are resolved, null becomes ``nullable``, ``const`` and ``oneOf`` take their nearest form, and words that only
describe the schema itself go. What the subset cannot say at all (a recursive type, a map, a tuple, a negation) is not bent:
`translated` gives None, and the schema goes whole into the vendor's second field, which takes JSON Schema as it is.
"""

from __future__ import annotations

from typing import Any

from routing.call import Json
from routing.errors import InvalidRequest

# Hostile references can make a small schema large: past these it is left as it is.
MAX_DEPTH = 48
MAX_NODES = 5_000

_KEPT = frozenset(
    (
        *("title", "description", "default", "example", "format", "nullable", "pattern", "propertyOrdering"),
        *("minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties", "minimum", "maximum"),
    )
)
# They say something about the schema, or how to read a value, and nothing about which values are allowed.
_ABOUT = frozenset(
    (
        *("$schema", "$id", "$comment", "$anchor", "$defs", "definitions", "$vocabulary", "strict", "deprecated", "readOnly"),
        *("writeOnly", "contentEncoding", "contentMediaType", "examples", "additional_properties"),
    )
)
_OF_TYPE = {
    "string": frozenset({"enum", "format", "pattern", "minLength", "maxLength"}),
    "integer": frozenset({"format", "minimum", "maximum"}),
    "number": frozenset({"format", "minimum", "maximum"}),
    "array": frozenset({"items", "minItems", "maxItems"}),
    "object": frozenset({"properties", "required", "minProperties", "maxProperties", "propertyOrdering"}),
}


class _Inexpressible(Exception):
    """The subset has no words for this schema."""


def translated(schema: Any, path: str) -> Json | None:
    """The schema in the vendor's subset, None where that cannot say it. Raises `InvalidRequest` for one that is none."""
    if not isinstance(schema, dict):
        raise InvalidRequest(f"{path} must be a JSON Schema, which is an object.", param=path)
    try:
        return _Translation(schema, path).node(schema, 0)
    except _Inexpressible:
        return None


def whole(schema: Json) -> Json:
    """The schema for the field that takes JSON Schema as it is."""
    return {key: value for key, value in schema.items() if key != "$schema"}


class _Translation:
    def __init__(self, root: Json, path: str) -> None:
        self._root = root
        self._path = path
        self._nodes = 0

    def node(self, schema: Any, depth: int) -> Json:
        """One schema. A recursive one ends as one that is too deep does."""
        self._nodes += 1
        if depth > MAX_DEPTH or self._nodes > MAX_NODES or schema is False:
            raise _Inexpressible
        if schema is True:
            return {}
        if not isinstance(schema, dict):
            raise InvalidRequest(f"{self._path} holds something that is no schema.", param=self._path)
        if "$ref" in schema:
            return self._referred(schema, depth)
        out = {key: value for key, value in schema.items() if key in _KEPT}
        for key, value in schema.items():
            if key in _KEPT or key in _ABOUT:
                continue
            step = _STEPS.get(key)
            if step is None:
                raise _Inexpressible
            step(self, out, value, depth + 1)
        if "example" not in out and isinstance(examples := schema.get("examples"), list) and examples:
            out["example"] = examples[0]
        return _typed(out)

    def _referred(self, schema: Json, depth: int) -> Json:
        reference = schema["$ref"]
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise _Inexpressible  # defined elsewhere
        found: Any = self._root
        for step in filter(None, reference[1:].split("/")):
            name = step.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, dict) else None
        if not isinstance(found, dict):
            raise InvalidRequest(f"{self._path}: {reference} refers to nothing.", param=self._path)
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return self.node({**found, **beside}, depth + 1)

    def _type(self, out: Json, kind: Any, depth: int) -> None:
        given = kind if isinstance(kind, list) else [kind]
        if not all(isinstance(one, str) for one in given):
            raise InvalidRequest(f"{self._path}: type must be a name, or a list of names.", param=self._path)
        kinds = given if given == ["null"] else [one for one in given if one != "null"]
        if len(kinds) < len(given):
            out["nullable"] = True
        out["type"] = kinds[0] if len(kinds) == 1 else kinds

    def _enum(self, out: Json, values: Any, depth: int) -> None:
        if not isinstance(values, list):
            raise InvalidRequest(f"{self._path}: enum must be a list.", param=self._path)
        named = [value for value in values if value is not None]
        if len(named) < len(values):
            out["nullable"] = True
        if named and all(isinstance(value, str) for value in named):
            out.setdefault("type", "string")
        elif named and all(isinstance(value, int) and not isinstance(value, bool) for value in named):
            # The vendor's enum holds texts, whatever the type is.
            out |= {"type": out.get("type", "integer"), "format": "enum"}
        else:
            raise _Inexpressible
        out["enum"] = [str(value) for value in named]

    def _const(self, out: Json, value: Any, depth: int) -> None:
        self._enum(out, [value], depth)

    def _any_of(self, out: Json, branches: Any, depth: int) -> None:
        if not isinstance(branches, list) or "anyOf" in out:
            raise _Inexpressible
        kept = [branch for branch in branches if not (isinstance(branch, dict) and branch.get("type") == "null")]
        if len(kept) < len(branches):
            out["nullable"] = True
        shown = [self.node(branch, depth) for branch in kept]
        if len(shown) == 1:
            out |= {**shown[0], **{key: value for key, value in out.items() if key in ("title", "description", "nullable")}}
        elif shown:
            out["anyOf"] = shown

    def _all_of(self, out: Json, parts: Any, depth: int) -> None:
        if not isinstance(parts, list):
            raise _Inexpressible
        for part in parts:
            for key, value in self.node(part, depth).items():
                if key == "properties" and not value.keys() & out.get(key, {}).keys():
                    out[key] = {**out.get(key, {}), **value}
                elif key == "required":
                    out[key] = [*dict.fromkeys([*out.get(key, []), *value])]
                elif out.setdefault(key, value) != value and key not in ("title", "description"):
                    raise _Inexpressible

    def _properties(self, out: Json, properties: Any, depth: int) -> None:
        if not isinstance(properties, dict):
            raise InvalidRequest(f"{self._path}: properties must be an object.", param=self._path)
        shown = {name: self.node(schema, depth) for name, schema in properties.items()}
        out["properties"] = {**out.get("properties", {}), **shown}

    def _required(self, out: Json, names: Any, depth: int) -> None:
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InvalidRequest(f"{self._path}: required must be a list of names.", param=self._path)
        out["required"] = [*dict.fromkeys([*out.get("required", []), *names])]

    def _items(self, out: Json, items: Any, depth: int) -> None:
        if isinstance(items, list):
            raise _Inexpressible  # a tuple
        out["items"] = self.node(items, depth)

    def _additional(self, out: Json, allowed: Any, depth: int) -> None:
        # The vendor's models write declared properties only, so that true and false come to the same; a schema is a map.
        if isinstance(allowed, dict) and allowed:
            raise _Inexpressible

    def _above(self, out: Json, bound: Any, depth: int) -> None:
        out["exclusiveMinimum"] = bound

    def _below(self, out: Json, bound: Any, depth: int) -> None:
        out["exclusiveMaximum"] = bound


_STEPS = {
    "type": _Translation._type,
    "enum": _Translation._enum,
    "const": _Translation._const,
    "anyOf": _Translation._any_of,
    "oneOf": _Translation._any_of,
    "allOf": _Translation._all_of,
    "properties": _Translation._properties,
    "required": _Translation._required,
    "items": _Translation._items,
    "additionalProperties": _Translation._additional,
    "exclusiveMinimum": _Translation._above,
    "exclusiveMaximum": _Translation._below,
}


def _typed(out: Json) -> Json:
    """The last touches, which need the type: bounds that exclude, and one branch for each of several types."""
    for name, nearest, step in (("exclusiveMinimum", "minimum", 1), ("exclusiveMaximum", "maximum", -1)):
        if name in out:
            bound = out.pop(name)
            if out.get("type") != "integer" or not isinstance(bound, int) or isinstance(bound, bool) or nearest in out:
                raise _Inexpressible
            out[nearest] = bound + step
    kinds = out.get("type")
    if not isinstance(kinds, list):
        return out
    if not kinds or "anyOf" in out:
        raise _Inexpressible
    bound_to_a_type = frozenset().union(*_OF_TYPE.values())
    shared = {key: value for key, value in out.items() if key not in bound_to_a_type and key != "type"}
    branches = [{"type": kind, **{key: value for key, value in out.items() if key in _OF_TYPE.get(kind, ())}} for kind in kinds]
    return {**shared, "anyOf": branches}
