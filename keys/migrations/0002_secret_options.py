from __future__ import annotations

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("keys", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="virtualkey",
            name="masked_options",
            field=models.JSONField(default=dict, editable=False),
        ),
        migrations.AddField(
            model_name="virtualkey",
            name="secret_options",
            field=models.BinaryField(default=b""),
        ),
    ]
