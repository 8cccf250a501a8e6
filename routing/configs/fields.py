"""Objects of a config as tables: each key with its parser, its place in the JSON schema and its words.

One table serves the normaliser, the schema and the refusal of unknown keys, so the three cannot disagree.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

from routing.call import Json
from routing.configs import values
from routing.errors import InvalidConfig

Parse = Callable[[Any, str], Any]

# Of a value that goes to a provider as it is.
MAX_DEPTH = 32
MAX_ITEMS = 1000
_MOST_BITS = 63
_CAMEL = re.compile(r"(?<=[a-z0-9])([A-Z])")


@dataclass(frozen=True, slots=True)
class Form:
    """How a value may be written: what reads it, giving its canonical form, and what the JSON schema says of it."""

    parse: Parse
    schema: Json


@dataclass(frozen=True, slots=True)
class Field:
    """A key of an object. `name` is the canonical key where this one is another way to write it."""

    form: Form
    about: str
    name: str = ""


Fields = Mapping[str, Field]


def refuse(path: str, reason: str, *, code: str | None = None) -> NoReturn:
    raise InvalidConfig(f"{path}: {reason}", param=path, code=code)


def read(fields: Fields, raw: object, path: str, *, needs: tuple[str, ...] = ()) -> Json:
    """The canonical object. Raises `InvalidConfig` for a key that is unknown, given twice or missing."""
    canonical: Json = {}
    for written, value in object_of(raw, path).items():
        where = values.join(path, written)
        key = find(written, where, fields)
        put(canonical, fields[key].name or key, fields[key].form.parse(value, where), where)
    for name in needs:
        if name not in canonical:
            refuse(values.join(path, name), "is missing.")
    return canonical


def put(canonical: Json, name: str, value: Any, where: str) -> None:
    if name in canonical:
        refuse(where, f"{name} is given twice.")
    canonical[name] = value


def object_of(raw: object, path: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        refuse(path or "config", f"expected an object, got {values.kind(raw)}.")
    for key in raw:
        if not isinstance(key, str):
            refuse(path or "config", "every key of an object must be a text.")
    return raw


def find(written: str, where: str, known: Collection[str]) -> str:
    """The key as its table has it: as written, or in snake_case. Raises `InvalidConfig` with the nearest known key."""
    key = snake(written) if written not in known else written
    if key in known:
        return key
    near = difflib.get_close_matches(key[:100], known, n=1)
    refuse(where, f'unknown key, did you mean "{near[0]}"?' if near else "unknown key.")


def snake(key: str) -> str:
    return _CAMEL.sub(r"_\1", key).lower()


def camel(key: str) -> str:
    first, *more = key.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in more)


# --- Forms ------------------------------------------------------------------------------------------------------------------

TEXT = Form(values.text, {"type": "string", "minLength": 1})
BOOLEAN = Form(values.boolean, {"anyOf": [{"type": "boolean"}, {"enum": ["true", "false", "True", "False"]}]})
URL = Form(values.http_url, {"type": "string", "pattern": "^https?://"})
HEADER_NAMES = Form(
    values.header_names, {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string", "minLength": 1}}]}
)
STATUS_CODES = Form(values.status_codes, {"type": "array", "items": {"type": "integer", "minimum": 100, "maximum": 599}})
_DURATION_TEXT: Json = {"type": "string", "pattern": r"^\s*\d+(\.\d+)?(ms|s|m)?\s*$"}
DURATION = Form(
    values.duration_ms,
    {
        "anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": values.MAX_TIMEOUT_MS}, _DURATION_TEXT],
        "description": f'A number below {values.SECONDS_BELOW} is seconds, from there milliseconds; "30s" says it exactly.',
    },
)


def _milliseconds(value: object, path: str) -> int:
    return values.duration_ms(value, path, unit="ms")


# Where a bare number has always meant milliseconds.
MILLISECONDS = Form(
    _milliseconds,
    {"anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": values.MAX_TIMEOUT_MS}, _DURATION_TEXT]},
)
EXACT_MS = Form(values.whole(1, values.MAX_TIMEOUT_MS), {"type": "integer", "minimum": 1, "maximum": values.MAX_TIMEOUT_MS})


def number(low: float, high: float, *, numeric_text: bool = False) -> Form:
    schema: Json = {"type": "number", "minimum": low, "maximum": high}
    if numeric_text:
        schema = {"anyOf": [schema, {"type": "string", "pattern": r"^\s*[0-9.eE+-]+\s*$"}]}
    return Form(values.number(low, high, numeric_text=numeric_text), schema)


def whole(low: int, high: int) -> Form:
    return Form(values.whole(low, high), {"type": "integer", "minimum": low, "maximum": high})


def choice(*options: str) -> Form:
    return Form(values.choice(options), {"enum": list(options)})


def items(form: Form, most: int = MAX_ITEMS, *, least: int = 0) -> Form:
    """An array of one kind of value."""

    def parse(raw: object, path: str) -> list[Any]:
        if not isinstance(raw, list):
            refuse(path, f"expected an array, got {values.kind(raw)}.")
        if not least <= len(raw) <= most:
            refuse(path, f"holds {len(raw)} items: use {least} to {most}." if raw else "is empty.")
        return [form.parse(item, f"{path}[{index}]") for index, item in enumerate(raw)]

    return Form(parse, {"type": "array", "items": form.schema, "minItems": least, "maxItems": most})


def table(fields: Fields, *, needs: tuple[str, ...] = ()) -> Form:
    """An object with the keys of a table."""
    return Form(partial(_read, fields, needs), object_schema(fields))


def _read(fields: Fields, needs: tuple[str, ...], raw: object, path: str) -> Json:
    return read(fields, raw, path, needs=needs)


def object_schema(fields: Fields) -> Json:
    """What the schema says of an object: its keys, and each of them in camelCase too."""
    properties: Json = {}
    for key, field in fields.items():
        properties[key] = {**field.form.schema, "description": " ".join(filter(None, (field.about, _of(field))))}
    for key, field in fields.items():
        if (other := camel(key)) not in properties:
            properties[other] = {**field.form.schema, "description": f"The same as {key}.", "deprecated": True}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _of(field: Field) -> str:
    return str(field.form.schema.get("description", ""))


def _plain(value: object, path: str) -> Json:
    read = dict(object_of(value, path))
    level: list[object] = [read]
    for _ in range(MAX_DEPTH):
        if not level:
            return read
        level = [inner for item in level for inner in _inside(item, path)]
    refuse(path, f"is nested deeper than {MAX_DEPTH} levels.")


def _inside(item: object, path: str) -> Iterable[object]:
    """What stands in a value. Refuses what JSON cannot carry."""
    if isinstance(item, dict):
        return object_of(item, path).values()
    if isinstance(item, list):
        return item
    if isinstance(item, float) and not math.isfinite(item):
        refuse(path, "holds a number that is not finite.")
    if isinstance(item, int) and item.bit_length() > _MOST_BITS:
        refuse(path, "holds a number that is too large.")
    if not isinstance(item, str | int | float | None):
        refuse(path, f"holds {type(item).__name__}, which is not JSON.")
    return ()


# An object that goes to a provider as it is.
PLAIN = Form(_plain, {"type": "object"})
