"""Tools and the choice among them in the vendor's words."""

from __future__ import annotations

from typing import Any

from routing.call import Json
from routing.errors import InvalidRequest
from routing.providers.google import schema
from routing.providers.wishes import Wishes

# The vendor's own tools by any spelling. They stand beside the functions, or are written as a function of that name.
_NATIVE = {
    spelling: name
    for name, snake in (
        ("googleSearch", "google_search"),
        ("googleSearchRetrieval", "google_search_retrieval"),
        ("googleMaps", "google_maps"),
        ("enterpriseWebSearch", "enterprise_web_search"),
        ("codeExecution", "code_execution"),
        ("urlContext", "url_context"),
        ("computerUse", "computer_use"),
        ("fileSearch", "file_search"),
        ("retrieval", "retrieval"),
    )
    for spelling in (name, snake)
}
_FUNCTIONS = ("functionDeclarations", "function_declarations")
# Only these are taken for the vendor's own when they are written as functions: a caller may well have a `retrieval`.
_AS_FUNCTIONS = frozenset({"googleSearch", "googleSearchRetrieval", "googleMaps", "enterpriseWebSearch", "computerUse"})
_MODES = {"auto": "AUTO", "none": "NONE", "required": "ANY", "any": "ANY"}


def translated(tools: Any, wishes: Wishes) -> tuple[list[Json], Json]:
    """The tools, all functions in one of them, and what some of them say in the tool config. Raises with the tool's path."""
    if tools is None:
        return [], {}
    if not isinstance(tools, list):
        raise InvalidRequest("tools must be a list.", param="tools")
    functions: list[Json] = []
    native: list[Json] = []
    config: Json = {}
    for index, tool in enumerate(tools):
        path = f"tools[{index}]"
        if not isinstance(tool, dict):
            raise InvalidRequest(f"{path} must be an object.", param=path)
        kind, function = tool.get("type", "function"), tool.get("function")
        if kind == "function" and isinstance(function, dict):
            name = function.get("name")
            if not isinstance(name, str) or not name:
                raise InvalidRequest(f"{path}.function.name must be a text.", param=f"{path}.function.name")
            if _NATIVE.get(name) in _AS_FUNCTIONS:
                native.append(_named_like_a_function(_NATIVE[name], function.get("parameters"), config))
            else:
                functions.append(_function(name, function, f"{path}.function"))
        elif not _is_native(tool, kind, native, functions):
            if kind == "function":
                raise InvalidRequest(f"{path}.function must be an object.", param=f"{path}.function")
            wishes.refuse(path, f"{wishes.label} has no tools of type {kind!r}.")
    return ([{"functionDeclarations": functions}] if functions else []) + native, config


def choice(chosen: Any, wishes: Wishes) -> Json | None:
    """The function calling config; None where the vendor's default is meant."""
    if chosen is None:
        return None
    if isinstance(chosen, str) and chosen in _MODES:
        return {"mode": _MODES[chosen]}
    if isinstance(chosen, dict):
        kind, function = chosen.get("type"), chosen.get("function")
        if kind == "function" and isinstance(function, dict) and isinstance(function.get("name"), str):
            return {"mode": "ANY", "allowedFunctionNames": [function["name"]]}
        if kind == "allowed_tools" and isinstance(allowed := chosen.get("allowed_tools", chosen), dict):
            return _allowed(allowed)
    wishes.refuse("tool_choice", f"{wishes.label} cannot express this tool_choice.")
    return None


def _allowed(allowed: Json) -> Json:
    names = []
    for index, tool in enumerate(allowed.get("tools") or []):
        function = tool.get("function", tool) if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            path = f"tool_choice.allowed_tools.tools[{index}]"
            raise InvalidRequest(f"{path} must name a function.", param=path)
        names.append(function["name"])
    # The vendor's AUTO takes no list of names; VALIDATED is AUTO with one.
    return {"mode": "ANY" if allowed.get("mode") == "required" else "VALIDATED", "allowedFunctionNames": names}


def _function(name: str, function: Json, path: str) -> Json:
    out: Json = {"name": name}
    if function.get("description"):
        out["description"] = function["description"]
    given = function.get("parameters")
    if given is not None:
        shown = schema.translated(given, f"{path}.parameters")
        if shown is None:
            out["parametersJsonSchema"] = schema.whole(given)
        elif shown.get("properties") or shown.keys() - {"type", "properties", "required", "title", "description"}:
            out["parameters"] = shown
        # A function without parameters is declared without a schema.
    return out


def _named_like_a_function(name: str, settings: Any, config: Json) -> Json:
    """The vendor's own tool, written as a function: its parameters are settings, unless they are a mere schema."""
    given = settings if isinstance(settings, dict) and settings.get("type") != "object" else {}
    retrieval = given.get("retrievalConfig") or given.get("retrieval_config")
    if isinstance(retrieval, dict):
        config["retrievalConfig"] = retrieval
        given = {key: value for key, value in given.items() if key not in ("retrievalConfig", "retrieval_config")}
    return {name: given}


def _is_native(tool: Json, kind: Any, native: list[Json], functions: list[Json]) -> bool:
    """Takes in a tool that is written in the vendor's words: ``{"googleSearch": {}}``, with or without a type."""
    found = False
    for key, value in tool.items():
        if key in _FUNCTIONS and isinstance(value, list):
            functions += value
            found = True
        elif key in _NATIVE:
            native.append({_NATIVE[key]: value if isinstance(value, dict) else {}})
            found = True
    if not found and isinstance(kind, str) and kind in _NATIVE:
        native.append({_NATIVE[kind]: {key: value for key, value in tool.items() if key != "type"}})
        found = True
    return found
