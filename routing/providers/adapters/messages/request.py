"""A Messages call as a chat.

Translated:
    system, messages        messages (`turns`)
    max_tokens              max_completion_tokens
    stop_sequences          stop
    tools, tool_choice      tools, tool_choice, parallel_tool_calls
    metadata.user_id        user; one that is too long for OpenAI as its SHA-256
    thinking                reasoning_effort, by its budget; adaptive leaves it to the model or to `output_config.effort`.
                            As it is for dialects that read it
    output_config           reasoning_effort, response_format
    service_tier            auto as it is, standard_only as default

Left out, because the answer is as good without them: cache_control, context_management, diagnostics, and the vendor's version
and beta flags. Refused: what runs on the vendor's side, and what cannot be said in a chat. Everything else goes on as it is,
so that parameters of the reader's own (``top_k``, ``seed``) work.
"""

from __future__ import annotations

import hashlib
from typing import Any

from routing.call import Json
from routing.errors import InvalidRequest
from routing.providers.adapters.chat import Reader, a_list, a_name, an_object, named, user_name
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


def chat(body: Json, reader: Reader) -> Json:
    """The chat completion's parameters. Raises `Unsupported` or `InvalidRequest` with the path of the field."""
    for field, what in _REFUSED.items():
        if body.get(field):
            reader.refuse(what, field)
    if body.get("speed") not in (None, "standard"):
        reader.refuse("choice of a speed", "speed")
    out = {key: value for key, value in body.items() if key not in _TRANSLATED | _LEFT_OUT | _REFUSED.keys() | {"speed"}}
    out["messages"] = conversation(body.get("system"), body.get("messages"), reader)
    if (limit := body.get("max_tokens")) is not None:
        out["max_completion_tokens"] = limit
    if body.get("stop_sequences"):
        out["stop"] = body["stop_sequences"]
    if tools := _tools(body.get("tools"), reader):
        out["tools"] = tools
        out |= _choice(body.get("tool_choice"), reader)
    if metadata := an_object(body.get("metadata") or {}, "metadata"):
        out |= _metadata(metadata, reader)
    if (tier := body.get("service_tier")) is not None:
        if (known := named(_TIERS, tier)) is None:
            reader.refuse(f"service tier {tier!r}", "service_tier")
        else:
            out["service_tier"] = known
    return out | _thinking(body, reader) | _output(body, reader)


def _metadata(metadata: Json, reader: Reader) -> Json:
    for field in metadata.keys() - {"user_id"}:
        reader.refuse(f"metadata of the name {field}", f"metadata.{field}")
    user = metadata.get("user_id")
    return {} if user is None else {"user": user_name(user, "metadata.user_id", hashlib.sha256)}


def _thinking(body: Json, reader: Reader) -> Json:
    given = body.get("thinking")
    if given is None:
        return {}
    thinking = an_object(given, "thinking")
    kind, budget = thinking.get("type"), thinking.get("budget_tokens")
    if kind not in ("enabled", "adaptive", "disabled"):
        raise InvalidRequest("thinking.type must be enabled, adaptive or disabled.", param="thinking.type")
    if reader.thinking:
        return {"thinking": thinking}
    if kind != "enabled":
        return {}
    if not isinstance(budget, int) or isinstance(budget, bool):
        raise InvalidRequest("thinking.budget_tokens must be a whole number.", param="thinking.budget_tokens")
    return {"reasoning_effort": "low" if budget <= _LOW_TOKENS else "medium" if budget <= _MEDIUM_TOKENS else "high"}


def _output(body: Json, reader: Reader) -> Json:
    config = an_object(body.get("output_config") or {}, "output_config")
    for field in config.keys() - {"effort", "format"}:
        reader.refuse(f"output_config.{field}", f"output_config.{field}")
    out: Json = {}
    effort = config.get("effort")
    if effort is not None:
        if (known := named(_EFFORTS, effort)) is None:
            reader.refuse(f"effort {effort!r}", "output_config.effort")
        else:
            out["reasoning_effort"] = known
    path = "output_config.format" if config.get("format") is not None else "output_format"
    form = config.get("format") or body.get("output_format")
    if form is not None:
        wanted = an_object(form, path)
        if wanted.get("type") == "json_schema":
            schema = an_object(wanted.get("schema"), f"{path}.schema")
            out["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": schema, "strict": True},
            }
        else:
            reader.refuse(f"output of type {wanted.get('type')!r}", f"{path}.type")
    return out


def _tools(given: Any, reader: Reader) -> list[Json]:
    if given is None:
        return []
    tools = (_tool(an_object(tool, f"tools[{n}]"), f"tools[{n}]", reader) for n, tool in enumerate(a_list(given, "tools")))
    return [tool for tool in tools if tool is not None]


def _tool(tool: Json, path: str, reader: Reader) -> Json | None:
    """The tool; None for one that is left out."""
    kind = tool.get("type")
    if kind not in (None, "custom"):
        advice = "Only tools that the caller runs, with a name and an input_schema, work with every provider."
        reader.refuse(f"tool of type {kind!r}", f"{path}.type", advice)
        return None
    for field in tool.keys() - _TOOL_FIELDS:
        reader.refuse(f"{field} of a tool", f"{path}.{field}")
    if tool.get("allowed_callers") not in (None, ["direct"]):
        reader.refuse("callers of tools other than the model itself", f"{path}.allowed_callers")
    function: Json = {"name": a_name(tool.get("name"), f"{path}.name")}
    if tool.get("description"):
        function["description"] = tool["description"]
    function["parameters"] = an_object(tool.get("input_schema"), f"{path}.input_schema")
    if tool.get("strict") is not None:
        function["strict"] = tool["strict"]
    out: Json = {"type": "function", "function": function}
    if reader.blocks:
        carried = ("cache_control", "input_examples", "eager_input_streaming")
        return out | {key: tool[key] for key in carried if tool.get(key) is not None}
    if tool.get("input_examples"):
        reader.refuse("examples of a tool's input", f"{path}.input_examples", "Write them into its description.")
    return out


def _choice(given: Any, reader: Reader) -> Json:
    if given is None:
        return {}
    choice = an_object(given, "tool_choice")
    kind = choice.get("type")
    out: Json = {}
    if kind == "tool":
        name = a_name(choice.get("name"), "tool_choice.name")
        out["tool_choice"] = {"type": "function", "function": {"name": name}}
    elif (known := named(_CHOICES, kind)) is not None:
        out["tool_choice"] = known
    else:
        reader.refuse(f"tool choice of type {kind!r}", "tool_choice.type")
    if choice.get("disable_parallel_tool_use") is True:
        out["parallel_tool_calls"] = False
    return out
