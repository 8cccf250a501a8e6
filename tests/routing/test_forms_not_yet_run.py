"""Cache and guardrails of a config: every form can be read, though a config that has one is refused until they run."""

from __future__ import annotations

import pytest

from routing.configs.caching import CACHE
from routing.configs.guarding import GUARDRAILS
from routing.configs.normalise import normalise
from routing.errors import InvalidConfig

TEMPLATES = [{"pattern": "总结.*", "ttl": 86400}, {"pattern": "翻译.*", "ttl": 2592000}]


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ({"mode": "simple"}, {"mode": "simple"}),
        ({"mode": "semantic", "maxAge": 3600}, {"mode": "semantic", "max_age": 3600}),
        (
            {"mode": "semantic", "ttl": 60, "similarity_threshold": 0.9},
            {"mode": "semantic", "max_age": 60, "similarity_threshold": 0.9},
        ),
        (
            {"semantic": {"embedding_model": "text-embedding-ada-002", "similarity_threshold": 0.85, "cluster_size": 1000}},
            {"mode": "semantic", "embedding_model": "text-embedding-ada-002", "similarity_threshold": 0.85, "candidates": 1000},
        ),
        ({"template_based": {"templates": TEMPLATES}}, {"mode": "simple", "templates": TEMPLATES}),
    ],
)
def test_every_form_of_the_cache_can_be_read(written, canonical):
    assert CACHE.parse(written, "cache") == canonical
    assert CACHE.parse(canonical, "cache") == canonical


@pytest.mark.parametrize(
    ("written", "param"),
    [
        ({}, "cache.mode"),
        ({"mode": "exact"}, "cache.mode"),
        ({"mode": "simple", "max_age": 0}, "cache.max_age"),
        ({"mode": "simple", "max_age": 1, "ttl": 1}, "cache.ttl"),
        ({"mode": "simple", "similarity_threshold": 0.5}, "cache.similarity_threshold"),
        ({"mode": "semantic", "similarity_threshold": 1.5}, "cache.similarity_threshold"),
        ({"mode": "simple", "semantic": {}}, "cache.mode"),
        ({"template_based": {"templates": [{"pattern": "(", "ttl": 5}]}}, "cache.template_based.templates[0].pattern"),
        ({"template_based": {"templates": [{"pattern": "a"}]}}, "cache.template_based.templates[0].ttl"),
        ({"mode": "simple", "max_aeg": 5}, "cache.max_aeg"),
    ],
)
def test_a_wrong_cache_is_refused_with_its_path(written, param):
    with pytest.raises(InvalidConfig) as caught:
        CACHE.parse(written, "cache")
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("key", "written", "canonical"),
    [
        (
            "input_guardrails",
            [
                {"type": "pii_detection", "action": "redact", "entities": ["email", "phone", "credit_card"]},
                {"type": "toxicity", "threshold": 0.8, "action": "block"},
            ],
            [
                {
                    "type": "guardrail",
                    "id": "input_guardrail_1",
                    "deny": False,
                    "checks": [
                        {"id": "default.pii", "parameters": {"entities": ["email", "phone", "credit_card"], "action": "redact"}}
                    ],
                },
                {
                    "type": "guardrail",
                    "id": "input_guardrail_2",
                    "deny": True,
                    "checks": [{"id": "default.toxicity", "parameters": {"threshold": 0.8, "action": "block"}}],
                },
            ],
        ),
        (
            "output_guardrails",
            [{"type": "contains", "values": ["机密信息", "内部数据"], "action": "filter"}],
            [
                {
                    "type": "guardrail",
                    "id": "output_guardrail_1",
                    "deny": False,
                    "checks": [
                        {
                            "id": "default.contains",
                            "parameters": {"words": ["机密信息", "内部数据"], "operator": "none", "action": "filter"},
                        }
                    ],
                }
            ],
        ),
        (
            "output_guardrails",
            [{"wordCount": {"minWords": 1, "maxWords": 9}, "acme.scan": {"is_enabled": False}, "deny": True, "async": False}],
            [
                {
                    "type": "guardrail",
                    "deny": True,
                    "async": False,
                    "id": "output_guardrail_1",
                    "checks": [
                        {"id": "default.wordCount", "parameters": {"minWords": 1, "maxWords": 9}},
                        {"id": "acme.scan", "is_enabled": False, "parameters": {}},
                    ],
                }
            ],
        ),
        ("input_guardrails", ["pg-stored-1"], [{"type": "guardrail", "id": "pg-stored-1"}]),
        (
            "input_mutators",
            [{"addPrefix": {"prefix": "Be kind."}}],
            [
                {
                    "type": "mutator",
                    "id": "input_mutator_1",
                    "checks": [{"id": "default.addPrefix", "parameters": {"prefix": "Be kind."}}],
                }
            ],
        ),
        (
            "before_request_hooks",
            [
                {
                    "id": "h",
                    "checks": [{"id": "default.regexMatch", "parameters": {"rule": "a"}}],
                    "on_fail": {"feedback": {"value": -5}},
                }
            ],
            [
                {
                    "id": "h",
                    "checks": [{"id": "default.regexMatch", "parameters": {"rule": "a"}}],
                    "on_fail": {"feedback": {"value": -5}},
                    "type": "guardrail",
                }
            ],
        ),
        (
            "guardrails",
            {"pii_redaction": True, "toxicity_filter": {"threshold": 0.7}, "compliance_checks": ["gdpr", "hipaa"]},
            {
                "hooks": [
                    {"type": "guardrail", "deny": False, "checks": [{"id": "default.pii", "parameters": {"action": "redact"}}]},
                    {
                        "type": "guardrail",
                        "deny": True,
                        "checks": [{"id": "default.toxicity", "parameters": {"threshold": 0.7, "action": "block"}}],
                    },
                ],
                "bundles": ["gdpr", "hipaa"],
            },
        ),
    ],
)
def test_every_form_of_guardrails_can_be_read(key, written, canonical):
    assert GUARDRAILS[key].parse(written, key) == canonical


@pytest.mark.parametrize(
    ("key", "written", "param"),
    [
        ("input_guardrails", {}, "input_guardrails"),
        ("input_guardrails", [{}], "input_guardrails[0]"),
        ("input_guardrails", [{"type": "toxicty"}], "input_guardrails[0].type"),
        ("input_guardrails", [{"type": "toxicity", "threshold": 2}], "input_guardrails[0].threshold"),
        ("input_guardrails", [{"type": "toxicity", "action": "warn"}], "input_guardrails[0].action"),
        ("output_guardrails", [{"type": "contains"}], "output_guardrails[0].words"),
        ("output_guardrails", [{"wordCount": 5}], "output_guardrails[0].wordCount"),
        ("before_request_hooks", [{"id": "h"}], "before_request_hooks[0].checks"),
        ("before_request_hooks", [{"checks": [{"parameters": {}}]}], "before_request_hooks[0].checks[0].id"),
        ("guardrails", {"pii": True}, "guardrails.pii"),
        ("guardrails", {"compliance_checks": ["sox"]}, "guardrails.compliance_checks[0]"),
    ],
)
def test_wrong_guardrails_are_refused_with_their_path(key, written, param):
    with pytest.raises(InvalidConfig) as caught:
        GUARDRAILS[key].parse(written, key)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("key", "value"), [("cache", {"mode": "simple"}), ("guardrails", {"pii_redaction": True}), ("input_guardrails", ["pg-1"])]
)
def test_what_does_not_run_yet_is_not_accepted(key, value):
    with pytest.raises(InvalidConfig) as caught:
        normalise({"provider": "openai", key: value})
    assert (caught.value.code, caught.value.param) == ("unsupported", key)
