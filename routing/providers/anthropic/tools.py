"""Tools and the choice among them in the vendor's words."""

from __future__ import annotations

from typing import Any

from routing.call import Json
from routing.errors import InvalidRequest
from routing.providers.wishes import Wishes

# The vendor's own settings of a tool, which callers write on the tool or inside its function.
_CARRIED = ("cache_control", "defer_loading", "allowed_callers", "input_examples", "eager_input_streaming", "strict")
_NATIVE_CHOICES = frozenset({"auto", "any", "none", "tool"})
_NAMED_CHOICES = {"auto": "auto", "required": "any", "any": "any", "none": "none"}


def translated_tools(tools: Any, wishes: Wishes) -> list[Json]:
    """The tools; an empty list where there are none. Raises `Unsupported` or `InvalidRequest` with the tool's path."""
    if tools is None:
        return []
    if not isinstance(tools, list):
        raise InvalidRequest("tools must be a list.", param="tools")
    read = (_tool(tool, f"tools[{index}]", wishes) for index, tool in enumerate(tools))
    return [tool for tool in read if tool is not None]


def translated_choice(choice: Any, parallel: Any, has_tools: bool, wishes: Wishes) -> Json | None:
    """The tool choice, with OpenAI's `parallel_tool_calls` in it; None where the vendor's default is meant.

    The vendor takes no choice among no tools; one that demands a call is left for it to refuse.
    """
    chosen = _choice(choice, wishes)
    if not has_tools and chosen is not None and chosen["type"] in ("auto", "none"):
        return None
    if parallel is False and has_tools:
        chosen = chosen or {"type": "auto"}
        if chosen["type"] != "none":
            chosen["disable_parallel_tool_use"] = True
    return chosen


def _tool(tool: Any, path: str, wishes: Wishes) -> Json | None:
    if not isinstance(tool, dict):
        raise InvalidRequest(f"{path} must be an object.", param=path)
    kind = tool.get("type", "function")
    function = tool.get("function")
    if not isinstance(kind, str):
        raise InvalidRequest(f"{path}.type must be a text.", param=f"{path}.type")
    if kind == "function":
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise InvalidRequest(f"{path}.function must have a name.", param=f"{path}.function.name")
        return _function(tool, function)
    inner = tool.get(kind)
    if kind == "custom" and isinstance(inner, dict):
        # OpenAI's free-form tool; the vendor's own tools of this type have their schema at the top.
        wishes.refuse(path, f"{wishes.label} has no tools with free-form input.")
        return None
    if isinstance(inner, dict) and isinstance(inner.get("name"), str):
        # Portkey's way to write the vendor's own tools: {"type": "computer", "computer": {"name": "computer_20250124", ...}}.
        return {**{key: value for key, value in tool.items() if key != kind}, **inner, "type": inner["name"], "name": kind}
    return tool


def _function(tool: Json, function: Json) -> Json:
    parameters = function.get("parameters")
    out: Json = {
        "name": function["name"],
        # Whole: dropping keys such as additionalProperties would change what the tool accepts. The vendor demands the type.
        "input_schema": {"type": "object", **parameters} if isinstance(parameters, dict) else {"type": "object"},
    }
    if function.get("description"):
        out["description"] = function["description"]
    for key in _CARRIED:
        value = tool.get(key, function.get(key))
        if value is not None:
            out[key] = value
    return out


def _choice(choice: Any, wishes: Wishes) -> Json | None:
    if choice is None:
        return None
    if isinstance(choice, str) and choice in _NAMED_CHOICES:
        return {"type": _NAMED_CHOICES[choice]}
    if isinstance(choice, dict):
        kind, function = choice.get("type"), choice.get("function")
        if kind == "function" and isinstance(function, dict) and isinstance(function.get("name"), str):
            return {"type": "tool", "name": function["name"]}
        if isinstance(kind, str) and kind in _NATIVE_CHOICES:
            return dict(choice)
    wishes.refuse("tool_choice", f"{wishes.label} cannot express this tool_choice.")
    return None
