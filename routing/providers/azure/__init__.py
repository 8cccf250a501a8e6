"""Azure's two ways to the models: Azure OpenAI, which speaks OpenAI's dialect at addresses of its own, and AI Foundry.

Only addresses and credentials differ, so each is a dialect around the one whose words are spoken. Results of Azure's content
filters stand in the answers and pass through with them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from urllib.parse import quote, urlencode, urlsplit

from routing.call import Answer, Call, Endpoint, Target, UpstreamRequest
from routing.errors import InvalidRequest, ProviderError
from routing.providers import options, outgoing
from routing.providers.anthropic import AnthropicDialect
from routing.providers.azure.billed import Billed
from routing.providers.azure.errors import with_findings
from routing.providers.base import Dialect, StreamTranslator
from routing.providers.body import Bytes
from routing.providers.openai import OpenAIDialect

# What the resource keeps, and all that it has itself: no deployment stands in their path.
_STORED = frozenset({Endpoint.FILES, Endpoint.BATCHES, Endpoint.FINE_TUNING})
_OF_THE_RESOURCE = _STORED | {Endpoint.RESPONSES}
# Versions of the API in whose paths a deployment is named by the body alone. Only the first needs no query.
_V1, _WITHOUT_DEPLOYMENT = "v1", frozenset({"v1", "preview", "latest"})


@dataclass(frozen=True, slots=True)
class AzureOpenAIDialect:
    """OpenAI's dialect below ``/openai``.

    A version by date puts the deployment into the path: ``/openai/deployments/<deployment>/chat/completions?api-version=...``.
    Version ``v1`` has OpenAI's own paths below ``/openai/v1``, and the deployment for the model.
    """

    inner: OpenAIDialect = field(default_factory=OpenAIDialect)

    def streams(self, call: Call, target: Target) -> bool:
        return self.inner.streams(call, target)

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        """The caller's request at Azure's address. Raises `InvalidRequest` for a part of the address that is missing."""
        deployment = str(target.options.get("deployment_id") or "")
        base, version = _openai_base(target), _version(target)
        if base.endswith("/openai/v1"):
            base, version = base.removesuffix("/v1"), _V1
        in_path = not (version in _WITHOUT_DEPLOYMENT or call.endpoint in _OF_THE_RESOURCE)
        if deployment and call.endpoint not in _STORED and not (in_path and _names_a_model(call, target)):
            target = replace(target, override_params={**target.override_params, "model": deployment})
        request = self.inner.request(call, target)
        if in_path:
            deployment = deployment or outgoing.require_model(outgoing.merged(call, target), target)
            if not deployment.strip("."):
                raise InvalidRequest("deployment_id: is no name of a deployment.", param="deployment_id")
            base = f"{base}/deployments/{quote(deployment, safe='')}"
        elif version in _WITHOUT_DEPLOYMENT:
            base = f"{base}/v1"
        return _moved(request, options.base_url(target), base, "" if version == _V1 else _of_version(version))

    def reply(self, call: Call, target: Target, body: bytes) -> Answer:
        """OpenAI's answer, untouched. The model that is billed is `azure_model_name` where the target names one."""
        answer = self.inner.reply(call, target, body)
        name = target.options.get("azure_model_name")
        return replace(answer, model=str(name)) if name else answer

    def stream(self, call: Call, target: Target) -> StreamTranslator:
        """OpenAI's events, untouched; the model that is billed as in `reply`."""
        inner, name = self.inner.stream(call, target), target.options.get("azure_model_name")
        # Bytes that are no events name no model.
        return Billed(inner, str(name)) if name and not isinstance(inner, Bytes) else inner

    def error(self, target: Target, status: int, body: bytes) -> ProviderError:
        """The vendor's error with its status kept, and the findings of its filters."""
        return with_findings(self.inner.error(target, status, body), target, body)


@dataclass(frozen=True, slots=True)
class FoundryDialect:
    """AI Foundry's model inference: OpenAI's words below the address of the user's own endpoint, with the version behind them.

    Where that address leads to Anthropic's models (``.../anthropic``), their words and paths.
    """

    openai: OpenAIDialect = field(default_factory=lambda: OpenAIDialect(developer_role=False))
    anthropic: AnthropicDialect = field(default_factory=AnthropicDialect)

    def takes_blocks(self, model: str) -> bool:
        """For Anthropic's models, a chat's messages may hold `content_blocks` with thinking, and `cache_control`."""
        return "claude" in model.lower()

    def streams(self, call: Call, target: Target) -> bool:
        return self._inner(target).streams(call, target)

    def request(self, call: Call, target: Target) -> UpstreamRequest:
        """The call in the words of the endpoint's models. Raises `InvalidRequest` where the address is missing."""
        request, base = self._inner(target).request(call, target), options.base_url(target)
        if speaks_anthropic(target):
            headers = {name: value for name, value in request.headers.items() if name != "extra-parameters"}
            return _moved(replace(request, headers=headers), base, base if base.endswith("/v1") else f"{base}/v1", "")
        return _moved(request, base, base, _of_version(_version(target)))

    def reply(self, call: Call, target: Target, body: bytes) -> Answer:
        """The answer in OpenAI's words."""
        return self._inner(target).reply(call, target, body)

    def stream(self, call: Call, target: Target) -> StreamTranslator:
        """The events in OpenAI's words."""
        return self._inner(target).stream(call, target)

    def error(self, target: Target, status: int, body: bytes) -> ProviderError:
        """The vendor's error with its status kept, and the findings of its filters."""
        return with_findings(self._inner(target).error(target, status, body), target, body)

    def _inner(self, target: Target) -> Dialect:
        return self.anthropic if speaks_anthropic(target) else self.openai


def speaks_anthropic(target: Target) -> bool:
    """Whether the endpoint's address leads to Anthropic's models. Raises `InvalidRequest` where there is none."""
    parts = urlsplit(options.base_url(target)).path.lower().split("/")
    return "anthropic" in parts


def _openai_base(target: Target) -> str:
    """The address up to ``/openai``. A host alone, as Azure's portal shows it, gets that path; a longer one is complete."""
    base = options.base_url(target)
    return base if urlsplit(base).path.strip("/") else f"{base}/openai"


def _version(target: Target) -> str:
    default = next((option.default for option in target.provider.options if option.name == "api_version"), "")
    return str(target.options.get("api_version") or default)


def _names_a_model(call: Call, target: Target) -> bool:
    model = outgoing.merged(call, target).get("model")
    return isinstance(model, str) and model not in ("", outgoing.PLACEHOLDER)


def _of_version(version: str) -> str:
    return urlencode({"api-version": version}) if version else ""


def _moved(request: UpstreamRequest, base: str, to: str, query: str) -> UpstreamRequest:
    """The request below `to` in place of `base`, with `query` behind its own; so too the one that follows from it."""
    path, _, own = request.url.removeprefix(f"{base}/").partition("?")
    asked = "&".join(filter(None, (own, query)))
    then = request.then
    return replace(
        request,
        url=f"{to}/{path}?{asked}" if asked else f"{to}/{path}",
        then=None if then is None else lambda body: _moved(then(body), base, to, query),
    )
