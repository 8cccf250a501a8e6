"""Every write to routing configs: checked, in one transaction, with its audit event and a new snapshot number.

A config's body changes only by a new version, and a version never. Wrong values raise `InvalidRequest`, a wrong body
`InvalidConfig`.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Any

import orjson
from django.db import transaction
from django.db.models import QuerySet
from django.utils.text import slugify

from keys import audit
from keys import validation as check
from keys.actions import save_new
from keys.audit import Actor
from keys.models import ApiKey, VirtualKey, Workspace
from routing import queries
from routing.announce import bump_snapshot
from routing.call import Json
from routing.configs.document import parse_document
from routing.configs.normalise import normalise
from routing.configs.references import check_references
from routing.errors import InvalidConfig, InvalidRequest, NotFound
from routing.models import Config, ConfigLabel, ConfigVersion

_name = check.text(150)
_comment = check.text(1000, blank=True)
_SLUG_SUFFIX_BYTES = 3
_MAX_BODY_BYTES = 256 * 1024
_NAMED_IN_REFUSAL = 10
_TAKEN_SLUGS = frozenset({"dry-run", "validate"})
_LABEL = re.compile(r"(?=.*[a-z-])[a-z0-9-]{1,40}")
_LABELS_MAX = 50


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
    body = check_config(workspace, config)
    slug = check.slug(100)(slug, "slug") if slug is not None else _new_slug(name)
    if slug in _TAKEN_SLUGS:
        check.refuse("slug", f"{slug} is a path of the API itself")
    row = Config(workspace=workspace, slug=slug, name=name, created_by=audit.user_of(actor))
    with transaction.atomic():
        save_new(row, "slug")
        version = _add_version(row, body, actor, comment)
        if is_default:
            _make_default(row, actor)
        audit.record(actor, workspace, "config.create", row, version=version.number)
        bump_snapshot()
    return row, version


def update_config(  # noqa: PLR0913 - all by name, as above
    config: Config,
    *,
    actor: Actor,
    body: Any = None,
    name: str | None = None,
    is_default: bool | None = None,
    comment: str = "",
    expected_version: int | None = None,
) -> tuple[Config, ConfigVersion]:
    """Changes what is given. A body makes a new version in force, unless it says the same as the one in force.

    With `expected_version`, the number that the writer has seen in force, nothing that was saved meanwhile is overwritten.
    """
    name = None if name is None else _name(name, "name")
    comment = _comment(comment, "comment")
    wanted = None if body is None else check_config(config.workspace, body)
    with transaction.atomic():
        config = _locked(config)
        _check_seen(config, expected_version)
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


def rollback_config(
    config: Config, number: int, *, actor: Actor, comment: str = "", expected_version: int | None = None
) -> tuple[Config, ConfigVersion]:
    """Puts an old version's body in force again, as a new version. Refused where that body could not be saved today."""
    comment = _comment(comment, "comment")
    with transaction.atomic():
        config = _locked(config)
        _check_seen(config, expected_version)
        body = check_config(config.workspace, _version(config, number).body)
        version = config.versions.get(number=config.version)
        if checksum(body) != version.checksum:
            config.version += 1
            version = _add_version(config, body, actor, comment or f"Restored version {number}")
            config.save(update_fields=["version", "updated_at"])
            audit.record(actor, config.workspace, "config.rollback", config, to=number, version=version.number)
            bump_snapshot()
    return config, version


def delete_config(config: Config, *, actor: Actor, force: bool = False) -> None:
    """Deletes a config with its history and labels. Refused while API keys name it as their default, unless forced."""
    with transaction.atomic():
        # The lock keeps a key from taking this config as its default at the same time.
        config = _locked(config)
        users = _users(queries.keys_that_name(config))
        if users and not force:
            raise InvalidRequest(
                f"{config.slug} is the default config of API keys: {_some(users)}", code="config_in_use", status=409
            )
        used_by = {"used_by": users} if users else {}
        audit.record(actor, config.workspace, "config.delete", config, version=config.version, **used_by)
        config.delete()
        bump_snapshot()


# --- Labels -----------------------------------------------------------------------------------------------------------


def set_label(config: Config, name: str, number: int, *, actor: Actor) -> ConfigLabel:
    """Points a label at a version of its config: a new label, or one that moves."""
    if not _LABEL.fullmatch(name):
        check.refuse("label", "must be 1 to 40 lower-case letters, digits and hyphens, and not a number: those name versions")
    with transaction.atomic():
        config = _locked(config)
        version = _version(config, number)
        label = config.labels.select_related("version").filter(name=name).first()
        if label is None and config.labels.count() >= _LABELS_MAX:
            check.refuse("label", f"{config.slug} has {_LABELS_MAX} labels already: delete one first", status=409)
        if label is not None and label.version_id == version.pk:
            return label
        before = None if label is None else label.version.number
        label = label or ConfigLabel(config=config, name=name)
        label.version, label.moved_by = version, audit.label(actor)
        label.save()
        audit.record(actor, config.workspace, "config.label.set", config, label=name, before=before, version=number)
        bump_snapshot()
    return label


def delete_label(label: ConfigLabel, *, actor: Actor, force: bool = False) -> None:
    """Takes a label away. Refused while API keys name it in their default config, unless forced."""
    with transaction.atomic():
        config = _locked(label.config)
        users = _users(queries.keys_that_name(config, label.name))
        if users and not force:
            raise InvalidRequest(f"{label} is the default config of API keys: {_some(users)}", code="label_in_use", status=409)
        used_by = {"used_by": users} if users else {}
        number = label.version.number
        audit.record(actor, config.workspace, "config.label.delete", config, label=label.name, version=number, **used_by)
        label.delete()
        bump_snapshot()


# --- Shared -----------------------------------------------------------------------------------------------------------


def _locked(config: Config) -> Config:
    """The config as it is now, kept from other writers to the end of the transaction."""
    found = Config.objects.select_for_update(of=("self",)).select_related("workspace").filter(pk=config.pk).first()
    if found is None:
        raise NotFound(f"There is no config {config.slug!r} in this workspace.")
    return found


def _check_seen(config: Config, expected_version: int | None) -> None:
    if expected_version not in (None, config.version):
        raise InvalidRequest(
            f"{config.slug} is at version {config.version}, not {expected_version}: somebody saved it meanwhile",
            param="expected_version",
            code="version_conflict",
            status=409,
        )


def _version(config: Config, number: int) -> ConfigVersion:
    version = config.versions.filter(number=number).first()
    if version is None:
        check.refuse("version", f"{config.slug} has no version {number}", code="not_found", status=404)
    return version


def _users(keys: QuerySet[ApiKey]) -> list[str]:
    return list(keys.order_by("name").values_list("name", flat=True)[: _NAMED_IN_REFUSAL + 1])


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMED_IN_REFUSAL]) + (" and others" if len(names) > _NAMED_IN_REFUSAL else "")


def check_config(workspace: Workspace, config: Any) -> Json:
    """The canonical form of a config, given as an object or as text, that can be saved here. Raises `InvalidConfig`."""
    body = canonical(config)
    slugs = VirtualKey.objects.filter(workspace=workspace).values_list("slug", flat=True)
    check_references(body, frozenset(slugs))
    return body


def canonical(config: Any) -> Json:
    """The canonical form of a config given as an object, or as text in JSON or YAML. Raises `InvalidConfig`."""
    config = parse_document(config) if isinstance(config, str) else config
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
