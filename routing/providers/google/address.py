"""Where a call goes: the version in the path, the model's resource, and for Vertex AI the region's host and the project.

Everything that a caller can write into an address is matched against what it may be, so that it can neither end the host nor
add a path or a query.
"""

from __future__ import annotations

import re

from routing.call import Target
from routing.errors import InvalidRequest
from routing.providers import options
from routing.providers.base import Option
from routing.providers.google.accounts import account

_VERSION = re.compile(r"/v\d+[a-z0-9]*$")
_MODEL = re.compile(r"[A-Za-z0-9][\w.@-]*")
_COLLECTIONS = ("models/", "tunedModels/")
_REGION = re.compile(r"[a-z](?:[a-z0-9-]{0,40}[a-z0-9])?")
_PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._-]{0,100}")
# Regions of several countries have hosts of their own form.
_WIDE_REGIONS = frozenset({"us", "eu"})

PROJECT = Option("vertex_project_id")
REGION = Option("vertex_region")


def model_name(model: str, label: str) -> str:
    """The model as it may stand in a path. Raises `InvalidRequest` for a name that is none."""
    if not _MODEL.fullmatch(model):
        raise InvalidRequest(f"{label} has no model of the name {model[:100]!r}.", param="model")
    return model


def gemini_api(target: Target, model: str) -> str:
    """The address of a model of the Gemini API, without the method."""
    collection = next((prefix for prefix in _COLLECTIONS if model.startswith(prefix)), "")
    name = model_name(model.removeprefix(collection), target.provider.label)
    return f"{_versioned(options.base_url(target), 'v1beta')}/{collection or 'models/'}{name}"


def location(target: Target, version: str = "v1") -> str:
    """The address of a project's region of Vertex AI. Raises `InvalidRequest` that names what is missing."""
    owner = account(target)
    # As with Portkey, the project of the service account is the one that is meant.
    project = str((owner or {}).get("project_id") or _needed(target, PROJECT))
    region = _needed(target, REGION)
    if not _PROJECT.fullmatch(project):
        raise InvalidRequest("vertex_project_id is not the id of a project.", param=PROJECT.name)
    if not _REGION.fullmatch(region):
        raise InvalidRequest("vertex_region is not the name of a region.", param=REGION.name)
    base = options.base_url(target)
    if target.base_url == target.provider.base_url:
        base = _host(region)
    return f"{_versioned(base, version)}/projects/{project}/locations/{region}"


def _host(region: str) -> str:
    if region == "global":
        return "https://aiplatform.googleapis.com"
    if region in _WIDE_REGIONS:
        return f"https://aiplatform.{region}.rep.googleapis.com"
    return f"https://{region}-aiplatform.googleapis.com"


def _versioned(base: str, version: str) -> str:
    """The base with the API's version, unless it ends in one."""
    return base if _VERSION.search(base) else f"{base}/{version}"


def _needed(target: Target, option: Option) -> str:
    value = target.options.get(option.name)
    if not value:
        raise InvalidRequest(
            f"{target.provider.label} needs {option.name}: set it in the virtual key or the config, "
            f"or send {option.request_header}.",
            param=option.name,
            code="missing_option",
        )
    return str(value)
