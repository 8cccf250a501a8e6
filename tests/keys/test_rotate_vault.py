from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command

from analytics.alerts.actions import create_channel
from keys import actions, provider_options, vault
from keys.models import VirtualKey
from tests.keys.people import SECRET, Team
from tests.keys.people import team as team


def test_after_a_rotation_the_old_key_can_be_dropped(team: Team, settings: Any) -> None:
    options = {"aws_secret_access_key": "wJalr-secret-0123456789", "aws_access_key_id": "AKIA0123", "aws_region": "us-east-1"}
    actions.create_virtual_key(
        workspace=team.workspace, name="aws", provider="bedrock", key="", options=options, actor=actions.SYSTEM
    )
    before = {row.slug: (vault.decrypt(row.secret), provider_options.secrets(row)) for row in VirtualKey.objects.all()}
    moment = VirtualKey.objects.get(slug="aws").updated_at
    new = Fernet.generate_key().decode()
    settings.VAULT_KEYS = (new, *settings.VAULT_KEYS)
    said = StringIO()
    call_command("rotate_vault", stdout=said)
    call_command("rotate_vault", stdout=said)
    settings.VAULT_KEYS = (new,)
    after = {row.slug: (vault.decrypt(row.secret), provider_options.secrets(row)) for row in VirtualKey.objects.all()}
    assert after == before
    assert VirtualKey.objects.get(slug="aws").updated_at == moment
    assert SECRET not in said.getvalue()


def test_what_no_key_can_read_is_named_and_left_as_it_is(team: Team, settings: Any) -> None:
    before = bytes(VirtualKey.objects.get(slug="openai-prod").secret)
    settings.VAULT_KEYS = (Fernet.generate_key().decode(),)
    with pytest.raises(CommandError, match="openai-prod"):
        call_command("rotate_vault", stdout=StringIO())
    assert bytes(VirtualKey.objects.get(slug="openai-prod").secret) == before


def test_the_addresses_of_alert_channels_are_rotated_too(team: Team, settings: Any) -> None:
    channel = create_channel(
        workspace=team.workspace, actor=actions.SYSTEM, name="hook", url="https://hooks.example.com/T0/secret-path"
    )
    before = vault.decrypt(channel.secret)
    new = Fernet.generate_key().decode()
    settings.VAULT_KEYS = (new, *settings.VAULT_KEYS)
    call_command("rotate_vault", stdout=StringIO())
    settings.VAULT_KEYS = (new,)
    channel.refresh_from_db()
    assert vault.decrypt(channel.secret) == before
