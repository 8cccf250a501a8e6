"""The forms that say where a call goes, and what a target may be told beside: each becomes the canonical one."""

from __future__ import annotations

import math

import pytest

from routing.configs.normalise import MAX_TARGETS, normalise
from routing.errors import InvalidConfig
from routing.providers import table

A, B = {"provider": "openai"}, {"provider": "anthropic"}
CODE = "input.contains('代码')"


def refused(config: object, **options: bool) -> InvalidConfig:
    with pytest.raises(InvalidConfig) as caught:
        normalise(config, **options)
    assert caught.value.status == 400
    return caught.value


def fallback(*targets, **more):
    return {"strategy": {"mode": "fallback"}, "targets": list(targets), **more}


FORMS = {
    "a target for some failures and short answers": (
        {
            "strategy": "fallback",
            "targets": [
                {**A, "model": "gpt-4o", "weight": 70},
                {**B, "conditions": {"max_tokens": 4096, "fallback_on": ["rate_limit", "timeout", "503", 429, 429]}},
            ],
            "retry": {"attempts": 3, "backoff_factor": 2, "max_delay": 10000},
        },
        fallback(
            {**A, "override_params": {"model": "gpt-4o"}, "weight": 70},
            {**B, "conditions": {"max_tokens": 4096, "fallback_on": ["rate_limit", "timeout", 503, 429]}},
            retry={"attempts": 3, "backoff_factor": 2, "max_delay_ms": 10000},
        ),
    ),
    "a fallback by priority": (
        {
            "fallback": {
                "strategy": "priority",
                "targets": [
                    {"provider": "mock"},
                    {**B, "model": "b", "priority": 2},
                    {**A, "model": "a", "priority": "1"},
                    {**A, "model": "c", "priority": 2},
                ],
            }
        },
        fallback(
            {**A, "override_params": {"model": "a"}},
            {**B, "override_params": {"model": "b"}},
            {**A, "override_params": {"model": "c"}},
            {"provider": "mock"},
        ),
    ),
    "a fallback as a wrapper with options beside and inside": (
        {"fallback": {"targets": [A, B], "retry": {"count": 1}}, "request_timeout": 5},
        fallback(A, B, retry={"attempts": 1}, request_timeout_ms=5000),
    ),
    "priorities in a fallback": (
        {"strategy": {"mode": "priority"}, "targets": [{**A, "priority": 9}, {**B, "priority": -1}]},
        fallback(B, A),
    ),
    "rules with targets": (
        {
            "conditional_routing": {
                "rules": [
                    {"condition": CODE, "target": {"provider": "deepseek", "model": "deepseek-coder"}},
                    {"condition": "input.length > 1000", "target": {**B, "name": "long"}},
                    {"query": {"metadata.kind": "x"}, "target": "long"},
                ],
                "default": A,
            },
            "retry": {"count": 1},
        },
        {
            "strategy": {
                "mode": "conditional",
                "conditions": [
                    {"condition": CODE, "then": "rule-1"},
                    {"condition": "input.length > 1000", "then": "long"},
                    {"query": {"metadata.kind": "x"}, "then": "long"},
                ],
                "default": "default",
            },
            "targets": [
                {"provider": "deepseek", "override_params": {"model": "deepseek-coder"}, "name": "rule-1"},
                {**B, "name": "long"},
                {**A, "name": "default"},
            ],
            "retry": {"attempts": 1},
        },
    ),
    "rules without a default": (
        {"conditionalRouting": {"rules": [{"condition": "stream", "target": A}]}},
        {
            "strategy": {"mode": "conditional", "conditions": [{"condition": "stream", "then": "rule-1"}]},
            "targets": [{**A, "name": "rule-1"}],
        },
    ),
    "rules over targets that have names": (
        {
            "conditional_routing": {
                "targets": [{**A, "name": "rule-1"}, {**B, "name": "b"}],
                "rules": [{"condition": "stream", "then": "b"}, {"condition": "has_tools", "target": {"provider": "mock"}}],
                "default": "rule-1",
            }
        },
        {
            "strategy": {
                "mode": "conditional",
                "conditions": [{"condition": "stream", "then": "b"}, {"condition": "has_tools", "then": "rule-2"}],
                "default": "rule-1",
            },
            "targets": [{**A, "name": "rule-1"}, {**B, "name": "b"}, {"provider": "mock", "name": "rule-2"}],
        },
    ),
    "conditions in Portkey's words": (
        {
            "strategy": {
                "mode": "conditional",
                "conditions": [{"query": {"metadata.kind": {"$eq": "code"}}, "then": "coder"}],
                "default": "chat",
            },
            "targets": [{**A, "name": "coder"}, {**B, "name": "chat"}],
        },
        {
            "strategy": {
                "mode": "conditional",
                "conditions": [{"query": {"metadata.kind": {"$eq": "code"}}, "then": "coder"}],
                "default": "chat",
            },
            "targets": [{**A, "name": "coder"}, {**B, "name": "chat"}],
        },
    ),
    "a pool": (
        {
            **A,
            "connection_pool": {
                "max_size": 100,
                "idle_timeout": 30000,
                "acquire_timeout": 5000,
                "provider_specific": {"openai": {"max_connections": 50, "timeout": 10000}, "claude": {"timeout": "2s"}},
            },
        },
        {
            **A,
            "connection_pool": {
                "max_size": 100,
                "idle_timeout_ms": 30000,
                "acquire_timeout_ms": 5000,
                "provider_specific": {
                    "openai": {"max_connections": 50, "acquire_timeout_ms": 10000},
                    "anthropic": {"acquire_timeout_ms": 2000},
                },
            },
        },
    ),
    "a short wait for a pool is milliseconds": (
        {**A, "connection_pool": {"max_size": 1, "acquire_timeout": 50}},
        {**A, "connection_pool": {"max_size": 1, "acquire_timeout_ms": 50}},
    ),
    "time-outs of all kinds": (
        {
            **A,
            "timeouts": {"connect": 2, "first_token": "10s", "idle_ms": 500, "total": 60000, "attempt": "5s"},
            "deadline": "2m",
        },
        {
            **A,
            "timeouts": {"connect_ms": 2000, "first_token_ms": 10000, "idle_ms": 500, "total_ms": 60000},
            "request_timeout_ms": 5000,
            "deadline_ms": 120_000,
        },
    ),
    "a breaker in the strategy": (
        {
            "strategy": {
                "mode": "fallback",
                "cb_config": {"failure_threshold_percentage": 20, "minimum_requests": 10, "cooldown_interval": 60000},
            },
            "targets": [A, {**B, "cbConfig": {"failureThreshold": 3, "failureStatusCodes": [429, 500]}}],
        },
        fallback(
            A,
            {**B, "cb_config": {"failure_threshold": 3, "failure_status_codes": [429, 500]}},
            cb_config={"failure_threshold_percentage": 20, "minimum_requests": 10, "cooldown_interval": 60000},
        ),
    ),
    "sticky sessions": (
        {
            "strategy": {"mode": "load-balance", "sticky_session": {"hash_fields": ["metadata.user_id"], "ttl": 3600}},
            "targets": [A, B],
        },
        {
            "strategy": {"mode": "loadbalance", "sticky": {"hash_fields": ["metadata.user_id"], "ttl": 3600}},
            "targets": [A, B],
        },
    ),
    "sticky and nothing else": (
        {"strategy": {"mode": "loadBalance", "sticky": {"enabled": True}}, "targets": [A, B]},
        {"strategy": {"mode": "loadbalance", "sticky": {"hash_fields": ["metadata._user"]}}, "targets": [A, B]},
    ),
    "sticky and switched off": (
        {"strategy": {"mode": "loadbalance", "sticky": {"enabled": False, "ttl": 5}}, "targets": [A, B]},
        {"strategy": {"mode": "loadbalance"}, "targets": [A, B]},
    ),
    "costs": (
        {
            "targets": [A, B],
            "cost_optimization": {
                "auto_switch": True,
                "preferences": ["cost", "latency", "accuracy"],
                "budget_limits": {"daily": 100, "monthly": 2000.5},
            },
        },
        fallback(
            A,
            B,
            cost_optimization={
                "auto_switch": True,
                "preferences": ["cost", "latency", "accuracy"],
                "budget_limits": {"daily": 100, "monthly": 2000.5},
            },
        ),
    ),
    "a virtual key as a provider": (
        {"provider": "@openai-prod", "model": "m"},
        {"virtual_key": "openai-prod", "override_params": {"model": "m"}},
    ),
    "a virtual key in a model": (
        {"targets": [{"override_params": {"model": "@openai-prod/gpt-4o"}}, {"name": "b", "model": "@other/01-ai/yi"}]},
        {
            "strategy": {"mode": "single"},
            "targets": [
                {"virtual_key": "openai-prod", "override_params": {"model": "gpt-4o"}},
                {"name": "b", "virtual_key": "other", "override_params": {"model": "01-ai/yi"}},
            ],
        },
    ),
    "a model with a slash": ({**A, "model": "01-ai/gpt-4"}, {**A, "override_params": {"model": "01-ai/gpt-4"}}),
    "parameters": (
        {
            **A,
            "default_params": {"temperature": 0.2, "model": "m"},
            "drop_params": ["metadata", "messages[*].name", "tools[0].function['x.y']"],
            "drop_unsupported": True,
        },
        {
            **A,
            "default_params": {"temperature": 0.2, "model": "m"},
            "drop_params": ["metadata", "messages[*].name", "tools[0].function['x.y']"],
            "drop_unsupported": True,
        },
    ),
    "statuses beside the strategy": (
        fallback(A, B, on_status_codes=[503, 429]),
        {"strategy": {"mode": "fallback", "on_status_codes": [429, 503]}, "targets": [A, B]},
    ),
    "a target from the request": (
        fallback({"passthrough": True, "retry": {"count": 1}}, {**A, "passthrough": False}),
        fallback({"passthrough": True, "retry": {"attempts": 1}}, A),
    ),
    "a stream that goes on": ({**A, "stream_resume": "true"}, {**A, "stream_resume": True}),
}


@pytest.mark.parametrize(("written", "canonical"), FORMS.values(), ids=FORMS)
def test_it_accepts_the_form_and_changes_the_canonical_one_no_more(written, canonical):
    assert normalise(written) == canonical
    assert normalise(canonical) == canonical


@pytest.mark.parametrize(
    ("written", "mode"),
    [
        *((name, name) for name in ("single", "fallback", "loadbalance", "least_latency", "least_cost", "least_busy")),
        *((name, "loadbalance") for name in ("load_balance", "load-balance", "loadbalancer", "LoadBalance", "load balancing")),
        *(
            ("priority", "fallback"),
            ("least-latency", "least_latency"),
            ("leastCost", "least_cost"),
            ("least-busy", "least_busy"),
        ),
    ],
)
def test_a_mode_goes_by_all_of_its_spellings(written, mode):
    for strategy in (written, {"mode": written}):
        assert normalise({"strategy": strategy, "targets": [A, B]})["strategy"] == {"mode": mode}


RULES = [{"condition": "stream", "then": "a"}]
NAMED = [{**A, "name": "a"}]


def conditional(conditions, targets, **more):
    return {"strategy": {"mode": "conditional", "conditions": conditions, **more}, "targets": targets}


REFUSALS = [
    # (config, param, words)
    (
        fallback({**A, "conditions": {"fallback_on": [429]}}, B),
        "targets[0].conditions.fallback_on",
        "no failure can come before",
    ),
    ({**A, "conditions": {"fallback_on": [429]}}, "conditions.fallback_on", "no failure can come before"),
    (fallback(A, {**B, "conditions": {"fallback_on": ["rate-limit"]}}), "targets[1].conditions.fallback_on[0]", "rate_limit"),
    (fallback(A, {**B, "conditions": {"fallback_on": []}}), "targets[1].conditions.fallback_on", "is empty"),
    (fallback(A, {**B, "conditions": {"fallback_on": [700]}}), "targets[1].conditions.fallback_on[0]", "range"),
    (fallback(A, {**B, "conditions": {"max_tokens": 0}}), "targets[1].conditions.max_tokens", "range"),
    (fallback(A, {**B, "conditions": {"max_token": 1}}), "targets[1].conditions.max_token", 'did you mean "max_tokens"?'),
    (fallback(A, {"targets": [B], "conditions": {"max_tokens": 1}}), "targets[1].conditions", "calls a provider"),
    ({"fallback": {"strategy": "loadbalance", "targets": [A]}}, "fallback.strategy", "contradicts fallback"),
    ({"fallback": {"targets": [A, {**B, "wieght": 1}]}}, "fallback.targets[1].wieght", 'did you mean "weight"?'),
    ({"fallback": []}, "fallback", "expected an object"),
    ({"fallback": {"fallback": {"targets": [A]}}}, "fallback.fallback", "cannot stand in fallback"),
    ({"fallback": {"targets": [A]}, "targets": [B]}, "targets", "targets is given twice"),
    (
        {"strategy": "loadbalance", "targets": [{**A, "priority": 1}, B]},
        "targets[0].priority",
        "belongs to a target of a fallback",
    ),
    ({**A, "priority": 1}, "priority", "belongs to a target of a fallback"),
    ({**A, "priority": math.nan}, "priority", "range"),
    (conditional(RULES, [*NAMED, B]), "targets[1]", "is never reached"),
    (conditional(RULES, [B]), "strategy.conditions[0].then", "Invalid target name found in the query router: 'a'"),
    (conditional(RULES, NAMED, default="b"), "strategy.default", "the targets are called a"),
    (conditional([], NAMED), "strategy.conditions", "is empty"),
    ({"strategy": "conditional", "targets": NAMED}, "strategy.conditions", "No conditions passed in the query router"),
    (conditional([{"then": "a"}], NAMED), "strategy.conditions[0]", "either a query or a condition"),
    (conditional([{"condition": "stream"}], NAMED), "strategy.conditions[0].then", "is missing"),
    (conditional([{"condition": "stream and", "then": "a"}], NAMED), "strategy.conditions[0].condition", "column 11"),
    (
        conditional([{"query": {"metadata.a": {"$eqq": 1}}, "then": "a"}], NAMED),
        "strategy.conditions[0].query.metadata.a.$eqq",
        "$eq",
    ),
    ({"strategy": {"mode": "single", "default": "a"}, "targets": NAMED}, "strategy.default", "belongs to the mode conditional"),
    ({"strategy": {"mode": "single", "conditions": RULES}, "targets": NAMED}, "strategy.conditions", "belongs to the mode"),
    ({"strategy": {"mode": "fallback", "sticky": {}}, "targets": [A]}, "strategy.sticky", "belongs to the mode loadbalance"),
    ({"strategy": {"mode": "loadbalance", "sticky": {"ttl": 0}}, "targets": [A]}, "strategy.sticky.ttl", "range"),
    (
        {"strategy": {"mode": "loadbalance", "sticky": {"hash_fields": []}}, "targets": [A]},
        "strategy.sticky.hash_fields",
        "empty",
    ),
    ({"conditional_routing": {"rules": []}}, "conditional_routing.rules", "at least one"),
    (
        {"conditional_routing": {"rules": [{"condition": "input.len > 1", "target": A}]}},
        "conditional_routing.rules[0].condition",
        "column 7",
    ),
    (
        {"conditional_routing": {"rules": [{"condition": "stream", "target": {"x": 1}}]}},
        "conditional_routing.rules[0].target.x",
        "unknown",
    ),
    (
        {"conditional_routing": {"rules": [{"condition": "stream", "target": A, "then": "b"}]}},
        "conditional_routing.rules[0]",
        "twice",
    ),
    ({"conditional_routing": {"rule": []}}, "conditional_routing.rule", 'did you mean "rules"?'),
    ({"targets": [{**A, "name": "a"}, {**B, "name": "a"}]}, "targets[1].name", "is the name of targets[0] already"),
    ({"targets": [{**A, "deadline": 5}]}, "targets[0].deadline", "belongs to the whole config"),
    ({"targets": [{**A, "streamResume": True}]}, "targets[0].streamResume", "belongs to the whole config"),
    ({**A, "timeouts": {"read": 5}}, "timeouts.read", "unknown key"),
    ({**A, "timeouts": {"idle": 5, "idle_ms": 5}}, "timeouts.idle_ms", "given twice"),
    ({**A, "timeouts": {"attempt": 5}, "request_timeout": 5}, "request_timeout", "given twice"),
    ({**A, "connection_pool": {}}, "connection_pool.max_size", "is missing"),
    ({**A, "connection_pool": {"max_size": 0}}, "connection_pool.max_size", "range"),
    ({**A, "connection_pool": {"max_size": 1, "idle_timeout": 1000}}, "connection_pool.idle_timeout", "kept for 30000 ms"),
    (
        {**A, "connection_pool": {"provider_specific": {"openai": {"timeout": 1}}}},
        "connection_pool.provider_specific.openai.max_connections",
        "missing",
    ),
    ({**A, "connection_pool": {"provider_specific": {"opnai": {}}}}, "connection_pool.provider_specific.opnai", "openai"),
    ({**A, "cb_config": {}}, "cb_config", "needs failure_threshold"),
    ({**A, "cb_config": {"failure_threshold": 0}}, "cb_config.failure_threshold", "range"),
    ({**A, "cb_config": {"failure_threshold": 1, "cooldown_interval": 999}}, "cb_config.cooldown_interval", "range"),
    ({**A, "cb_config": {"failure_threshold_percentage": 101}}, "cb_config.failure_threshold_percentage", "range"),
    (
        {"strategy": "loadbalance", "targets": [A], "cost_optimization": {"auto_switch": True, "preferences": ["cost"]}},
        "cost_optimization.auto_switch",
        "loadbalance",
    ),
    ({"targets": [A], "cost_optimization": {"auto_switch": True}}, "cost_optimization.preferences", "is missing"),
    ({**A, "cost_optimization": {"preferences": ["speed"]}}, "cost_optimization.preferences[0]", "cost, latency, accuracy"),
    ({**A, "cost_optimization": {"budget_limits": {"weekly": 1}}}, "cost_optimization.budget_limits.weekly", "unknown key"),
    ({**A, "cost_optimization": {"budget_limits": {"daily": -1}}}, "cost_optimization.budget_limits.daily", "range"),
    ({"provider": "@"}, "provider", "must follow the @"),
    ({"model": "@slug"}, "override_params.model", "@slug/model"),
    ({"model": "@b/m", "targets": [A]}, "override_params.model", "put it into a target"),
    ({"provider": "@a", "virtual_key": "a"}, "virtual_key", "given twice"),
    ({**A, "drop_params": "metadata"}, "drop_params", "expected an array"),
    ({**A, "drop_params": ["a..b"]}, "drop_params[0]", "not a path"),
    ({**A, "drop_params": ["stream"]}, "drop_params[0]", "the caller's choice"),
    ({**A, "default_params": {"stream": True}}, "default_params.stream", "the caller's choice"),
    ({**A, "override_params": {"x": math.inf}}, "override_params", "not finite"),
    ({**A, "override_params": {"x": 2**64}}, "override_params", "too large"),
    ({**A, "on_status_codes": [500]}, "on_status_codes", "belongs to a fallback"),
    ({"passthrough": True, "provider": "openai"}, "provider", "beside passthrough"),
    ({"passthrough": True, "targets": [A]}, "passthrough", "beside targets"),
    ({"strategy": "loadbalance", "targets": [{**A, "weight": 0}, {**B, "weight": 0}]}, "targets", "sum to zero"),
]


@pytest.mark.parametrize(("config", "param", "words"), REFUSALS, ids=[f"{case[1]}-{n}" for n, case in enumerate(REFUSALS)])
def test_it_refuses_with_the_path_and_says_why(config, param, words):
    error = refused(config)
    assert error.param == param
    assert words in error.message


def test_a_failure_may_come_from_the_branch_before():
    inner = {"strategy": "fallback", "targets": [{**B, "conditions": {"fallback_on": ["timeout"]}}, A]}
    assert normalise(fallback(A, inner))
    refused(fallback(inner, A))


def test_the_number_of_targets_is_bounded():
    assert normalise({"strategy": "fallback", "targets": [A] * MAX_TARGETS})
    assert refused({"strategy": "fallback", "targets": [A] * (MAX_TARGETS + 1)}).param == f"targets[{MAX_TARGETS}]"
    nested = {"strategy": "fallback", "targets": [{"targets": [A]}] * (MAX_TARGETS // 2 + 1)}
    assert "at most" in refused(nested).message


def test_a_saved_config_holds_no_secret_option_in_any_form():
    secret = sorted(table.SECRET_OPTIONS)[0]
    assert refused({**A, secret: "sk-x"}, saved=True).param == secret
    error = refused(
        {"conditional_routing": {"rules": [{"condition": "stream", "target": {**A, "api_key": "sk-x"}}]}}, saved=True
    )
    assert error.param == "conditional_routing.rules[0].target.api_key"
    assert refused({"fallback": {"targets": [{**A, "api_key": "k"}]}}, saved=True).param == "fallback.targets[0].api_key"


@pytest.mark.parametrize("named", [{"virtual_key": "a"}, {"provider": "workers-ai"}])
def test_a_model_that_begins_with_an_at_stays_where_the_target_is_named(named):
    written = {**named, "model": "@cf/meta/llama-3.1-8b-instruct"}
    assert normalise(written) == {**named, "override_params": {"model": "@cf/meta/llama-3.1-8b-instruct"}}


@pytest.mark.parametrize("model", ["@a/@b/c", "@a/@a/c", "@a/@a/@a/", "@a/m", "@", "@/", "@a/@"])
@pytest.mark.parametrize("named", [{}, {"virtual_key": "a"}, {"provider": "openai"}])
def test_a_model_with_an_at_is_read_once_and_for_all(named, model):
    try:
        canonical = normalise({**named, "model": model})
    except InvalidConfig:
        return
    assert normalise(canonical) == canonical
