"""A Responses call as a chat.

Translated:
    input, instructions               messages (`items`)
    max_output_tokens                 max_completion_tokens
    tools, tool_choice                tools, tool_choice; of `allowed_tools` only those are sent on
    text.format, text.verbosity       response_format, verbosity
    reasoning.effort                  reasoning_effort
    parallel_tool_calls               the same, where there are tools

Left out, because the answer is as good without them: metadata (the response repeats it), reasoning.summary (what a provider
shows of its thinking is shown), include of reasoning and of what built-in tools find, max_tool_calls (it counts built-in
tools), stream_options, prompt_cache_options. Refused: what needs a memory or tools on the vendor's side, and what a chat cannot
say. Everything else goes on as it is.
"""

from __future__ import annotations

from typing import Any

from routing.call import Json
from routing.providers.adapters.chat import Reader, a_list, a_name, an_object, refused
from routing.providers.adapters.responses.items import conversation

_TRANSLATED = frozenset(
    (
        *("input", "instructions", "max_output_tokens", "tools", "tool_choice", "text", "reasoning", "parallel_tool_calls"),
        *("store", "include", "truncation", "top_logprobs"),
    )
)
_LEFT_OUT = frozenset({"metadata", "max_tool_calls", "stream_options", "prompt_cache_options", "access_programs"})
_STATELESS = "Send the whole conversation as `input`."
# Without these the question would be another.
_NEVER = {
    "previous_response_id": ("memory of earlier responses", _STATELESS),
    "conversation": ("stored conversations", _STATELESS),
    "prompt": ("stored prompts", "Send the text as `instructions` and `input`."),
    "background": ("work in the background", "Leave `background` out, and read the answer of the call itself."),
}
_REFUSED = {
    "context_management": ("management of the context", _STATELESS),
    "moderation": ("moderation on the way", ""),
    "image": ("pictures as output", ""),
}
_INCLUDES = frozenset(
    {
        "reasoning.encrypted_content",
        "file_search_call.results",
        "web_search_call.results",
        "web_search_call.action.sources",
        "computer_call_output.output.image_url",
        "code_interpreter_call.outputs",
        "message.input_image.image_url",
    }
)
_TOOL_FIELDS = frozenset({"type", "name", "description", "parameters", "strict"})


def chat(body: Json, reader: Reader) -> Json:
    """The chat completion's parameters. Raises `Unsupported` or `InvalidRequest` with the path of the field."""
    _refuse(body, reader)
    kept = body.keys() - (_TRANSLATED | _LEFT_OUT | _REFUSED.keys() | _NEVER.keys())
    out = {key: value for key, value in body.items() if key in kept and value is not None}
    out["messages"] = conversation(body.get("instructions"), body.get("input"), reader)
    if (limit := body.get("max_output_tokens")) is not None:
        out["max_completion_tokens"] = limit
    given = enumerate(a_list(body.get("tools") or [], "tools"))
    read = (_tool(an_object(tool, f"tools[{number}]"), f"tools[{number}]", reader) for number, tool in given)
    if tools := [tool for tool in read if tool is not None]:
        out["tools"], choice = _chosen(tools, body.get("tool_choice"), reader)
        if choice is not None:
            out["tool_choice"] = choice
        if body.get("parallel_tool_calls") is not None:
            out["parallel_tool_calls"] = body["parallel_tool_calls"]
    return out | _text(body, reader) | _reasoning(body)


def _refuse(body: Json, reader: Reader) -> None:
    for field, (what, advice) in _NEVER.items():
        if body.get(field):
            raise refused(reader, what, field, advice)
    for field, (what, advice) in _REFUSED.items():
        if body.get(field):
            reader.refuse(what, field, advice)
    if body.get("store"):
        reader.refuse("store of responses", "store", f"Leave `store` out or send false. {_STATELESS}")
    if body.get("truncation") not in (None, "disabled"):
        reader.refuse("truncation of the input", "truncation")
    if body.get("top_logprobs"):
        reader.refuse("log probabilities for a response", "top_logprobs")
    for number, name in enumerate(a_list(body.get("include") or [], "include")):
        if not isinstance(name, str) or name not in _INCLUDES:
            reader.refuse(f"{name} to include", f"include[{number}]")


def _tool(tool: Json, path: str, reader: Reader) -> Json | None:
    """The tool; None for one that is left out."""
    if tool.get("type") != "function":
        advice = "Only tools of type function work with every provider."
        reader.refuse(f"tool of type {tool.get('type')!r}", f"{path}.type", advice)
        return None
    for field in tool.keys() - _TOOL_FIELDS:
        if tool[field] not in (None, False):
            reader.refuse(f"{field} of a tool", f"{path}.{field}")
    function: Json = {"name": a_name(tool.get("name"), f"{path}.name")}
    function |= {key: tool[key] for key in ("description", "parameters", "strict") if tool.get(key) is not None}
    return {"type": "function", "function": function}


def _chosen(tools: list[Json], choice: Any, reader: Reader) -> tuple[list[Json], Any]:
    """The tools that may be called, and the choice among them."""
    if choice is None or choice in ("auto", "none", "required"):
        return tools, choice
    given = an_object(choice, "tool_choice")
    kind = given.get("type")
    if kind == "function":
        return tools, {"type": "function", "function": {"name": a_name(given.get("name"), "tool_choice.name")}}
    if kind != "allowed_tools":
        reader.refuse(f"tool choice of type {kind!r}", "tool_choice.type")
        return tools, None
    allowed = [an_object(tool, "tool_choice.tools").get("name") for tool in a_list(given.get("tools"), "tool_choice.tools")]
    mode = a_name(given.get("mode", "auto"), "tool_choice.mode")
    return [tool for tool in tools if tool["function"]["name"] in allowed], mode


def _text(body: Json, reader: Reader) -> Json:
    text = an_object(body.get("text") or {}, "text")
    for field in text.keys() - {"format", "verbosity"}:
        reader.refuse(f"text.{field}", f"text.{field}")
    out: Json = {} if text.get("verbosity") is None else {"verbosity": text["verbosity"]}
    form = an_object(text.get("format") or {"type": "text"}, "text.format")
    kind = form.get("type")
    if kind == "json_schema":
        named = {key: form[key] for key in ("name", "description", "schema", "strict") if form.get(key) is not None}
        out["response_format"] = {"type": kind, "json_schema": named}
    elif kind == "json_object":
        out["response_format"] = {"type": kind}
    elif kind != "text":
        reader.refuse(f"format of type {kind!r}", "text.format.type")
    return out


def _reasoning(body: Json) -> Json:
    reasoning = an_object(body.get("reasoning") or {}, "reasoning")
    return {} if reasoning.get("effort") is None else {"reasoning_effort": reasoning["effort"]}
