"""The DRF views of `/v1`: they parse and answer, nothing more. The path of a call is in routing/pipeline.py."""

from __future__ import annotations

from typing import Any, ClassVar

import structlog
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.views import APIView

from keys.auth import Caller
from routing import gateway as gateways
from routing import pipeline
from routing.api import catalog, incoming, responses
from routing.api.authentication import GatewayKeyAuthentication
from routing.call import Endpoint
from routing.errors import GatewayError, InternalError, MethodNotAllowed, NotFound
from routing.exchange import Exchange
from routing.gateway import Gateway

log = structlog.get_logger(__name__)

# A method's name is looked up in the view, so no other name of the view may pass for one.
_METHODS = frozenset({"GET", "POST"})


class GatewayView(APIView):
    """A DRF view on an asynchronous dispatch of its own: our authenticator, our error map, no content negotiation.

    A subclass writes coroutine methods `post` or `get`; they find the call in `self.exchange` and answer or raise GatewayError.
    """

    authentication_classes = (GatewayKeyAuthentication,)
    endpoint: ClassVar[str] = ""
    view_is_async = True  # Django judges by the handlers, of which a view may have none
    exchange: Exchange
    gateway: Gateway
    provider_key: str | None

    async def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # type: ignore[override]
        gateway = self.gateway = await gateways.current()
        call = incoming.begin(request, self.endpoint)
        exchange = self.exchange = Exchange(call, Caller(gateway.snapshots.default_workspace_id))
        try:
            exchange.caller, self.provider_key = GatewayKeyAuthentication().identify(call, gateway)
            handler = getattr(self, str(request.method).lower(), None) if request.method in _METHODS else None
            if handler is None:
                raise MethodNotAllowed(f"{request.method} is not allowed on {request.path}.")
            exchange.call = incoming.read(request, call, exchange.caller, self.provider_key, gateway.max_body_bytes)
            response: HttpResponseBase = await handler(request)
        except GatewayError as error:
            pipeline.fail(exchange, error, gateway)
            return responses.failure(error, exchange)
        except Exception:  # a bug must not show the caller its insides
            log.exception("a call failed inside the gateway", trace_id=call.trace_id)
            bug = InternalError("The gateway failed while it worked on this call; its log has the details under the trace id.")
            pipeline.fail(exchange, bug, gateway)
            return responses.failure(bug, exchange)
        return response


class ModelCallView(GatewayView):
    """A call that a provider answers: the body is JSON and goes down the pipeline."""

    async def post(self, request: HttpRequest) -> HttpResponseBase:
        reply = await pipeline.run(self.exchange, self.provider_key, self.gateway.snapshot, self.gateway)
        return responses.success(reply, self.exchange)


class ChatCompletionsView(ModelCallView):
    endpoint = Endpoint.CHAT


class CompletionsView(ModelCallView):
    endpoint = Endpoint.COMPLETIONS


class EmbeddingsView(ModelCallView):
    endpoint = Endpoint.EMBEDDINGS


class ModelsView(GatewayView):
    """The models that the caller's virtual keys can reach, as far as the price table knows them."""

    endpoint = "models"

    async def get(self, request: HttpRequest) -> HttpResponseBase:
        models = catalog.models(self.exchange.caller, self.gateway.snapshot)
        pipeline.answered(self.exchange, self.gateway)
        return responses.document({"object": "list", "data": models}, self.exchange)


class UnknownRouteView(GatewayView):
    """Whatever else is called below `/v1`."""

    async def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # type: ignore[override]
        gateway = await gateways.current()
        call = incoming.begin(request, self.endpoint)
        exchange = Exchange(call, Caller(gateway.snapshots.default_workspace_id))
        error = NotFound(f"Unknown route: {request.method} {request.path}. The README lists the routes.", code="unknown_route")
        pipeline.fail(exchange, error, gateway)
        return responses.failure(error, exchange)
