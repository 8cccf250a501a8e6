"""Counting tokens for vendors that have no count of their own: an estimate, by the rule of analytics/estimate.py."""

from __future__ import annotations

import orjson

from analytics.estimate import estimate_prompt_tokens
from routing.call import Answer, Call, Target, Usage
from routing.providers import outgoing
from routing.providers.adapters.chat import reader
from routing.providers.adapters.messages.request import chat
from routing.providers.wishes import Wishes


def count_tokens(call: Call, target: Target) -> Answer:
    """``{"input_tokens": n}`` of the chat that the call would become. Raises what that raises. It costs nothing."""
    body = outgoing.merged(call, target)
    model = outgoing.require_model(body, target)
    tokens = estimate_prompt_tokens(chat(body, reader(target, model, Wishes(target))))
    return Answer(orjson.dumps({"input_tokens": tokens}), Usage(), model)
