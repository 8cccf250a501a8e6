"""Who calls the admin REST API, what they may do there, and how it says no.

A caller is an API key, in ``x-portkey-api-key`` or as a bearer token, or a person with a console session. A key that is given
and not good is refused even where there is a session. `Caller` is found in ``request.auth``.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication, SessionAuthentication
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from keys import fences, policy, queries
from keys.models import ApiKey, User, Workspace
from routing import errors

if TYPE_CHECKING:
    # Importing it here would be a circle: the views read the settings, and those name this module.
    from rest_framework.views import APIView

logger = logging.getLogger(__name__)

# What Portkey's and OpenAI's SDKs send as a bearer token when their user gave none.
PLACEHOLDERS = frozenset({"OPENAI_API_KEY"})
# Where the console keeps the workspace that a session works in.
SESSION_WORKSPACE = "workspace_id"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who acts, in which workspace, with which permissions."""

    actor: User | ApiKey
    workspace: Workspace
    permissions: frozenset[str]

    def require(self, *scopes: str) -> None:
        """Raises `Forbidden` unless the caller has one of the scopes."""
        if self.permissions.isdisjoint(scopes):
            raise errors.Forbidden(f"This needs the scope {' or '.join(scopes)}.", code="missing_scope")


class AdminAuthentication(BaseAuthentication):
    """Gives the actor as ``request.user`` and the `Caller` as ``request.auth``, or None where nobody says who they are."""

    def authenticate(self, request: Request) -> tuple[User | ApiKey, Caller] | None:
        raw = presented_key(request)
        if raw:
            caller = _by_key(raw, request.META.get("REMOTE_ADDR", ""))
        else:
            session = SessionAuthentication().authenticate(request)
            if session is None:
                return None
            caller = _by_session(session[0], request)
        _same_workspace(request, caller.workspace)
        return caller.actor, caller

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="gatehouse"'


def presented_key(request: Request) -> str:
    """The API key of the request, or an empty text."""
    key: str = request.headers.get("x-portkey-api-key", "").strip()
    if key:
        return key
    scheme, _, token = request.headers.get("authorization", "").strip().partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and token not in PLACEHOLDERS else ""


def _by_key(raw: str, address: str) -> Caller:
    key = queries.find_live_api_key(raw)
    if key is None:
        raise errors.Unauthenticated("The API key is unknown, revoked or expired.")
    fences.check_address([fences.network(one) for one in key.allowed_ips], address)
    return Caller(key, key.workspace, policy.permissions(key, key.workspace))


def _by_session(user: User, request: Request) -> Caller:
    chosen = str(request.session.get(SESSION_WORKSPACE, ""))
    members = list(queries.memberships(user))
    member = next((one for one in members if str(one.workspace_id) == chosen), members[0] if members else None)
    if member is None:
        raise errors.Forbidden("You belong to no workspace.")
    return Caller(user, member.workspace, policy.role_permissions(member.role))


def _same_workspace(request: Request, workspace: Workspace) -> None:
    """`workspace_id` in the query may only repeat the caller's own workspace, which the key or the session says already."""
    check_workspace(request.query_params.get("workspace_id"), workspace)


def check_workspace(given: Any, workspace: Workspace) -> None:
    """Raises `NotFound` where the id or slug given is not that of the caller's workspace."""
    if given not in (None, "", workspace.slug, str(workspace.pk)):
        raise errors.NotFound("There is no such workspace, or this key does not belong to it.", param="workspace_id")


def caller_of(request: Request) -> Caller:
    """The caller of a request that has passed `HasScope`."""
    if not isinstance(request.auth, Caller):
        raise errors.Unauthenticated("No API key was given.")
    return request.auth


class HasScope(BasePermission):
    """Asks for one of the scopes that ``view.required_scopes`` names for the method."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not isinstance(request.auth, Caller):
            raise errors.Unauthenticated("No API key was given: send it as x-portkey-api-key or as a bearer token.")
        method = "GET" if request.method == "HEAD" else str(request.method)
        if not hasattr(view, method.lower()) or method == "OPTIONS":
            return True  # the view answers 405
        scopes = getattr(view, "required_scopes", {}).get(method)
        if not scopes:
            raise ImproperlyConfigured(f"{type(view).__name__} names no scope for {method}")
        request.auth.require(*scopes)
        return True


def exception_handler(error: Exception, context: dict[str, Any]) -> Response:
    """Every failure of a REST view in OpenAI's shape. What is not foreseen is logged, and its details stay in the log."""
    view: APIView | None = context.get("view")
    allowed = [] if view is None else [method for method in view.allowed_methods if method != "OPTIONS"]
    shaped = _shaped(error, allowed)
    headers = shaped.headers()
    if shaped.status >= 500:
        reference = uuid.uuid4().hex
        request: HttpRequest | None = context.get("request")
        path = request.path if request is not None else "?"
        logger.error("%s failed, reference %s", path, reference, exc_info=error)
        # With a trace id in the answer, Portkey's SDK does not repeat the call.
        headers["x-portkey-trace-id"] = reference
    if isinstance(shaped, errors.Unauthenticated):
        headers["www-authenticate"] = 'Bearer realm="gatehouse"'
    return Response(shaped.body(), status=shaped.status, headers=headers)


def _shaped(error: Exception, allowed: Iterable[str]) -> errors.GatewayError:
    match error:
        case errors.GatewayError():
            return error
        case Http404():
            return errors.NotFound("There is nothing here.")
        case PermissionDenied():
            return errors.Forbidden("This is not allowed.")
        case exceptions.APIException():
            return _from_framework(error, allowed)
        case OperationalError() | InterfaceError():
            return errors.Unavailable("The database does not answer.")
        case _:
            return errors.GatewayError("Something went wrong here. The log of the gateway has the details.")


def _from_framework(error: exceptions.APIException, allowed: Iterable[str]) -> errors.GatewayError:
    message = str(error.detail)
    match error:
        case exceptions.NotAuthenticated() | exceptions.AuthenticationFailed():
            return errors.Unauthenticated(message)
        case exceptions.PermissionDenied():
            return errors.Forbidden(message)
        case exceptions.NotFound():
            return errors.NotFound(message)
        case exceptions.MethodNotAllowed():
            return errors.MethodNotAllowed(message, allowed)
        case exceptions.Throttled():
            return errors.RateLimited(message, retry_after_s=max(1, round(getattr(error, "wait", None) or 1)))
        case _:
            return errors.InvalidRequest(message, status=error.status_code, code=str(error.default_code))
