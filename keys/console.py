"""What every page of the console stands on: who is at it, in which workspace and with which permissions, and the navigation.

A page is a function of a request and a `Seat`, behind the decorator `page`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.db.models import Model, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.utils.functional import Promise, SimpleLazyObject
from django.utils.translation import gettext_lazy as _

from keys import policy, queries
from keys.admin_auth import SESSION_WORKSPACE
from keys.models import Member, Role, User, Workspace
from routing.errors import Forbidden, NotFound

PAGE_SIZE = 25

P = ParamSpec("P")
Row = TypeVar("Row", bound=Model)
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


@dataclass(frozen=True)
class Seat:
    """A person at work in one workspace."""

    user: User
    member: Member
    memberships: tuple[Member, ...]

    @property
    def workspace(self) -> Workspace:
        return self.member.workspace

    @property
    def role(self) -> str:
        return str(Role(self.member.role).label)

    @cached_property
    def permissions(self) -> frozenset[str]:
        return policy.role_permissions(self.member.role)

    def may(self, scope: str) -> bool:
        return scope in self.permissions

    def require(self, scope: str) -> None:
        if not self.may(scope):
            raise Forbidden(str(_("Your role in this workspace does not allow this.")))


def seat_of(request: HttpRequest) -> Seat | None:
    """Where the logged-in person works; None for anonymous visitors and for people without a workspace. Read once a request."""
    if not hasattr(request, "_seat"):
        request._seat = _find_seat(request)  # type: ignore[attr-defined]
    seat: Seat | None = request._seat  # type: ignore[attr-defined]
    return seat


def _find_seat(request: HttpRequest) -> Seat | None:
    if not isinstance(request.user, User):
        return None
    members = tuple(queries.memberships(request.user))
    chosen = request.session.get(SESSION_WORKSPACE)
    member = next((one for one in members if str(one.workspace_id) == chosen), members[0] if members else None)
    return None if member is None else Seat(request.user, member, members)


def current_workspace(request: HttpRequest) -> Workspace:
    """The workspace of this request's session. Raises PermissionDenied for people who belong to none."""
    seat = seat_of(request)
    if seat is None:
        raise PermissionDenied(_("You belong to no workspace."))
    return seat.workspace


def page(*scopes: str) -> Callable[[Callable[Concatenate[HttpRequest, Seat, P], HttpResponse]], View[P]]:
    """A page for logged-in people whose role has one of the scopes; anonymous visitors are sent to log in.

    What a query or an action refuses as `NotFound` or `Forbidden` becomes the error page. Answers are never kept by caches.
    """

    def decorate(view: Callable[Concatenate[HttpRequest, Seat, P], HttpResponse]) -> View[P]:
        @wraps(view)
        def wrapped(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            if not request.user.is_authenticated:
                return redirect_to_login(request.get_full_path())
            current_workspace(request)
            seat = seat_of(request)
            if seat is None or seat.permissions.isdisjoint(scopes):
                raise PermissionDenied(_("Your role in this workspace does not allow this."))
            try:
                response = view(request, seat, *args, **kwargs)
            except NotFound as error:
                raise Http404(error.message) from error
            except Forbidden as error:
                raise PermissionDenied(error.message) from error
            add_never_cache_headers(response)
            return response

        return wrapped

    return decorate


# --- Lists ------------------------------------------------------------------------------------------------------------


def search(rows: QuerySet[Row], text: str, *fields: str) -> QuerySet[Row]:
    """The rows that hold every word of the text in one of the fields."""
    for word in text.replace("\x00", "").split()[:10]:
        condition = Q()
        for field in fields:
            condition |= Q(**{f"{field}__icontains": word})
        rows = rows.filter(condition)
    return rows


def paged(request: HttpRequest, rows: QuerySet[Row]) -> Page[Row]:
    """The page that the URL names; the first or last one for a number that does not exist."""
    return Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))


# --- Navigation -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """One page of the navigation. `key` opens it after a `g`."""

    name: str
    label: str | Promise
    icon: str
    key: str
    scope: str


NAVIGATION: tuple[tuple[str | Promise, tuple[Entry, ...]], ...] = (
    (
        "",
        (
            Entry("console:home", _("Overview"), "layout-dashboard", "o", "workspaces.read"),
            Entry("console:logs", _("Logs"), "list-details", "l", "logs.list"),
            Entry("console:prices", _("Prices"), "coin", "p", "analytics.view"),
            Entry("console:alerts", _("Alerts"), "alert-triangle", "a", "alerts.list"),
        ),
    ),
    (
        _("Access and routing"),
        (
            Entry("console:virtual_keys", _("Virtual keys"), "lock", "v", "virtual_keys.list"),
            Entry("console:api_keys", _("API keys"), "key", "k", f"{policy.API_KEY_AREAS['service']}.list"),
            Entry("console:members", _("Members"), "user", "m", "workspace_users.list"),
            Entry("console:configs", _("Configs"), "route", "c", "configs.list"),
        ),
    ),
)


@dataclass(frozen=True)
class Link:
    """An entry as the base template shows it."""

    entry: Entry
    url: str
    is_current: bool


class Console:
    """What the base template asks for. Nothing is read before it asks."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    @cached_property
    def seat(self) -> Seat | None:
        return seat_of(self._request)

    @cached_property
    def navigation(self) -> list[tuple[str, list[Link]]]:
        seat = self.seat
        if seat is None:
            return []
        groups = [
            (str(title), [self._link(entry) for entry in entries if seat.may(entry.scope)]) for title, entries in NAVIGATION
        ]
        return [(title, links) for title, links in groups if links]

    def _link(self, entry: Entry) -> Link:
        url, here = reverse(entry.name), self._request.path
        return Link(entry, url, here == url or (url != "/" and here.startswith(f"{url}/")))


def console_context(request: HttpRequest) -> dict[str, Any]:
    """Context processor: `console` for the base template. Costs nothing on pages that do not use it."""
    return {"console": SimpleLazyObject(lambda: Console(request))}
