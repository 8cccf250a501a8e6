"""The DRF views of `/v1`: they parse and answer, nothing more. The path of a call is in routing/pipeline.py."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote

import structlog
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.views import APIView

from keys.auth import Caller
from routing import gateway as gateways
from routing import pipeline
from routing.api import catalog, incoming, responses
from routing.api.arrival import Arrival, HungUp
from routing.api.authentication import GatewayKeyAuthentication
from routing.api.uploads import Received
from routing.call import Call, Endpoint
from routing.errors import GatewayError, InternalError, InvalidRequest, MethodNotAllowed, NotFound
from routing.exchange import Exchange
from routing.gateway import Gateway

log = structlog.get_logger(__name__)

_GET = frozenset({"GET"})
_POST = frozenset({"POST"})
# What is passed through to a provider; HEAD and OPTIONS stay between the caller and us.
PASSED_THROUGH = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE"})


class GatewayView(APIView, ABC):
    """A DRF view on an asynchronous dispatch of its own: our authenticator, our error map, no content negotiation.

    A subclass writes `answer`, which finds the call in `self.exchange` and answers or raises GatewayError. `endpoint` is the
    kind of call; `methods` are those that the route knows. A `resource` route differs from its endpoint: the call holds it.
    """

    authentication_classes = (GatewayKeyAuthentication,)
    endpoint: str = ""
    methods: frozenset[str] = _POST
    resource: bool = False
    view_is_async = True  # Django judges by the handlers, of which a view may have none
    exchange: Exchange
    gateway: Gateway
    provider_key: str | None

    async def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # type: ignore[override]
        gateway = self.gateway = await gateways.current()
        call = incoming.begin(request, self.endpoint, resource=self.resource)
        exchange = self.exchange = Exchange(call, Caller(gateway.snapshots.default_workspace_id))
        try:
            exchange.caller, self.provider_key = GatewayKeyAuthentication().identify(call, gateway)
            if request.method not in self.methods:
                raise MethodNotAllowed(f"{request.method} is not allowed on {request.path}.", self.methods)
            arrival: Arrival | None = getattr(request, "arrival", None)  # None under Django's stock handler, which has read it
            if incoming.is_upload(call):
                return await self._answer_upload(request, arrival)
            if arrival is not None:
                request._body = await arrival.whole()  # what HttpRequest.body would read
            exchange.call = incoming.read(request, call, exchange.caller, self.provider_key, gateway.max_body_bytes)
            return await self.answer()
        except GatewayError as error:
            pipeline.fail(exchange, error, gateway)
            return responses.failure(error, exchange)
        except HungUp:
            raise
        except Exception:  # a bug must not show the caller its insides
            log.exception("a call failed inside the gateway", trace_id=call.trace_id)
            bug = InternalError("The gateway failed while it worked on this call; its log has the details under the trace id.")
            pipeline.fail(exchange, bug, gateway)
            return responses.failure(bug, exchange)

    async def _answer_upload(self, request: HttpRequest, arrival: Arrival | None) -> HttpResponseBase:
        """A call whose body is no JSON: it is on disk until the answer has begun."""
        exchange, headers = self.exchange, self.exchange.call.headers
        upload = Received(self.gateway.upload_dir, headers["content-type"], self.gateway.max_upload_bytes)
        try:
            pieces = _read_already(request) if arrival is None else arrival.pieces()
            received = await upload.read(pieces, headers.get("content-length"))
            exchange.call = incoming.uploaded(exchange.call, exchange.caller, self.provider_key, *received)
            return await self.answer()
        finally:
            upload.close()

    @abstractmethod
    async def answer(self) -> HttpResponseBase:
        """The answer to the call in `self.exchange`. Raises `GatewayError`."""


async def _read_already(request: HttpRequest) -> AsyncIterator[bytes]:
    """The body that Django's stock handler has put into a file."""
    while piece := request.read(64 * 1024):
        yield piece


class ModelCallView(GatewayView):
    """A call that a provider answers: it goes down the pipeline."""

    async def answer(self) -> HttpResponseBase:
        reply = await pipeline.run(self.exchange, self.provider_key, self.gateway.snapshot, self.gateway)
        return responses.success(reply, self.exchange)


class ModelsView(GatewayView):
    """The models that the caller's virtual keys can reach, as far as the price table knows them."""

    endpoint = "models"
    methods = _GET

    async def answer(self) -> HttpResponseBase:
        models = catalog.models(self.exchange.caller, self.gateway.snapshot)
        pipeline.answered(self.exchange, self.gateway)
        return responses.document({"object": "list", "data": models}, self.exchange)


class ModelView(ModelCallView):
    """One model: ours to tell where the caller's virtual keys reach it, else the provider's that the call names."""

    endpoint = Endpoint.PROXY
    methods = frozenset({"GET", "DELETE"})
    resource = True

    async def answer(self) -> HttpResponseBase:
        call, name = self.exchange.call, unquote(self.exchange.call.path.removeprefix("models/"))
        if call.method == "GET" and (model := catalog.find(name, self.exchange.caller, self.gateway.snapshot)) is not None:
            pipeline.answered(self.exchange, self.gateway)
            return responses.document(model, self.exchange)
        if not incoming.names_a_target(call.headers, self.exchange.caller):
            raise NotFound(f"The model {name[:100]!r} does not exist or cannot be reached.", code="model_not_found")
        return await super().answer()


class RealtimeView(GatewayView):
    """For those who ask for a WebSocket's route by plain HTTP; the socket itself is in realtime.py."""

    endpoint = Endpoint.REALTIME
    methods = _GET

    async def answer(self) -> HttpResponseBase:
        raise InvalidRequest("This route is a WebSocket: open it as one.", code="websocket_required", status=426)


class ProxyView(ModelCallView):
    """A call below ``/v1/proxy``: it goes to the provider as it is."""

    endpoint = Endpoint.PROXY
    methods = PASSED_THROUGH
    resource = True


class UnknownRouteView(ProxyView):
    """Whatever else is called below `/v1`: the provider's, where the call names one, and else an unknown route."""

    async def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:  # type: ignore[override]
        gateway = await gateways.current()
        call = incoming.begin(request, "")
        if request.method in PASSED_THROUGH and request.path.startswith("/v1/") and self._has_target(call, gateway):
            return await super().dispatch(request, *args, **kwargs)
        exchange = Exchange(call, Caller(gateway.snapshots.default_workspace_id))
        error = NotFound(f"Unknown route: {request.method} {request.path}. The README lists the routes.", code="unknown_route")
        pipeline.fail(exchange, error, gateway)
        return responses.failure(error, exchange)

    def _has_target(self, call: Call, gateway: Gateway) -> bool:
        try:
            caller, _ = GatewayKeyAuthentication().identify(call, gateway)
        except GatewayError:
            caller = None  # who names a target is told what is wrong with the key
        return incoming.names_a_target(call.headers, caller)
