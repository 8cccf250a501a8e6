"""The parameters of a chat completion as those of ``/api/chat``.

Translated:
    messages                            messages (`messages`)
    max_completion_tokens, max_tokens   options.num_predict
    temperature, top_p, seed, stop, penalties and the vendor's own (`_OPTIONS`)   options
    response_format                     format: json, or the schema itself
    reasoning_effort, thinking          think
    tools                               tools; none of them where tool_choice is none

`options`, `keep_alive`, `think` and `format` are taken as they are, and win. Left out as mere wishes: user, safety_identifier,
metadata, service_tier and those of `wishes`. Refused: what the vendor has no words for.
"""

from __future__ import annotations

from typing import Any

from routing.call import Json
from routing.errors import InvalidRequest
from routing.providers.ollama.messages import translated
from routing.providers.wishes import HARMLESS, WISHES, Wishes

# The vendor's options of the same name (its documentation of the Modelfile, "Valid parameters").
_OPTIONS = frozenset(
    (
        *("temperature", "top_p", "top_k", "min_p", "typical_p", "seed", "presence_penalty", "frequency_penalty"),
        *("num_ctx", "num_batch", "num_gpu", "num_keep", "num_thread", "num_predict", "main_gpu", "use_mmap"),
        *("repeat_last_n", "repeat_penalty", "penalize_newline", "mirostat", "mirostat_eta", "mirostat_tau", "tfs_z"),
    )
)
_AS_THEY_ARE = frozenset({"model", "keep_alive", "think", "format", "logprobs", "top_logprobs", "truncate", "shift"})
_TRANSLATED = frozenset(
    (
        *("messages", "max_completion_tokens", "max_tokens", "stop", "options", "response_format", "reasoning_effort"),
        *("thinking", "tools", "tool_choice", "parallel_tool_calls"),
    )
)
_LEFT_OUT = WISHES | {"user", "safety_identifier", "metadata", "service_tier"}
_KNOWN = frozenset({"presence_penalty", "frequency_penalty", "logprobs", "top_logprobs"})
_EFFORTS = {"none": False, "minimal": "low", "low": "low", "medium": "medium", "high": "high", "xhigh": "high"}


def chat(body: Json, wishes: Wishes) -> Json:
    """The body of the request. Raises `Unsupported` or `InvalidRequest` with the path of the field."""
    given = {key: value for key, value in body.items() if value is not None}
    wishes.refuse_all(given, but=_KNOWN)
    for field in given.keys() - (_AS_THEY_ARE | _OPTIONS | _TRANSLATED | _LEFT_OUT | HARMLESS.keys()):
        wishes.refuse(field)
    out: Json = {key: given[key] for key in given if key in _AS_THEY_ARE}
    out["stream"] = given.get("stream") is True  # the vendor's default is true
    out["messages"] = translated(given.get("messages"), wishes)
    if options := _options(given):
        out["options"] = options
    if "format" not in out and (form := _format(given.get("response_format"), wishes)) is not None:
        out["format"] = form
    if "think" not in out and (think := _think(given, wishes)) is not None:
        out["think"] = think
    if tools := _tools(given, wishes):
        out["tools"] = tools
    return out


def _options(given: Json) -> Json:
    options = {key: given[key] for key in given if key in _OPTIONS}
    limit = given.get("max_completion_tokens", given.get("max_tokens"))
    if limit is not None:
        options["num_predict"] = limit
    if stop := given.get("stop"):
        options["stop"] = [stop] if isinstance(stop, str) else stop
    own = given.get("options", {})
    if not isinstance(own, dict):
        raise InvalidRequest("options must be an object.", param="options")
    return options | own


def _format(form: Any, wishes: Wishes) -> Any:
    if form is None:
        return None
    kind = form.get("type") if isinstance(form, dict) else None
    if kind == "json_object":
        return "json"
    if kind == "json_schema":
        named = form.get("json_schema")
        schema = named.get("schema") if isinstance(named, dict) else None
        if not isinstance(schema, dict):
            raise InvalidRequest("response_format.json_schema.schema must be an object.", param="response_format.json_schema")
        return schema
    if kind != "text":
        wishes.refuse("response_format.type")
    return None


def _think(given: Json, wishes: Wishes) -> Any:
    thinking = given.get("thinking")
    if isinstance(thinking, dict):
        return thinking.get("type") != "disabled"
    effort = given.get("reasoning_effort")
    if effort is None:
        return None
    if not isinstance(effort, str) or effort not in _EFFORTS:
        wishes.refuse("reasoning_effort")
        return None
    return _EFFORTS[effort]


def _tools(given: Json, wishes: Wishes) -> list[Json]:
    """The tools. The vendor's models choose among them as they like, so that only that choice can be asked for, or none."""
    tools = given.get("tools", [])
    if not isinstance(tools, list):
        raise InvalidRequest("tools must be a list.", param="tools")
    for number, tool in enumerate(tools):
        if not isinstance(tool, dict) or tool.get("type", "function") != "function":
            wishes.refuse(f"tools[{number}].type")
    if given.get("tool_choice") == "none":
        return []
    if tools and given.get("tool_choice", "auto") != "auto":
        wishes.refuse("tool_choice")
    if tools and given.get("parallel_tool_calls") is False:
        wishes.refuse("parallel_tool_calls")
    return [tool for tool in tools if isinstance(tool, dict) and tool.get("type", "function") == "function"]
