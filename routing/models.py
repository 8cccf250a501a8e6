"""Routing configs and their history, and the number that says how new a snapshot is."""

from __future__ import annotations

import uuid
from typing import Any

from django.db import models

from keys.models import User, Workspace


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


class ConfigVersion(models.Model):
    """One save of a config; never changed afterwards. `checksum` is the SHA-256 of the canonical JSON."""

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


class SnapshotVersion(models.Model):
    """A single row whose `number` grows with every write that gateways must see, in the write's own transaction."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    number = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.number)
