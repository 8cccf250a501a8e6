"""The console's pages of people: the members of a workspace, invitations, and one's own account."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.contrib.auth import login, update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.cache import add_never_cache_headers
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from keys import queries, team
from keys.admin_auth import SESSION_WORKSPACE
from keys.console import Seat, page
from keys.forms import ConsoleForm, StyledField
from keys.models import Invitation, Role, User
from keys.team_api import invitation_link
from routing.errors import InvalidRequest, NotFound

_FORM_METHODS = ["GET", "HEAD", "POST"]
_BACKEND = "django.contrib.auth.backends.ModelBackend"


class InviteForm(ConsoleForm):
    email = forms.EmailField(label=gettext_lazy("E-mail"), max_length=254)
    role = forms.ChoiceField(label=gettext_lazy("Role"), choices=Role.choices, initial=Role.VIEWER)


class WorkspaceForm(ConsoleForm):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=150)


class JoinForm(ConsoleForm):
    password = forms.CharField(
        label=gettext_lazy("Password"),
        strip=False,
        help_text=gettext_lazy("At least 10 characters."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


class PasswordForm(PasswordChangeForm):
    bound_field_class = StyledField


# --- Members ----------------------------------------------------------------------------------------------------------


@require_http_methods(_FORM_METHODS)
@page("workspace_users.list")
def members(request: HttpRequest, seat: Seat) -> HttpResponse:
    """The answer to an invitation is the only page that shows its link."""
    form = InviteForm(request.POST if request.method == "POST" else None)
    link = ""
    if request.method == "POST":
        seat.require("workspace_users.create")
        if form.is_valid():
            try:
                _one, token = team.invite(workspace=seat.workspace, actor=seat.user, **form.cleaned_data)
            except InvalidRequest as error:
                form.refuse(error)
            else:
                link, form = invitation_link(request, token), InviteForm()
    return _members(request, seat, form, link)


def _members(request: HttpRequest, seat: Seat, form: InviteForm, link: str) -> HttpResponse:
    context = {
        "form": form,
        "link": link,
        "members": queries.list_members(seat.workspace),
        "invitations": queries.list_invitations(seat.workspace).filter(accepted_at=None),
        "roles": Role.choices,
    }
    return render(request, "console/members/list.html", context, status=422 if form.errors else 200)


@require_POST
@page("workspace_users.update")
def member_role(request: HttpRequest, seat: Seat, user_id: str) -> HttpResponse:
    member = queries.get_member(seat.workspace, user_id)
    try:
        team.change_role(member, request.POST.get("role", ""), actor=seat.user)
    except InvalidRequest as error:
        messages.error(request, _refusal(error))
    else:
        messages.success(request, _("%(name)s is saved.") % {"name": member.user.email})
    return redirect("console:members")


@require_http_methods(_FORM_METHODS)
@page("workspace_users.delete")
def member_remove(request: HttpRequest, seat: Seat, user_id: str) -> HttpResponse:
    member = queries.get_member(seat.workspace, user_id)
    context = {
        "title": _("Remove %(name)s from this workspace?") % {"name": member.user.email},
        "text": _("The person loses access at once. API keys that were theirs are revoked."),
        "button": _("Remove member"),
        "back": reverse("console:members"),
    }
    if request.method == "POST":
        try:
            team.remove(member, actor=seat.user)
        except InvalidRequest as error:
            return render(request, "console/confirm.html", {**context, "refusal": _refusal(error)}, status=422)
        messages.success(request, _("%(name)s is removed.") % {"name": member.user.email})
        return redirect("console:members" if member.user_id != seat.user.pk else "console:home")
    return render(request, "console/confirm.html", context)


def _refusal(error: InvalidRequest) -> str:
    if error.code == "last_owner":
        return _("The last owner of a workspace stays one: make another owner first.")
    return error.message


# --- Invitations ------------------------------------------------------------------------------------------------------


@require_POST
@page("workspace_users.create")
def invitation_renew(request: HttpRequest, seat: Seat, invite_id: str) -> HttpResponse:
    found = queries.get_invitation(seat.workspace, invite_id)
    try:
        _one, token = team.renew(found, actor=seat.user)
    except InvalidRequest as error:
        messages.error(request, error.message)
        return redirect("console:members")
    return _members(request, seat, InviteForm(), invitation_link(request, token))


@require_POST
@page("workspace_users.delete")
def invitation_withdraw(request: HttpRequest, seat: Seat, invite_id: str) -> HttpResponse:
    found = queries.get_invitation(seat.workspace, invite_id)
    try:
        team.withdraw(found, actor=seat.user)
    except InvalidRequest as error:
        messages.error(request, error.message)
    else:
        messages.success(request, _("The invitation of %(name)s is withdrawn.") % {"name": found.email})
    return redirect("console:members")


@require_http_methods(_FORM_METHODS)
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """Where an invited person takes the place: with a new password, or as who they are already."""
    found = team.find_invitation(token)
    if found is None:
        raise Http404(_("This invitation is no longer good."))
    response = _join(request, found, token)
    add_never_cache_headers(response)
    response["Referrer-Policy"] = "no-referrer"  # the address is a secret
    return response


def _join(request: HttpRequest, found: Invitation, token: str) -> HttpResponse:
    known = User.objects.filter(email__iexact=found.email).exists()
    user = request.user if isinstance(request.user, User) else None
    form = JoinForm(request.POST if request.method == "POST" else None)
    fits = user is not None and user.email.casefold() == found.email.casefold()
    if request.method == "POST" and (fits or (user is None and not known and form.is_valid())):
        try:
            joined = team.accept(token, user=user, password="" if user else form.cleaned_data["password"])
        except InvalidRequest as error:
            form.refuse(error)
        except NotFound as error:
            raise Http404(error.message) from error
        else:
            if user is None:
                login(request, joined, backend=_BACKEND)
            request.session[SESSION_WORKSPACE] = str(found.workspace_id)
            return redirect("console:home")
    context = {"invitation": found, "form": form, "known": known, "other": user is not None and not fits, "fits": fits}
    return render(request, "console/members/join.html", context, status=422 if request.method == "POST" else 200)


# --- One's own account ------------------------------------------------------------------------------------------------


@require_http_methods(_FORM_METHODS)
@page("workspaces.read")
def account(request: HttpRequest, seat: Seat) -> HttpResponse:
    """One's password, and a workspace of one's own."""
    asked = request.POST.get("form") if request.method == "POST" else None
    password = PasswordForm(seat.user, request.POST if asked == "password" else None)
    workspace = WorkspaceForm(request.POST if asked == "workspace" else None)
    if password.is_valid():
        password.save()
        update_session_auth_hash(request, seat.user)  # other sessions of this person end
        messages.success(request, _("The password is changed."))
        return redirect("console:account")
    if workspace.is_valid():
        seat.require("workspaces.update")
        made = team.found_workspace(workspace.cleaned_data["name"], actor=seat.user)
        request.session[SESSION_WORKSPACE] = str(made.pk)
        messages.success(request, _("The workspace %(name)s is there.") % {"name": made.name})
        return redirect("console:home")
    status = 422 if password.errors or workspace.errors else 200
    return render(request, "console/account.html", {"password": password, "workspace": workspace}, status=status)
