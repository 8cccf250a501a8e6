"""Tools and the choice among them as Converse's toolConfig."""

from __future__ import annotations

from typing import Any

from routing.call import Json
from routing.errors import InvalidRequest
from routing.providers.bedrock.messages import cache_point
from routing.providers.wishes import Wishes


def tool_config(body: Json, turns: list[Json], maker: str, fields: Json, wishes: Wishes) -> Json | None:
    """The toolConfig; None where there are no tools. Raises `Unsupported` or `InvalidRequest` with the tool's path.

    What only the models of this `maker` know to say is written into `fields`.
    """
    tools = body.get("tools")
    if tools is None or tools == []:
        return None
    if not isinstance(tools, list):
        raise InvalidRequest("tools must be a list.", param="tools")
    choice = body.get("tool_choice")
    if choice == "none":
        if not any(block.keys() & {"toolUse", "toolResult"} for turn in turns for block in turn["content"]):
            # A model that sees no tools calls none.
            return None
        wishes.refuse("tool_choice", f"{wishes.label} cannot forbid calls in a conversation that already has some.")
        choice = None
    blocks = [block for index, tool in enumerate(tools) for block in _tool(tool, f"tools[{index}]", wishes)]
    if not blocks:
        return None
    config: Json = {"tools": blocks}
    chosen = None if choice is None else _choice(choice, wishes)
    one_at_a_time = body.get("parallel_tool_calls") is False
    if one_at_a_time and maker == "anthropic":
        # Converse itself has no word for it, and refuses a choice that stands in both places.
        fields["tool_choice"] = {**_of_anthropic(chosen or {"auto": {}}), "disable_parallel_tool_use": True}
        return config
    if one_at_a_time:
        wishes.refuse("parallel_tool_calls")
    if chosen is not None:
        config["toolChoice"] = chosen
    return config


def _of_anthropic(chosen: Json) -> Json:
    """Converse's choice as Anthropic's: ``{"tool": {"name": ...}}`` as ``{"type": "tool", "name": ...}``."""
    [(kind, more)] = chosen.items()
    return {"type": kind, **more}


def _tool(tool: Any, path: str, wishes: Wishes) -> list[Json]:
    """A tool and the cache point behind it. The vendor's own entries (toolSpec, systemTool, cachePoint) pass as they are."""
    if not isinstance(tool, dict):
        raise InvalidRequest(f"{path} must be an object.", param=path)
    if "type" not in tool and len(tool) == 1 and tool.keys() <= {"toolSpec", "systemTool", "cachePoint"}:
        return [tool]
    if tool.get("type", "function") != "function":
        wishes.refuse(f"{path}.type", f"{wishes.label} has only tools that are functions.")
        return []
    function = tool.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise InvalidRequest(f"{path}.function must have a name.", param=f"{path}.function.name")
    parameters = function.get("parameters")
    schema = {"type": "object", **parameters} if isinstance(parameters, dict) else {"type": "object"}
    spec: Json = {"name": function["name"], "inputSchema": {"json": schema}}
    if function.get("description"):
        spec["description"] = function["description"]
    if function.get("strict") is True:
        spec["strict"] = True
    return [{"toolSpec": spec}, *(cache_point(tool) or cache_point(function))]


def _choice(choice: Any, wishes: Wishes) -> Json | None:
    if choice == "auto":
        return {"auto": {}}
    if choice in ("required", "any"):
        return {"any": {}}
    if isinstance(choice, dict):
        function = choice.get("function")
        if choice.get("type") == "function" and isinstance(function, dict) and isinstance(function.get("name"), str):
            return {"tool": {"name": function["name"]}}
        if len(choice) == 1 and choice.keys() <= {"auto", "any", "tool"}:
            return dict(choice)
    wishes.refuse("tool_choice", f"{wishes.label} cannot express this tool_choice.")
    return None
