"""The parameters of a chat completion as those of a Messages request.

Translated:
    messages                          messages and system (`messages`)
    max_completion_tokens, max_tokens max_tokens, which the vendor demands: `DEFAULT_MAX_TOKENS` where the caller gives none
    stop                              stop_sequences, a single text as a list
    user, safety_identifier           metadata.user_id
    tools, tool_choice                tools, tool_choice (`tools`)
    parallel_tool_calls: false        tool_choice.disable_parallel_tool_use
    response_format json_schema       output_config.format: the vendor's own structured output, schema passed whole
    response_format json_object       a sentence at the end of the system prompt: the vendor has no JSON mode without a schema
    reasoning_effort                  output_config.effort (minimal as low); none switches thinking off. A budget in tokens is
                                      not made up: newer models refuse one. Who wants it sends `thinking`
    service_tier                      auto as it is, default as standard_only; others are refused
    anthropic_beta, anthropic_version headers of these names, unless the target or a forwarded header gave them

Left out, because the answer is as good without them: seed (a best effort even at its inventor's), store, metadata but for
user_id, prompt_cache_key, prompt_cache_retention, prediction, and `name` of a message. stream_options shapes only our stream.

Refused, unless the value is the harmless default or the target lets it be left out: n, penalties, logit_bias, logprobs,
modalities, audio, functions, function_call, verbosity, web_search_options; and a temperature above 1, where the vendor's scale
ends.
"""

from __future__ import annotations

from typing import Any

from routing.call import Json
from routing.errors import InvalidRequest
from routing.providers.anthropic.messages import conversation
from routing.providers.anthropic.tools import translated_choice, translated_tools
from routing.providers.wishes import HARMLESS, Wishes

# The vendor demands a limit and OpenAI does not. Every model of the vendor can write this much.
DEFAULT_MAX_TOKENS = 4096
DEFAULT_VERSION = "2023-06-01"

JSON_INSTRUCTION = (
    "Answer with one valid JSON object and nothing else: no text before or after it, and no code fence around it."
)

_LEFT_OUT = frozenset({"seed", "store", "prompt_cache_key", "prompt_cache_retention", "prediction", "stream_options"})
_TRANSLATED = frozenset(
    {
        "messages",
        "system",
        "max_tokens",
        "max_completion_tokens",
        "stop",
        "user",
        "safety_identifier",
        "metadata",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
        "service_tier",
        "output_config",
    }
)
_NOT_COPIED = _LEFT_OUT | _TRANSLATED | HARMLESS.keys()
_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
_TIERS = {"auto": "auto", "default": "standard_only", "standard_only": "standard_only"}


def take_headers(body: Json, headers: dict[str, str]) -> Json:
    """`body` without the fields that are headers on the wire, which are written into `headers` where none is set yet."""
    for field in ("anthropic_beta", "anthropic_version"):
        value = body.get(field)
        if value:
            headers.setdefault(field.replace("_", "-"), ",".join(map(str, value)) if isinstance(value, list) else str(value))
        if field in body:
            body = {key: kept for key, kept in body.items() if key != field}
    headers.setdefault("anthropic-version", DEFAULT_VERSION)
    return body


def translated(body: Json, wishes: Wishes) -> Json:
    """A Messages request. Raises `Unsupported` or `InvalidRequest`; `wishes` is told what is left out instead."""
    label = wishes.label
    wishes.refuse_all(body)
    body = _cool(body, wishes)
    out = {key: value for key, value in body.items() if key not in _NOT_COPIED and value is not None}
    system, out["messages"] = conversation(body.get("messages"), label)
    system = _system_blocks(body.get("system")) + system
    if isinstance(stop := body.get("stop"), str | list) and stop:
        out["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    if metadata := _metadata(body):
        out["metadata"] = metadata
    if tools := translated_tools(body.get("tools"), wishes):
        out["tools"] = tools
    if choice := translated_choice(body.get("tool_choice"), body.get("parallel_tool_calls"), bool(tools), wishes):
        out["tool_choice"] = choice
    if tier := _known(_TIERS, body.get("service_tier"), "service_tier", wishes):
        out["service_tier"] = tier
    if body.get("reasoning_effort") == "none":
        out.setdefault("thinking", {"type": "disabled"})
    if config := _output_config(body, wishes):
        out["output_config"] = config
    if _format_type(body) == "json_object":
        system.append({"type": "text", "text": JSON_INSTRUCTION})
    if system:
        out["system"] = system
    out["max_tokens"] = _max_tokens(body)
    return out


def _cool(body: Json, wishes: Wishes) -> Json:
    """`body` without a temperature that is above the vendor's scale."""
    temperature = body.get("temperature")
    if not isinstance(temperature, int | float) or temperature <= 1:
        return body
    wishes.refuse("temperature", f"{wishes.label} takes a temperature from 0 to 1, not {temperature}.")
    return {key: value for key, value in body.items() if key != "temperature"}


def _known(values: dict[str, str], value: Any, field: str, wishes: Wishes) -> str | None:
    """The vendor's word for a value; None where there is no value, and for one that is left out."""
    found = values.get(value) if isinstance(value, str) else None
    if found is None and value is not None:
        wishes.refuse(field, f"{wishes.label} knows no {field} {value!r}; it can be {', '.join(values)}.")
    return found


def _max_tokens(body: Json) -> Any:
    """The caller's limit; one of a wrong type is the vendor's to refuse. The default leaves room beside a thinking budget."""
    limit = body.get("max_completion_tokens")
    if limit is None:
        limit = body.get("max_tokens")
    if limit is not None:
        return limit
    thinking = body.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    return DEFAULT_MAX_TOKENS + (budget if isinstance(budget, int) else 0)


def _metadata(body: Json) -> Json | None:
    given = body.get("metadata")
    user = body.get("user") or body.get("safety_identifier") or (given.get("user_id") if isinstance(given, dict) else None)
    return {"user_id": user} if user else None


def _format_type(body: Json) -> str:
    form = body.get("response_format")
    if form is None:
        return "text"
    if not isinstance(form, dict) or not isinstance(form.get("type"), str):
        raise InvalidRequest("response_format must be an object with a type.", param="response_format")
    kind: str = form["type"]
    return kind


def _output_config(body: Json, wishes: Wishes) -> Json:
    """The vendor's output_config: what the caller gave of it, then what other fields say."""
    given = body.get("output_config")
    config: Json = dict(given) if isinstance(given, dict) else {}
    effort = body.get("reasoning_effort")
    if effort != "none" and (known := _known(_EFFORTS, effort, "reasoning_effort", wishes)):
        config["effort"] = known
    kind = _format_type(body)
    if kind == "json_schema":
        named = body["response_format"].get("json_schema")
        schema = named.get("schema") if isinstance(named, dict) else None
        if not isinstance(schema, dict):
            raise InvalidRequest("response_format.json_schema.schema must be an object.", param="response_format.json_schema")
        config["format"] = {"type": "json_schema", "schema": schema}
    elif kind not in ("text", "json_object"):
        wishes.refuse("response_format.type", f"{wishes.label} cannot express response_format {kind!r}.")
    return config


def _system_blocks(system: Any) -> list[Json]:
    """The vendor's own top-level `system`, for callers who write it beside OpenAI's messages."""
    if isinstance(system, str):
        return [{"type": "text", "text": system}] if system else []
    if system is None or isinstance(system, list):
        return list(system or [])
    raise InvalidRequest("system must be a text or a list of blocks.", param="system")
