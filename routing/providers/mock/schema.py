"""Values that fit a JSON schema, always the same ones: the arguments of mocked tool calls and mocked structured answers."""

from __future__ import annotations

from typing import Any

# A schema may refer to itself; below this depth optional parts are left out and the rest becomes null.
_MAX_DEPTH = 8


def sample(schema: Any) -> Any:
    """A value for `schema`: the first of what it allows, with the least size it allows."""
    return _sample(schema, schema, 0)


def _sample(schema: Any, root: Any, depth: int) -> Any:
    schema = _resolved(schema, root)
    if not isinstance(schema, dict) or depth > _MAX_DEPTH:
        return None
    for key in ("const", "default"):
        if key in schema:
            return schema[key]
    for key in ("enum", "examples", "anyOf", "oneOf", "allOf"):
        if isinstance(schema.get(key), list) and schema[key]:
            first = schema[key][0]
            return _sample(first, root, depth + 1) if key.endswith("Of") else first
    return _of_type(schema, root, depth)


def _of_type(schema: dict[str, Any], root: Any, depth: int) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else "string")
    if isinstance(kind, list):
        kind = kind[0] if kind else "null"
    if kind == "object":
        return _object(schema, root, depth)
    if kind == "array":
        count = min(max(int(_number(schema, "minItems", 1)), 1), 16)
        return [_sample(schema.get("items", {}), root, depth + 1) for _ in range(count)]
    return _scalar(kind, schema)


def _object(schema: dict[str, Any], root: Any, depth: int) -> dict[str, Any]:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return {}
    required = schema.get("required")
    keep = set(required) if isinstance(required, list) and depth >= _MAX_DEPTH // 2 else set(properties)
    return {key: _sample(value, root, depth + 1) for key, value in properties.items() if key in keep}


def _scalar(kind: Any, schema: dict[str, Any]) -> Any:
    if kind in ("integer", "number"):
        least = max(_number(schema, "minimum", 0), _number(schema, "exclusiveMinimum", -1) + 1)
        return least if least > 0 else min(1, _number(schema, "maximum", 1))
    if kind == "boolean":
        return True
    if kind == "string":
        return "text".ljust(min(int(_number(schema, "minLength", 0)), 1000), "x")[: int(_number(schema, "maxLength", 1000))]
    return None


def _number(schema: dict[str, Any], key: str, default: float) -> int | float:
    value = schema.get(key)
    return value if isinstance(value, int | float) else default


def _resolved(schema: Any, root: Any) -> Any:
    """What a local reference (``#/$defs/...``) stands for; other references stay what they are, which samples as text."""
    for _ in range(_MAX_DEPTH):
        reference = schema.get("$ref") if isinstance(schema, dict) else None
        if not isinstance(reference, str) or not reference.startswith("#"):
            break
        schema = root
        for part in reference.lstrip("#/").split("/"):
            if part:
                schema = schema.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(schema, dict) else None
    return schema
