"""The request log. Rows are written by analytics/ingest.py alone, and only read elsewhere (analytics/queries.py).

Both tables are partitioned natively by day of `started_at` (analytics/partitions.py); the migration holds their real SQL. They
have no foreign keys, because a log outlives what it speaks of and a check per row would cost more than the row.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models

from analytics.alerts import models as alerts  # noqa: F401 - found by Django through this module


class RequestLog(models.Model):
    """One finished or failed call: the columns of analytics.record.Record, without the bodies.

    `model` is a text of the provider's, `option_path` the target's place in the config. `content_truncated` says that the
    bodies were cut at the content limit, or left out because the spool was full.
    """

    pk = models.CompositePrimaryKey("started_at", "id")
    id = models.UUIDField()
    started_at = models.DateTimeField()
    workspace_id = models.UUIDField(null=True)
    api_key_id = models.UUIDField(null=True)
    virtual_key_id = models.UUIDField(null=True)
    config_id = models.UUIDField(null=True)
    config_version = models.IntegerField(null=True)
    trace_id = models.TextField()
    endpoint = models.TextField()
    provider = models.TextField()
    model = models.TextField()
    response_model = models.TextField()
    option_path = models.TextField()
    status = models.IntegerField()
    error_code = models.TextField()
    error_message = models.TextField()
    is_stream = models.BooleanField()
    cancelled = models.BooleanField()
    cache_status = models.TextField()
    retry_count = models.IntegerField()
    duration_ms = models.FloatField()
    ttft_ms = models.FloatField(null=True)
    input_tokens = models.BigIntegerField()
    cache_read_tokens = models.BigIntegerField()
    cache_write_tokens = models.BigIntegerField()
    audio_input_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    reasoning_tokens = models.BigIntegerField()
    audio_output_tokens = models.BigIntegerField()
    usage_estimated = models.BooleanField()
    cost_usd = models.DecimalField(max_digits=20, decimal_places=10, null=True)
    unpriced = models.BooleanField()
    metadata: models.JSONField[dict[str, str], dict[str, str]] = models.JSONField()
    attempts: models.JSONField[list[dict[str, Any]], list[dict[str, Any]]] = models.JSONField()
    content_truncated = models.BooleanField()
    # The call's place in its trace, as the caller told it.
    span_id = models.TextField(default="", db_default="")
    parent_span_id = models.TextField(default="", db_default="")
    span_name = models.TextField(default="", db_default="")
    # What was used that is not counted in tokens (routing.call.Media), null for calls about text.
    media: models.JSONField[dict[str, Any] | None, dict[str, Any] | None] = models.JSONField(null=True)

    class Meta:
        indexes = [
            models.Index("workspace_id", models.F("started_at").desc(), models.F("id").desc(), name="log_newest"),
            models.Index("trace_id", name="log_trace"),
            models.Index("api_key_id", models.F("started_at").desc(), models.F("id").desc(), name="log_api_key"),
            GinIndex(fields=["metadata"], opclasses=["jsonb_path_ops"], name="log_metadata"),
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.status}"


class RequestBody(models.Model):
    """What went over the wire in one call: a table of its own, so that lists and charts never touch it.

    `response` holds server-sent events where `response_is_stream`; analytics/reassemble.py reads those.
    """

    pk = models.CompositePrimaryKey("started_at", "id")
    id = models.UUIDField()
    started_at = models.DateTimeField()
    request = models.TextField()
    response = models.TextField()
    response_is_stream = models.BooleanField()

    def __str__(self) -> str:
        return str(self.id)


class Rollup(models.Model):
    """Sums over the calls of one stretch of time that agree in all dimensions. Written by analytics/rollups.py alone.

    `bucket` is the start of the stretch. Ids are all zeros where a call had none. `failed` counts error statuses, `retried`
    calls that took more than one try. The histograms hold one count for each bucket of analytics/histogram.py.
    """

    bucket = models.DateTimeField()
    workspace_id = models.UUIDField()
    api_key_id = models.UUIDField()
    virtual_key_id = models.UUIDField()
    config_id = models.UUIDField()
    endpoint = models.TextField()
    provider = models.TextField()
    model = models.TextField()
    status = models.IntegerField()
    cache_status = models.TextField()
    calls = models.BigIntegerField()
    failed = models.BigIntegerField()
    retried = models.BigIntegerField()
    cancelled = models.BigIntegerField()
    unpriced = models.BigIntegerField()
    input_tokens = models.BigIntegerField()
    cache_read_tokens = models.BigIntegerField()
    cache_write_tokens = models.BigIntegerField()
    audio_input_tokens = models.BigIntegerField()
    output_tokens = models.BigIntegerField()
    reasoning_tokens = models.BigIntegerField()
    audio_output_tokens = models.BigIntegerField()
    cost_usd = models.DecimalField(max_digits=30, decimal_places=10)
    duration_ms_sum = models.FloatField()
    duration_counts = ArrayField(models.BigIntegerField())
    ttft_counts = ArrayField(models.BigIntegerField())

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.bucket} {self.provider} {self.model}"


class RollupMinute(Rollup):
    """By minute, for the last days."""

    pk = models.CompositePrimaryKey(
        *("workspace_id", "bucket", "api_key_id", "virtual_key_id", "config_id"),
        *("endpoint", "provider", "model", "status", "cache_status"),
    )


class RollupHour(Rollup):
    """By hour, for as long as the installation lives."""

    pk = models.CompositePrimaryKey(
        *("workspace_id", "bucket", "api_key_id", "virtual_key_id", "config_id"),
        *("endpoint", "provider", "model", "status", "cache_status"),
    )


class RollupMetadata(models.Model):
    """By hour and by one pair of metadata: what each user, session or environment used."""

    pk = models.CompositePrimaryKey("workspace_id", "key", "bucket", "value")
    bucket = models.DateTimeField()
    workspace_id = models.UUIDField()
    key = models.TextField()
    value = models.TextField()
    calls = models.BigIntegerField()
    failed = models.BigIntegerField()
    tokens = models.BigIntegerField()
    cost_usd = models.DecimalField(max_digits=30, decimal_places=10)
    duration_ms_sum = models.FloatField()

    def __str__(self) -> str:
        return f"{self.bucket} {self.key}={self.value}"


class PriceOverride(models.Model):
    """A workspace's own price of the models that a pattern names, or its discount on the price list.

    `provider` is an id of the provider table or ``*``, `model` a pattern with ``*`` and ``?``. `prices` are USD as texts, in
    the words of analytics/tariffs.py; empty means the list's. In force from `starts_at` until before `ends_at`; null is open.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("keys.Workspace", on_delete=models.CASCADE, related_name="+")
    provider = models.CharField(max_length=64)
    model = models.CharField(max_length=200)
    prices: models.JSONField[dict[str, Any], dict[str, Any]] = models.JSONField(default=dict)
    discount_percent = models.DecimalField(max_digits=7, decimal_places=4, default=0)
    starts_at = models.DateTimeField(null=True)
    ends_at = models.DateTimeField(null=True)
    note = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["provider", "model", "-starts_at", "id"]

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


class Feedback(models.Model):
    """What somebody thought of the calls of a trace: `value` from -10 to 10, counted with `weight` from 0 to 1."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    workspace = models.ForeignKey("keys.Workspace", on_delete=models.CASCADE, related_name="+")
    trace_id = models.CharField(max_length=256)
    value = models.SmallIntegerField()
    weight = models.DecimalField(max_digits=7, decimal_places=6, default=1)
    metadata: models.JSONField[dict[str, str], dict[str, str]] = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["-created_at", "id"]
        indexes = [
            models.Index(fields=["workspace", "trace_id"], name="feedback_trace"),
            models.Index(fields=["workspace", "-created_at"], name="feedback_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.trace_id} {self.value}"


class Retention(models.Model):
    """How many days of calls a workspace keeps, where that is less than the installation does."""

    workspace = models.OneToOneField("keys.Workspace", primary_key=True, on_delete=models.CASCADE, related_name="+")
    days = models.PositiveIntegerField()
    updated_at = models.DateTimeField(auto_now=True)

    def __str__(self) -> str:
        return f"{self.days} days"


class DeadRecord(models.Model):
    """A spooled record that the log tables cannot take, whole, with the reason. `digest` is the SHA-256 of `payload`."""

    digest = models.BinaryField(max_length=32, unique=True)
    payload = models.BinaryField()
    reason = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return self.reason
