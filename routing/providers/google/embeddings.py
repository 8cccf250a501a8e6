"""Embeddings: ``embedContent`` and ``batchEmbedContents`` of the Gemini API, ``predict`` of Vertex AI.

`dimensions` becomes outputDimensionality; task_type, title and auto_truncate are the vendor's own. `user` is left out, and what
is not known here is refused: the vendor would not say.
"""

from __future__ import annotations

from typing import Any

import orjson

from analytics.estimate import estimate_usage
from routing.call import MOST_TOKENS, Answer, Call, Json, Target, Usage
from routing.errors import InvalidRequest
from routing.providers import failures, outgoing, reading
from routing.providers.vectors import embedding_list
from routing.providers.wishes import Wishes

_SETTINGS = {"task_type": "taskType", "taskType": "taskType", "title": "title"}
_TRUNCATE = ("auto_truncate", "autoTruncate")
_KNOWN = frozenset({"input", "model", "dimensions", "encoding_format", "user", *_SETTINGS, *_TRUNCATE})


def content_requests(body: Json, model: str, wishes: Wishes) -> Json:
    """The Gemini API's words for one text, or for several under ``requests``."""
    texts, settings = _read(body, wishes)
    if body.get("dimensions") is not None:
        settings["outputDimensionality"] = body["dimensions"]
    if any(body.get(name) is not None for name in _TRUNCATE):
        wishes.refuse("auto_truncate")
    asked: list[Json] = [{"model": f"models/{model}", "content": {"parts": [{"text": text}]}, **settings} for text in texts]
    return {"requests": asked} if isinstance(body.get("input"), list) else asked[0]


def prediction(body: Json, wishes: Wishes) -> Json:
    """Vertex AI's words."""
    texts, settings = _read(body, wishes)
    shared = {"task_type" if name == "taskType" else name: value for name, value in settings.items()}
    parameters: Json = {}
    if body.get("dimensions") is not None:
        parameters["outputDimensionality"] = body["dimensions"]
    for name in _TRUNCATE:
        if body.get(name) is not None:
            parameters["autoTruncate"] = body[name]
    asked: Json = {"instances": [{"content": text, **shared} for text in texts]}
    return {**asked, "parameters": parameters} if parameters else asked


def vectors(call: Call, target: Target, body: bytes) -> Answer:
    """The answer in OpenAI's words, its vectors packed as the caller asked. Raises `UpstreamInvalid` where there are none."""
    try:
        data = reading.loads(body)
    except orjson.JSONDecodeError:
        raise failures.invalid(target, "the answer is not JSON" if body.strip() else "the answer is empty", body) from None
    found = _found(data) if isinstance(data, dict) else None
    if not found:
        raise failures.invalid(target, "the answer has no embeddings", body)
    merged = outgoing.merged(call, target)
    # The Gemini API does not count the tokens of embeddings.
    usage = _usage(data, found) or estimate_usage({"input": merged.get("input")}, 0)
    translated = embedding_list([one["values"] for one in found], merged.get("model", ""), usage, merged.get("encoding_format"))
    translated["provider"] = target.provider.id
    return Answer(body=orjson.dumps(translated), usage=usage, model=None)


def _read(body: Json, wishes: Wishes) -> tuple[list[str], Json]:
    for field, value in body.items():
        if field not in _KNOWN and value is not None:
            wishes.refuse(field, f"{wishes.label} cannot express {field} of embeddings.")
    if body.get("encoding_format") not in (None, "float", "base64"):
        raise InvalidRequest("encoding_format must be float or base64.", param="encoding_format")
    given = body.get("input")
    texts: list[Any] = given if isinstance(given, list) else [given]
    if not texts:
        raise InvalidRequest("input must hold at least one text.", param="input")
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            path = f"input[{index}]" if isinstance(given, list) else "input"
            raise InvalidRequest(f"{path} must be a text: {wishes.label} takes no token ids.", param=path, code="unsupported")
    return texts, {name: body[field] for field, name in _SETTINGS.items() if body.get(field) is not None}


def _found(data: Json) -> list[Json] | None:
    """The objects that hold ``values``, in the order of the texts; None where one of them does not."""
    if isinstance(data.get("embedding"), dict):
        listed: Any = [data["embedding"]]
    elif isinstance(data.get("predictions"), list):
        listed = [one.get("embeddings") if isinstance(one, dict) else None for one in data["predictions"]]
    else:
        listed = data.get("embeddings")
    if not isinstance(listed, list):
        return None
    return listed if all(isinstance(one, dict) and _are_numbers(one.get("values")) for one in listed) else None


def _are_numbers(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, int | float) for value in values)


def _usage(data: Json, found: list[Json]) -> Usage | None:
    whole = data.get("usageMetadata")
    counts = [whole.get("promptTokenCount")] if isinstance(whole, dict) else [_statistics(one) for one in found]
    if not all(isinstance(count, int | float) and 0 <= count <= MOST_TOKENS for count in counts):
        return None
    return Usage(input_tokens=int(sum(count for count in counts if count is not None)))


def _statistics(one: Json) -> Any:
    statistics = one.get("statistics")
    if not isinstance(statistics, dict):
        return None
    return statistics.get("token_count", statistics.get("tokenCount"))
