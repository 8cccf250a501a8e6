"""Any document at all: it is refused in words, or it is a config that has a plan and that every call can walk."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from keys.auth import Caller
from routing.call import Call, Outcome
from routing.configs.document import parse_document
from routing.configs.normalise import normalise
from routing.configs.references import named_virtual_keys
from routing.configs.schema import config_schema
from routing.errors import InvalidConfig, InvalidRequest, UpstreamError
from routing.plan import resolve
from routing.snapshot import Snapshot, VirtualKeyEntry
from routing.strategies import Context, walk

VALIDATOR = Draft202012Validator(config_schema())

# --- Documents that are nearly configs ----------------------------------------------------------------------------------

numbers = st.one_of(st.integers(), st.floats(), st.sampled_from([0, 1, 429, 500, 5000, 30000, 10**400]))
texts = st.one_of(
    st.text(max_size=6), st.sampled_from(["openai", "@vk", "@vk/m", "0.5", "30s", "a", "b", "fallback", "metadata.x"])
)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=6,
)
SETTINGS = {
    "retry": ["attempts", "count", "on_status_codes", "backoff", "backoff_factor", "max_delay", "use_retry_after_header"],
    "timeouts": ["connect", "first_token_ms", "idle", "total", "attempt"],
    "cb_config": ["failure_threshold", "failure_threshold_percentage", "minimum_requests", "cooldown_interval"],
    "connection_pool": ["max_size", "idle_timeout", "acquire_timeout", "provider_specific"],
    "conditions": ["fallback_on", "max_tokens"],
    "cost_optimization": ["auto_switch", "preferences", "budget_limits"],
    "strategy": ["mode", "on_status_codes", "conditions", "default", "sticky", "cb_config"],
    "override_params": ["model", "temperature", "stream"],
    "default_params": ["model", "top_p"],
}
near = st.one_of(values, st.integers(1, 5), st.just("constant"), st.just([429]), st.just(["cost"]), st.just({"daily": 5}))
groups = {name: st.dictionaries(st.sampled_from(keys), near, max_size=3) for name, keys in SETTINGS.items()}
PLAIN = [
    "provider",
    "virtual_key",
    "model",
    "name",
    "weight",
    "priority",
    "request_timeout",
    "custom_host",
    "drop_params",
    "deadline",
]
PLAIN += [
    "forward_headers",
    "passthrough",
    "stream_resume",
    "drop_unsupported",
    "on_status_codes",
    "wieght",
    "cache",
    "requestTimeout",
]
nodes = st.recursive(
    st.fixed_dictionaries({}, optional={**groups, **dict.fromkeys(PLAIN, near | texts)}),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            **{name: groups[name] for name in ("strategy", "retry", "cb_config")},
            "targets": st.lists(inner, max_size=3),
            "fallback": st.fixed_dictionaries({}, optional={"targets": st.lists(inner, max_size=3), "strategy": texts}),
            "conditional_routing": st.fixed_dictionaries(
                {"rules": st.lists(st.fixed_dictionaries({"condition": texts, "target": inner | texts}), max_size=2)},
                optional={"default": inner | texts},
            ),
        },
    ),
    max_leaves=5,
)


def outcome(document: object, *, saved: bool = False) -> tuple[object, InvalidConfig | None]:
    try:
        return normalise(document, saved=saved), None
    except InvalidConfig as error:
        return None, error


@settings(max_examples=200)
@given(st.one_of(values, nodes), st.booleans())
def test_any_document_is_accepted_or_refused_in_words(document, saved):
    canonical, refusal = outcome(document, saved=saved)
    if refusal is not None:
        assert refusal.param
        assert refusal.message
    else:
        assert normalise(canonical, saved=saved) == canonical


@settings(max_examples=100)
@given(
    st.one_of(
        st.text(max_size=40),
        values.map(lambda value: json.dumps(value, default=str)),
        st.text("[]{}:,-&*a\n \"'!1", max_size=40),
    )
)
def test_any_text_is_a_document_or_is_refused_in_words(text):
    try:
        parsed = parse_document(text)
    except InvalidConfig as error:
        refusal = error
        parsed = None
    else:
        refusal = None
    if refusal is None:
        json.dumps(parsed, allow_nan=False)
    else:
        assert refusal.message.startswith("config: ")


# --- Configs that are right ---------------------------------------------------------------------------------------------

durations = st.one_of(st.integers(1, 3_600_000), st.floats(0.01, 299), st.integers(1, 3600).map("{}s".format))
CONDITIONS = ["stream", "input.contains('a') or tokens > 5", "metadata.kind == 'code'", "not has_tools", "max_tokens <= 10"]
QUERIES = [{"metadata.kind": "code"}, {"$or": [{"params.max_tokens": {"$lt": 5}}, {"metadata.kind": {"$in": ["a"]}}]}]
numbers_of_calls = st.integers(1, 9)
leaves = st.fixed_dictionaries(
    {},
    optional={
        "weight": st.one_of(st.floats(0.001, 1e9), st.integers(1, 100).map(str)),
        "model": st.sampled_from(["m", "01-ai/yi"]),
        "request_timeout": durations,
        "timeouts": st.fixed_dictionaries({}, optional={"connect": durations, "total_ms": st.integers(1, 1000)}),
        "retry": st.fixed_dictionaries({"count": st.integers(0, 20)}, optional={"backoff": st.just("constant")}),
        "cb_config": st.just({"failure_threshold": 2}),
        "conditions": st.fixed_dictionaries({"max_tokens": st.integers(1, 9)}),
        "default_params": st.just({"temperature": 1}),
        "drop_params": st.just(["messages[*].name"]),
        "connection_pool": st.fixed_dictionaries(
            {"max_size": numbers_of_calls}, optional={"acquire_timeout": numbers_of_calls}
        ),
        "customHost": st.sampled_from(["https://a.example/", "http://b.example:81/v1//"]),
    },
)
named_by = st.sampled_from([{"provider": "openai"}, {"provider": "claude"}, {"provider": "mock"}])
targets = (
    st.builds(lambda leaf, who: {**leaf, **who}, leaves, named_by)
    | st.just({"virtual_key": "vk"})
    | st.just({"model": "@vk/m"})
)
rules = st.fixed_dictionaries({"condition": st.sampled_from(CONDITIONS)}) | st.fixed_dictionaries(
    {"query": st.sampled_from(QUERIES)}
)


def branches(inner):
    modes = st.sampled_from(["fallback", "single", "load-balance", "priority", "least_cost", "least-latency", "least_busy"])
    some = st.lists(inner, min_size=1, max_size=3)
    return st.one_of(
        st.fixed_dictionaries({"targets": some, "strategy": modes}, optional={"retry": st.just({"attempts": 1})}),
        st.fixed_dictionaries({"fallback": st.fixed_dictionaries({"targets": some})}),
        st.lists(st.tuples(rules, inner), min_size=1, max_size=3).map(
            lambda pairs: {"conditional_routing": {"rules": [{**rule, "target": target} for rule, target in pairs]}}
        ),
        st.builds(
            lambda pairs, default: {
                "conditional_routing": {"rules": [{**rule, "target": target} for rule, target in pairs], "default": default}
            },
            st.lists(st.tuples(rules, inner), min_size=1, max_size=2),
            inner,
        ),
    )


configs = st.recursive(targets, branches, max_leaves=6)
bodies = st.fixed_dictionaries(
    {"model": st.just("gpt-4o"), "messages": st.just([{"role": "user", "content": "a question"}])},
    optional={"stream": st.booleans(), "max_tokens": st.integers(1, 20) | st.none(), "tools": st.just([{}])},
)
SNAPSHOT = Snapshot(1, "w1", str, virtual_keys={("w1", "vk"): VirtualKeyEntry("id", "vk", "openai", "sk")})


@settings(max_examples=150, deadline=None)
@given(configs)
def test_normalising_twice_is_normalising_once_and_the_schema_knows_every_form(config):
    canonical = normalise(config)
    assert normalise(canonical) == canonical
    assert normalise(json.loads(json.dumps(canonical))) == canonical
    for form in (config, canonical):
        assert [error.message for error in VALIDATOR.iter_errors(form)] == []


@settings(max_examples=150, deadline=None)
@given(
    configs,
    bodies,
    st.sampled_from(["code", "chat"]),
    st.lists(st.sampled_from([200, 400, 429, 500]), min_size=1),
    st.floats(0, 0.999),
)
def test_every_config_has_a_plan_that_every_call_can_walk(config, body, kind, statuses, draw):
    plan = resolve({"x-portkey-config": json.dumps(config)}, Caller("w1", "key-1"), None, SNAPSHOT)
    assert {slug for _, slug in named_virtual_keys(normalise(config))} <= {"vk"}
    call = Call("id", "chat/completions", body, b"", {}, "trace", {"kind": kind}, 0.0, 0)
    walking = walk(plan.root, Context(call, draw=lambda: draw))
    tried, refusal = [], None
    try:
        target = next(walking)
        for number in range(1000):
            tried.append(target.path)
            status = statuses[number % len(statuses)]
            target = walking.send(Outcome(status, None if status == 200 else UpstreamError("no", status=status)))
    except StopIteration:
        pass
    except InvalidRequest as error:
        refusal = error
    assert len(tried) == len(set(tried))
    assert refusal is None or "Query router did not resolve" in refusal.message
