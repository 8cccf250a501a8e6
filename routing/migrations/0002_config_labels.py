"""Labels of config versions, and versions that the database itself keeps from being changed.

Safe while gateways run: one new table, and a trigger that takes its lock on the versions for a moment only.
"""

from __future__ import annotations

import uuid

import django.db.models.deletion
from django.db import migrations, models

_FREEZE = """
    CREATE FUNCTION routing_configversion_is_final() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'a version of a config is never changed: save a new one' USING ERRCODE = 'restrict_violation';
    END $$;
    CREATE TRIGGER routing_configversion_final
        BEFORE UPDATE OF config_id, number, body, checksum, comment, author_label, created_at ON routing_configversion
        FOR EACH ROW EXECUTE FUNCTION routing_configversion_is_final();
"""
_THAW = """
    DROP TRIGGER routing_configversion_final ON routing_configversion;
    DROP FUNCTION routing_configversion_is_final();
"""


class Migration(migrations.Migration):
    dependencies = [("routing", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="ConfigLabel",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=40)),
                ("moved_by", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("moved_at", models.DateTimeField(auto_now=True)),
                (
                    "config",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="labels", to="routing.config"),
                ),
                (
                    "version",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.RESTRICT, related_name="labels", to="routing.configversion"
                    ),
                ),
            ],
            options={
                "ordering": ["name"],
                "constraints": [models.UniqueConstraint(fields=("config", "name"), name="config_label_once")],
            },
        ),
        migrations.RunSQL(_FREEZE, _THAW),
    ]
