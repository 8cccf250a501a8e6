"""Every read of routing configs. Each is bound to a workspace: what belongs to another one does not exist."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import F, Q, QuerySet

from keys.models import ApiKey, Workspace
from keys.queries import named
from routing.errors import NotFound
from routing.models import Config, ConfigLabel, ConfigVersion

# Of a version's number; what is longer is no number of ours.
_DIGITS = 10


def list_configs(workspace: Workspace) -> QuerySet[Config]:
    """Last changed first."""
    return (
        Config.objects.filter(workspace=workspace).select_related("workspace", "created_by").prefetch_related("labels__version")
    )


def get_config(workspace: Workspace, name: str) -> Config:
    """By slug or id. Raises `NotFound`."""
    condition = named(name)
    config = list_configs(workspace).filter(condition).first() if condition else None
    if config is None:
        raise NotFound(f"There is no config {name[:100]!r} in this workspace.")
    return config


def list_versions(config: Config) -> QuerySet[ConfigVersion]:
    """Newest first."""
    return config.versions.select_related("author").prefetch_related("labels")


def get_version(config: Config, number: int | None = None) -> ConfigVersion:
    """A version by its number, the one in force without. Raises `NotFound`."""
    version = list_versions(config).filter(number=config.version if number is None else number).first()
    if version is None:
        raise NotFound(f"{config.slug} has no version {number}.")
    return version


def find_version(config: Config, name: str) -> ConfigVersion:
    """A version by its number or by a label that points at it. Raises `NotFound`."""
    if name.isascii() and name.isdigit() and len(name) < _DIGITS:
        return get_version(config, int(name))
    return get_version(config, get_label(config, name).version.number)


def versions_in_force(configs: QuerySet[Config]) -> QuerySet[ConfigVersion]:
    """The current version of each config, for lists."""
    return ConfigVersion.objects.select_related("author").filter(config__in=configs, number=F("config__version"))


def get_label(config: Config, name: str) -> ConfigLabel:
    """Raises `NotFound`."""
    label = config.labels.select_related("config", "version").filter(name=name.replace("\x00", "")).first()
    if label is None:
        raise NotFound(f"{config.slug} has no label {name[:40]!r}.")
    return label


def keys_that_name(config: Config, label: str | None = None) -> QuerySet[ApiKey]:
    """The living API keys whose default is this config, at whatever version; with `label`, at this label only."""
    keys = ApiKey.objects.filter(workspace_id=config.workspace_id, revoked_at=None)
    if label is not None:
        return keys.filter(defaults__config_id=f"{config.slug}@{label}")
    return keys.filter(Q(defaults__config_id=config.slug) | Q(defaults__config_id__startswith=f"{config.slug}@"))


def users_of(configs: Iterable[Config], workspace: Workspace) -> dict[str, int]:
    """How many living API keys have each of the configs as their default, by slug."""
    counts = dict.fromkeys((config.slug for config in configs), 0)
    keys = ApiKey.objects.filter(workspace=workspace, revoked_at=None, defaults__config_id__isnull=False)
    for default in keys.values_list("defaults__config_id", flat=True):
        slug = str(default).partition("@")[0]
        if slug in counts:
            counts[slug] += 1
    return counts
