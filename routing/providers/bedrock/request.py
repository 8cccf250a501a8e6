"""The parameters of a chat completion as those of Converse.

Translated:
    messages                           system and messages (`messages`)
    max_completion_tokens, max_tokens  inferenceConfig.maxTokens
    temperature, top_p, stop           inferenceConfig.temperature, topP, stopSequences (a single text as a list)
    tools, tool_choice                 toolConfig (`tools`)
    parallel_tool_calls: false         the choice in Anthropic's own words, for its models
    response_format json_schema        outputConfig.textFormat, the schema whole
    response_format json_object        a sentence at the end of the system prompt: Converse has no JSON mode without a schema
    reasoning_effort                   outputConfig.effort (minimal as low), or the model's own field of that name; none
                                       switches thinking off where the model has a switch
    service_tier                       serviceTier.type; auto is what comes without it
    metadata                           requestMetadata, by which AWS's own logs can be searched
    user, safety_identifier            metadata.user_id of the models that know it, else left out
    top_k                              wherever the model has it
    Converse's own fields              as they are, in its spelling or with underscores (guardrailConfig, guardrail_config)

Every other field goes to the model itself (additionalModelRequestFields), which says so where it does not know one: `thinking`,
`anthropic_beta`, tomorrow's parameters. Left out are mere wishes (`wishes.WISHES`, seed) and `name` of a message. What neither
Converse nor the model can express is refused (`wishes.HARMLESS`), and so is a temperature above 1, where Converse's scale ends.
"""

from __future__ import annotations

from typing import Any

import orjson

from routing.call import Json
from routing.errors import InvalidRequest
from routing.providers.bedrock.messages import conversation
from routing.providers.bedrock.names import family, plain_name
from routing.providers.bedrock.tools import tool_config
from routing.providers.wishes import HARMLESS, WISHES, Wishes

JSON_INSTRUCTION = (
    "Answer with one valid JSON object and nothing else: no text before or after it, and no code fence around it."
)

# Converse's own fields, by every spelling.
_NATIVE = {
    "guardrailConfig": "guardrailConfig",
    "guardrail_config": "guardrailConfig",
    "additionalModelResponseFieldPaths": "additionalModelResponseFieldPaths",
    "additional_model_response_field_paths": "additionalModelResponseFieldPaths",
    "performanceConfig": "performanceConfig",
    "performance_config": "performanceConfig",
    "promptVariables": "promptVariables",
    "prompt_variables": "promptVariables",
    "requestMetadata": "requestMetadata",
    "request_metadata": "requestMetadata",
}
_ADDITIONAL = ("additionalModelRequestFields", "additional_model_request_fields")
_TRANSLATED = frozenset(
    {
        "model",
        "messages",
        "max_tokens",
        "max_completion_tokens",
        "temperature",
        "top_p",
        "stop",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
        "service_tier",
        "metadata",
        "user",
        "safety_identifier",
        "top_k",
        "seed",
        *_ADDITIONAL,
    }
)
_NOT_FOR_THE_MODEL = _TRANSLATED | WISHES | HARMLESS.keys() | _NATIVE.keys()
_EFFORTS = {"minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "xhigh", "max": "max"}
_TIERS = ("default", "flex", "priority", "reserved")
# Parameters beyond Converse's that the models of a maker know under OpenAI's names.
_KNOWS: dict[str, frozenset[str]] = {
    "ai21": frozenset({"n", "frequency_penalty", "presence_penalty"}),
    "cohere": frozenset({"frequency_penalty", "presence_penalty"}),
}


def translated(body: Json, model: str, wishes: Wishes) -> Json:
    """A Converse request, without the model, which stands in the path. Raises `Unsupported` or `InvalidRequest`."""
    known = _KNOWS.get(family(model), frozenset())
    wishes.refuse_all(body, but=known)
    out: Json = {}
    system, out["messages"] = conversation(body.get("messages"), wishes.label)
    out |= {theirs: body[ours] for ours, theirs in _NATIVE.items() if body.get(ours) is not None}
    if inference := _inference(body, wishes):
        out["inferenceConfig"] = inference
    fields = {key: value for key, value in body.items() if key not in _NOT_FOR_THE_MODEL and value is not None}
    fields |= {key: body[key] for key in known if body.get(key) is not None}
    if tools := tool_config(body, out["messages"], family(model), fields, wishes):
        out["toolConfig"] = tools
    _model_fields(body, model, fields)
    if output := _output(body, model, fields, wishes):
        out["outputConfig"] = output
    if fields := {**fields, **_additional(body)}:
        out["additionalModelRequestFields"] = fields
    if tier := _tier(body.get("service_tier"), wishes):
        out["serviceTier"] = tier
    if metadata := _metadata(body, wishes):
        out.setdefault("requestMetadata", metadata)
    if _format(body) == "json_object":
        system.append({"text": JSON_INSTRUCTION})
    if system:
        out["system"] = system
    return out


def _inference(body: Json, wishes: Wishes) -> Json:
    """Values of a wrong type are the vendor's to refuse."""
    limit = body.get("max_completion_tokens")
    temperature, stop = body.get("temperature"), body.get("stop")
    if isinstance(temperature, int | float) and temperature > 1:
        wishes.refuse("temperature", f"{wishes.label} takes a temperature from 0 to 1, not {temperature}.")
        temperature = None
    given = {
        "maxTokens": body.get("max_tokens") if limit is None else limit,
        "temperature": temperature,
        "topP": body.get("top_p"),
        "stopSequences": [stop] if isinstance(stop, str) and stop else stop or None,
    }
    return {key: value for key, value in given.items() if value is not None}


def _model_fields(body: Json, model: str, fields: Json) -> None:
    """The parameters that each maker's models have in a place of their own."""
    maker = family(model)
    if (top_k := body.get("top_k")) is not None:
        if plain_name(model).startswith("amazon.nova"):
            fields["inferenceConfig"] = {"topK": top_k}
        else:
            fields["k" if maker == "cohere" else "top_k"] = top_k
    if isinstance(beta := fields.get("anthropic_beta"), str):
        fields["anthropic_beta"] = [name.strip() for name in beta.split(",")]
    user = body.get("user") or body.get("safety_identifier")
    if user and maker == "anthropic":
        fields["metadata"] = {"user_id": user}


def _additional(body: Json) -> Json:
    """What the caller gives for the model itself, by either spelling. Raises `InvalidRequest`."""
    fields: Json = {}
    for name in _ADDITIONAL:
        given = body.get(name) or {}
        if not isinstance(given, dict):
            raise InvalidRequest(f"{name} must be an object.", param=name)
        fields |= given
    return fields


def _output(body: Json, model: str, fields: Json, wishes: Wishes) -> Json:
    """Converse's outputConfig; a model's own way to say the same goes into `fields`."""
    given = fields.pop("outputConfig", None)
    config: Json = dict(given) if isinstance(given, dict) else {}
    effort, maker = body.get("reasoning_effort"), family(model)
    if effort is not None and maker == "openai":
        fields["reasoning_effort"] = effort
    elif effort == "none" and maker == "anthropic":
        fields.setdefault("thinking", {"type": "disabled"})
    elif isinstance(effort, str) and effort in _EFFORTS:
        config["effort"] = _EFFORTS[effort]
    elif effort is not None:
        wishes.refuse("reasoning_effort", f"{wishes.label} knows no reasoning_effort {effort!r} for this model.")
    kind = _format(body)
    if kind == "json_schema":
        config["textFormat"] = _text_format(body["response_format"].get("json_schema"))
    elif kind not in ("text", "json_object"):
        wishes.refuse("response_format.type", f"{wishes.label} cannot express response_format {kind!r}.")
    return config


def _text_format(named: Any) -> Json:
    schema = named.get("schema") if isinstance(named, dict) else None
    if not isinstance(schema, dict):
        raise InvalidRequest("response_format.json_schema.schema must be an object.", param="response_format.json_schema")
    described = {key: named[key] for key in ("name", "description") if isinstance(named.get(key), str)}
    return {"type": "json_schema", "structure": {"jsonSchema": {"schema": orjson.dumps(schema).decode(), **described}}}


def _format(body: Json) -> str:
    form = body.get("response_format")
    if form is None:
        return "text"
    if not isinstance(form, dict) or not isinstance(form.get("type"), str):
        raise InvalidRequest("response_format must be an object with a type.", param="response_format")
    kind: str = form["type"]
    return kind


def _tier(tier: Any, wishes: Wishes) -> Json | None:
    if tier in _TIERS:
        return {"type": tier}
    if tier not in (None, "auto"):
        wishes.refuse("service_tier", f"{wishes.label} knows no service_tier {tier!r}; it can be {', '.join(_TIERS)}.")
    return None


def _metadata(body: Json, wishes: Wishes) -> Json | None:
    metadata = body.get("metadata")
    if not metadata:
        return None
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        wishes.refuse("metadata", f"{wishes.label} takes metadata only as an object of texts.")
        return None
    return metadata
