"""Every read of routing configs. Each is bound to a workspace: what belongs to another one does not exist."""

from __future__ import annotations

from django.db.models import F, QuerySet

from keys.models import Workspace
from keys.queries import named
from routing.errors import NotFound
from routing.models import Config, ConfigVersion


def list_configs(workspace: Workspace) -> QuerySet[Config]:
    """Last changed first."""
    return Config.objects.filter(workspace=workspace).select_related("workspace", "created_by")


def get_config(workspace: Workspace, name: str) -> Config:
    """By slug or id. Raises `NotFound`."""
    condition = named(name)
    config = list_configs(workspace).filter(condition).first() if condition else None
    if config is None:
        raise NotFound(f"There is no config {name[:100]!r} in this workspace.")
    return config


def list_versions(config: Config) -> QuerySet[ConfigVersion]:
    """Newest first."""
    return config.versions.select_related("author")


def get_version(config: Config, number: int | None = None) -> ConfigVersion:
    """A version by its number, the one in force without. Raises `NotFound`."""
    version = list_versions(config).filter(number=config.version if number is None else number).first()
    if version is None:
        raise NotFound(f"{config.slug} has no version {number}.")
    return version


def versions_in_force(configs: QuerySet[Config]) -> QuerySet[ConfigVersion]:
    """The current version of each config, for lists."""
    return ConfigVersion.objects.select_related("author").filter(config__in=configs, number=F("config__version"))
