"""Counting tokens for vendors that have no count of their own: an estimate, by the rule of analytics/estimate.py."""

from __future__ import annotations

import orjson

from analytics.estimate import estimate_prompt_tokens
from routing.call import Answer, Call, Target, Usage
from routing.providers import outgoing
from routing.providers.adapters.messages.request import chat


def count_tokens(call: Call, target: Target) -> Answer:
    """``{"input_tokens": n}`` of the chat that the call would become. Raises what that raises. It costs nothing."""
    body = outgoing.merged(call, target)
    outgoing.require_model(body, target)
    tokens = estimate_prompt_tokens(chat(body, target))
    return Answer(orjson.dumps({"input_tokens": tokens}), Usage(), target.model or call.model)
