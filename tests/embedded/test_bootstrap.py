"""`manage.py bootstrap`: what it makes, and what it leaves alone."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from django.core.management.base import CommandError

from gateway_project.env import environment
from keys.management.commands.bootstrap import first_objects
from keys.models import ApiKey, Member, User, VirtualKey, Workspace
from tests.embedded.conftest import ROOT


@pytest.mark.django_db
class TestFirstObjects:
    def test_the_first_run_makes_everything_and_shows_what_it_generated(self):
        made = first_objects()
        user = User.objects.get(email="admin@example.com")
        assert user.check_password(made["admin"]["password"])
        assert Member.objects.get(user=user).role == "owner"
        assert made["api_key"]["key"].startswith("gh-")
        assert VirtualKey.objects.get(slug="mock").provider == "mock"
        assert Workspace.objects.get().slug == "default"

    def test_the_second_run_makes_nothing_and_shows_nothing(self):
        first_objects()
        VirtualKey.objects.all().delete()
        ApiKey.objects.all().delete()
        again = first_objects()
        assert again["admin"] == {"email": "admin@example.com", "password": None, "created": False}
        assert again["api_key"] == {"key": None, "from_environment": False, "created": False}
        assert not VirtualKey.objects.exists()  # somebody removed it on purpose

    def test_a_key_from_the_environment_is_added_once(self, monkeypatch):
        first_objects()
        monkeypatch.setenv("GATEHOUSE_API_KEY", "gh-from-the-environment-0123456789")
        assert first_objects()["api_key"] == {"key": None, "from_environment": True, "created": True}
        assert first_objects()["api_key"]["created"] is False
        assert ApiKey.objects.count() == 2

    def test_a_later_change_of_the_password_changes_nothing(self, monkeypatch):
        password = first_objects()["admin"]["password"]
        monkeypatch.setenv("GATEHOUSE_ADMIN_PASSWORD", "another good password")
        assert first_objects()["admin"]["created"] is False
        assert User.objects.get().check_password(password)

    @pytest.mark.parametrize(
        ("name", "value"),
        [("GATEHOUSE_ADMIN_PASSWORD", "short"), ("GATEHOUSE_ADMIN_EMAIL", "no address"), ("GATEHOUSE_API_KEY", "short")],
    )
    def test_a_value_that_cannot_be_used_is_named(self, monkeypatch, name, value):
        monkeypatch.setenv(name, value)
        with pytest.raises(CommandError, match=name):
            first_objects()
        assert not Workspace.objects.exists()


def test_two_that_start_at_once_do_not_disturb_each_other(servers, tmp_path):
    env = {**environment(), "DATABASE_URL": servers.new_database_url("two_at_once"), "GATEHOUSE_DATA_DIR": str(tmp_path)}
    env["DJANGO_SETTINGS_MODULE"] = "gateway_project.settings"
    command = [sys.executable, str(ROOT / "manage.py"), "bootstrap"]
    running = [subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    facts: list[dict[str, Any]] = [json.loads(process.communicate(timeout=60)[0]) for process in running]
    assert sorted(fact["workspace"]["created"] for fact in facts) == [False, True]
    assert sorted(fact["admin"]["created"] for fact in facts) == [False, True]
