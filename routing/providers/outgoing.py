"""What the requests of all dialects have in common: the address, the headers and the merged parameters."""

from __future__ import annotations

from routing.call import Call, Json, Target
from routing.configs import params
from routing.errors import InvalidRequest, Unsupported
from routing.providers import options

PLACEHOLDER = params.PLACEHOLDER

# These describe the connection to us, not the call: the connection to the provider has its own. Our own key stays here too.
NEVER_FORWARDED = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-portkey-api-key",
    }
)


def url(target: Target, path: str) -> str:
    """The target's base and `path`, with one slash between. Raises `InvalidRequest` where a part of the address is missing."""
    return f"{options.base_url(target)}/{path}"


def headers(call: Call, target: Target) -> dict[str, str]:
    """Header names are lower-case. Later steps win: the basics, the credential, the target's options, the forwarded headers.

    Raises `InvalidRequest` for an option that cannot be a header's value, and for one that cannot be honoured. No client header
    passes but the forwarded ones.
    """
    provider = target.provider
    built = {"content-type": "application/json", "accept": "text/event-stream" if call.stream else "application/json"}
    provider.auth(built, target)
    for option in provider.options:
        value = target.options.get(option.name) or option.default
        if option.unfit and value:
            raise Unsupported(f"{option.name}: {option.unfit}", param=f"{target.path}.{option.name}")
        if option.sent_as and value not in (None, ""):
            built[option.sent_as] = str(value)
    for name in target.forward_headers:
        lower = name.lower()
        if lower in call.headers and lower not in NEVER_FORWARDED:
            built[lower] = call.headers[lower]
    for name, value in built.items():
        # A line break would let a config write further headers.
        if "\n" in value or "\r" in value or "\0" in value:
            raise InvalidRequest(f"The value for the header {name} holds a line break.", param=name)
    return built


def merged(call: Call, target: Target) -> Json:
    """The caller's parameters as the target changes them; the caller's own object where it changes nothing."""
    return params.apply(call.body, target.default_params, target.override_params, target.drop_params)


def changes(before: Json, after: Json) -> Json:
    """The parameters that `after` has otherwise than `before`; None for those that it lacks."""
    changed = {name: value for name, value in after.items() if name not in before or before[name] != value}
    return changed | {name: None for name in before if name not in after}


def require_model(body: Json, target: Target) -> str:
    """The model's name. Raises `InvalidRequest` when there is none, or only the SDK's placeholder."""
    model = body.get("model")
    if not isinstance(model, str) or not model or model == PLACEHOLDER:
        raise InvalidRequest(
            f"No model for {target.provider.label}: name one in `model`, or in override_params of the config.", param="model"
        )
    return model
