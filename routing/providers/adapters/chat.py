"""Writes the messages of a chat, with what both adapters need for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from routing.call import Json, Target
from routing.errors import InvalidRequest, Unsupported
from routing.providers.base import Provider
from routing.providers.wishes import Wishes

# OpenAI takes no longer name of a user.
_MOST_USER_CHARS = 64


@dataclass(frozen=True, slots=True)
class Reader:
    """Whom a chat is written for. `blocks`: its dialect reads `content_blocks` and `cache_control` of a chat's messages.
    `thinking`: it reads `thinking` with its budget of tokens."""

    provider: Provider
    blocks: bool
    thinking: bool
    wishes: Wishes

    def refuse(self, what: str, path: str, advice: str = "") -> None:
        """Refuses what a chat has no words for, unless the target leaves such things out."""
        self.wishes.refuse(path, str(refused(self, what, path, advice)))


def reader(target: Target, model: Any, wishes: Wishes) -> Reader:
    """The target's, for a model. A dialect that reads more than OpenAI's says so by a method of the model's name."""

    def takes(what: str) -> bool:
        asks = getattr(target.provider.dialect, f"takes_{what}", None)
        return asks is not None and isinstance(model, str) and bool(asks(model))

    blocks = takes("blocks")
    return Reader(target.provider, blocks, blocks or takes("thinking"), wishes)


class Conversation:
    """The messages so far. What an assistant says and calls in a row is one message, as OpenAI demands.

    Results of tools are texts in a chat. Pictures and documents in them follow as a message of the user's, once all results of
    the turn are given.
    """

    def __init__(self) -> None:
        self.messages: list[Json] = []
        self._held: list[Json] = []

    def say(self, role: str, parts: list[Json]) -> None:
        """A message of the system's or the user's."""
        self.flush()
        self.messages.append({"role": role, "content": collapsed(parts)})

    def answer(self, text: str | None, *, reasoning: Json | None = None, blocks: list[Json] | None = None) -> Json:
        """A message of the assistant's, which `call` adds to. `reasoning` is thinking by the name of its field."""
        self.flush()
        message: Json = {"role": "assistant", "content": text, **(reasoning or {})}
        if blocks:
            message["content_blocks"] = blocks
        self.messages.append(message)
        return message

    def call(self, call_id: str, name: str, arguments: str) -> None:
        """A call of a tool, by the assistant's message that stands last."""
        last = self.messages[-1] if self.messages and not self._held else None
        if last is None or last["role"] != "assistant":
            last = self.answer(None)
        calls = last.setdefault("tool_calls", [])
        calls.append({"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}})

    def result(self, call_id: str, parts: list[Json], extra: Json) -> None:
        """What a tool gave."""
        texts = [part["text"] for part in parts if part["type"] == "text"]
        others = [part for part in parts if part["type"] != "text"]
        if others:
            texts.append("(What else this tool gave follows in the next message of the user.)")
            self._held += [{"type": "text", "text": f"From the tool call {call_id}:"}, *others]
        self.messages.append({"role": "tool", "tool_call_id": call_id, "content": "\n".join(texts), **extra})

    def take(self) -> list[Json]:
        """What was held back, for the user's message that is being written."""
        held, self._held = self._held, []
        return held

    def flush(self) -> None:
        """Says what was held back."""
        if held := self.take():
            self.messages.append({"role": "user", "content": held})


def collapsed(parts: list[Json]) -> str | list[Json]:
    """A single text as a text, which every server reads; anything else as the parts."""
    if not parts:
        return ""
    return parts[0]["text"] if len(parts) == 1 and parts[0].keys() == {"type", "text"} else parts


def named(words: Mapping[str, str], value: Any) -> str | None:
    """The word for a value; None for one that is not among them, whatever its type."""
    return words.get(value) if isinstance(value, str) else None


def text_part(text: Any, path: str) -> Json:
    if not isinstance(text, str):
        raise InvalidRequest(f"{path} must be a text.", param=path)
    return {"type": "text", "text": text}


def image_part(url: Any, path: str, detail: Any = None) -> Json:
    if not isinstance(url, str) or not url:
        raise InvalidRequest(f"{path} must be an address or a data URL.", param=path)
    return {"type": "image_url", "image_url": {"url": url} if detail is None else {"url": url, "detail": detail}}


def an_object(value: Any, path: str) -> Json:
    if not isinstance(value, dict):
        raise InvalidRequest(f"{path} must be an object.", param=path)
    return value


def a_list(value: Any, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidRequest(f"{path} must be a list.", param=path)
    return value


def a_name(value: Any, path: str) -> str:
    if not isinstance(value, str) or not value:
        raise InvalidRequest(f"{path} must be a text and not empty.", param=path)
    return value


def refused(reader: Reader, what: str, path: str, advice: str = "") -> Unsupported:
    """The error for a part of the conversation that a chat has no words for, which cannot be left out."""
    return Unsupported(
        f"{reader.provider.label} is called through chat completions, which have no {what}.{advice and ' ' + advice}",
        param=path,
    )


def user_name(value: Any, path: str, digest: Any) -> str:
    """The user's name, or where it is too long for OpenAI a digest of it, which still tells users apart."""
    name = a_name(value, path)
    return name if len(name) <= _MOST_USER_CHARS else str(digest(name.encode()).hexdigest())
