"""Routing configs and their history, and the number that says how new a snapshot is."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models

from keys.models import User, Workspace

# Of a version's number; what is longer is no number of ours.
_DIGITS = 10


class Config(models.Model):
    """A named routing config. `version` is the number of the version in force."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey(Workspace, on_delete=models.CASCADE, related_name="configs")
    slug = models.SlugField(max_length=100, unique=True)
    name = models.CharField(max_length=150)
    is_default = models.BooleanField(default=False)
    version = models.PositiveIntegerField(default=1)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-updated_at", "id"]

    def __str__(self) -> str:
        return self.slug

    def has_version(self, name: str) -> bool:
        """Whether there is such a version, by its number or by a label that points at it."""
        if name.isascii() and name.isdigit():
            return len(name) < _DIGITS and 1 <= int(name) <= self.version
        return self.labels.filter(name=name).exists()


class ConfigVersion(models.Model):
    """One save of a config. `checksum` is the SHA-256 of the canonical JSON.

    Never changed afterwards: the database itself refuses an update, but for the author of an account that is deleted.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    config = models.ForeignKey(Config, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    body: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField()
    checksum = models.CharField(max_length=64)
    comment = models.CharField(max_length=1000, blank=True)
    author = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    author_label = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["config", "number"], name="config_version_once")]

    def __str__(self) -> str:
        return f"{self.config} v{self.number}"


class ConfigLabel(models.Model):
    """A name that points at one version of its config (``production``); calls name it as ``slug@label``.

    A version with a label cannot be deleted alone: it goes with its config only.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    config = models.ForeignKey(Config, on_delete=models.CASCADE, related_name="labels")
    name = models.CharField(max_length=40)
    version = models.ForeignKey(ConfigVersion, on_delete=models.RESTRICT, related_name="labels")
    moved_by = models.CharField(max_length=200)
    created_at = models.DateTimeField(auto_now_add=True)
    moved_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["config", "name"], name="config_label_once")]

    def __str__(self) -> str:
        return f"{self.config}@{self.name}"


class SnapshotVersion(models.Model):
    """A single row whose `number` grows with every write that gateways must see, in the write's own transaction."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    number = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.number)
