"""Every write to routing configs: checked, in one transaction, with its audit event and a new snapshot number.

A config's body changes only by a new version. Wrong values raise `InvalidRequest`, a wrong body `InvalidConfig`.
"""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

import orjson
from django.db import transaction
from django.utils.text import slugify

from keys import audit
from keys import validation as check
from keys.actions import save_new
from keys.audit import Actor
from keys.models import ApiKey, Workspace
from routing.announce import bump_snapshot
from routing.call import Json
from routing.configs.normalise import normalise
from routing.errors import InvalidConfig, InvalidRequest
from routing.models import Config, ConfigVersion

_name = check.text(150)
_comment = check.text(1000, blank=True)
_SLUG_SUFFIX_BYTES = 3
_MAX_BODY_BYTES = 256 * 1024
_NAMED_IN_REFUSAL = 10


def create_config(  # noqa: PLR0913 - all by name, and a class for them would only be unpacked again
    *,
    workspace: Workspace,
    name: str,
    config: Any,
    actor: Actor,
    is_default: bool = False,
    comment: str = "",
    slug: str | None = None,
) -> tuple[Config, ConfigVersion]:
    """A new config with its first version. The slug is ``pc-<name>-<6 hex>`` where none is given."""
    name = _name(name, "name")
    comment = _comment(comment, "comment")
    body = canonical(config)
    slug = check.slug(100)(slug, "slug") if slug is not None else _new_slug(name)
    row = Config(workspace=workspace, slug=slug, name=name, created_by=audit.user_of(actor))
    with transaction.atomic():
        save_new(row, "slug")
        version = _add_version(row, body, actor, comment)
        if is_default:
            _make_default(row, actor)
        audit.record(actor, workspace, "config.create", row, version=version.number)
        bump_snapshot()
    return row, version


def update_config(
    config: Config,
    *,
    actor: Actor,
    body: Any = None,
    name: str | None = None,
    is_default: bool | None = None,
    comment: str = "",
) -> tuple[Config, ConfigVersion]:
    """Changes what is given. A body makes a new version in force, unless it says the same as the one in force."""
    name = None if name is None else _name(name, "name")
    comment = _comment(comment, "comment")
    wanted = None if body is None else canonical(body)
    with transaction.atomic():
        config = Config.objects.select_for_update().select_related("workspace").get(pk=config.pk)
        version = config.versions.get(number=config.version)
        changed = []
        if wanted is not None and checksum(wanted) != version.checksum:
            config.version += 1
            version = _add_version(config, wanted, actor, comment)
            changed.append("config")
        if name is not None and name != config.name:
            config.name = name
            changed.append("name")
        if is_default is not None and is_default != config.is_default:
            _make_default(config, actor) if is_default else _unset_default(config)
            changed.append("is_default")
        if changed:
            config.save(update_fields=["version", "name", "updated_at"])
            audit.record(actor, config.workspace, "config.update", config, changed=changed, version=version.number)
            bump_snapshot()
    return config, version


def restore_config(config: Config, number: int, *, actor: Actor) -> tuple[Config, ConfigVersion]:
    """Puts an old version's body in force again, as a new version."""
    old = config.versions.filter(number=number).first()
    if old is None:
        check.refuse("version", f"{config.slug} has no version {number}", code="not_found", status=404)
    return update_config(config, body=old.body, actor=actor, comment=f"Restored version {number}")


def delete_config(config: Config, *, actor: Actor) -> None:
    """Deletes a config and its history. Refused while API keys name it as their default."""
    with transaction.atomic():
        # The lock keeps a key from taking this config as its default at the same time.
        config = Config.objects.select_for_update().select_related("workspace").get(pk=config.pk)
        users = ApiKey.objects.filter(workspace=config.workspace, revoked_at=None, defaults__config_id=config.slug)
        names = list(users.order_by("name").values_list("name", flat=True)[: _NAMED_IN_REFUSAL + 1])
        if names:
            more = " and others" if len(names) > _NAMED_IN_REFUSAL else ""
            raise InvalidRequest(
                f"{config.slug} is the default config of API keys: {', '.join(names[:_NAMED_IN_REFUSAL])}{more}",
                code="config_in_use",
                status=409,
            )
        audit.record(actor, config.workspace, "config.delete", config, version=config.version)
        config.delete()
        bump_snapshot()


def canonical(config: Any) -> Json:
    """The canonical form of a config given as an object or as JSON text. Raises `InvalidConfig`."""
    if isinstance(config, str):
        try:
            config = orjson.loads(config)
        except orjson.JSONDecodeError as error:
            raise InvalidConfig(f"config: is not valid JSON: {error}", param="config") from error
    check.storable(config, "config")
    body = normalise(config, saved=True)
    if len(_encoded(body)) > _MAX_BODY_BYTES:
        raise InvalidConfig(f"config: is larger than {_MAX_BODY_BYTES} bytes", param="config")
    return body


def checksum(body: Json) -> str:
    """SHA-256 of the canonical JSON: keys sorted, no spaces."""
    return hashlib.sha256(_encoded(body)).hexdigest()


def _encoded(body: Json) -> bytes:
    return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)


def _new_slug(name: str) -> str:
    middle = slugify(name)[:80].strip("-_")
    return "-".join(filter(None, ("pc", middle, secrets.token_hex(_SLUG_SUFFIX_BYTES))))


def _add_version(config: Config, body: Json, actor: Actor, comment: str) -> ConfigVersion:
    return ConfigVersion.objects.create(
        config=config,
        number=config.version,
        body=body,
        checksum=checksum(body),
        comment=comment,
        author=audit.user_of(actor),
        author_label=audit.label(actor),
    )


def _make_default(config: Config, actor: Actor) -> None:
    """A workspace has one default config at most: the one before steps down, and its history says so."""
    for other in Config.objects.select_for_update().filter(workspace=config.workspace, is_default=True).exclude(pk=config.pk):
        _unset_default(other)
        audit.record(actor, config.workspace, "config.update", other, changed=["is_default"], version=other.version)
    Config.objects.filter(pk=config.pk).update(is_default=True)
    config.is_default = True


def _unset_default(config: Config) -> None:
    Config.objects.filter(pk=config.pk).update(is_default=False)
    config.is_default = False
