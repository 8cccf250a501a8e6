"""Every form in which a routing config may be written becomes one canonical form, or is refused with its path."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.call import Json
from routing.configs.normalise import MAX_DEPTH, normalise
from routing.errors import InvalidConfig

A, B = {"provider": "openai"}, {"provider": "anthropic"}


def refused(config: object, **options: bool) -> InvalidConfig:
    with pytest.raises(InvalidConfig) as caught:
        normalise(config, **options)
    assert caught.value.status == 400
    return caught.value


def nested(depth: int) -> Json:
    """A target below so many strategies."""
    config: Json = A
    for _ in range(depth):
        config = {"targets": [config]}
    return config


# --- The forms that users write -----------------------------------------------------------------------------------------

FORMS = {
    "a fallback with a retry count": (
        {
            "retry": {"count": 5},
            "strategy": {"mode": "fallback"},
            "targets": [
                {"provider": "openai", "api_key": "sk-1"},
                {"provider": "anthropic", "api_key": "sk-2", "override_params": {"model": "claude"}},
            ],
        },
        {
            "retry": {"attempts": 5},
            "strategy": {"mode": "fallback"},
            "targets": [
                {"provider": "openai", "api_key": "sk-1"},
                {"provider": "anthropic", "api_key": "sk-2", "override_params": {"model": "claude"}},
            ],
        },
    ),
    "weights as texts": (
        {"strategy": {"mode": "loadbalance"}, "targets": [{**A, "weight": "0.5"}, {**B, "weight": " 0.5 "}]},
        {"strategy": {"mode": "loadbalance"}, "targets": [{**A, "weight": 0.5}, {**B, "weight": 0.5}]},
    ),
    "weights on another scale": (
        {"strategy": {"mode": "loadbalance"}, "targets": [{**A, "weight": 70.0}, {**B, "weight": "30"}]},
        {"strategy": {"mode": "loadbalance"}, "targets": [{**A, "weight": 70}, {**B, "weight": 30}]},
    ),
    "a retry with statuses and exponential back-off": (
        {**A, "retry": {"attempts": 3, "on_status_codes": [503, 429, 500, 502, 429], "backoff": "exponential"}},
        {**A, "retry": {"attempts": 3, "on_status_codes": [429, 500, 502, 503]}},
    ),
    "a bare strategy and a model on the target": (
        {
            "strategy": "fallback",
            "targets": [{"provider": "openai", "model": "gpt-4o", "weight": 70, "api_key": "sk-1"}, B],
            "retry": {"attempts": 3, "backoff_factor": 2, "max_delay": 10000},
        },
        {
            "strategy": {"mode": "fallback"},
            "targets": [{"provider": "openai", "override_params": {"model": "gpt-4o"}, "weight": 70, "api_key": "sk-1"}, B],
            "retry": {"attempts": 3, "backoff_factor": 2, "max_delay_ms": 10000},
        },
    ),
    "targets that are strategies themselves": (
        {
            "strategy": "fallback",
            "targets": [{"strategy": "loadbalance", "targets": [A, B], "retry": {"count": 1}}, {**A, "model": "m"}],
        },
        {
            "strategy": {"mode": "fallback"},
            "targets": [
                {"strategy": {"mode": "loadbalance"}, "targets": [A, B], "retry": {"attempts": 1}},
                {**A, "override_params": {"model": "m"}},
            ],
        },
    ),
    "a virtual key without a strategy": (
        {"virtual_key": " openai-prod ", "retry": {"attempts": 2}},
        {"virtual_key": "openai-prod", "retry": {"attempts": 2}},
    ),
    "targets without a strategy": ({"targets": [A]}, {"strategy": {"mode": "single"}, "targets": [A]}),
    "options without a target": ({"retry": {"attempts": 0}}, {"retry": {"attempts": 0}}),
    "an alias of a provider": ({"provider": "claude"}, {"provider": "anthropic"}),
    "constant back-off": ({"retry": {"attempts": 1, "backoff": "constant"}}, {"retry": {"attempts": 1, "backoff_factor": 1}}),
    "every spelling of a delay": (
        {"retry": {"attempts": 1, "initial_delay": 250, "max_delay_ms": 500.0, "use_retry_after_headers": "true"}},
        {"retry": {"attempts": 1, "initial_delay_ms": 250, "max_delay_ms": 500, "use_retry_after_header": True}},
    ),
    "keys in camel case": (
        {
            "strategy": {"mode": "fallback", "onStatusCodes": [500]},
            "targets": [{"virtualKey": "v", "overrideParams": {"maxTokens": 5}, "forwardHeaders": ["X-Team"]}],
            "requestTimeout": 5000,
            "retry": {"attempts": 1, "useRetryAfterHeader": False, "backoffFactor": 1.5},
            "strictOpenAiCompliance": "False",
            "customHost": "https://llm.example/v1/",
        },
        {
            "strategy": {"mode": "fallback", "on_status_codes": [500]},
            "targets": [{"virtual_key": "v", "override_params": {"maxTokens": 5}, "forward_headers": ["x-team"]}],
            "request_timeout_ms": 5000,
            "retry": {"attempts": 1, "use_retry_after_header": False, "backoff_factor": 1.5},
            "strict_open_ai_compliance": False,
            "custom_host": "https://llm.example/v1",
        },
    ),
    "header names as one text": ({**A, "forward_headers": "X-A, x-b"}, {**A, "forward_headers": ["x-a", "x-b"]}),
    "a model that is said twice and agrees": (
        {**A, "model": "m", "override_params": {"model": "m", "top_p": 1}},
        {**A, "override_params": {"model": "m", "top_p": 1}},
    ),
    "a provider's own options": (
        {**A, "openai_organization": "org", "openai_project": " p "},
        {**A, "openai_organization": "org", "openai_project": "p"},
    ),
    "a name": ({**A, "name": "primary", "weight": 0}, {**A, "name": "primary", "weight": 0}),
}


@pytest.mark.parametrize(("written", "canonical"), FORMS.values(), ids=FORMS)
def test_it_accepts_every_form_and_changes_the_canonical_one_no_more(written, canonical):
    assert normalise(written) == canonical
    assert normalise(canonical) == canonical


def test_it_leaves_what_it_was_given_as_it_was():
    written = {"strategy": "fallback", "targets": [{**A, "model": "m", "override_params": {"top_p": 1}}]}
    before = json.dumps(written)
    normalise(written)
    assert json.dumps(written) == before


@pytest.mark.parametrize(
    ("written", "milliseconds"),
    [
        (30, 30_000),
        (0.5, 500),
        (299, 299_000),
        (299.5, 299_500),
        (300, 300),
        (500, 500),
        (60000, 60_000),
        ("30", 30_000),
        ("500", 500),
        ("30s", 30_000),
        ("500ms", 500),
        (" 1.5s ", 1500),
        ("2m", 120_000),
        ("300s", 300_000),
    ],
)
def test_a_bare_timeout_is_seconds_below_300_and_milliseconds_from_there(written, milliseconds):
    assert normalise({**A, "request_timeout": written}) == {**A, "request_timeout_ms": milliseconds}


def test_the_canonical_timeout_is_always_milliseconds():
    assert normalise({**A, "request_timeout_ms": 30})["request_timeout_ms"] == 30


# --- Refusals: the path, and what to do -------------------------------------------------------------------------------

REFUSALS = [
    # (config, param, words of the message)
    ([], "config", "expected an object, got an array"),
    (None, "config", "got null"),
    ("pc-1", "config", "got a string"),
    (True, "config", "got a boolean"),
    (1.5, "config", "got a number"),
    ({}, "config", "empty"),
    ({"targets": [A, {**B, "wieght": 1}]}, "targets[1].wieght", 'unknown key, did you mean "weight"?'),
    ({"provder": "openai"}, "provder", 'did you mean "provider"?'),
    ({"zzz": 1}, "zzz", "unknown key."),
    ({"": 1}, '""', "unknown key."),
    ({**A, "retry": {"attemps": 1}}, "retry.attemps", 'did you mean "attempts"?'),
    ({"strategy": {"mod": "single"}, "targets": [A]}, "strategy.mod", 'did you mean "mode"?'),
    ({"provider": "opnai"}, "provider", "Did you mean openai"),
    ({"provider": "zzzz"}, "provider", "docs/providers.md has the list."),
    ({"provider": 5}, "provider", "expected a text, got a number"),
    ({"provider": "  "}, "provider", "is empty"),
    ({"targets": {}}, "targets", "expected an array"),
    ({"targets": []}, "targets", "is empty"),
    ({"targets": [A, "b"]}, "targets[1]", "expected an object, got a string"),
    ({"targets": [{"targets": [{"targets": [None]}]}]}, "targets[0].targets[0].targets[0]", "got null"),
    ({"strategy": "fallback"}, "strategy", "needs targets"),
    ({"strategy": "scientist", "targets": [A]}, "strategy", "not one of single, fallback, loadbalance, conditional"),
    ({"strategy": 5, "targets": [A]}, "strategy", "expected an object"),
    ({"strategy": {}, "targets": [A]}, "strategy.mode", "is missing"),
    ({"strategy": {"mode": None}, "targets": [A]}, "strategy.mode", "not one of"),
    ({"strategy": {"mode": "single", "on_status_codes": [500]}, "targets": [A]}, "strategy.on_status_codes", "fallback"),
    ({"strategy": {"mode": "fallback", "on_status_codes": 500}, "targets": [A]}, "strategy.on_status_codes", "array"),
    ({"strategy": {"mode": "fallback", "on_status_codes": [99]}, "targets": [A]}, "strategy.on_status_codes[0]", "range"),
    ({"strategy": {"mode": "fallback", "on_status_codes": [500.5]}, "targets": [A]}, "strategy.on_status_codes[0]", "whole"),
    ({"strategy": {"mode": "fallback", "on_status_codes": ["500"]}, "targets": [A]}, "strategy.on_status_codes[0]", "number"),
    ({"strategy": {"mode": "single", "Mode": "fallback"}, "targets": [A]}, "strategy.Mode", "mode is given twice"),
    ({"provider": "openai", "targets": [A]}, "provider", "beside targets"),
    ({"virtual_key": "v", "targets": [A]}, "virtual_key", "beside targets"),
    ({"api_key": "k", "targets": [A]}, "api_key", "beside targets"),
    ({"virtual_key": "v", "api_key": "k"}, "api_key", "beside virtual_key"),
    ({"virtual_key": "v", "custom_host": "https://evil.example"}, "custom_host", "beside virtual_key"),
    ({**A, "model": "a", "override_params": {"model": "b"}}, "model", "contradicts override_params.model"),
    ({**A, "override_params": []}, "override_params", "expected an object"),
    ({**A, "override_params": {"stream": True}}, "override_params.stream", "the caller's choice"),
    ({**A, "override_params": {"model": 5}}, "override_params.model", "expected a text"),
    ({**A, "retry": 3}, "retry", "expected an object"),
    ({**A, "retry": {}}, "retry.attempts", "is missing"),
    ({**A, "retry": {"attempts": -1}}, "retry.attempts", "use 0 to 20"),
    ({**A, "retry": {"attempts": 21}}, "retry.attempts", "use 0 to 20"),
    ({**A, "retry": {"attempts": 1.5}}, "retry.attempts", "whole number"),
    ({**A, "retry": {"attempts": True}}, "retry.attempts", "got a boolean"),
    ({**A, "retry": {"attempts": "3"}}, "retry.attempts", "got a string"),
    ({**A, "retry": {"attempts": 1, "count": 1}}, "retry.count", "attempts is given twice"),
    ({**A, "retry": {"attempts": 1, "backoff": "linear"}}, "retry.backoff", "exponential, constant"),
    ({**A, "retry": {"attempts": 1, "backoff": "constant", "backoff_factor": 2}}, "retry.backoff", "backoff_factor"),
    ({**A, "retry": {"attempts": 1, "backoff_factor": 0.5}}, "retry.backoff_factor", "use 1 to 10"),
    ({**A, "retry": {"attempts": 1, "max_delay": 60_001}}, "retry.max_delay", "range"),
    ({**A, "retry": {"attempts": 1, "use_retry_after_header": "yes"}}, "retry.use_retry_after_header", "true or false"),
    ({**A, "weight": -1}, "weight", "range"),
    ({**A, "weight": "heavy"}, "weight", "is not a number"),
    ({**A, "weight": True}, "weight", "got a boolean"),
    ({**A, "weight": []}, "weight", "got an array"),
    ({**A, "weight": float("nan")}, "weight", "range"),
    ({**A, "weight": float("inf")}, "weight", "range"),
    ({**A, "weight": "1e999"}, "weight", "range"),
    ({**A, "weight": "nan"}, "weight", "range"),
    ({**A, "weight": 10**400}, "weight", "range"),
    ({**A, "weight": 1e300}, "weight", "range"),
    ({**A, "request_timeout": 0}, "request_timeout", "1 ms to one hour"),
    ({**A, "request_timeout": -5}, "request_timeout", "1 ms to one hour"),
    ({**A, "request_timeout": 3_600_001}, "request_timeout", "1 ms to one hour"),
    ({**A, "request_timeout": 10**400}, "request_timeout", "1 ms to one hour"),
    ({**A, "request_timeout": "9" * 400}, "request_timeout", "1 ms to one hour"),
    ({**A, "request_timeout": float("inf")}, "request_timeout", "1 ms to one hour"),
    ({**A, "request_timeout": float("nan")}, "request_timeout", "1 ms to one hour"),
    ({**A, "request_timeout": "soon"}, "request_timeout", '"500ms"'),
    ({**A, "request_timeout": "1h"}, "request_timeout", "is not a duration"),
    ({**A, "request_timeout": None}, "request_timeout", "got null"),
    ({**A, "request_timeout": True}, "request_timeout", "got a boolean"),
    ({**A, "request_timeout_ms": 0}, "request_timeout_ms", "range"),
    ({**A, "request_timeout": 5, "request_timeout_ms": 5}, "request_timeout_ms", "given twice"),
    ({**A, "virtualKey": "v", "virtual_key": "v"}, "virtual_key", "given twice"),
    ({**A, "custom_host": "llm.example/v1"}, "custom_host", "absolute"),
    ({**A, "custom_host": "ftp://llm.example"}, "custom_host", "absolute"),
    ({**A, "custom_host": "http://"}, "custom_host", "absolute"),
    ({**A, "custom_host": "http://host:0/v1"}, "custom_host", "absolute"),
    ({**A, "custom_host": "http://host:99999/v1"}, "custom_host", "not a URL"),
    ({**A, "custom_host": "http://[::1/v1"}, "custom_host", "not a URL"),
    ({**A, "custom_host": "http://me:pass@host/v1"}, "custom_host", "no credentials"),
    ({**A, "custom_host": "http://host/v1?key=1"}, "custom_host", "query"),
    ({**A, "custom_host": "http://host/v1?"}, "custom_host", "query"),
    ({**A, "custom_host": "http://host/v1#"}, "custom_host", "fragment"),
    ({**A, "custom_host": "http://ho st/v1"}, "custom_host", "blanks"),
    ({**A, "custom_host": "http://host/v1\n/x"}, "custom_host", "blanks"),
    ({**A, "custom_host": "http:\\\\host"}, "custom_host", "absolute"),
    ({**A, "forward_headers": ["x-a", "Host"]}, "forward_headers[1]", "host cannot be forwarded"),
    ({**A, "forward_headers": "x-portkey-forward-headers"}, "forward_headers[0]", "cannot be forwarded"),
    ({**A, "forward_headers": ["a b"]}, "forward_headers[0]", "not a header name"),
    ({**A, "forward_headers": "x-a,,x-b"}, "forward_headers[1]", "is empty"),
    ({**A, "forward_headers": {}}, "forward_headers", "array of header names"),
    ({**A, "strict_open_ai_compliance": 0}, "strict_open_ai_compliance", "true or false"),
    ({**A, "openai_project": 5}, "openai_project", "expected a text"),
    ({"strategy": "loadbalance", "targets": [{**A, "weight": 0}, {**B, "weight": "0"}]}, "targets", "sum to zero"),
]


@pytest.mark.parametrize(("config", "param", "words"), REFUSALS, ids=[str(case[0])[:60] for case in REFUSALS])
def test_it_refuses_with_the_path_and_says_why(config, param, words):
    error = refused(config)
    assert error.param == param
    assert error.message.startswith(param) or param == "config"
    assert words in error.message


@pytest.mark.parametrize(
    "key",
    [
        *("cache", "input_guardrails", "output_guardrails", "guardrails", "before_request_hooks", "after_request_hooks"),
        *("input_mutators", "output_mutators", "prompt_id", "deployments", "fetch_integrated_models", "beforeRequestHooks"),
    ],
)
def test_what_this_version_cannot_do_is_refused_by_name(key):
    error = refused({"targets": [{**A, key: {}}]})
    assert (error.code, error.param) == ("unsupported", f"targets[0].{key}")
    assert "does not support" in error.message


@pytest.mark.parametrize("key", ["metrics", "alerts"])
def test_what_belongs_elsewhere_is_refused_with_its_place(key):
    error = refused({**A, key: []})
    assert (error.code, error.param) == ("unsupported", key)
    assert "belongs to the whole workspace" in error.message


def test_a_config_of_a_version_long_past_is_refused():
    assert refused({"options": [A]}).code == "unsupported"


def test_targets_nest_to_a_bound():
    assert normalise(nested(MAX_DEPTH))
    error = refused(nested(MAX_DEPTH + 1))
    assert error.param == ".".join(["targets[0]"] * (MAX_DEPTH + 1))
    assert f"deeper than {MAX_DEPTH}" in error.message


def test_a_saved_config_holds_no_credential_on_any_level():
    assert refused({**A, "api_key": "sk-secret"}, saved=True).param == "api_key"
    error = refused({"targets": [A, {"targets": [{**A, "apiKey": "sk-secret"}]}]}, saved=True)
    assert error.param == "targets[1].targets[0].apiKey"
    assert "sk-secret" not in error.message
    assert normalise({"virtual_key": "v"}, saved=True)


def deep(depth: int, leaf: object = None) -> object:
    value = leaf
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize("depth", [900, 50_000])
@pytest.mark.parametrize("key", ["strategy", "targets", "retry", "weight", "request_timeout", "forward_headers", "custom_host"])
def test_a_bottomless_value_is_refused_like_any_other(key, depth):
    refused({**A, key: deep(depth)})


@pytest.mark.parametrize("depth", [900, 50_000])
@pytest.mark.parametrize(
    "config",
    [
        lambda value: {"strategy": {"mode": value}, "targets": [A]},
        lambda value: {"strategy": {"mode": "fallback", "on_status_codes": value}, "targets": [A]},
        lambda value: {**A, "retry": {"attempts": 1, "backoff": value}},
    ],
    ids=["mode", "on_status_codes", "backoff"],
)
def test_a_bottomless_value_is_refused_further_down_too(config, depth):
    refused(config(deep(depth)))


def test_a_refusal_quotes_no_more_of_a_value_than_a_reader_needs():
    for config in ({"strategy": "x" * 100_000, "targets": [A]}, {"x" * 100_000: 1}, {**A, "weight": "x" * 100_000}):
        assert len(refused(config).message) < 1000


# --- Any document at all ---------------------------------------------------------------------------------------------------

numbers = st.one_of(st.integers(), st.floats(), st.integers(min_value=10**300, max_value=10**320))
texts = st.one_of(
    st.text(max_size=8), st.sampled_from(["openai", "0.5", "30s", "fallback", "nan", "https://h.example/v1/", "x-a, x-b"])
)
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, texts),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(texts, inner, max_size=3)),
    max_leaves=8,
)
KEYS = st.sampled_from(
    [
        *("strategy", "provider", "api_key", "virtual_key", "virtualKey", "model", "override_params", "retry", "weight"),
        *("request_timeout", "requestTimeout", "request_timeout_ms", "custom_host", "forward_headers", "name", "openai_beta"),
        *("strict_open_ai_compliance", "cache", "wieght"),
    ]
)
retries = st.dictionaries(
    st.sampled_from(["attempts", "count", "backoff", "backoff_factor", "max_delay", "initial_delay", "on_status_codes"]),
    st.one_of(json_values, st.integers(0, 20), st.just("constant"), st.just([429])),
    max_size=4,
)
near_misses = st.one_of(json_values, retries, st.just("openai"), st.integers(1, 500), st.just({"mode": "fallback"}))
nodes = st.recursive(
    st.dictionaries(KEYS, near_misses, max_size=4),
    lambda inner: st.builds(
        lambda node, targets: {**node, "targets": targets},
        st.dictionaries(KEYS, near_misses, max_size=2),
        st.lists(inner, max_size=3),
    ),
    max_leaves=6,
)


@given(st.one_of(json_values, nodes), st.booleans())
def test_any_document_is_accepted_or_refused_in_words(document, saved):
    refusal = canonical = None
    try:
        canonical = normalise(document, saved=saved)
    except InvalidConfig as error:
        refusal = error
    if refusal is None:
        assert normalise(canonical, saved=saved) == canonical
    else:
        assert refusal.param
        assert refusal.message


durations = st.one_of(st.integers(1, 3_600_000), st.floats(0.001, 299), st.integers(1, 3600).map("{}s".format))
valid_leaves = st.fixed_dictionaries(
    {"provider": st.sampled_from(["openai", "claude", "mock"])},
    optional={
        "weight": st.one_of(st.floats(0.001, 1e9), st.integers(1, 100).map(str)),
        "model": st.text(min_size=1, max_size=5).filter(str.strip),
        "request_timeout": durations,
        "retry": st.fixed_dictionaries(
            {"count": st.integers(0, 20)},
            optional={"backoff": st.sampled_from(["constant", "exponential"]), "max_delay": st.integers(0, 60_000)},
        ),
        "customHost": st.sampled_from(["https://a.example/", "http://b.example:81/v1//"]),
        "forwardHeaders": st.sampled_from(["X-A", "x-a,X-B"]),
    },
)
valid_trees = st.recursive(
    valid_leaves,
    lambda inner: st.fixed_dictionaries(
        {"targets": st.lists(inner, min_size=1, max_size=3), "strategy": st.sampled_from(["fallback", "single", "loadbalance"])}
    ),
    max_leaves=5,
)


@given(valid_trees)
def test_normalising_twice_is_normalising_once(config):
    canonical = normalise(config)
    assert normalise(canonical) == canonical
    assert normalise(json.loads(json.dumps(canonical))) == canonical
