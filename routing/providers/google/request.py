"""The parameters of a chat completion as those of ``generateContent``.

Translated:
    messages                          contents and systemInstruction (`messages`)
    tools, tool_choice                tools, toolConfig (`tools`); web_search_options is the vendor's search
    max_completion_tokens, max_tokens generationConfig.maxOutputTokens
    stop                              generationConfig.stopSequences, a single text as a list
    temperature, top_p, top_k, n, seed, penalties, logprobs, top_logprobs, modalities
                                      their counterparts in generationConfig
    response_format                   responseMimeType, with responseSchema where there is a schema (`schema`)
    reasoning_effort                  thinkingConfig: a level; for models before the third generation the budget that the
                                      vendor's own OpenAI-like API takes for it
    thinking                          thinkingConfig: includeThoughts and the budget; wins over reasoning_effort
    audio                             speechConfig with the voice
    service_tier                      serviceTier

The vendor's own parameters pass, those of generationConfig also when they stand at the top, in either spelling; so does what is
not known here, which the vendor then refuses by name itself.

Left out, because the answer is as good without them: user, safety_identifier, metadata, store, prediction, prompt_cache_key,
prompt_cache_retention, and `detail` and `cache_control` of a part. stream_options shapes only our stream.

Refused, unless the value is the harmless default: logit_bias, functions, function_call, verbosity, parallel_tool_calls: false.
"""

from __future__ import annotations

import re
from typing import Any

from routing.call import Json
from routing.errors import InvalidRequest
from routing.providers.google import schema
from routing.providers.google.messages import conversation
from routing.providers.google.tools import choice
from routing.providers.google.tools import translated as translated_tools
from routing.providers.wishes import Wishes

_RENAMED = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "n": "candidateCount",
    "seed": "seed",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "logprobs": "responseLogprobs",
    "top_logprobs": "logprobs",
}
# The vendor's own names inside generationConfig that callers write at the top.
_GENERATION = frozenset(
    (
        *("candidateCount", "maxOutputTokens", "stopSequences", "topP", "topK", "presencePenalty", "frequencyPenalty"),
        *("responseLogprobs", "responseMimeType", "responseSchema", "responseJsonSchema", "responseModalities"),
        *("speechConfig", "imageConfig", "thinkingConfig", "mediaResolution", "audioTimestamp", "routingConfig"),
        *("modelSelectionConfig", "enableAffectiveDialog", "enableEnhancedCivicAnswers", "translationConfig"),
    )
)
_TOP = frozenset(
    (
        *("safetySettings", "cachedContent", "labels", "toolConfig", "systemInstruction", "generationConfig"),
        *("modelArmorConfig", "serviceTier"),
    )
)
# Values that change nothing, so that a caller who always sends them is served.
_HARMLESS: dict[str, tuple[Any, ...]] = {
    "logit_bias": ({},),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "verbosity": ("medium",),
    "parallel_tool_calls": (True,),
}
_LEFT_OUT = frozenset(
    (
        *("user", "safety_identifier", "metadata", "store", "prediction", "prompt_cache_key", "prompt_cache_retention"),
        *("stream", "stream_options", "model"),
    )
)
_TRANSLATED = frozenset(
    (
        *("messages", "tools", "tool_choice", "web_search_options", "max_tokens", "max_completion_tokens", "stop"),
        *("response_format", "reasoning_effort", "thinking", "modalities", "audio", "service_tier"),
    )
)
_NOT_COPIED = _LEFT_OUT | _TRANSLATED | _RENAMED.keys() | _HARMLESS.keys()
_EFFORTS = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
# The first two generations think by a budget, the later ones by a level.
_BUDGETED = re.compile(r"gemini-[12](?!\d)")
_TIERS = {"auto": None, "default": "standard", "standard": "standard", "flex": "flex", "priority": "priority"}
_SNAKE = re.compile(r"_([a-z])")


def generate_content(body: Json, model: str, wishes: Wishes) -> Json:
    """The request's body. Raises `Unsupported` or `InvalidRequest` with the path of the field."""
    for field, harmless in _HARMLESS.items():
        value = body.get(field)
        if value is not None and value not in harmless:
            wishes.refuse(field)
    out, generation = _passed(body)
    system, out["contents"] = conversation(body.get("messages"), model, wishes)
    if system:
        given = out.get("systemInstruction")
        before = given["parts"] if isinstance(given, dict) and isinstance(given.get("parts"), list) else []
        out["systemInstruction"] = {"parts": [*before, *system]}
    _put_tools(out, body, wishes)
    _limit(generation, body)
    _format(generation, body.get("response_format"), wishes)
    _think(generation, body, model, wishes)
    _voice(generation, body, wishes)
    tier = body.get("service_tier")
    if tier is not None and (not isinstance(tier, str) or tier not in _TIERS):
        wishes.refuse("service_tier", f"{wishes.label} knows no service_tier {tier!r}; it can be {', '.join(_TIERS)}.")
    elif tier is not None and _TIERS[tier]:
        out["serviceTier"] = _TIERS[tier]
    if generation:
        out["generationConfig"] = generation
    return out


def candidates(body: Json) -> int:
    """How many answers the caller asks for."""
    _, generation = _passed(body)
    count = generation.get("candidateCount", generation.get("candidate_count"))
    return count if isinstance(count, int) and not isinstance(count, bool) and count > 0 else 1


def _passed(body: Json) -> tuple[Json, Json]:
    """What is the vendor's own already: the fields at the top, and those of generationConfig."""
    top: Json = {}
    generation: Json = {}
    for field, value in body.items():
        if field in _NOT_COPIED or value is None:
            continue
        name = _SNAKE.sub(lambda match: match[1].upper(), field)
        if name in _GENERATION:
            generation[name] = value
        else:
            top[name if name in _TOP else field] = value
    given = top.pop("generationConfig", {})
    if not isinstance(given, dict):
        raise InvalidRequest("generation_config must be an object.", param="generation_config")
    generation = {**given, **generation}
    generation |= {name: body[field] for field, name in _RENAMED.items() if body.get(field) is not None}
    return top, generation


def _put_tools(out: Json, body: Json, wishes: Wishes) -> None:
    tools, config = translated_tools(body.get("tools"), wishes)
    searching = body.get("web_search_options")
    if searching is not None:
        if not isinstance(searching, dict):
            raise InvalidRequest("web_search_options must be an object.", param="web_search_options")
        for field, value in searching.items():
            if value is not None and (field, value) != ("search_context_size", "medium"):
                wishes.refuse(f"web_search_options.{field}")
        tools.append({"googleSearch": {}})
    if tools:
        out["tools"] = tools
    chosen = choice(body.get("tool_choice"), wishes)
    # The vendor takes no choice among no tools; one that demands a call is left for it to refuse.
    if chosen is not None and (tools or chosen["mode"] not in ("AUTO", "NONE")):
        config["functionCallingConfig"] = chosen
    given = out.get("toolConfig")
    if config:
        out["toolConfig"] = {**given, **config} if isinstance(given, dict) else config


def _limit(generation: Json, body: Json) -> None:
    limit = body.get("max_completion_tokens")
    limit = body.get("max_tokens") if limit is None else limit
    if limit is not None:
        generation["maxOutputTokens"] = limit
    if isinstance(stop := body.get("stop"), str | list) and stop:
        generation["stopSequences"] = [stop] if isinstance(stop, str) else stop


def _format(generation: Json, form: Any, wishes: Wishes) -> None:
    if form is None:
        return
    if not isinstance(form, dict) or not isinstance(form.get("type"), str):
        raise InvalidRequest("response_format must be an object with a type.", param="response_format")
    kind = form["type"]
    if kind not in ("text", "json_object", "json_schema"):
        wishes.refuse("response_format.type", f"{wishes.label} cannot express response_format {kind!r}.")
        return
    if kind == "text":
        return
    generation["responseMimeType"] = "application/json"
    if kind == "json_object":
        return
    named = form.get("json_schema")
    given = named.get("schema") if isinstance(named, dict) else None
    path = "response_format.json_schema.schema"
    if not isinstance(given, dict):
        raise InvalidRequest(f"{path} must be an object.", param="response_format.json_schema")
    shown = schema.translated(given, path)
    generation |= {"responseJsonSchema": schema.whole(given)} if shown is None else {"responseSchema": shown}


def _think(generation: Json, body: Json, model: str, wishes: Wishes) -> None:
    thinking, effort = body.get("thinking"), body.get("reasoning_effort")
    if thinking is None and effort is None:
        return
    given = generation.get("thinkingConfig")
    config: Json = dict(given) if isinstance(given, dict) else {}
    if thinking is not None:
        config |= _thinking(thinking)
    elif effort == "none":
        config["thinkingBudget"] = 0
    elif not isinstance(effort, str) or effort not in _EFFORTS:
        wishes.refuse(
            "reasoning_effort", f"{wishes.label} knows no reasoning_effort {effort!r}; it can be none, {', '.join(_EFFORTS)}."
        )
    elif _BUDGETED.search(model):
        config["thinkingBudget"] = _EFFORTS[effort]
    else:
        config["thinkingLevel"] = effort
    if config:
        generation["thinkingConfig"] = config


def _thinking(thinking: Any) -> Json:
    """Anthropic's word for it, which Portkey's callers use for every vendor."""
    if not isinstance(thinking, dict) or thinking.get("type") not in ("enabled", "disabled", "adaptive"):
        raise InvalidRequest("thinking must be an object whose type is enabled, disabled or adaptive.", param="thinking")
    if thinking["type"] == "disabled":
        return {"includeThoughts": False, "thinkingBudget": 0}
    # The vendor's -1: as much as the question needs.
    budget = thinking.get("budget_tokens", -1) if thinking["type"] == "enabled" else -1
    return {"includeThoughts": budget != 0, "thinkingBudget": budget}


def _voice(generation: Json, body: Json, wishes: Wishes) -> None:
    modalities, audio = body.get("modalities"), body.get("audio")
    if modalities is not None:
        if not isinstance(modalities, list) or not all(isinstance(one, str) for one in modalities):
            raise InvalidRequest("modalities must be a list of texts.", param="modalities")
        if modalities != ["text"]:
            generation["responseModalities"] = [one.upper() for one in modalities]
    if audio is None:
        return
    if not isinstance(audio, dict) or not isinstance(audio.get("voice"), str):
        raise InvalidRequest("audio.voice must be the name of a voice.", param="audio.voice")
    if audio.get("format") not in (None, "pcm16"):
        wishes.refuse("audio.format", f"{wishes.label} speaks only in the format pcm16.")
    generation.setdefault("speechConfig", {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": audio["voice"]}}})
