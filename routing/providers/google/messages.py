"""A conversation in OpenAI's words as the vendor's: a system instruction apart, and turns of parts.

- system and developer messages, wherever they stand, become parts of the system instruction in their order.
- Messages of one side in a row become one turn. Results of tools are a turn of their own, so that the vendor finds as many
  results in it as there were calls.
- The vendor matches a result to its call by the function's name, OpenAI by an id: the name is looked up in the calls before.
- A call carries a signature of the thinking that led to it, and the newer models refuse a call that has lost it. It travels in
  ``extra_content.google.thought_signature``, as in the vendor's own OpenAI-like API, or in ``function.thought_signature``.
"""

from __future__ import annotations

import re
from typing import Any

import orjson

from routing.call import Json
from routing.errors import InvalidRequest
from routing.providers import reading
from routing.providers.google import parts
from routing.providers.wishes import Wishes

# What the vendor accepts in place of a signature for a call that another vendor's model made (its page on thought signatures).
NO_SIGNATURE = "skip_thought_signature_validator"
_SIGNING_MODELS = re.compile(r"gemini-(?:[3-9]|\d\d)(?!\d)")
_SIDES = {"user": "user", "tool": "tool", "function": "tool", "assistant": "model", "model": "model"}
# Ids of this shape are made up, here or by another vendor; the vendor's own it wants back.
_MADE_UP = ("call_", "toolu_", "chatcmpl-")


def conversation(messages: Any, model: str, wishes: Wishes) -> tuple[list[Json], list[Json]]:
    """System parts and turns. Raises `InvalidRequest` or `Unsupported` with the path of what is wrong."""
    if not isinstance(messages, list) or not messages:
        raise InvalidRequest("messages must be a list with at least one message.", param="messages")
    return _Conversation(model, wishes).read(messages)


class _Conversation:
    def __init__(self, model: str, wishes: Wishes) -> None:
        self._signs = _SIGNING_MODELS.search(model) is not None
        self._wishes = wishes
        self._names: dict[str, str] = {}

    def read(self, messages: list[Any]) -> tuple[list[Json], list[Json]]:
        system: list[Json] = []
        turns: list[tuple[str, list[Json]]] = []
        for index, message in enumerate(messages):
            path = f"messages[{index}]"
            if not isinstance(message, dict):
                raise InvalidRequest(f"{path} must be an object.", param=path)
            role = message.get("role")
            if role in ("system", "developer"):
                system += self._content(message, path)
                continue
            side = _SIDES.get(role) if isinstance(role, str) else None
            if side is None:
                self._wishes.never(f"{path}.role", f"{self._wishes.label} knows no role {role!r}.")
            read = {"user": self._content, "tool": self._result, "model": self._answer}[side](message, path)
            if turns and turns[-1][0] == side:
                turns[-1][1].extend(read)
            elif read or side == "user":
                turns.append((side, read))
        return system, [
            {"role": "model" if side == "model" else "user", "parts": read or [{"text": ""}]} for side, read in turns
        ]

    def _content(self, message: Json, path: str) -> list[Json]:
        content = message.get("content")
        if isinstance(content, str):
            return [{"text": content}] if content else []
        if not isinstance(content, list):
            raise InvalidRequest(f"{path}.content must be a text or a list of parts.", param=f"{path}.content")
        read = (parts.translated(part, f"{path}.content[{place}]", self._wishes) for place, part in enumerate(content))
        return [part for part in read if part is not None]

    def _answer(self, message: Json, path: str) -> list[Json]:
        for field in ("function_call", "audio"):
            if message.get(field) is not None:
                self._wishes.never(f"{path}.{field}", f"{self._wishes.label} cannot express {field} of a message.")
        calls = message.get("tool_calls") or []
        if not isinstance(calls, list):
            raise InvalidRequest(f"{path}.tool_calls must be a list.", param=f"{path}.tool_calls")
        native, content = message.get("content_blocks"), message.get("content")
        if isinstance(native, list) and native:
            # From a non-strict answer, thinking and its signature included. The calls come from tool_calls.
            content = [block for block in native if not _is_call(block)]
        elif content is None:
            content = message.get("refusal") or ""
        out = self._content({"content": content}, path)
        for place, call in enumerate(calls):
            part = self._call(call, f"{path}.tool_calls[{place}]")
            if not place and self._signs:
                part.setdefault("thoughtSignature", NO_SIGNATURE)
            out.append(part)
        return out

    def _call(self, call: Any, path: str) -> Json:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise InvalidRequest(f"{path} must be a call of a function with a name.", param=path)
        arguments = function.get("arguments")
        try:
            parsed = arguments if isinstance(arguments, dict) else reading.loads(arguments or "{}")
        except (orjson.JSONDecodeError, TypeError):
            parsed = None
        if not isinstance(parsed, dict):
            raise InvalidRequest(f"{path}.function.arguments must be a JSON object.", param=f"{path}.function.arguments")
        made: Json = {"name": function["name"], "args": parsed}
        number = call.get("id")
        if isinstance(number, str):
            self._names[number] = function["name"]
            made |= _own_id(number)
        out: Json = {"functionCall": made}
        if signature := _signature(call, function):
            out["thoughtSignature"] = signature
        return out

    def _result(self, message: Json, path: str) -> list[Json]:
        number = message.get("tool_call_id")
        name = self._names.get(number) if isinstance(number, str) else None
        name = name or message.get("name")
        if not isinstance(name, str) or not name:
            where = f"{path}.tool_call_id"
            raise InvalidRequest(f"{where} must be the id of a call in an earlier message.", param=where)
        content = message.get("content")
        read = self._content(message, path) if content is not None else []
        said = "".join(part["text"] for part in read if isinstance(part.get("text"), str))
        made: Json = {"name": name, "response": {"error" if message.get("is_error") is True else "output": said}}
        if media := [part for part in read if "text" not in part]:
            made["parts"] = media
        return [{"functionResponse": made | (_own_id(number) if isinstance(number, str) else {})}]


def _is_call(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") == "tool_use"


def _own_id(number: str) -> Json:
    return {} if number.startswith(_MADE_UP) else {"id": number}


def _signature(call: Json, function: Json) -> str | None:
    extra = call.get("extra_content")
    own = extra.get("google") if isinstance(extra, dict) else None
    for holder in (own, function, call):
        signature = holder.get("thought_signature") if isinstance(holder, dict) else None
        if isinstance(signature, str) and signature:
            return signature
    return None
