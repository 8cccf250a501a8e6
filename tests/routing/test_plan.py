"""What a call will try, from its headers, its key and what is saved."""

from __future__ import annotations

import dataclasses
from operator import attrgetter

import orjson
import pytest

from keys.auth import Caller
from keys.limits import Limit, Period, Unit
from routing.call import DEFAULT_RETRY_STATUSES, Breaker, Call, Pool, Retry, Target, Timeouts
from routing.configs.facts import Facts
from routing.configs.normalise import normalise
from routing.errors import GatewayError, InvalidConfig, InvalidRequest, Unauthenticated
from routing.plan import Branch, Plan, resolve
from routing.snapshot import ConfigEntry, Snapshot, VirtualKeyEntry

LIMIT = Limit("vkey:1", "virtual key 'prod'", Unit.REQUESTS, Period.MINUTE, 5)
PROD = VirtualKeyEntry(
    "id-prod", "prod", "openai", "sk-stored", options={"openai_project": "p1"}, limits=(LIMIT,), expires_at=9e9
)
HOSTED = VirtualKeyEntry("id-hosted", "hosted", "openai", "sk-hosted", custom_host="https://llm.example/v1")
FOREIGN = VirtualKeyEntry("id-foreign", "foreign", "openai", "sk-foreign")
SAVED = ConfigEntry(
    "id-saved", "pc-saved", 3, normalise({"strategy": "fallback", "targets": [{"virtual_key": "prod"}, {"provider": "mock"}]})
)
DEFAULT = ConfigEntry("id-default", "pc-default", 1, normalise({"virtual_key": "prod", "retry": {"attempts": 2}}))
OPTIONS_ONLY = ConfigEntry(
    "id-options", "pc-options", 1, normalise({"retry": {"attempts": 4}, "override_params": {"top_p": 1}})
)

ME = Caller("w1", "key-1")
NOBODY = Caller("w1")


@pytest.fixture
def snapshot():
    return Snapshot(
        version=1,
        default_workspace_id="w1",
        hash_key=str,
        virtual_keys={("w1", "prod"): PROD, ("w1", "hosted"): HOSTED, ("w2", "foreign"): FOREIGN},
        configs={("w1", "pc-saved"): SAVED, ("w1", "pc-default"): DEFAULT, ("w1", "pc-options"): OPTIONS_ONLY},
    )


@pytest.fixture
def plan(snapshot):
    """Resolves a call; a config may be given as an object."""

    def make(*, config: object = None, caller: Caller = ME, key: str | None = None, **headers: str) -> Plan:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if config is not None:
            named["x-portkey-config"] = config if isinstance(config, str) else orjson.dumps(config).decode()
        return resolve(named, caller, key, snapshot)

    return make


@pytest.fixture
def target(plan):
    """The plan's only target."""

    def make(**call: object) -> Target:
        root = plan(**call).root
        assert isinstance(root, Target)
        return root

    return make


@pytest.fixture
def refused(plan):
    def make(**call: object) -> GatewayError:
        with pytest.raises(GatewayError) as caught:
            plan(**call)
        return caught.value

    return make


def leaf(plan: Plan, *path: int) -> Target:
    node = plan.root
    for index in path:
        assert isinstance(node, Branch)
        node = node.children[index]
    assert isinstance(node, Target)
    return node


# --- Which target ----------------------------------------------------------------------------------------------------------


def test_a_provider_and_the_callers_own_key_make_a_target(target):
    found = target(x_portkey_provider="openai", key="sk-mine", caller=NOBODY)
    assert (found.path, found.provider.id, found.base_url) == ("config", "openai", "https://api.openai.com/v1")
    assert (found.api_key, found.virtual_key_id, found.retry, found.timeouts.attempt_ms, found.strict) == (
        "sk-mine",
        None,
        Retry(),
        None,
        True,
    )


def test_a_provider_goes_by_its_aliases_and_without_blanks(target):
    assert target(x_portkey_provider=" claude ", key="k").provider.id == "anthropic"


def test_the_providers_option_headers_come_along(target):
    found = target(x_portkey_provider="openai", key="k", x_portkey_openai_organization="org", openai_beta="b")
    assert found.options == {"openai_organization": "org", "openai_beta": "b"}


def test_a_virtual_key_binds_its_provider_credential_options_limits_and_expiry(target):
    found = target(x_portkey_virtual_key="prod", key="sk-ignored")
    assert (found.provider.id, found.api_key, found.virtual_key_id) == ("openai", "sk-stored", "id-prod")
    assert (found.options, found.limits, found.expires_at) == ({"openai_project": "p1"}, (LIMIT,), 9e9)


def test_a_virtual_keys_own_host_is_where_its_credential_goes(target):
    assert target(x_portkey_virtual_key="hosted").base_url == "https://llm.example/v1"


def test_a_config_by_value_names_its_target(target):
    found = target(config={"provider": "openai", "api_key": "sk-config"}, key="sk-header", x_portkey_provider="anthropic")
    assert (found.provider.id, found.api_key) == ("openai", "sk-config")


def test_a_config_without_a_target_takes_it_from_the_headers(target):
    found = target(config={"retry": {"attempts": 1}}, x_portkey_virtual_key="prod")
    assert (found.virtual_key_id, found.retry.attempts) == ("id-prod", 1)


def test_an_empty_config_is_none_at_all(target):
    assert target(config={}, x_portkey_provider="mock").provider.id == "mock"


def test_a_saved_config_is_found_by_its_id(plan):
    found = plan(config=" pc-saved ")
    assert (found.config_id, found.config_version) == ("id-saved", 3)
    assert [leaf(found, 0).path, leaf(found, 1).path] == ["config.targets[0]", "config.targets[1]"]
    assert leaf(found, 0).api_key == "sk-stored"


def test_the_keys_default_config_applies_where_the_call_names_none(plan):
    mine = dataclasses.replace(ME, default_config="pc-default")
    assert plan(caller=mine).config_id == "id-default"
    assert plan(caller=mine, config={"provider": "mock"}).config_id is None  # replaced, not merged
    assert leaf(plan(caller=mine, config={"provider": "mock"})).retry.attempts == 0


def test_a_default_config_without_a_target_leaves_that_to_the_headers(target):
    found = target(caller=dataclasses.replace(ME, default_config="pc-options"), x_portkey_provider="mock")
    assert (found.provider.id, found.retry.attempts, found.override_params) == ("mock", 4, {"top_p": 1})


def test_the_tree_keeps_strategies_weights_and_statuses(plan):
    config = {
        "strategy": {"mode": "fallback", "on_status_codes": [429]},
        "targets": [
            {"strategy": "loadbalance", "targets": [{"provider": "mock", "weight": "3", "name": "a"}, {"provider": "mock"}]},
            {"provider": "mock"},
        ],
    }
    root = plan(config=config).root
    assert isinstance(root, Branch)
    assert (root.mode, root.on_status_codes) == ("fallback", frozenset({429}))
    balanced = root.children[0]
    assert isinstance(balanced, Branch)
    assert (balanced.mode, balanced.weights, balanced.on_status_codes) == ("loadbalance", (3, 1), None)
    assert (balanced.children[0].path, balanced.children[0].name) == ("config.targets[0].targets[0]", "a")


# --- Inheritance (portkey-wire 3.3) --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parent", "child", "attribute", "expected"),
    [
        ({"override_params": {"a": 1, "b": 1}}, {"override_params": {"b": 2}}, "override_params", {"a": 1, "b": 2}),
        ({"override_params": {"a": {"x": 1}}}, {"override_params": {"a": {"y": 2}}}, "override_params", {"a": {"y": 2}}),
        ({"model": "m"}, {}, "model", "m"),
        ({"model": "m"}, {"model": "n"}, "model", "n"),
        ({"retry": {"attempts": 3}}, {}, "retry", Retry(attempts=3)),
        ({"retry": {"attempts": 3, "on_status_codes": [500]}}, {"retry": {"attempts": 1}}, "retry", Retry(attempts=1)),
        ({"retry": {"attempts": 3}}, {"retry": {"attempts": 0}}, "retry", Retry()),
        ({"request_timeout": 1000}, {}, "timeouts.attempt_ms", 1000),
        ({"request_timeout": 1000}, {"request_timeout": 500}, "timeouts.attempt_ms", 500),
        ({"custom_host": "https://a.example"}, {}, "base_url", "https://a.example"),
        ({"custom_host": "https://a.example"}, {"custom_host": "https://b.example"}, "base_url", "https://b.example"),
        ({"forward_headers": ["x-a"]}, {}, "forward_headers", ("x-a",)),
        ({"forward_headers": ["x-a"]}, {"forward_headers": ["x-b"]}, "forward_headers", ("x-b",)),
        ({"forward_headers": ["x-a"]}, {"forward_headers": []}, "forward_headers", ("x-a",)),
        ({"strict_open_ai_compliance": False}, {}, "strict", False),
        ({}, {"strict_open_ai_compliance": False}, "strict", False),
        ({"strict_open_ai_compliance": False}, {"strict_open_ai_compliance": True}, "strict", False),
        ({"default_params": {"a": 1, "b": 1}}, {"default_params": {"b": 2}}, "default_params", {"a": 1, "b": 2}),
        ({"drop_params": ["a"]}, {"drop_params": ["b", "a"]}, "drop_params", ("a", "b")),
        ({"drop_unsupported": True}, {}, "drop_unsupported", True),
        ({"drop_unsupported": True}, {"drop_unsupported": False}, "drop_unsupported", False),
        ({"timeouts": {"connect": 5, "idle": 9}}, {"timeouts": {"idle": 8}}, "timeouts", Timeouts(None, 5000, None, 8000)),
        ({"timeouts": {"attempt": 5}}, {"timeouts": {"total": 9}}, "timeouts", Timeouts(attempt_ms=5000, total_ms=9000)),
        ({"cb_config": {"failure_threshold": 3}}, {}, "breaker", Breaker(failure_threshold=3)),
        (
            {"cb_config": {"failure_threshold": 3}},
            {
                "cb_config": {
                    "failure_threshold_percentage": 20,
                    "minimum_requests": 5,
                    "cooldown_interval": 60000,
                    "failure_status_codes": [429],
                }
            },
            "breaker",
            Breaker(None, 20, 5, 60000, frozenset({429})),
        ),
        ({"connection_pool": {"max_size": 9}}, {}, "pool", Pool(9)),
        ({"connection_pool": {"max_size": 9}}, {"connection_pool": {"max_size": 1, "acquire_timeout": 5}}, "pool", Pool(1, 5)),
        (
            {"connection_pool": {"max_size": 9, "provider_specific": {"openai": {"max_connections": 2, "timeout": 7}}}},
            {},
            "pool",
            Pool(2, 7),
        ),
        ({"connection_pool": {"provider_specific": {"anthropic": {"max_connections": 2}}}}, {}, "pool", None),
        ({}, {"conditions": {"max_tokens": 5}}, "most_tokens", 5),
        ({"name": "parent"}, {}, "name", None),
        ({"openai_project": "p"}, {}, "options", {}),
    ],
)
def test_a_target_takes_from_above_what_is_meant_to_be_taken(plan, parent, child, attribute, expected):
    config = {**parent, "targets": [{"targets": [{"provider": "openai", **child}]}]}
    assert attrgetter(attribute)(leaf(plan(config=config), 0, 0)) == expected


def test_overrides_gather_down_the_tree_and_siblings_share_nothing(plan):
    found = plan(
        config={
            "override_params": {"a": 1},
            "targets": [
                {"override_params": {"b": 2}, "targets": [{"provider": "mock", "override_params": {"c": 3}}]},
                {"provider": "mock"},
            ],
        }
    )
    assert leaf(found, 0, 0).override_params == {"a": 1, "b": 2, "c": 3}
    assert leaf(found, 1).override_params == {"a": 1}


def test_every_word_about_retries_reaches_the_target(target):
    written = {
        "attempts": 2,
        "on_status_codes": [418],
        "initial_delay": 5,
        "backoff": "constant",
        "max_delay": 9,
        "use_retry_after_header": True,
    }
    assert target(config={"provider": "mock", "retry": written}).retry == Retry(2, frozenset({418}), 5, 1, 9, True)
    assert target(config={"provider": "mock", "retry": {"attempts": 1}}).retry.on_status_codes == DEFAULT_RETRY_STATUSES


@pytest.mark.parametrize(
    ("header", "value", "attribute", "expected"),
    [
        ("x_portkey_request_timeout", "30", "timeouts.attempt_ms", 30_000),
        ("x_portkey_request_timeout", " 5000 ", "timeouts.attempt_ms", 5000),
        ("x_portkey_request_timeout", "", "timeouts.attempt_ms", 700),
        ("x_portkey_custom_host", "https://head.example/v1/", "base_url", "https://head.example/v1"),
        ("x_portkey_forward_headers", "X-One, x-two", "forward_headers", ("x-one", "x-two")),
        ("x_portkey_strict_open_ai_compliance", "FALSE", "strict", False),
        ("x_portkey_strict_open_ai_compliance", "true", "strict", True),
    ],
)
def test_headers_beat_every_level_of_a_config(plan, header, value, attribute, expected):
    config = {
        "request_timeout": 600,
        "targets": [
            {"provider": "openai", "request_timeout": 700, "custom_host": "https://config.example", "forward_headers": ["x-c"]}
        ],
    }
    assert attrgetter(attribute)(leaf(plan(config=config, **{header: value}), 0)) == expected


# --- Strategies, and what the whole call is told --------------------------------------------------------------------------


def test_rules_lead_to_children_by_their_names(plan):
    config = {
        "strategy": {
            "mode": "conditional",
            "conditions": [
                {"query": {"metadata.kind": "code"}, "then": "b"},
                {"condition": "input.contains('long')", "then": "c"},
            ],
            "default": "a",
        },
        "targets": [{"provider": "mock", "name": name} for name in "abc"],
    }
    root = plan(config=config).root
    assert isinstance(root, Branch)
    assert (root.mode, root.default, [rule.child for rule in root.rules]) == ("conditional", 0, [1, 2])
    assert [rule.text for rule in root.rules] == ['{"metadata.kind":"code"}', "input.contains('long')"]
    asked = Call("id", "chat/completions", {"prompt": "a long one"}, b"", {}, "t", {"kind": "code"}, 0.0, 0)
    assert [rule.holds(Facts(asked)) for rule in root.rules] == [True, True]
    assert [rule.holds(Facts(dataclasses.replace(asked, body={}, metadata={}))) for rule in root.rules] == [False, False]


def test_a_conditional_without_a_default_has_none(plan):
    rules = [{"condition": "stream", "target": {"provider": "mock"}}]
    assert plan(config={"conditional_routing": {"rules": rules}}).root.default is None


def test_a_load_balance_may_be_sticky(plan):
    targets = [{"provider": "mock"}, {"provider": "mock"}]
    strategy = {"mode": "loadbalance", "sticky": {"hash_fields": ["metadata.user_id"], "ttl": 5}}
    assert plan(config={"strategy": strategy, "targets": targets}).root.sticky == ("metadata.user_id",)


def test_a_target_for_some_failures_says_which(plan):
    second = {"provider": "mock", "conditions": {"fallback_on": ["rate_limit", 503]}}
    found = plan(config={"strategy": "fallback", "targets": [{"provider": "mock"}, second]})
    assert (leaf(found, 0).fallback_on, leaf(found, 1).fallback_on) == (None, frozenset({"rate_limit", 503}))


@pytest.mark.parametrize(
    ("preference", "mode"), [("cost", "least_cost"), ("latency", "least_latency"), ("accuracy", "fallback")]
)
def test_auto_switch_orders_by_the_first_preference(plan, preference, mode):
    config = {
        "targets": [{"provider": "mock"}, {"provider": "mock"}],
        "cost_optimization": {"auto_switch": True, "preferences": [preference, "cost"][: 1 + (preference != "cost")]},
    }
    assert plan(config=config).root.mode == mode
    assert plan(config={**config, "cost_optimization": {"preferences": [preference]}}).root.mode == "single"


def test_budgets_are_counted_for_the_config_and_not_for_the_caller(plan, snapshot):
    budgets = {"cost_optimization": {"budget_limits": {"daily": 1.5, "monthly": 20}}, "provider": "mock"}
    day, month = plan(config=budgets).limits
    assert (day.unit, day.period, day.cap) == (Unit.COST, Period.DAY, 1_500_000_000)
    assert (month.unit, month.period, month.cap) == (Unit.COST, Period.MONTH, 20_000_000_000)
    assert day.owner == month.owner == plan(config=dict(reversed(budgets.items())), caller=NOBODY).limits[0].owner
    assert day.owner != plan(config={**budgets, "retry": {"attempts": 1}}).limits[0].owner
    saved = ConfigEntry("id-budget", "pc-budget", 1, normalise(budgets))
    snapshot.configs[("w1", "pc-budget")] = saved
    assert plan(config="pc-budget").limits[0].owner == "config:id-budget"
    assert "pc-budget" in plan(config="pc-budget").limits[0].label


def test_the_whole_call_has_a_deadline_and_may_resume(plan):
    found = plan(config={"provider": "mock", "deadline": "20s", "stream_resume": True})
    assert (found.deadline_ms, found.stream_resume) == (20_000, True)
    assert (plan(config={"provider": "mock"}).deadline_ms, plan(config={"provider": "mock"}).stream_resume) == (None, False)


# --- Virtual keys by @ -----------------------------------------------------------------------------------------------------


def test_a_provider_with_an_at_names_a_virtual_key(target):
    assert target(x_portkey_provider="@prod").virtual_key_id == "id-prod"
    assert target(config={"provider": "@prod"}).api_key == "sk-stored"
    assert target(config={"provider": "openai", "virtual_key": "prod"}).api_key == "sk-stored"


def test_a_model_with_an_at_names_a_virtual_key_and_a_model(plan, snapshot):
    found = leaf(plan(config={"targets": [{"override_params": {"model": "@prod/gpt-4o"}}]}), 0)
    assert (found.virtual_key_id, found.model) == ("id-prod", "gpt-4o")
    asked = resolve({"x-portkey-provider": "mock"}, ME, "sk-mine", snapshot, "@prod/01-ai/yi").root
    assert (asked.virtual_key_id, asked.api_key, asked.model) == ("id-prod", "sk-stored", "01-ai/yi")
    plain = resolve({"x-portkey-provider": "mock"}, ME, None, snapshot, "01-ai/yi").root
    assert (plain.provider.id, plain.model) == ("mock", None)
    other = resolve({"x-portkey-provider": "mock"}, ME, "sk-mine", snapshot, "@hosted/m").root
    assert other.virtual_key_id == "id-hosted"
    with pytest.raises(InvalidRequest) as caught:
        resolve({}, ME, None, snapshot, "@prod")
    assert caught.value.param == "model"


@pytest.mark.parametrize("header", [{"x-portkey-virtual-key": "prod"}, {"x-portkey-provider": "mock"}])
def test_a_vendors_own_model_may_begin_with_an_at_where_the_target_is_named(snapshot, header):
    found = resolve(header, ME, None, snapshot, "@cf/meta/llama-3.1-8b-instruct").root
    assert (found.virtual_key_id or found.provider.id, found.model) in {("id-prod", None), ("mock", None)}


@pytest.mark.parametrize(("asked", "model"), [("", "m"), ("portkey-default", "m"), ("gpt-5", None)])
def test_a_default_model_is_the_targets_where_the_call_has_none(snapshot, asked, model):
    headers = {"x-portkey-config": '{"provider": "mock", "default_params": {"model": "m"}}'}
    assert resolve(headers, ME, None, snapshot, asked).root.model == model


def test_a_config_that_names_its_target_keeps_it_whatever_the_model(snapshot):
    found = resolve({"x-portkey-config": '{"provider": "mock"}'}, ME, None, snapshot, "@prod/gpt-4o").root
    assert found.provider.id == "mock"


def test_a_passthrough_target_takes_what_the_request_names(plan):
    config = {"strategy": "fallback", "retry": {"count": 1}, "targets": [{"passthrough": True}, {"provider": "mock"}]}
    first = leaf(plan(config=config, x_portkey_provider="openai", key="sk-mine", x_portkey_openai_project="p"), 0)
    assert (first.provider.id, first.api_key, first.options, first.retry.attempts) == (
        "openai",
        "sk-mine",
        {"openai_project": "p"},
        1,
    )
    assert leaf(plan(config=config, x_portkey_virtual_key="prod"), 0).virtual_key_id == "id-prod"
    assert leaf(plan(config={"passthrough": True}, x_portkey_provider="@prod")).virtual_key_id == "id-prod"


# --- Refusals --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "kind", "code", "param"),
    [
        ({}, InvalidRequest, "no_target", "x-portkey-provider"),
        ({"x_portkey_provider": "opnai"}, InvalidRequest, "unknown_provider", "provider"),
        ({"x_portkey_provider": "@nope"}, InvalidRequest, "unknown_virtual_key", "config.virtual_key"),
        ({"config": {"virtual_key": "prod", "provider": "mock"}}, InvalidConfig, "invalid_config", "config.provider"),
        ({"config": {"passthrough": True}}, InvalidRequest, "no_target", "x-portkey-provider"),
        (
            {"config": {"strategy": {"mode": "conditional", "conditions": [{}]}, "targets": [{}]}},
            InvalidConfig,
            "invalid_config",
            "strategy.conditions[0].then",
        ),
        ({"x_portkey_virtual_key": "nope"}, InvalidRequest, "unknown_virtual_key", "config.virtual_key"),
        ({"x_portkey_virtual_key": "foreign"}, InvalidRequest, "unknown_virtual_key", "config.virtual_key"),
        (
            {"config": {"targets": [{"provider": "mock"}, {"virtual_key": "x"}]}},
            InvalidRequest,
            "unknown_virtual_key",
            "config.targets[1].virtual_key",
        ),
        ({"config": "pc-none"}, InvalidConfig, "unknown_config", "x-portkey-config"),
        ({"config": "[]"}, InvalidConfig, "invalid_config", "config"),
        ({"config": "not an id"}, InvalidConfig, "invalid_config", "x-portkey-config"),
        ({"config": '{"provider": '}, InvalidConfig, "invalid_config", "x-portkey-config"),
        ({"config": '{"a":' * 2000}, InvalidConfig, "invalid_config", "x-portkey-config"),
        ({"config": {"wieght": 1}}, InvalidConfig, "invalid_config", "wieght"),
        ({"config": {"targets": [{"retry": {"attempts": 1}}]}}, InvalidConfig, "invalid_config", "config.targets[0].provider"),
        ({"caller": dataclasses.replace(ME, default_config="pc-gone")}, InvalidConfig, "unknown_config", "x-portkey-config"),
        ({"caller": NOBODY, "x_portkey_virtual_key": "prod"}, Unauthenticated, "invalid_api_key", None),
        ({"caller": NOBODY, "config": {"targets": [{"virtual_key": "prod"}]}}, Unauthenticated, "invalid_api_key", None),
        ({"caller": NOBODY, "config": "pc-saved"}, Unauthenticated, "invalid_api_key", None),
        (
            {"x_portkey_provider": "mock", "x_portkey_request_timeout": "soon"},
            InvalidConfig,
            "invalid_config",
            "x-portkey-request-timeout",
        ),
        (
            {"x_portkey_provider": "mock", "x_portkey_custom_host": "host"},
            InvalidConfig,
            "invalid_config",
            "x-portkey-custom-host",
        ),
        (
            {"x_portkey_provider": "mock", "x_portkey_forward_headers": "host"},
            InvalidConfig,
            "invalid_config",
            "x-portkey-forward-headers[0]",
        ),
        (
            {"x_portkey_virtual_key": "prod", "x_portkey_custom_host": "https://evil.example"},
            InvalidRequest,
            "invalid_request",
            "x-portkey-custom-host",
        ),
        (
            {"config": {"custom_host": "https://evil.example", "targets": [{"virtual_key": "prod"}]}},
            InvalidRequest,
            "invalid_request",
            "config.targets[0].custom_host",
        ),
        (
            {"config": {"custom_host": "https://evil.example"}, "x_portkey_virtual_key": "prod"},
            InvalidRequest,
            "invalid_request",
            "config.custom_host",
        ),
        (
            {"config": "pc-saved", "x_portkey_custom_host": "https://evil.example"},
            InvalidRequest,
            "invalid_request",
            "x-portkey-custom-host",
        ),
        (
            {"x_portkey_virtual_key": "prod", "x_portkey_forward_headers": "x-a,Authorization"},
            InvalidRequest,
            "invalid_request",
            "config.forward_headers",
        ),
        (
            {"config": {"virtual_key": "prod", "forward_headers": ["x-api-key"]}},
            InvalidRequest,
            "invalid_request",
            "config.forward_headers",
        ),
    ],
)
def test_a_call_that_cannot_be_planned_is_refused_with_its_reason(refused, call, kind, code, param):
    error = refused(**call)
    assert type(error) is kind
    assert (error.code, error.param) == (code, param)


@pytest.mark.parametrize(
    "call",
    [
        {"config": '{"provider": "openai", "api_key": "sk-SECRET", }'},
        {"config": '[{"provider": "openai", "api_key": "sk-SECRET"}]'},
        {"config": '"{\\"api_key\\": \\"sk-SECRET\\"}"'},
        {"config": {"provider": "openai", "api_key": "sk-SECRET", "zzz": 1}},
        {"config": {"virtual_key": "prod", "api_key": "sk-SECRET"}},
        {"config": {"provider": "openai", "api_key": ["sk-SECRET"]}},
        {"config": {"provider": "openai", "custom_host": "https://me:sk-SECRET@host/v1"}},
        {"config": {"provider": "openai", "custom_host": "https://host/v1?key=sk-SECRET"}},
        {"x_portkey_provider": "mock", "x_portkey_custom_host": "https://host/v1?key=sk-SECRET"},
        {"x_portkey_provider": "opnai", "key": "sk-SECRET"},
        {"x_portkey_virtual_key": "nope", "key": "sk-SECRET"},
        {"x_portkey_virtual_key": "prod", "x_portkey_custom_host": "https://evil.example", "key": "sk-SECRET"},
    ],
)
def test_no_refusal_holds_a_credential(refused, call):
    error = refused(**call)
    assert "SECRET" not in f"{error.body()} {error!r} {error.__cause__!r}"
    assert "sk-stored" not in f"{error.body()} {error!r}"


# --- Memory ----------------------------------------------------------------------------------------------------------------


def test_calls_that_agree_share_one_plan(plan):
    call = {"config": {"virtual_key": "prod"}, "x_portkey_request_timeout": "5s", "key": "sk-1"}
    assert plan(**call) is plan(**call, user_agent="another", x_portkey_trace_id="another")


@pytest.mark.parametrize(
    "other",
    [
        {"caller": Caller("w2", "key-2")},
        {"caller": NOBODY},
        {"caller": dataclasses.replace(ME, default_config="pc-options")},
        {"key": "sk-2"},
        {"key": None},
        {"x_portkey_provider": "openai"},
        {"x_portkey_custom_host": "https://a.example"},
        {"x_portkey_forward_headers": "x-a"},
        {"x_portkey_request_timeout": "5"},
        {"x_portkey_strict_open_ai_compliance": "false"},
        {"x_portkey_openai_project": "p"},
        {"anthropic_version": "v"},
        {"config": {"retry": {"attempts": 1}}},
    ],
)
def test_calls_that_differ_share_nothing(plan, other):
    call = {"x_portkey_provider": "anthropic", "key": "sk-1"}
    assert plan(**{**call, **other}) is not plan(**call)


def test_a_refusal_is_not_remembered_as_a_plan(plan, refused):
    for _ in range(2):
        assert refused(caller=NOBODY, x_portkey_virtual_key="prod").status == 401
    assert plan(x_portkey_virtual_key="prod")
    assert refused(caller=NOBODY, x_portkey_virtual_key="prod").status == 401
