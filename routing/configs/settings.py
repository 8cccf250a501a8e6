"""The tables of a config: every key that a target, a strategy or a whole config may hold."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from routing.call import Json
from routing.configs import fields, values
from routing.configs.expression import compile_expression
from routing.configs.fields import BOOLEAN, DURATION, EXACT_MS, MILLISECONDS, PLAIN, STATUS_CODES, TEXT, Field, Form
from routing.configs.params import parse_path
from routing.configs.query import compile_query
from routing.errors import InvalidConfig, InvalidRequest
from routing.providers import table

_YEAR_S = 366 * 86_400
# How much longer an idle connection lives than any config may ask for: the gateway's own bound (routing/upstream.py).
KEPT_IDLE_MS = 30_000
FAILURE_KINDS = ("rate_limit", "timeout", "server_error", "content_filter")
PREFERENCES = {"cost": "least_cost", "latency": "least_latency", "accuracy": "fallback"}

# --- Retry, time-outs, breaker, pool ----------------------------------------------------------------------------------------

_ATTEMPTS = fields.whole(0, 20)
_DELAY = Form(values.whole(0, 60_000), {"type": "integer", "minimum": 0, "maximum": 60_000})
_RETRY: fields.Fields = {
    "attempts": Field(_ATTEMPTS, "Tries after the first."),
    "count": Field(_ATTEMPTS, "The same as attempts.", "attempts"),
    "on_status_codes": Field(STATUS_CODES, "What is tried again; a connection that fails always is."),
    "use_retry_after_header": Field(BOOLEAN, "After a 429, wait as long as the provider asks."),
    "use_retry_after_headers": Field(BOOLEAN, "The same as use_retry_after_header.", "use_retry_after_header"),
    "backoff": Field(fields.choice("exponential", "constant"), "constant is a backoff_factor of 1."),
    "backoff_factor": Field(fields.number(1, 10), "How much longer each wait is than the one before."),
    "initial_delay": Field(_DELAY, "The same as initial_delay_ms.", "initial_delay_ms"),
    "initial_delay_ms": Field(_DELAY, "The first wait, in milliseconds."),
    "max_delay": Field(_DELAY, "The same as max_delay_ms.", "max_delay_ms"),
    "max_delay_ms": Field(_DELAY, "The longest wait, in milliseconds."),
}


def _retry(raw: object, path: str) -> Json:
    canonical = fields.read(_RETRY, raw, path, needs=("attempts",))
    if canonical.pop("backoff", None) == "constant" and canonical.setdefault("backoff_factor", 1) != 1:
        fields.refuse(values.join(path, "backoff"), "is constant, which contradicts a backoff_factor other than 1.")
    return canonical


RETRY = Form(_retry, fields.object_schema(_RETRY))

_TIMES = {
    "connect": "until the connection stands",
    "first_token": "until the first token of a stream",
    "idle": "the longest silence in an answer that has begun",
    "total": "one try from its start to its last byte",
    "attempt": "one try until its answer begins; the same as request_timeout",
}
TIMEOUTS = fields.table(
    {
        **{name: Field(DURATION, f"How long it may take {about}.", f"{name}_ms") for name, about in _TIMES.items()},
        **{f"{name}_ms": Field(EXACT_MS, f"Milliseconds {about}.") for name, about in _TIMES.items()},
    }
)

_BREAKER: fields.Fields = {
    "failure_threshold": Field(fields.whole(1, 1_000_000), "Failures in a row that open it."),
    "failure_threshold_percentage": Field(
        fields.number(0.01, 100), "Share of failed requests, in percent, that opens it once minimum_requests were seen."
    ),
    "minimum_requests": Field(fields.whole(1, 1_000_000), "Requests before the share is looked at."),
    "cooldown_interval": Field(fields.whole(1_000, 86_400_000), "Milliseconds until one probe is let through."),
    "failure_status_codes": Field(STATUS_CODES, "What counts as a failure; without it 500 and above."),
}


def _breaker(raw: object, path: str) -> Json:
    canonical = fields.read(_BREAKER, raw, path)
    if not canonical.keys() & {"failure_threshold", "failure_threshold_percentage"}:
        fields.refuse(path, "needs failure_threshold or failure_threshold_percentage.")
    return canonical


BREAKER = Form(_breaker, fields.object_schema(_BREAKER))


def _idle(raw: object, path: str) -> int:
    milliseconds = int(MILLISECONDS.parse(raw, path))
    if milliseconds < KEPT_IDLE_MS:
        fields.refuse(path, f"idle connections are kept for {KEPT_IDLE_MS} ms, for all configs alike; use that or more.")
    return milliseconds


_CONNECTIONS = fields.whole(1, 100_000)
_OF_A_PROVIDER: fields.Fields = {
    "max_connections": Field(_CONNECTIONS, "Calls to this provider that may be under way."),
    "timeout": Field(MILLISECONDS, "The same as acquire_timeout.", "acquire_timeout_ms"),
    "acquire_timeout": Field(MILLISECONDS, "How long a call waits for its turn.", "acquire_timeout_ms"),
    "acquire_timeout_ms": Field(EXACT_MS, "Milliseconds that a call waits for its turn."),
}
PROVIDER = Form(
    lambda raw, path: provider(raw, path),
    {"type": "string", "description": "The provider's id, or @ and the slug of a virtual key."},
)


def provider(raw: object, path: str) -> str:
    """A provider's id, or ``@slug`` as it is."""
    name = values.text(raw, path)
    if name.startswith("@"):
        if not name[1:].strip():
            fields.refuse(path, "the slug of a virtual key must follow the @.")
        return name
    try:
        return table.find(name).id
    except InvalidRequest as error:
        raise InvalidConfig(f"{path}: {error.message}", param=path, code=error.code) from error


def _by_provider(raw: object, path: str) -> Json:
    canonical: Json = {}
    for name, value in fields.object_of(raw, path).items():
        where = values.join(path, name)
        fields.put(canonical, provider(name, where), fields.read(_OF_A_PROVIDER, value, where), where)
    return canonical


_POOL: fields.Fields = {
    "max_size": Field(_CONNECTIONS, "Calls to one provider that may be under way in one gateway process."),
    "acquire_timeout": Field(MILLISECONDS, "How long a call waits for its turn.", "acquire_timeout_ms"),
    "acquire_timeout_ms": Field(EXACT_MS, "Milliseconds that a call waits for its turn."),
    "idle_timeout": Field(
        Form(_idle, MILLISECONDS.schema), "How long an idle connection may be kept: 30 seconds or more.", "idle_timeout_ms"
    ),
    "idle_timeout_ms": Field(Form(_idle, EXACT_MS.schema), "Milliseconds that an idle connection may be kept."),
    "provider_specific": Field(
        Form(_by_provider, {"type": "object", "additionalProperties": fields.object_schema(_OF_A_PROVIDER)}),
        "Other bounds for single providers, by their ids.",
    ),
}


def _pool(raw: object, path: str) -> Json:
    canonical = fields.read(_POOL, raw, path)
    own = canonical.get("provider_specific", {})
    if "max_size" not in canonical and not own:
        fields.refuse(values.join(path, "max_size"), "is missing.")
    for name, bounds in own.items():
        if "max_size" not in canonical and "max_connections" not in bounds:
            fields.refuse(f"{path}.provider_specific.{name}.max_connections", "is missing, and there is no max_size.")
    return canonical


POOL = Form(_pool, fields.object_schema(_POOL))

# --- Strategy ---------------------------------------------------------------------------------------------------------------

# By what it is written like, without hyphens, underscores and capitals.
_MODES = {
    "single": "single",
    "fallback": "fallback",
    "priority": "fallback",
    "loadbalance": "loadbalance",
    "loadbalancer": "loadbalance",
    "loadbalancing": "loadbalance",
    "conditional": "conditional",
    "conditionalrouting": "conditional",
    "leastlatency": "least_latency",
    "leastcost": "least_cost",
    "leastbusy": "least_busy",
}
MODES = tuple(dict.fromkeys(_MODES.values()))


def _mode(raw: object, path: str) -> str:
    mode = _MODES.get(re.sub(r"[-_ ]", "", raw).lower()) if isinstance(raw, str) else None
    if mode is None:
        fields.refuse(path, f"{values.shown(raw)} is not one of {', '.join(MODES)}.")
    return mode


MODE = Form(_mode, {"anyOf": [{"enum": [*MODES, "priority"]}, {"type": "string", "pattern": r"^[A-Za-z][A-Za-z _-]*$"}]})


def _checked(check: Callable[[Any, str], object], raw: Any, path: str) -> Any:
    check(raw, path)
    return raw


def _expression(raw: object, path: str) -> str:
    text = values.text(raw, path)
    compile_expression(text, path)
    return text


QUERY = Form(partial(_checked, compile_query), {"type": "object", "minProperties": 1})
EXPRESSION = Form(_expression, {"type": "string", "minLength": 1, "examples": ["input.contains('code')"]})
RULE: fields.Fields = {
    "query": Field(QUERY, "When it holds, as a query over metadata.<key>, params.<name> and url.pathname."),
    "condition": Field(EXPRESSION, "When it holds, as an expression."),
    "then": Field(TEXT, "The name of the target that is meant."),
}


def _rule(raw: object, path: str) -> Json:
    canonical = fields.read(RULE, raw, path, needs=("then",))
    if len(canonical.keys() & {"query", "condition"}) != 1:
        fields.refuse(path, "needs either a query or a condition.")
    return canonical


_STICKY: fields.Fields = {
    "enabled": Field(BOOLEAN, "false switches it off."),
    "hash_fields": Field(
        fields.items(TEXT, 16, least=1),
        "What is kept together: metadata.<key>, params.<name>, headers.<name> or a bare name; without it metadata._user.",
    ),
    "ttl": Field(fields.whole(1, _YEAR_S), "Seconds for which calls are kept together at least."),
}


def _sticky(raw: object, path: str) -> Json | None:
    canonical = fields.read(_STICKY, raw, path)
    if not canonical.pop("enabled", True):
        return None
    canonical.setdefault("hash_fields", ["metadata._user"])
    return canonical


STICKY = Form(_sticky, fields.object_schema(_STICKY))
STRATEGY: fields.Fields = {
    "mode": Field(MODE, "How a target is chosen."),
    "on_status_codes": Field(STATUS_CODES, "After which statuses a fallback goes on; without it, after every failure but 400."),
    "conditions": Field(
        fields.items(Form(_rule, fields.object_schema(RULE)), 256, least=1), "The rules of the mode conditional."
    ),
    "default": Field(TEXT, "The name of the target for calls that no rule meets."),
    "sticky": Field(STICKY, "Keeps calls that agree on some fields on one target of a loadbalance."),
    "sticky_session": Field(STICKY, "The same as sticky.", "sticky"),
    "cb_config": Field(BREAKER, "The same as cb_config beside the strategy."),
}


def _strategy(raw: object, path: str) -> Json:
    if isinstance(raw, str):
        return {"mode": _mode(raw, path)}
    canonical = fields.read(STRATEGY, raw, path, needs=("mode",))
    if canonical.get("sticky", "") is None:
        del canonical["sticky"]
    return canonical


STRATEGY_FORM = Form(_strategy, {"anyOf": [MODE.schema, fields.object_schema(STRATEGY)]})

# --- Targets and the whole ---------------------------------------------------------------------------------------------------


def _params(raw: object, path: str) -> Json:
    params: Json = PLAIN.parse(raw, path)
    if "stream" in params:
        # The caller reads either a stream or a document; it cannot be given the other one.
        fields.refuse(f"{path}.stream", "whether to stream is the caller's choice.")
    if not isinstance(params.get("model", ""), str):
        fields.refuse(f"{path}.model", "expected a text.")
    return params


def _drop(raw: object, path: str) -> str:
    text = values.text(raw, path)
    if parse_path(text, path)[0] == "stream":
        fields.refuse(path, "whether to stream is the caller's choice.")
    return text


def _failure(raw: object, path: str) -> str | int:
    if isinstance(raw, str) and not raw.strip().isdecimal():
        return values.choice(FAILURE_KINDS)(raw.strip(), path)
    return values.whole(100, 599)(int(raw) if isinstance(raw, str) else raw, path)


FAILURES = Form(
    lambda raw, path: list(dict.fromkeys(fields.items(Form(_failure, {}), 100, least=1).parse(raw, path))),
    {
        "type": "array",
        "minItems": 1,
        "items": {
            "anyOf": [{"enum": list(FAILURE_KINDS)}, {"type": "integer"}, {"type": "string", "pattern": "^[1-5][0-9]{2}$"}]
        },
    },
)
CONDITIONS = fields.table(
    {
        "fallback_on": Field(FAILURES, "The target is used only after a failure of such a kind or status."),
        "max_tokens": Field(fields.whole(1, 1_000_000_000), "The target is used only for calls that ask for at most so many."),
    }
)
_DOLLARS = fields.number(0.000001, 1_000_000_000)
COST = fields.table(
    {
        "auto_switch": Field(BOOLEAN, "Orders the targets by the first preference."),
        "preferences": Field(
            fields.items(fields.choice(*PREFERENCES), len(PREFERENCES), least=1), "What counts first, second and third."
        ),
        "budget_limits": Field(
            fields.table({"daily": Field(_DOLLARS, "USD for each day."), "monthly": Field(_DOLLARS, "USD for each month.")}),
            "What calls under this config may cost.",
        ),
    }
)
PARAMS = Form(_params, PLAIN.schema)

TARGET: fields.Fields = {
    "name": Field(TEXT, "A name for people, and for the rules of a conditional strategy."),
    "provider": Field(PROVIDER, "Who answers."),
    "virtual_key": Field(TEXT, "The slug of a virtual key, which holds provider and credential."),
    "api_key": Field(TEXT, "The provider's credential. A saved config holds none."),
    "passthrough": Field(BOOLEAN, "The target takes its provider from the request's headers."),
    "model": Field(TEXT, "Short for override_params.model; @slug/model names a virtual key as well."),
    "default_params": Field(PARAMS, "Parameters for what the caller left out."),
    "override_params": Field(PARAMS, "Parameters that replace the caller's."),
    "drop_params": Field(
        fields.items(Form(_drop, TEXT.schema), 100), "Paths of parameters that are taken away, such as messages[*].name."
    ),
    "drop_unsupported": Field(BOOLEAN, "Leave out what the provider cannot express, and name it in the answer."),
    "retry": Field(RETRY, "How often and when it is tried again."),
    "request_timeout": Field(DURATION, "How long one try may take until its answer begins.", "request_timeout_ms"),
    "request_timeout_ms": Field(EXACT_MS, "The same in milliseconds."),
    "timeouts": Field(TIMEOUTS, "Bounds on the parts of one try."),
    "cb_config": Field(BREAKER, "The circuit breaker: when a failing target is left alone for a while."),
    "connection_pool": Field(POOL, "How many calls to one provider may be under way."),
    "conditions": Field(CONDITIONS, "When this target may be used."),
    "custom_host": Field(fields.URL, "The base URL in place of the provider's own, with its version path."),
    "forward_headers": Field(fields.HEADER_NAMES, "Names of the caller's headers that go to the provider."),
    "strict_open_ai_compliance": Field(BOOLEAN, "false keeps what a provider says beyond the standard format."),
    "weight": Field(fields.number(0, 1e9, numeric_text=True), "Share in a loadbalance; 1 where none is given."),
    "priority": Field(fields.number(-1e9, 1e9, numeric_text=True), "Place in a fallback, the smallest first."),
    "on_status_codes": Field(STATUS_CODES, "The same as on_status_codes in the strategy."),
    "strategy": Field(STRATEGY_FORM, "How one of the targets is chosen."),
}
OPTIONS: fields.Fields = {
    written: Field(
        Form(partial(table.option_value, name), table.option_schema(name)),
        "A provider's own setting.",
        name,
    )
    for written, name in table.OPTION_NAMES.items()
}
ROOT: fields.Fields = {
    "deadline": Field(DURATION, "How long the whole call may take, all tries and waits together.", "deadline_ms"),
    "deadline_ms": Field(EXACT_MS, "The same in milliseconds."),
    "stream_resume": Field(BOOLEAN, "The next target goes on with the text that a broken stream has already sent."),
    "cost_optimization": Field(COST, "Budgets of this config, and what the order of its targets goes by."),
}

_A_TARGET: Json = {"$ref": "#/$defs/target"}
_NAMED: Json = {"anyOf": [TEXT.schema, _A_TARGET]}
_RULES = fields.object_schema({**RULE, "target": Field(Form(values.never, _NAMED), "The target that is meant, or its name.")})
# The keys that hold targets. The normaliser reads them itself, since it counts depth and number.
WRAPPERS: fields.Fields = {
    "targets": Field(
        Form(values.never, {"type": "array", "items": _A_TARGET, "minItems": 1}),
        "What the strategy chooses from: each is a config of its own.",
    ),
    "fallback": Field(Form(values.never, _A_TARGET), "Another way to write a fallback: an object with targets."),
    "conditional_routing": Field(
        Form(
            values.never,
            {
                "type": "object",
                "properties": {
                    "rules": {"type": "array", "items": _RULES, "minItems": 1},
                    "default": _NAMED,
                    "targets": {"type": "array", "items": _A_TARGET},
                },
                "required": ["rules"],
                "additionalProperties": False,
            },
        ),
        "Another way to write a conditional strategy: rules that hold their targets.",
    ),
}
