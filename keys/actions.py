"""Every write to keys (people: keys/people.py): checked, in one transaction, with its audit event and a new
snapshot number, which gateways see.

An actor is a user, an API key or SYSTEM. Permission to act at all is the caller's to check (keys/policy.py); what is checked
here is what depends on the values: nobody hands out scopes or roles beyond their own. Wrong values raise `InvalidRequest`.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, TypedDict, Unpack

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.text import slugify

from keys import audit, hashing, policy, provider_options, vault
from keys import validation as check
from keys.audit import SYSTEM as SYSTEM
from keys.audit import Actor
from keys.models import ApiKey, RetiredKey, VirtualKey, Workspace
from keys.people import create_user as create_user
from keys.people import create_workspace as create_workspace
from keys.rows import save_new as save_new
from routing.announce import bump_snapshot
from routing.models import Config
from routing.providers import table
from routing.providers.base import Provider

# A credential may be a whole service account as JSON.
_MAX_CREDENTIAL = 20_000
# Both reach one workspace: there is nothing above workspaces here.
API_KEY_TYPES = ("workspace", "organisation")
# How long the old key works beside the new one.
DEFAULT_OVERLAP, MAX_OVERLAP = timedelta(days=1), timedelta(days=90)
_RAW_KEY = re.compile(r"[\x21-\x7e]{8,200}")


class _ApiKeyCommon(TypedDict, total=False):
    scopes: Any
    description: Any
    rate_limits: Any
    usage_limits: Any
    defaults: Any
    allowed_models: Any
    allowed_virtual_keys: Any
    allowed_configs: Any
    allowed_ips: Any
    expires_at: Any


class ApiKeyFields(_ApiKeyCommon, total=False):
    """What an API key may be given besides its name; see models.ApiKey for the shapes."""

    type: Any
    sub_type: Any


class ApiKeyChanges(_ApiKeyCommon, total=False):
    name: Any


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
    paused: Any


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
    "allowed_models": check.allow_list(check.text(128)),
    "allowed_virtual_keys": check.allow_list(check.slug(100)),
    "allowed_configs": check.allow_list(check.text(141)),
    "allowed_ips": check.allow_list(check.network),
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
_VIRTUAL_KEY_CHANGES = {**_VIRTUAL_KEY, "paused": check.boolean}


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
        _known_names(workspace, values)
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
        _known_names(key.workspace, values)
        _apply(key, values, actor, "api_key.update")
    return key


def rotate_api_key(key: ApiKey, *, actor: Actor, overlap: timedelta = DEFAULT_OVERLAP) -> tuple[ApiKey, str]:
    """A new key in the old one's place, and its only showing. The old one works until the overlap has passed; one that an
    earlier rotation left working stops now.

    Raises `Forbidden` for a key with scopes that the actor does not hold.
    """
    if not timedelta(0) <= overlap <= MAX_OVERLAP:
        check.refuse("key_transition_period_ms", f"must be from 0 to {MAX_OVERLAP // timedelta(milliseconds=1)}")
    raw = hashing.new_raw_key()
    with transaction.atomic():
        key = ApiKey.objects.select_for_update().select_related("workspace").get(pk=key.pk)
        policy.check_grant(actor, key.workspace, key.scopes)
        if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= timezone.now()):
            check.refuse("status", "only an active key can be rotated", code="key_not_active", status=409)
        _retire(key)
        key.previous_hash = key.key_hash if overlap else None
        key.previous_until = timezone.now() + overlap if overlap else None
        key.key_hash, key.masked = hash_api_key(raw), hashing.mask(raw)
        key.save(update_fields=["key_hash", "masked", "previous_hash", "previous_until", "updated_at"])
        audit.record(actor, key.workspace, "api_key.rotate", key, overlap_s=int(overlap.total_seconds()))
        bump_snapshot()
    return key, raw


def _retire(key: ApiKey) -> None:
    """Keeps in mind that this was a key of ours, where its own beginning does not say so."""
    if not key.masked.startswith(hashing.PREFIX):
        RetiredKey.objects.get_or_create(key_hash=key.key_hash)


def revoke_api_key(key: ApiKey, *, actor: Actor) -> ApiKey:
    """The key stops working and stays in the list; revoking it again changes nothing."""
    with transaction.atomic():
        key = ApiKey.objects.select_for_update().select_related("workspace").get(pk=key.pk)
        if key.revoked_at is None:
            key.revoked_at = timezone.now()
            key.save(update_fields=["revoked_at", "updated_at"])
            _retire(key)
            audit.record(actor, key.workspace, "api_key.revoke", key)
            bump_snapshot()
    return key


def delete_api_key(key: ApiKey, *, actor: Actor) -> None:
    with transaction.atomic():
        _retire(ApiKey.objects.select_for_update().get(pk=key.pk))
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
    values = check.clean(changes, _VIRTUAL_KEY_CHANGES)
    raw, paused = values.pop("key", None), values.pop("paused", None)
    with transaction.atomic():
        virtual_key = VirtualKey.objects.select_for_update().select_related("workspace").get(pk=virtual_key.pk)
        if values.keys() & {"provider", "options"}:
            row = table.find(values.get("provider", virtual_key.provider))
            written = provider_options.clean(row, values.get("options", virtual_key.options), "options")
            _same_destination(virtual_key, row, written, raw)
            values |= {"provider": row.id, **provider_options.columns(row, written, virtual_key)}
        if raw:
            values |= {"secret": vault.encrypt(raw), "masked": vault.mask(raw)}
        if paused is not None and paused != (virtual_key.paused_at is not None):
            values["paused_at"] = timezone.now() if paused else None
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
_SPOKEN = {"secret": "key", "masked": "key", "secret_options": "options", "masked_options": "options", "paused_at": "paused"}


def _known_default(workspace: Workspace, values: dict[str, Any]) -> None:
    """The default config is one of the workspace, and cannot be deleted before this transaction is over.

    ``slug@label`` and ``slug@3`` name one of its versions, which must be there as well.
    """
    if name := values.get("defaults", {}).get("config_id"):
        _known_config(workspace, name, "defaults.config_id")


def _known_config(workspace: Workspace, name: str, path: str) -> None:
    slug, at, version = name.partition("@")
    config = Config.objects.select_for_update(no_key=True).filter(workspace=workspace, slug=slug).first()
    if config is None:
        check.refuse(path, "no such config in this workspace", code="not_found")
    if at and not config.has_version(version):
        check.refuse(path, f"{slug} has no version or label {version[:40]!r}", code="not_found")


def _known_names(workspace: Workspace, values: dict[str, Any]) -> None:
    """What a key's values name is there."""
    _known_default(workspace, values)
    keys = VirtualKey.objects.filter(workspace=workspace, slug__in=values.get("allowed_virtual_keys", ()))
    known = set(keys.values_list("slug", flat=True))
    for index, slug in enumerate(values.get("allowed_virtual_keys", ())):
        if slug not in known:
            check.refuse(f"allowed_virtual_keys[{index}]", "no such virtual key in this workspace", code="not_found")
    for index, name in enumerate(values.get("allowed_configs", ())):
        _known_config(workspace, name, f"allowed_configs[{index}]")


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
