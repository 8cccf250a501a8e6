"""The parameters of a chat completion as those of Cohere's chat, version 2.

Translated:
    messages                           messages: system for developer, parts and tool calls as they are, thinking as its parts
    max_completion_tokens, max_tokens  max_tokens
    stop                               stop_sequences, a single text as a list
    top_p, top_k                       p, k
    tools                              tools; `strict` of all of them as strict_tools
    tool_choice                        REQUIRED or NONE; a named function as REQUIRED with that tool alone
    response_format json_schema        json_object with the schema
    reasoning_effort                   none and high as thinking off and on; the vendor knows no steps between

temperature, seed, the penalties, `documents`, `citation_options`, `safety_mode`, `thinking` and every other field go as they
are. Left out are mere wishes (`wishes.WISHES`), user, safety_identifier and metadata. Refused is what the vendor has no words
for (`wishes.HARMLESS` but for the penalties), and parallel_tool_calls where it is false.
"""

from __future__ import annotations

from typing import Any

from routing.call import Json
from routing.errors import InvalidRequest
from routing.providers.wishes import HARMLESS, WISHES, Wishes

_PENALTIES = frozenset({"presence_penalty", "frequency_penalty"})
_TRANSLATED = frozenset(
    {
        "messages",
        "max_tokens",
        "max_completion_tokens",
        "stop",
        "top_p",
        "top_k",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "response_format",
        "reasoning_effort",
        "user",
        "safety_identifier",
        "metadata",
        "service_tier",
    }
)
_NOT_COPIED = _TRANSLATED | WISHES | (HARMLESS.keys() - _PENALTIES)
_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
_CHOICES = {"required": "REQUIRED", "any": "REQUIRED", "none": "NONE", "REQUIRED": "REQUIRED", "NONE": "NONE"}
_THINKING = {"none": {"type": "disabled"}, "high": {"type": "enabled"}}


def translated(body: Json, wishes: Wishes, *, stream: bool) -> Json:
    """A chat request. Raises `Unsupported` or `InvalidRequest` with the path of the field."""
    wishes.refuse_all(body, but=_PENALTIES)
    if body.get("service_tier") not in (None, "auto", "default"):
        wishes.refuse("service_tier")
    out = {key: value for key, value in body.items() if key not in _NOT_COPIED and value is not None}
    out["messages"] = _messages(body.get("messages"), wishes)
    limit, stop = body.get("max_completion_tokens"), body.get("stop")
    given = {
        "max_tokens": body.get("max_tokens") if limit is None else limit,
        "stop_sequences": [stop] if isinstance(stop, str) and stop else stop or None,
        "p": body.get("top_p"),
        "k": body.get("top_k"),
    }
    out |= {key: value for key, value in given.items() if value is not None}
    _tools(body, out, wishes)
    if (effort := body.get("reasoning_effort")) is not None and "thinking" not in out:
        if isinstance(effort, str) and effort in _THINKING:
            out["thinking"] = _THINKING[effort]
        else:
            wishes.refuse("reasoning_effort", f"{wishes.label} knows the reasoning_effort none and high, not {effort!r}.")
    if (form := body.get("response_format")) is not None:
        out["response_format"] = _format(form, wishes)
    if stream:
        out["stream"] = True
    return out


def _tools(body: Json, out: Json, wishes: Wishes) -> None:
    """Writes tools and the choice among them into `out`."""
    tools, choice = body.get("tools"), body.get("tool_choice")
    if tools is None or tools == []:
        return
    if not isinstance(tools, list):
        raise InvalidRequest("tools must be a list.", param="tools")
    if body.get("parallel_tool_calls") is False:
        wishes.refuse("parallel_tool_calls")
    functions = [_function(tool, f"tools[{index}]", wishes) for index, tool in enumerate(tools)]
    if isinstance(choice, dict) and isinstance(named := choice.get("function"), dict):
        # The one that must be called is the only one that there is.
        functions = [function for function in functions if function["name"] == named.get("name")]
        if not functions:
            raise InvalidRequest("tool_choice names no tool of this call.", param="tool_choice.function.name")
        choice = "required"
    if choice not in (None, "auto"):
        if not isinstance(choice, str) or choice not in _CHOICES:
            wishes.never("tool_choice", f"{wishes.label} cannot express this tool_choice.")
        out["tool_choice"] = _CHOICES[choice]
    if all(function.get("strict") is True for function in functions):
        out.setdefault("strict_tools", True)
    out["tools"] = [
        {"type": "function", "function": {key: value for key, value in function.items() if key != "strict"}}
        for function in functions
    ]


def _function(tool: Any, path: str, wishes: Wishes) -> Json:
    if not isinstance(tool, dict):
        raise InvalidRequest(f"{path} must be an object.", param=path)
    if tool.get("type", "function") != "function":
        wishes.never(f"{path}.type", f"{wishes.label} has only tools that are functions.")
    function = tool.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise InvalidRequest(f"{path}.function must have a name.", param=f"{path}.function.name")
    # The vendor demands a schema.
    return {**function, "parameters": function.get("parameters") or {"type": "object", "properties": {}}}


def _format(form: Any, wishes: Wishes) -> Json:
    if not isinstance(form, dict) or not isinstance(form.get("type"), str):
        raise InvalidRequest("response_format must be an object with a type.", param="response_format")
    if form["type"] != "json_schema":
        if form["type"] not in ("text", "json_object"):
            wishes.never("response_format.type", f"{wishes.label} cannot express response_format {form['type']!r}.")
        return form
    named = form.get("json_schema")
    schema = named.get("schema") if isinstance(named, dict) else None
    if not isinstance(schema, dict):
        raise InvalidRequest("response_format.json_schema.schema must be an object.", param="response_format.json_schema")
    return {"type": "json_object", "json_schema": schema}


def _messages(messages: Any, wishes: Wishes) -> list[Json]:
    if not isinstance(messages, list) or not messages:
        raise InvalidRequest("messages must be a list with at least one message.", param="messages")
    return [_message(message, f"messages[{index}]", wishes) for index, message in enumerate(messages)]


def _message(message: Any, path: str, wishes: Wishes) -> Json:
    if not isinstance(message, dict):
        raise InvalidRequest(f"{path} must be an object.", param=path)
    given = message.get("role")
    role = _ROLES.get(given) if isinstance(given, str) else None
    if role is None:
        wishes.never(f"{path}.role", f"{wishes.label} knows no role {given!r}.")
    content = message.get("content")
    out: Json = {"role": role}
    if role == "assistant":
        return out | _assistant(message, path, wishes)
    if role == "tool":
        if not isinstance(message.get("tool_call_id"), str):
            raise InvalidRequest(f"{path}.tool_call_id must name the call.", param=f"{path}.tool_call_id")
        out["tool_call_id"] = message["tool_call_id"]
        content = "" if content is None else content
    return {**out, "content": _content(content, f"{path}.content", wishes)}


def _assistant(message: Json, path: str, wishes: Wishes) -> Json:
    """What the model said, planned and called."""
    for field in ("function_call", "audio"):
        if message.get(field) is not None:
            wishes.never(f"{path}.{field}", f"{wishes.label} cannot express {field} of a message.")
    calls = message.get("tool_calls") or []
    if not isinstance(calls, list):
        raise InvalidRequest(f"{path}.tool_calls must be a list.", param=f"{path}.tool_calls")
    blocks, content = message.get("content_blocks"), message.get("content")
    out: Json = {}
    if isinstance(blocks, list) and blocks:
        # From a non-strict answer, thinking included.
        out["content"] = _content(blocks, f"{path}.content_blocks", wishes)
    elif (said := message.get("refusal") if content is None else content) or not calls:
        out["content"] = _content(said or "", f"{path}.content", wishes)
    if calls:
        out["tool_calls"] = [_call(call, f"{path}.tool_calls[{place}]", wishes) for place, call in enumerate(calls)]
    return out | {key: message[key] for key in ("tool_plan", "citations") if message.get(key)}


def _call(call: Any, path: str, wishes: Wishes) -> Json:
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict):
        wishes.never(path, f"{wishes.label} has only calls of functions.")
    kept = {key: function.get(key) for key in ("name", "arguments")}
    return {"id": call.get("id"), "type": "function", "function": kept}


def _content(content: Any, path: str, wishes: Wishes) -> str | list[Json]:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise InvalidRequest(f"{path} must be a text or a list of parts.", param=path)
    return [_part(part, f"{path}[{place}]", wishes) for place, part in enumerate(content)]


def _part(part: Any, path: str, wishes: Wishes) -> Json:
    if not isinstance(part, dict):
        raise InvalidRequest(f"{path} must be an object.", param=path)
    kind = part.get("type")
    if kind == "refusal":
        return {"type": "text", "text": part.get("refusal")}
    if kind == "image_url":
        image = part.get("image_url")
        return {"type": "image_url", "image_url": image if isinstance(image, dict) else {"url": image}}
    if kind == "text":
        return {"type": "text", "text": part.get("text")}
    if kind == "thinking":
        return {"type": "thinking", "thinking": part.get("thinking")}
    if kind == "document":  # the vendor's own, in the result of a tool
        return part
    return wishes.never(f"{path}.type", f"{wishes.label} cannot read a content part of type {kind!r}.")
