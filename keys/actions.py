"""Every write to people and keys: checked, in one transaction, with its audit event and, where gateways must see it, a new
snapshot number.

An actor is a user, an API key or SYSTEM. Permission to act at all is the caller's to check (keys/policy.py); what is checked
here is what depends on the values: nobody hands out scopes or roles beyond their own. Wrong values raise `InvalidRequest`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypedDict, Unpack

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, models, transaction
from django.utils import timezone
from django.utils.text import slugify

from keys import audit, hashing, policy, provider_options, vault
from keys import validation as check
from keys.audit import SYSTEM as SYSTEM
from keys.audit import Actor
from keys.models import ApiKey, Member, Role, User, VirtualKey, Workspace
from routing.announce import bump_snapshot
from routing.models import Config
from routing.providers import table
from routing.providers.base import Provider

# A credential may be a whole service account as JSON.
_MAX_CREDENTIAL = 20_000
# Both reach one workspace: there is nothing above workspaces here.
API_KEY_TYPES = ("workspace", "organisation")
_RAW_KEY = re.compile(r"[\x21-\x7e]{8,200}")


class ApiKeyFields(TypedDict, total=False):
    """What an API key may be given besides its name; see models.ApiKey for the shapes."""

    scopes: Any
    description: Any
    rate_limits: Any
    usage_limits: Any
    defaults: Any
    expires_at: Any
    type: Any
    sub_type: Any


class ApiKeyChanges(TypedDict, total=False):
    name: Any
    scopes: Any
    description: Any
    rate_limits: Any
    usage_limits: Any
    defaults: Any
    expires_at: Any


class VirtualKeyFields(TypedDict, total=False):
    """What a virtual key may be given besides name, provider and credential; see models.VirtualKey for the shapes."""

    slug: Any
    note: Any
    options: Any
    rate_limits: Any
    usage_limits: Any
    expires_at: Any


class VirtualKeyChanges(TypedDict, total=False):
    name: Any
    provider: Any
    key: Any
    note: Any
    options: Any
    rate_limits: Any
    usage_limits: Any
    expires_at: Any


def _credential(value: Any, path: str) -> str:
    if not isinstance(value, str):
        check.refuse(path, "must be the provider's key, as a text")
    if len(value) > _MAX_CREDENTIAL or not all(char.isprintable() or char in "\r\n\t" for char in value):
        check.refuse(path, f"must be printable text of at most {_MAX_CREDENTIAL} characters")
    return value.strip()


def _limits() -> dict[str, check.Check]:
    return {"rate_limits": check.rate_limits, "usage_limits": check.usage_limits, "expires_at": check.future}


_API_KEY: dict[str, check.Check] = {
    "name": check.text(150),
    "description": check.text(1000, blank=True),
    "scopes": check.scopes,
    "defaults": check.key_defaults,
    "type": check.one_of(API_KEY_TYPES),
    "sub_type": check.one_of(("service", "user")),
    **_limits(),
}
_API_KEY_CHANGES = {name: parse for name, parse in _API_KEY.items() if name not in {"type", "sub_type"}}
_VIRTUAL_KEY: dict[str, check.Check] = {
    "name": check.text(150),
    "provider": check.text(64),
    "key": _credential,
    "note": check.text(1000, blank=True),
    "options": lambda value, _path: value,
    **_limits(),
}
_USER: dict[str, check.Check] = {"email": check.text(254), "role": check.one_of(tuple(Role.values))}
_WORKSPACE: dict[str, check.Check] = {"slug": check.slug(64), "name": check.text(150)}


# --- People -----------------------------------------------------------------------------------------------------------


def create_workspace(*, slug: str, name: str, actor: Actor = SYSTEM) -> Workspace:
    values = check.clean({"slug": slug, "name": name}, _WORKSPACE)
    workspace = Workspace(**values)
    with transaction.atomic():
        save_new(workspace, "slug")
        audit.record(actor, workspace, "workspace.create", workspace)
        bump_snapshot()
    return workspace


def create_user(*, email: str, password: str, workspace: Workspace, role: str, actor: Actor = SYSTEM) -> User:
    """A new person with a role in the workspace. Gateways know no users, so the snapshot stays as it is."""
    values = check.clean({"email": email, "role": role}, _USER)
    user = User(email=User.objects.normalize_email(values["email"]))
    _valid("email", validate_email, user.email)
    _valid("password", validate_password, password, user)
    user.set_password(password)
    with transaction.atomic():
        save_new(user, "email")
        member = Member.objects.create(workspace=workspace, user=user, role=values["role"])
        audit.record(actor, workspace, "user.create", user, role=member.role)
    return user


def _valid(field: str, validate: Callable[..., None], *args: Any) -> None:
    """Django's validators in our words."""
    try:
        validate(*args)
    except ValidationError as error:
        check.refuse(field, " ".join(error.messages))


# --- API keys ---------------------------------------------------------------------------------------------------------


def create_api_key(
    *, workspace: Workspace, name: str, actor: Actor, raw_key: str | None = None, **fields: Unpack[ApiKeyFields]
) -> tuple[ApiKey, str]:
    """A new key and its only showing. Without `scopes` it may call models and nothing else.

    Raises `Forbidden` for scopes that the actor does not hold.
    """
    values = check.clean({"name": name, "scopes": policy.DEFAULT_SCOPES, **fields}, _API_KEY)
    if raw_key is not None and not _RAW_KEY.fullmatch(raw_key):
        check.refuse("raw_key", "must be 8 to 200 printable ASCII characters without spaces")
    raw = raw_key or hashing.new_raw_key()
    policy.check_grant(actor, workspace, values["scopes"])
    key = ApiKey(
        workspace=workspace,
        key_hash=hash_api_key(raw),
        masked=hashing.mask(raw),
        created_by=audit.user_of(actor),
        **values,
    )
    with transaction.atomic():
        _known_default(workspace, values)
        save_new(key, "raw_key")
        audit.record(actor, workspace, "api_key.create", key, scopes=key.scopes)
        bump_snapshot()
    return key, raw


def update_api_key(key: ApiKey, *, actor: Actor, **changes: Unpack[ApiKeyChanges]) -> ApiKey:
    """Changes the given fields and leaves the others. Raises `Forbidden` for new scopes that the actor does not hold."""
    values = check.clean(changes, _API_KEY_CHANGES)
    with transaction.atomic():
        key = ApiKey.objects.select_for_update().select_related("workspace").get(pk=key.pk)
        policy.check_grant(actor, key.workspace, set(values.get("scopes", ())) - set(key.scopes))
        _known_default(key.workspace, values)
        _apply(key, values, actor, "api_key.update")
    return key


def revoke_api_key(key: ApiKey, *, actor: Actor) -> ApiKey:
    """The key stops working and stays in the list; revoking it again changes nothing."""
    with transaction.atomic():
        key = ApiKey.objects.select_for_update().select_related("workspace").get(pk=key.pk)
        if key.revoked_at is None:
            key.revoked_at = timezone.now()
            key.save(update_fields=["revoked_at", "updated_at"])
            audit.record(actor, key.workspace, "api_key.revoke", key)
            bump_snapshot()
    return key


def delete_api_key(key: ApiKey, *, actor: Actor) -> None:
    _delete(key, actor, "api_key.delete")


def hash_api_key(raw: str) -> str:
    """The stored form of a key of this installation."""
    return hashing.hash_key(raw, hashing.derive_pepper(settings.SECRET_KEY))


# --- Virtual keys -----------------------------------------------------------------------------------------------------


def create_virtual_key(
    *, workspace: Workspace, name: str, provider: str, key: str, actor: Actor, **fields: Unpack[VirtualKeyFields]
) -> VirtualKey:
    """A provider's credential in the vault. The slug is made from the name where none is given.

    `key` may be empty only for a provider that needs none.
    """
    wanted = fields.pop("slug", None)
    values = check.clean({"name": name, "provider": provider, "key": key, **fields}, _VIRTUAL_KEY)
    row = table.find(values["provider"])
    raw = values.pop("key")
    if not raw and row.needs_key:
        check.refuse("key", f"is required: {row.label} needs a credential", code="missing_field")
    written = provider_options.clean(row, values.get("options"), "options")
    values |= {"provider": row.id, **provider_options.columns(row, written)}
    with transaction.atomic():
        # One at a time in a workspace, so that a free slug is still free when it is taken.
        Workspace.objects.select_for_update(no_key=True).get(pk=workspace.pk)
        virtual_key = VirtualKey.objects.create(
            workspace=workspace,
            slug=_virtual_key_slug(workspace, values["name"], wanted),
            secret=vault.encrypt(raw),
            masked=vault.mask(raw),
            created_by=audit.user_of(actor),
            **values,
        )
        audit.record(actor, workspace, "virtual_key.create", virtual_key, provider=virtual_key.provider)
        bump_snapshot()
    return virtual_key


def update_virtual_key(virtual_key: VirtualKey, /, *, actor: Actor, **changes: Unpack[VirtualKeyChanges]) -> VirtualKey:
    """Changes the given fields and leaves the others; `options` are replaced as a whole, but for the secret ones: those stay
    until they are given again or as null.

    A change of where the credential is sent needs the credential itself: whoever may edit a key must not be able to have it
    delivered to a host of their own.
    """
    values = check.clean(changes, _VIRTUAL_KEY)
    raw = values.pop("key", None)
    with transaction.atomic():
        virtual_key = VirtualKey.objects.select_for_update().select_related("workspace").get(pk=virtual_key.pk)
        if values.keys() & {"provider", "options"}:
            row = table.find(values.get("provider", virtual_key.provider))
            written = provider_options.clean(row, values.get("options", virtual_key.options), "options")
            _same_destination(virtual_key, row, written, raw)
            values |= {"provider": row.id, **provider_options.columns(row, written, virtual_key)}
        if raw:
            values |= {"secret": vault.encrypt(raw), "masked": vault.mask(raw)}
        _apply(virtual_key, values, actor, "virtual_key.update")
    return virtual_key


def delete_virtual_key(key: VirtualKey, *, actor: Actor) -> None:
    _delete(key, actor, "virtual_key.delete")


def _same_destination(key: VirtualKey, row: Provider, written: provider_options.Written, raw: str | None) -> None:
    """Raises `InvalidRequest` where a stored credential would go to another place than the one it was given for."""
    if row.id != key.provider and not raw:
        check.refuse("provider", "can only be changed together with key", code="key_required")
    moved = provider_options.moved(row, key.options, written.plain)
    if moved is None or row.id != key.provider:
        return
    if not raw and _holds_key(key):
        reason = "says where the key is sent: it can only be changed together with key"
        check.refuse(f"options.{moved}", reason, code="key_required")
    if kept := sorted(provider_options.kept_secrets(row, written, key)):
        check.refuse(f"options.{kept[0]}", f"must be given again, because {moved} says where it is sent", code="key_required")


def _holds_key(key: VirtualKey) -> bool:
    """Whether there is something to protect; what cannot be read may be a key."""
    try:
        return bool(vault.decrypt(key.secret))
    except vault.VaultError:
        return True


def _virtual_key_slug(workspace: Workspace, name: str, wanted: str | None) -> str:
    taken = VirtualKey.objects.filter(workspace=workspace)
    if wanted is not None:
        slug: str = check.slug(100)(wanted, "slug")
        if taken.filter(slug=slug).exists():
            check.refuse("slug", f"{slug} is taken", code="already_exists", status=409)
        return slug
    base = slugify(name)[:90].strip("-_") or "virtual-key"
    used = set(taken.filter(slug__startswith=base).values_list("slug", flat=True))
    return next(slug for slug in (base, *(f"{base}-{number}" for number in range(2, len(used) + 3))) if slug not in used)


# --- Shared -----------------------------------------------------------------------------------------------------------


# How the audit names the columns that hold a credential.
_SPOKEN = {"secret": "key", "masked": "key", "secret_options": "options", "masked_options": "options"}


def _known_default(workspace: Workspace, values: dict[str, Any]) -> None:
    """The default config is one of the workspace, and cannot be deleted before this transaction is over.

    ``slug@label`` and ``slug@3`` name one of its versions, which must be there as well.
    """
    slug, at, version = (values.get("defaults", {}).get("config_id") or "").partition("@")
    if not slug:
        return
    config = Config.objects.select_for_update(no_key=True).filter(workspace=workspace, slug=slug).first()
    if config is None:
        check.refuse("defaults.config_id", "no such config in this workspace", code="not_found")
    if at and not config.has_version(version):
        check.refuse("defaults.config_id", f"{slug} has no version or label {version[:40]!r}", code="not_found")


def save_new(row: models.Model, unique: str) -> None:
    """Saves a new row; where another one has the same value in the unique field, that field is refused."""
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        check.refuse(unique, "is taken", code="already_exists", status=409)


def _apply(row: ApiKey | VirtualKey, values: dict[str, Any], actor: Actor, action: str) -> None:
    """Writes what differs. The audit event names the fields and never their values."""
    changed = sorted(name for name, value in values.items() if getattr(row, name) != value)
    if not changed:
        return
    for name in changed:
        setattr(row, name, values[name])
    row.save(update_fields=[*changed, "updated_at"])
    audit.record(actor, row.workspace, action, row, changed=sorted({_SPOKEN.get(name, name) for name in changed}))
    bump_snapshot()


def _delete(row: ApiKey | VirtualKey, actor: Actor, action: str) -> None:
    with transaction.atomic():
        audit.record(actor, row.workspace, action, row)
        row.delete()
        bump_snapshot()
