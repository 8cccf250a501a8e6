"""The JSON schema of configs, made of the tables that read them. What it accepts may still contradict itself as a whole."""

from __future__ import annotations

import functools

from routing.call import Json
from routing.configs.fields import object_schema
from routing.configs.settings import OPTIONS, ROOT, TARGET, WRAPPERS


@functools.cache
def config_schema() -> Json:
    """Every form of a config, in draft 2020-12. Not to be changed by those who get it."""
    target = {**TARGET, **WRAPPERS, **OPTIONS}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Routing config",
        "description": "Which providers a call may go to, in which order, how often, for how long and with which parameters.",
        **object_schema({**target, **ROOT}),
        "minProperties": 1,
        "$defs": {"target": {"description": "A provider to call, or a strategy over targets.", **object_schema(target)}},
    }
