"""Every form of a config that is in use, as it is written, through Portkey's SDK and a running gateway."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from portkey_ai._vendor import openai as bundled

from tests import vendors
from tests.e2e.product import HELLO, STORED_KEY, Product, new_trace
from tests.fakes import Lane, answer, sends, status

Client = Callable[..., Any]
GEMINI = {
    "candidates": [
        {"content": {"role": "model", "parts": [{"text": "Hello from Gemini."}]}, "finishReason": "STOP", "index": 0}
    ],
    "usageMetadata": {"promptTokenCount": 5, "candidatesTokenCount": 4, "totalTokenCount": 9},
    "modelVersion": "gemini-pro",
}
CLAUDE = "claude-3-5-sonnet"


def openai(lane: Lane, **more: Any) -> dict[str, Any]:
    return {"provider": "openai", "api_key": "sk-***", "custom_host": lane.url, **more}


def anthropic(lane: Lane, **more: Any) -> dict[str, Any]:
    return {"provider": "anthropic", "api_key": "sk-ant-***", "custom_host": lane.url, "model": CLAUDE, **more}


def ask(client: Any, text: str = "Say hello.", **more: Any) -> Any:
    messages = [{"role": "user", "content": text}]
    return client.chat.completions.create(**{"model": "gpt-4o-mini", "messages": messages, **more})


def used(answered: Any) -> str:
    return str(answered.get_headers()["last-used-option-index"])


def failing(client: Any, **more: Any) -> bundled.APIStatusError:
    with pytest.raises(bundled.APIStatusError) as caught:
        ask(client, **more)
    return caught.value


def test_five_retries_and_then_another_provider(portkey_client: Client, lane: Lane, other_lane: Lane) -> None:
    lane.will(status(503))
    other_lane.will(sends(json.dumps(GEMINI).encode()))
    google = {
        "provider": "google",
        "api_key": "gt5***",
        "custom_host": other_lane.url,
        "override_params": {"model": "gemini-pro"},
    }
    config = {
        "retry": {"count": 5, "initial_delay": 1},
        "strategy": {"mode": "fallback"},
        "targets": [openai(lane), google],
    }

    answered = ask(portkey_client(config=config))

    assert answered.choices[0].message.content == "Hello from Gemini."
    assert len(lane.received) == 6
    assert "gemini-pro" in other_lane.last.path


def test_weights_written_as_texts(portkey_client: Client, lane: Lane, other_lane: Lane) -> None:
    targets = [openai(lane, weight="0.5"), openai(other_lane, weight="0.5")]
    client = portkey_client(config={"strategy": {"mode": "loadbalance"}, "targets": targets})

    for _ in range(40):
        ask(client)

    # All forty on one side: once in a trillion runs.
    assert len(lane.received) + len(other_lane.received) == 40
    assert lane.received
    assert other_lane.received


def test_a_retry_for_some_statuses_with_exponential_waits(portkey_client: Client, lane: Lane) -> None:
    lane.will(status(429), status(502), answer())
    retry = {"attempts": 3, "on_status_codes": [429, 500, 502, 503], "backoff": "exponential", "initial_delay": 1}

    answered = ask(portkey_client(config=openai(lane, retry=retry)))

    assert answered.get_headers()["retry-attempt-count"] == "2"


@pytest.mark.parametrize(
    ("first", "asked", "falls_back"),
    [
        (status(429), {}, True),
        (status(408), {}, True),
        (status(504), {}, True),
        (status(500), {}, False),
        (status(401), {}, False),
        (status(429), {"max_tokens": 4096}, True),
        (status(429), {"max_tokens": 4097}, False),
    ],
    ids=["429", "408", "504", "500", "401", "few tokens", "many tokens"],
)
def test_a_target_for_some_failures_and_short_answers(
    portkey_client: Client, lane: Lane, other_lane: Lane, first: Any, asked: dict[str, Any], falls_back: bool
) -> None:
    lane.will(first)
    config = {
        "strategy": "fallback",
        "targets": [
            openai(lane, model="gpt-4o", weight=70),
            anthropic(other_lane, conditions={"max_tokens": 4096, "fallback_on": ["rate_limit", "timeout"]}),
        ],
        "retry": {"attempts": 0, "backoff_factor": 2, "max_delay": 10000},
    }
    client = portkey_client(config=config)

    if falls_back:
        assert used(ask(client, **asked)) == "config.targets[1]"
        assert other_lane.last.json["model"] == CLAUDE
    else:
        failing(client, **asked)
        assert other_lane.received == []
    assert lane.last.json["model"] == "gpt-4o"


def test_a_fallback_by_priority(portkey_client: Client, lane: Lane, other_lane: Lane) -> None:
    lane.will(status(500))
    second, first = openai(other_lane, model="gpt-4", priority=2), openai(lane, model="gpt-4o", priority=1)
    config = {"fallback": {"strategy": "priority", "targets": [second, first]}}

    assert used(ask(portkey_client(config=config))) == "config.targets[1]"
    assert (lane.last.json["model"], other_lane.last.json["model"]) == ("gpt-4o", "gpt-4")


@pytest.mark.parametrize(
    ("text", "to"),
    [("写一段代码", "rule-1"), ("x" * 1001, "rule-2"), ("你好", "default")],
    ids=["what it contains", "how long it is", "neither"],
)
def test_rules_by_content_and_length(portkey_client: Client, lane: Lane, text: str, to: str) -> None:
    deepseek = {**openai(lane), "provider": "deepseek", "model": "deepseek-coder"}
    config = {
        "conditional_routing": {
            "rules": [
                {"condition": "input.contains('代码')", "target": deepseek},
                {"condition": "input.length > 1000", "target": openai(lane, model="gpt-4o")},
            ],
            "default": openai(lane, model="gpt-4o-mini"),
        }
    }

    answered = ask(portkey_client(config=config), text)

    index, model = {"rule-1": (0, "deepseek-coder"), "rule-2": (1, "gpt-4o"), "default": (2, "gpt-4o-mini")}[to]
    assert used(answered) == f"config.targets[{index}]"
    assert lane.last.json["model"] == model


def test_rules_without_a_default_refuse_what_none_meets(portkey_client: Client, lane: Lane) -> None:
    config = {"conditional_routing": {"rules": [{"condition": "input.contains('x')", "target": openai(lane)}]}}

    error = failing(portkey_client(config=config))

    assert error.status_code == 400
    assert "Query router did not resolve to any valid target" in error.message
    assert lane.received == []


@pytest.mark.parametrize(("metadata", "index"), [({"kind": "code"}, 0), ({"kind": "creative"}, 1), ({}, 2), ({"user": "u"}, 2)])
def test_rules_by_metadata(portkey_client: Client, lane: Lane, metadata: dict[str, str], index: int) -> None:
    config = {
        "strategy": {
            "mode": "conditional",
            "conditions": [
                {"query": {"metadata.kind": {"$eq": "code"}}, "then": "coder"},
                {"query": {"$or": [{"metadata.kind": "creative"}, {"params.temperature": {"$gt": 1}}]}, "then": "writer"},
            ],
            "default": "other",
        },
        "targets": [openai(lane, name="coder"), openai(lane, name="writer"), openai(lane, name="other")],
    }
    client = portkey_client(config=config, **({"metadata": metadata} if metadata else {}))

    assert used(ask(client)) == f"config.targets[{index}]"


def test_a_fallback_into_a_load_balance_with_settings_of_its_own(portkey_client: Client, lane: Lane, other_lane: Lane) -> None:
    lane.will(status(500))
    other_lane.will(status(503), answer())
    config = {
        "strategy": {"mode": "fallback"},
        "override_params": {"temperature": 0.1},
        "targets": [
            openai(lane, retry={"attempts": 2, "initial_delay": 1}),
            {
                "strategy": {"mode": "loadbalance"},
                "retry": {"attempts": 1, "initial_delay": 1},
                "override_params": {"temperature": 0.9},
                "targets": [openai(lane, weight=0), openai(other_lane, override_params={"top_p": 0.5})],
            },
        ],
    }

    assert used(ask(portkey_client(config=config))) == "config.targets[1].targets[1]"
    assert (len(lane.received), len(other_lane.received)) == (3, 2)
    assert lane.last.json["temperature"] == 0.1
    assert (other_lane.last.json["temperature"], other_lane.last.json["top_p"]) == (0.9, 0.5)


def test_a_virtual_key_with_a_retry_and_no_strategy(portkey_client: Client, lane: Lane, virtual_key: str) -> None:
    lane.will(status(500), answer())

    ask(portkey_client(config={"virtual_key": virtual_key, "retry": {"attempts": 1, "initial_delay": 1}}))

    assert len(lane.received) == 2


def test_a_pool_bounds_the_calls_under_way(portkey_client: Client, lane: Lane) -> None:
    lane.will(answer(delay=1.0))
    pool = {
        "max_size": 100,
        "idle_timeout": 30000,
        "acquire_timeout": 5000,
        "provider_specific": {"openai": {"max_connections": 2, "timeout": 50}},
    }
    client = portkey_client(config=openai(lane, connection_pool=pool))

    def one(_: int) -> tuple[int, str | None]:
        try:
            ask(client)
        except bundled.APIStatusError as error:
            return error.status_code, error.response.headers.get("retry-after")
        return 200, None

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(one, range(6)))

    assert sorted(code for code, _ in answers) == [200, 200, 429, 429, 429, 429]
    assert all(after is not None and int(after) >= 1 for code, after in answers if code == 429)
    assert len(lane.received) == 2


def test_budgets_of_a_config_and_targets_ordered_by_cost(portkey_client: Client, lane: Lane, other_lane: Lane) -> None:
    targets = [openai(lane, model="gpt-4o"), openai(other_lane, model="gpt-4o-mini")]
    costs = {
        "auto_switch": True,
        "preferences": ["cost", "latency", "accuracy"],
        "budget_limits": {"daily": 100, "monthly": 2000},
    }

    assert used(ask(portkey_client(config={"targets": targets, "cost_optimization": costs}))) == "config.targets[1]"

    costs["budget_limits"] = {"daily": 0.000001}
    error = failing(portkey_client(config={"targets": targets, "cost_optimization": costs}))
    assert (error.status_code, error.code) == (412, "budget_exceeded")
    assert "config" in error.message
    assert (len(lane.received), len(other_lane.received)) == (0, 1)


@pytest.mark.parametrize("timeout", [500, "500ms", "0.5s", 0.5])
def test_a_request_timeout_in_every_unit(portkey_client: Client, lane: Lane, timeout: Any) -> None:
    lane.will(answer(delay=20))

    error = failing(portkey_client(config=openai(lane, request_timeout=timeout)))

    assert error.status_code == 408
    assert "500ms" in error.message


@pytest.mark.parametrize("form", ["object", "text", "id"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_config_is_given_to_a_single_call(
    product: Product, portkey_client: Client, lane: Lane, virtual_key: str, form: str, stream: bool
) -> None:
    config = {"virtual_key": virtual_key, "override_params": {"temperature": 0.5}}
    given = {"object": config, "text": json.dumps(config), "id": product.config(config) if form == "id" else ""}[form]
    client = portkey_client(config={"virtual_key": "another"})

    answered = ask(client, config=given, stream=stream)

    text = (
        "".join(piece.choices[0].delta.content or "" for piece in answered) if stream else answered.choices[0].message.content
    )
    assert text == vendors.TEXT
    assert (lane.last.json["temperature"], "config" in lane.last.json) == (0.5, False)


def test_a_credential_in_the_config_of_a_single_call_is_not_in_the_log(
    product: Product, portkey_client: Client, lane: Lane
) -> None:
    secret, trace_id = f"sk-{new_trace()}", new_trace()

    ask(portkey_client(trace_id=trace_id), config={**openai(lane), "api_key": secret})

    assert lane.last.headers["authorization"] == f"Bearer {secret}"
    assert secret not in json.dumps(product.admin("GET", f"/v1/logs/{product.record(trace_id)['id']}"))


def test_a_rule_in_chinese_is_read_from_a_header_as_it_is(product: Product, lane: Lane) -> None:
    rules = [{"condition": "input.contains('代码') and metadata.kind == '编程'", "target": openai(lane, model="coder")}]
    config = {"conditional_routing": {"rules": rules, "default": openai(lane, model="other")}}
    headers = {
        b"x-portkey-api-key": product.api_key.encode(),
        b"x-portkey-config": json.dumps(config, ensure_ascii=False).encode(),
        b"x-portkey-metadata": '{"kind": "编程"}'.encode(),
    }
    body = {"model": "m", "messages": [{"role": "user", "content": "写一段代码"}]}

    answered = httpx.post(f"{product.url}/v1/chat/completions", json=body, headers=headers)

    assert answered.status_code == 200, answered.text
    assert lane.last.json["model"] == "coder"


def test_a_key_that_stands_twice_is_refused(product: Product) -> None:
    answered = product.call(config='{"virtual_key": "a", "retry": {"attempts": 1, "attempts": 2}}')

    assert (answered.status_code, answered.json()["error"]["code"]) == (400, "invalid_config")
    assert "'attempts' stands twice" in answered.text


# --- More of Portkey's schema ---------------------------------------------------------------------------------------


def test_a_virtual_key_by_its_slug(product: Product, portkey_client: Client, lane: Lane, virtual_key: str) -> None:
    saved = product.config({"targets": [{"override_params": {"model": f"@{virtual_key}/gpt-4o"}}]})

    ask(portkey_client(config=saved))
    ask(portkey_client(config={"provider": f"@{virtual_key}", "model": "gpt-4.1"}))
    ask(portkey_client(provider=f"@{virtual_key}"), model="gpt-5")
    ask(portkey_client(), model=f"@{virtual_key}/01-ai/yi")

    assert [one.json["model"] for one in lane.received] == ["gpt-4o", "gpt-4.1", "gpt-5", "01-ai/yi"]
    assert {one.headers["authorization"] for one in lane.received} == {f"Bearer {STORED_KEY}"}


def test_parameters_are_filled_in_replaced_and_taken_away(portkey_client: Client, lane: Lane) -> None:
    config = openai(
        lane,
        default_params={"temperature": 0.2, "top_p": 0.9},
        override_params={"model": "gpt-4o", "seed": 1},
        drop_params=["user", "messages[*].name", "seed"],
    )
    messages = [{"role": "user", "content": "Hi", "name": "n"}, {"role": "user", "content": "Ho"}]

    portkey_client(config=config).chat.completions.create(model="gpt-4o-mini", messages=messages, temperature=1, user="u")

    assert lane.last.json == {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "Hi"}, {"role": "user", "content": "Ho"}],
        "temperature": 1,
        "top_p": 0.9,
    }


def test_a_passthrough_target_uses_what_the_request_names(
    portkey_client: Client, lane: Lane, other_lane: Lane, virtual_key: str
) -> None:
    lane.will(status(500))
    config = {"strategy": "fallback", "targets": [{"passthrough": True}, openai(other_lane)]}

    assert used(ask(portkey_client(virtual_key=virtual_key, config=config))) == "config.targets[1]"
    assert lane.last.headers["authorization"] == f"Bearer {STORED_KEY}"


def test_sticky_callers_stay_where_they_are(portkey_client: Client, lane: Lane, other_lane: Lane) -> None:
    sticky = {"hash_fields": ["metadata.user_id"], "ttl": 3600}
    config = {"strategy": {"mode": "loadbalance", "sticky_session": sticky}, "targets": [openai(lane), openai(other_lane)]}

    seen = {
        user: {used(ask(portkey_client(config=config, metadata={"user_id": user}))) for _ in range(4)}
        for user in "abcdefghijkl"
    }

    assert all(len(targets) == 1 for targets in seen.values())
    assert len(set.union(*seen.values())) == 2


@pytest.mark.parametrize(
    ("config", "param", "words"),
    [
        ({"targets": [{"provider": "openai", "wieght": 1}]}, "targets[0].wieght", 'did you mean "weight"?'),
        (
            {"conditional_routing": {"rules": [{"condition": "input.len > 1", "target": {}}]}},
            "conditional_routing.rules[0].condition",
            "column 7",
        ),
        ({"virtual_key": "mock", "alerts": []}, "alerts", "belongs to the whole workspace"),
        ({"virtual_key": "mock", "guardrails": {"pii_redaction": True}}, "guardrails", "does not support guardrails"),
    ],
)
def test_a_config_that_cannot_be_is_refused_in_words(portkey_client: Client, config: Any, param: str, words: str) -> None:
    error = failing(portkey_client(config=config))

    assert (error.status_code, error.param) == (400, param)
    assert words in error.message


@pytest.mark.parametrize("path", ["/v1/schemas/config", "/schemas/config"])
def test_the_schema_is_public_and_knows_the_forms(product: Product, path: str) -> None:
    answered = httpx.get(f"{product.url}{path}")

    assert answered.status_code == 200
    assert answered.headers["content-type"] == "application/schema+json"
    validator = Draft202012Validator(answered.json())
    assert validator.is_valid({"fallback": {"strategy": "priority", "targets": [{"provider": "openai", "priority": 1}]}})
    assert not validator.is_valid({"targets": [{"provider": "openai", "wieght": 1}]})
    assert httpx.post(f"{product.url}{path}").status_code == 405


def test_the_answer_is_the_providers(portkey_client: Client, lane: Lane) -> None:
    assert portkey_client(config=openai(lane)).chat.completions.create(**HELLO).choices[0].message.content == vendors.TEXT
