"""What a model's name tells: the path of its call, and whose model it is."""

from __future__ import annotations

from urllib.parse import quote

from routing.errors import InvalidRequest

# What stays as it is in a path, and stays so on its way through the HTTP client: the signature covers the path as it is sent.
_PLAIN = ":@!$&'()*,;=~"
# In front of the name of a model that is run in more than one region.
_GEOGRAPHIES = frozenset({"us", "us-gov", "eu", "apac", "au", "ca", "jp", "sa", "global"})


def path(model: str, action: str) -> str:
    """The path of a call. Raises `InvalidRequest` for a name that would lead elsewhere."""
    if model.strip(".") == "":
        raise InvalidRequest("model: is no name of a model.", param="model")
    return f"model/{quote(model, safe=_PLAIN)}/{action}"


def plain_name(model: str) -> str:
    """The model's own name: without the ARN around it and the geography before it. An ARN may name no model; then its id."""
    name = model.rsplit("/", 1)[-1] if model.startswith("arn:") else model
    head, dot, rest = name.partition(".")
    return rest if dot and head in _GEOGRAPHIES else name


def family(model: str) -> str:
    """The maker in the model's name, such as ``anthropic``; empty where the name tells none."""
    name = plain_name(model)
    return name.partition(".")[0] if "." in name else ""
