"""What a config may say of the cache. It is read in full, so that it can be accepted as soon as there is one."""

from __future__ import annotations

from functools import partial
from typing import Any

from routing.call import Json
from routing.configs import fields, patterns, values
from routing.configs.fields import TEXT, Field, Form

MODES = ("simple", "semantic")
_MAX_AGE_S = 7_776_000
_AGE = fields.whole(1, _MAX_AGE_S)
_THRESHOLD = fields.number(0, 1)
_CANDIDATES = fields.whole(1, 100_000)


def _pattern(raw: object, path: str) -> str:
    text = values.text(raw, path)
    patterns.finder(text, path)
    return text


_TEMPLATES = fields.items(
    fields.table(
        {
            "pattern": Field(Form(_pattern, TEXT.schema), "An RE2 pattern that is looked for in the user's last message."),
            "ttl": Field(_AGE, "How long such an answer is kept, in seconds."),
        },
        needs=("pattern", "ttl"),
    ),
    100,
    least=1,
)
_SEMANTIC = fields.table(
    {
        "embedding_model": Field(TEXT, "The model that turns questions into vectors; without it the local one."),
        "similarity_threshold": Field(_THRESHOLD, "From which similarity on two questions are the same."),
        "cluster_size": Field(_CANDIDATES, "The same as candidates.", "candidates"),
        "candidates": Field(_CANDIDATES, "How many stored questions are looked at."),
    }
)
CACHE_FIELDS: fields.Fields = {
    "mode": Field(
        fields.choice(*MODES), "simple finds the same request again, semantic also the same question in other words."
    ),
    "max_age": Field(_AGE, "How long an answer is kept, in seconds."),
    "ttl": Field(_AGE, "The same as max_age.", "max_age"),
    "similarity_threshold": Field(_THRESHOLD, "From which similarity on two questions are the same."),
    "embedding_model": Field(TEXT, "The model that turns questions into vectors; without it the local one."),
    "candidates": Field(_CANDIDATES, "How many stored questions are looked at."),
    "semantic": Field(_SEMANTIC, "The mode semantic with its settings."),
    "templates": Field(_TEMPLATES, "How long an answer is kept, by the first pattern that the user's last message matches."),
    "template_based": Field(
        fields.table({"templates": Field(_TEMPLATES, "See templates.")}, needs=("templates",)),
        "Another way to write templates.",
    ),
}
_SEMANTIC_ONLY = ("similarity_threshold", "embedding_model", "candidates")


def _cache(raw: object, path: str) -> Json:
    """Mode, age in seconds, and what belongs to the mode semantic, all on one level."""
    canonical = fields.read(CACHE_FIELDS, raw, path)
    put = partial(fields.put, canonical)
    inner: Any = canonical.pop("semantic", None)
    if inner is not None:
        if canonical.setdefault("mode", "semantic") != "semantic":
            fields.refuse(values.join(path, "mode"), "contradicts semantic.")
        for name, value in inner.items():
            put(name, value, values.join(path, f"semantic.{name}"))
    if "template_based" in canonical:
        put("templates", canonical.pop("template_based")["templates"], values.join(path, "template_based.templates"))
        canonical.setdefault("mode", "simple")
    if "mode" not in canonical:
        fields.refuse(values.join(path, "mode"), f"is missing; use {' or '.join(MODES)}.")
    for name in _SEMANTIC_ONLY:
        if name in canonical and canonical["mode"] != "semantic":
            fields.refuse(values.join(path, name), "belongs to the mode semantic.")
    return canonical


CACHE = Form(_cache, fields.object_schema(CACHE_FIELDS))
