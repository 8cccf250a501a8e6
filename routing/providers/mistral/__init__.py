"""Mistral's API: OpenAI's dialect with departures, each translated here.

Requests:
    max_completion_tokens, seed   max_tokens, random_seed
    tool_choice: required         any
    safe_mode                     safe_prompt
    service_tier: default         standard_only
    file parts                    document_url, data URLs included
    ids of tool calls             nine letters or digits, which is all that the vendor takes: others become a digest
    messages                      only the fields that the vendor knows: it refuses all others, null or not
    reasoning_content             a chunk of thinking, so that the vendor's own reasoning goes back to it
Text completions go to the vendor's fill-in-the-middle; so does a chat whose target has `mistral_fim_completion`.

Answers whose content is a list of chunks become a text and `reasoning_content`.

Left out as mere wishes: user, safety_identifier, store, stream_options (usage always comes), prompt_cache_retention.
Refused: what the vendor has no words for (`_UNKNOWN`).
"""

from __future__ import annotations

from dataclasses import replace

import orjson

from routing.call import Answer, Call, Endpoint, Json, Target, UpstreamRequest
from routing.errors import InvalidRequest, ProviderError
from routing.providers import failures, outgoing
from routing.providers.mistral.messages import translated
from routing.providers.mistral.reply import ChunkStream, as_text, plain
from routing.providers.openai import OpenAIDialect
from routing.providers.wishes import Wishes

_INNER = OpenAIDialect(
    developer_role=False,
    renames={"max_completion_tokens": "max_tokens", "seed": "random_seed", "safe_mode": "safe_prompt"},
    paths={Endpoint.COMPLETIONS: "fim/completions"},
)
_LEFT_OUT = frozenset({"user", "safety_identifier", "store", "stream_options", "prompt_cache_retention"})
_KNOWN = frozenset({"n", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs"})
# Where `Wishes` lets one of these pass it asks for nothing, and the vendor refuses fields that it does not know.
_UNKNOWN = frozenset({"logit_bias", "modalities", "audio", "functions", "function_call", "verbosity", "web_search_options"})
# Of text completions only: the vendor fills in the middle, once, and knows of nothing else.
_NOT_IN_FIM = {
    "n": (1,),
    "best_of": (1,),
    "echo": (False,),
    "logprobs": (),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
}
_CHOICES = {"required": "any"}
_TIERS = {"default": "standard_only"}


class MistralDialect:
    """See `Dialect`."""

    def streams(self, call: Call, target: Target) -> bool:
        """An event stream where the caller asked for one."""
        return call.stream

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        """The call in the vendor's words. Raises `Unsupported` or `InvalidRequest` with the path of the field."""
        wishes = Wishes(target)
        given = outgoing.merged(call, target)
        body = {key: value for key, value in given.items() if key not in _LEFT_OUT and value is not None}
        fills_in = _fills_in(call, target)
        if fills_in:
            body = _middle(body, wishes)
        elif call.endpoint == Endpoint.CHAT:
            body = _chat(body, wishes)
        elif call.endpoint == Endpoint.EMBEDDINGS:
            body = _embeddings(body)
        path = Endpoint.COMPLETIONS if fills_in else call.endpoint
        inner = replace(call, endpoint=path, body=body, raw=orjson.dumps(body))
        return replace(_INNER.request(inner, _merged(target)), dropped=wishes.dropped)

    def reply(self, call: Call, target: Target, body: bytes) -> Answer:
        """The vendor's answer in OpenAI's words. Raises `UpstreamInvalid` where it is none."""
        answer = _INNER.reply(call, target, body)
        if call.endpoint == Endpoint.CHAT:
            return replace(answer, body=plain(answer.body, target))
        if call.endpoint == Endpoint.COMPLETIONS:
            return replace(answer, body=as_text(answer.body, target))
        return answer

    def stream(self, call: Call, target: Target) -> ChunkStream:
        """A reader of the vendor's events, which writes anew those that differ from OpenAI's."""
        return ChunkStream(_INNER.stream(call, target), target, as_texts=call.endpoint == Endpoint.COMPLETIONS)

    def error(self, target: Target, status: int, body: bytes) -> ProviderError:
        """The vendor's error with its status kept."""
        return failures.provider_error(target, status, body)


def _merged(target: Target) -> Target:
    """The target for a body that its parameters are already in."""
    return replace(target, override_params={}, default_params={}, drop_params=())


def _fills_in(call: Call, target: Target) -> bool:
    asked = str(target.options.get("mistral_fim_completion", "")).lower() == "true"
    return call.endpoint == Endpoint.COMPLETIONS or (call.endpoint == Endpoint.CHAT and asked)


def _chat(body: Json, wishes: Wishes) -> Json:
    wishes.refuse_all(body, but=_KNOWN)
    kept = {key: value for key, value in body.items() if key not in _UNKNOWN}
    kept["messages"] = translated(body.get("messages"), wishes)
    choice = kept.get("tool_choice")
    if isinstance(choice, str) and choice in _CHOICES:
        kept["tool_choice"] = _CHOICES[choice]
    tier = kept.get("service_tier")
    if isinstance(tier, str) and tier in _TIERS:
        kept["service_tier"] = _TIERS[tier]
    if isinstance(kept.get("stop"), list) and not kept["stop"]:
        del kept["stop"]
    return kept


def _middle(body: Json, wishes: Wishes) -> Json:
    """A completion of what stands between `prompt` and `suffix`; of a chat, the user's last message is the prompt."""
    kept = {key: value for key, value in body.items() if key != "messages" and key not in _NOT_IN_FIM}
    for field, harmless in _NOT_IN_FIM.items():
        if body.get(field) is not None and body[field] not in harmless:
            wishes.refuse(field)
    prompt = body.get("prompt")
    if prompt is None:
        users = [one for one in body.get("messages") or [] if isinstance(one, dict) and one.get("role") == "user"]
        prompt = users[-1].get("content") if users else None
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise InvalidRequest("prompt must be a single text: this vendor fills in the middle of one.", param="prompt")
    kept["prompt"] = prompt
    return kept


def _embeddings(body: Json) -> Json:
    kept = dict(body)
    if "dimensions" in kept:
        kept["output_dimension"] = kept.pop("dimensions")
    if isinstance(kept.get("input"), str):
        kept["input"] = [kept["input"]]
    return kept
