"""A Messages call as a chat.

Translated:
    system, messages        messages (`turns`)
    max_tokens              max_completion_tokens
    stop_sequences          stop
    tools, tool_choice      tools, tool_choice, parallel_tool_calls
    metadata.user_id        user; one that is too long for OpenAI as its SHA-256
    thinking                reasoning_effort, by its budget; adaptive leaves it to the model or to `output_config.effort`
    output_config           reasoning_effort, response_format
    service_tier            auto as it is, standard_only as default

Left out, because the answer is as good without them: cache_control, context_management, diagnostics, and the vendor's version
and beta flags. Refused: what runs on the vendor's side, and what cannot be said in a chat. Everything else goes on as it is,
so that parameters of the target's own (``top_k``, ``seed``) work.
"""

from __future__ import annotations

import hashlib
from typing import Any

from routing.call import Json, Target
from routing.errors import InvalidRequest
from routing.providers.adapters.chat import a_list, a_name, an_object, refuse, takes_blocks, user_name
from routing.providers.adapters.messages.turns import conversation

_TRANSLATED = frozenset(
    (
        *("system", "messages", "max_tokens", "stop_sequences", "tools", "tool_choice", "metadata", "thinking"),
        *("output_config", "output_format", "service_tier"),
    )
)
_LEFT_OUT = frozenset({"cache_control", "context_management", "diagnostics", "anthropic_beta", "anthropic_version", "betas"})
_REFUSED = {
    "container": "containers",
    "mcp_servers": "servers of tools",
    "inference_geo": "choice of a region",
    "user_profile_id": "user profiles",
    "workspace_id": "workspaces",
    "fallbacks": "fallbacks of their own",
}
_TIERS = {"auto": "auto", "standard_only": "default"}
_EFFORTS = {"low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "xhigh"}
# Up to which budget of thinking tokens an effort is low, or medium.
_LOW_TOKENS, _MEDIUM_TOKENS = 4096, 16_384
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}
# Of a tool: said in a chat's tool, or a mere wish.
_TOOL_FIELDS = frozenset(
    (
        *("type", "name", "description", "input_schema", "strict", "input_examples", "allowed_callers"),
        *("cache_control", "eager_input_streaming", "defer_loading"),
    )
)


def chat(body: Json, target: Target) -> Json:
    """The chat completion's parameters. Raises `Unsupported` or `InvalidRequest` with the path of the field."""
    for field, what in _REFUSED.items():
        if body.get(field):
            raise refuse(target, what, field)
    if body.get("speed") not in (None, "standard"):
        raise refuse(target, "choice of a speed", "speed")
    out = {key: value for key, value in body.items() if key not in _TRANSLATED | _LEFT_OUT | _REFUSED.keys() | {"speed"}}
    out["messages"] = conversation(body.get("system"), body.get("messages"), target)
    if (limit := body.get("max_tokens")) is not None:
        out["max_completion_tokens"] = limit
    if body.get("stop_sequences"):
        out["stop"] = body["stop_sequences"]
    if tools := _tools(body.get("tools"), target):
        out["tools"] = tools
        out |= _choice(body.get("tool_choice"), target)
    if metadata := an_object(body.get("metadata") or {}, "metadata"):
        out |= _metadata(metadata, target)
    if (tier := body.get("service_tier")) is not None:
        if tier not in _TIERS:
            raise refuse(target, f"service tier {tier!r}", "service_tier")
        out["service_tier"] = _TIERS[tier]
    return out | _thinking(body, target) | _output(body, target)


def _metadata(metadata: Json, target: Target) -> Json:
    for field in metadata.keys() - {"user_id"}:
        raise refuse(target, f"metadata of the name {field}", f"metadata.{field}")
    user = metadata.get("user_id")
    return {} if user is None else {"user": user_name(user, "metadata.user_id", hashlib.sha256)}


def _thinking(body: Json, target: Target) -> Json:
    given = body.get("thinking")
    if given is None:
        return {}
    thinking = an_object(given, "thinking")
    kind, budget = thinking.get("type"), thinking.get("budget_tokens")
    if kind not in ("enabled", "adaptive", "disabled"):
        raise InvalidRequest("thinking.type must be enabled, adaptive or disabled.", param="thinking.type")
    if takes_blocks(target):
        return {"thinking": thinking}
    if kind != "enabled":
        return {}
    if not isinstance(budget, int) or isinstance(budget, bool):
        raise InvalidRequest("thinking.budget_tokens must be a whole number.", param="thinking.budget_tokens")
    return {"reasoning_effort": "low" if budget <= _LOW_TOKENS else "medium" if budget <= _MEDIUM_TOKENS else "high"}


def _output(body: Json, target: Target) -> Json:
    config = an_object(body.get("output_config") or {}, "output_config")
    for field in config.keys() - {"effort", "format"}:
        raise refuse(target, f"output_config.{field}", f"output_config.{field}")
    out: Json = {}
    effort = config.get("effort")
    if effort is not None:
        if effort not in _EFFORTS:
            raise refuse(target, f"effort {effort!r}", "output_config.effort")
        out["reasoning_effort"] = _EFFORTS[effort]
    path = "output_config.format" if config.get("format") is not None else "output_format"
    form = config.get("format") or body.get("output_format")
    if form is not None:
        wanted = an_object(form, path)
        if wanted.get("type") != "json_schema":
            raise refuse(target, f"output of type {wanted.get('type')!r}", f"{path}.type")
        schema = an_object(wanted.get("schema"), f"{path}.schema")
        named = {"name": "answer", "schema": schema, "strict": True}
        out["response_format"] = {"type": "json_schema", "json_schema": named}
    return out


def _tools(given: Any, target: Target) -> list[Json]:
    if given is None:
        return []
    return [_tool(an_object(tool, f"tools[{n}]"), f"tools[{n}]", target) for n, tool in enumerate(a_list(given, "tools"))]


def _tool(tool: Json, path: str, target: Target) -> Json:
    kind = tool.get("type")
    if kind not in (None, "custom"):
        advice = "Only tools that the caller runs, with a name and an input_schema, work with every provider."
        raise refuse(target, f"tool of type {kind!r}", f"{path}.type", advice)
    for field in tool.keys() - _TOOL_FIELDS:
        raise refuse(target, f"{field} of a tool", f"{path}.{field}")
    if tool.get("allowed_callers") not in (None, ["direct"]):
        raise refuse(target, "callers of tools other than the model itself", f"{path}.allowed_callers")
    function: Json = {"name": a_name(tool.get("name"), f"{path}.name")}
    if tool.get("description"):
        function["description"] = tool["description"]
    function["parameters"] = an_object(tool.get("input_schema"), f"{path}.input_schema")
    if tool.get("strict") is not None:
        function["strict"] = tool["strict"]
    out: Json = {"type": "function", "function": function}
    if takes_blocks(target):
        carried = ("cache_control", "input_examples", "eager_input_streaming")
        return out | {key: tool[key] for key in carried if tool.get(key) is not None}
    if tool.get("input_examples"):
        raise refuse(target, "examples of a tool's input", f"{path}.input_examples", "Write them into its description.")
    return out


def _choice(given: Any, target: Target) -> Json:
    if given is None:
        return {}
    choice = an_object(given, "tool_choice")
    kind = choice.get("type")
    out: Json = {}
    if kind == "tool":
        name = a_name(choice.get("name"), "tool_choice.name")
        out["tool_choice"] = {"type": "function", "function": {"name": name}}
    elif kind in _CHOICES:
        out["tool_choice"] = _CHOICES[kind]
    else:
        raise refuse(target, f"tool choice of type {kind!r}", "tool_choice.type")
    if choice.get("disable_parallel_tool_use") is True:
        out["parallel_tool_calls"] = False
    return out
