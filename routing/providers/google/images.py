"""Images of the Imagen models, by ``predict``: the same words on the Gemini API and on Vertex AI.

`size` becomes the aspect ratio that it has. The image itself comes back in base64: the vendor keeps none at an address.
"""

from __future__ import annotations

from typing import Any

import orjson

from routing.call import Answer, Call, Json, Target
from routing.errors import InvalidRequest
from routing.providers import failures, reading
from routing.providers.wishes import Wishes

_RATIOS = {
    "256x256": "1:1",
    "512x512": "1:1",
    "1024x1024": "1:1",
    "1792x1024": "16:9",
    "1024x1792": "9:16",
    "1536x1024": "4:3",
    "1024x1536": "3:4",
    "auto": None,
}
_NATIVE = {
    name: camel
    for camel, snake in (
        ("aspectRatio", "aspect_ratio"),
        ("seed", "seed"),
        ("negativePrompt", "negative_prompt"),
        ("personGeneration", "person_generation"),
        ("safetySetting", "safety_setting"),
        ("addWatermark", "add_watermark"),
        ("enhancePrompt", "enhance_prompt"),
        ("guidanceScale", "guidance_scale"),
        ("includeRaiReason", "include_rai_reason"),
        ("language", "language"),
        ("sampleImageSize", "sample_image_size"),
        ("sampleImageStyle", "style"),
        ("outputOptions", "output_options"),
    )
    for name in (camel, snake)
}
_FORMATS = {"png": "image/png", "jpeg": "image/jpeg"}
_COMPRESSION = {"hd": 100, "high": 100, "standard": 75, "medium": 75, "low": 50}
_KNOWN = frozenset({"prompt", "model", "n", "size", "quality", "response_format", "output_format", "user", *_NATIVE})


def prediction(body: Json, wishes: Wishes) -> Json:
    """The request's body. Raises `Unsupported` or `InvalidRequest` with the path of the field."""
    for field, value in body.items():
        if field not in _KNOWN and value is not None:
            wishes.refuse(field, f"{wishes.label} cannot express {field} of images.")
    if not isinstance(body.get("prompt"), str):
        raise InvalidRequest("prompt must be a text.", param="prompt")
    if body.get("response_format") not in (None, "b64_json"):
        wishes.refuse("response_format", f"{wishes.label} gives images only as b64_json.")
    parameters: Json = {"sampleCount": 1 if body.get("n") is None else body["n"]}
    size = body.get("size")
    if size is not None and (not isinstance(size, str) or size not in _RATIOS):
        wishes.refuse("size", f"{wishes.label} knows no size {size!r}; it can be {', '.join(_RATIOS)}.")
    elif size is not None and _RATIOS[size] is not None:
        parameters["aspectRatio"] = _RATIOS[size]
    if output := _output(body, wishes):
        parameters["outputOptions"] = output
    parameters |= {name: body[field] for field, name in _NATIVE.items() if body.get(field) is not None}
    return {"instances": [{"prompt": body["prompt"]}], "parameters": parameters}


def images(call: Call, target: Target, body: bytes) -> Answer:
    """The answer in OpenAI's words. Raises `UpstreamInvalid` where it holds no image, and
    `ProviderError` with the reason where the vendor held all of them back."""
    try:
        data = reading.loads(body)
    except orjson.JSONDecodeError:
        raise failures.invalid(target, "the answer is not JSON" if body.strip() else "the answer is empty", body) from None
    listed = data.get("predictions") if isinstance(data, dict) else None
    found = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    shown = [_shown(one) for one in found if isinstance(one.get("bytesBase64Encoded"), str)]
    if not shown:
        reasons = [one["raiFilteredReason"] for one in found if isinstance(one.get("raiFilteredReason"), str)]
        if reasons:
            error = {"message": reasons[0], "type": "content_filter", "code": "content_filter"}
            raise failures.provider_error(target, 400, orjson.dumps({"error": error}))
        raise failures.invalid(target, "the answer holds no image", body)
    translated = {"created": call.started_at_us // 1_000_000, "data": shown, "provider": target.provider.id}
    return Answer(body=orjson.dumps(translated), usage=None)


def _shown(one: Json) -> Json:
    shown: Json = {"b64_json": one["bytesBase64Encoded"]}
    if isinstance(one.get("prompt"), str):
        shown["revised_prompt"] = one["prompt"]
    return shown


def _output(body: Json, wishes: Wishes) -> Json:
    output: Json = {}
    for field, known, name in (("output_format", _FORMATS, "mimeType"), ("quality", _COMPRESSION, "compressionQuality")):
        value: Any = body.get(field)
        if value is None or value == "auto":
            continue
        if not isinstance(value, str) or value not in known:
            wishes.refuse(field, f"{wishes.label} knows no {field} {value!r}; it can be {', '.join(known)}.")
            continue
        output[name] = known[value]
    return output
