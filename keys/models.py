"""Who may call, and with which credentials."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _


class UserManager(BaseUserManager["User"]):
    """Users are found by e-mail address, whatever its case."""

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email__iexact=username)


class User(AbstractBaseUser):
    """A person who logs in to the console."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    email = models.EmailField(_("e-mail"), unique=True)
    name = models.CharField(max_length=150, blank=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        constraints = [models.UniqueConstraint(Lower("email"), name="user_email_ci")]

    def __str__(self) -> str:
        return self.email


class Workspace(models.Model):
    """The unit that owns keys, configs and logs; nothing is shared between two of them.

    `limits` is ``{"rate_limits", "usage_limits"}`` for all calls together, ``"models": {name: {...}}`` for each of some models,
    and ``"metadata": [{"key", "value", ...}]`` for each value of a key of the calls' metadata (or for the one value given).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    slug = models.SlugField(max_length=64, unique=True)
    name = models.CharField(max_length=150)
    limits: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    OWNER = "owner", _("Owner")
    ADMIN = "admin", _("Admin")
    EDITOR = "editor", _("Editor")
    VIEWER = "viewer", _("Viewer")


class Member(models.Model):
    """A user's place in a workspace."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="members")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["workspace", "user"], name="member_once_per_workspace")]

    def __str__(self) -> str:
        return f"{self.user} ({self.role}) in {self.workspace}"


class Invitation(models.Model):
    """A place in a workspace that is held for an e-mail address. Only the hash of the token in its link is kept."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="invitations")
    email = models.EmailField(_("e-mail"))
    role = models.CharField(max_length=16, choices=Role)
    token_hash = models.CharField(max_length=64, unique=True, editable=False)
    invited_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at", "id"]
        constraints = [
            models.UniqueConstraint(
                "workspace",
                Lower("email"),
                condition=models.Q(accepted_at=None),
                name="invitation_open_once",
            )
        ]

    def __str__(self) -> str:
        return self.email


class ApiKey(models.Model):
    """A key that applications call the gateway with. Only its keyed hash is kept: the key itself is shown once.

    `rate_limits` is a list of ``{"type": "requests"|"tokens", "unit": "rpm"|"rph"|"rpd", "value": int}``, or of the type
    ``concurrency``, which has no unit. `usage_limits` is ``{"credit_limit": USD, "periodic_reset":
    "monthly"|"weekly"|"daily"|null, "alert_threshold": percent, "timezone": IANA name}`` or a list of them. Both as Portkey's
    SDK sends them. `defaults` is ``{"config_id": slug, "metadata": {...}}``.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=150)
    description = models.CharField(max_length=1000, blank=True)
    key_hash = models.CharField(max_length=64, unique=True, editable=False)
    masked = models.CharField(max_length=32, editable=False)
    type = models.CharField(max_length=16, default="workspace")
    sub_type = models.CharField(max_length=16, default="service")
    scopes: models.JSONField[list[str], list[str]] = models.JSONField(default=list)
    rate_limits: models.JSONField[list[dict[str, Any]], list[dict[str, Any]]] = models.JSONField(default=list, blank=True)
    usage_limits: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict, blank=True)
    defaults: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict, blank=True)
    allowed_models: models.JSONField[list[str], list[str]] = models.JSONField(default=list, blank=True)
    allowed_virtual_keys: models.JSONField[list[str], list[str]] = models.JSONField(default=list, blank=True)
    allowed_configs: models.JSONField[list[str], list[str]] = models.JSONField(default=list, blank=True)
    allowed_ips: models.JSONField[list[str], list[str]] = models.JSONField(default=list, blank=True)
    previous_hash = models.CharField(max_length=64, null=True, unique=True, editable=False)  # noqa: DJ001 - null, as it is unique
    previous_until = models.DateTimeField(null=True, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-created_at", "id"]

    def __str__(self) -> str:
        return self.name


class RetiredKey(models.Model):
    """The hash of a key that is no more and that does not look like one of ours: it must not pass for a provider's key."""

    key_hash = models.CharField(max_length=64, primary_key=True, editable=False)
    at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"{self.key_hash[:8]}..."


class VirtualKey(models.Model):
    """A provider's credential in the vault, named by its slug.

    `secret` is encrypted by keys/vault.py. `options` holds what the provider needs beside the key (``custom_host``,
    ``api_version`` ...). Options that are credentials are not in it but in `secret_options`, as one encrypted JSON object
    (empty where there are none), and in `masked_options` by name as they may be shown. Limits have the shapes of `ApiKey`.
    A key with `paused_at` serves nobody until it is resumed.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="virtual_keys")
    slug = models.SlugField(max_length=100)
    name = models.CharField(max_length=150)
    provider = models.CharField(max_length=64)
    note = models.CharField(max_length=1000, blank=True)
    secret = models.BinaryField(editable=False)
    masked = models.CharField(max_length=32, editable=False, blank=True)
    options: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict, blank=True)
    secret_options = models.BinaryField(editable=False, default=b"")
    masked_options: models.JSONField[dict[str, str], dict[str, str]] = models.JSONField(
        default=dict, blank=True, editable=False
    )
    rate_limits: models.JSONField[list[dict[str, Any]], list[dict[str, Any]]] = models.JSONField(default=list, blank=True)
    usage_limits: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict, blank=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-created_at", "id"]
        constraints = [models.UniqueConstraint(fields=["workspace", "slug"], name="virtual_key_slug_per_workspace")]

    def __str__(self) -> str:
        return self.slug


class AuditEvent(models.Model):
    """One administrative write: who did what to which object. `details` never holds a secret."""

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="audit_events")
    actor = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    actor_label = models.CharField(max_length=200)
    action = models.CharField(max_length=64)
    object_type = models.CharField(max_length=64)
    object_id = models.CharField(max_length=64)
    object_label = models.CharField(max_length=200, blank=True)
    details: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict, blank=True)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["workspace", "-at"], name="audit_newest")]

    def __str__(self) -> str:
        return f"{self.action} {self.object_type} {self.object_id}"


class BudgetEvent(models.Model):
    """A budget that reached a part of its cap: one row for each threshold in each of its windows (analytics/budget_watch.py).

    `object_kind` is one of ``api_key``, ``virtual_key``, ``workspace``, ``config``, ``model``, ``metadata``; `object_id` is the
    object's id, the model's name, or ``key=value`` of metadata. `limit_text` names the limit for people
    ("API key 'ci': 5 USD per month"). `threshold` is in percent of the cap. `window_start` is the start of the calendar
    window, 1970 for a budget that never resets. `used_usd` is what was counted when the event was noticed.
    """

    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="budget_events")
    object_kind = models.CharField(max_length=16)
    object_id = models.CharField(max_length=300)
    limit_text = models.CharField(max_length=500)
    threshold = models.FloatField()
    window_start = models.DateTimeField()
    cap_usd = models.DecimalField(max_digits=20, decimal_places=9)
    used_usd = models.DecimalField(max_digits=20, decimal_places=9)
    # Which counter it was: its name without the window.
    counter = models.CharField(max_length=300, editable=False)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-at", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["workspace", "counter", "cap_usd", "threshold", "window_start"], name="budget_event_once_per_window"
            )
        ]
        indexes = [models.Index(fields=["workspace", "-at"], name="budget_event_newest")]

    def __str__(self) -> str:
        return f"{self.limit_text}: {self.threshold:g} %"
