"""`manage.py bootstrap`: makes an installation usable, and changes nothing that is there already."""

from __future__ import annotations

import hashlib
import json
import secrets
import sys
import time
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.utils import DatabaseError

from gateway_project.env import env_int, env_str
from keys import actions, policy
from keys.models import ApiKey, Member, Workspace
from routing.errors import InvalidRequest

# Any number, as long as nothing else in this database locks the same one.
_ADVISORY_LOCK = 7_283_951_046
_STARTING = (
    "connection refused",
    "starting up",
    "no such file",
    "could not translate",
    "failed to resolve",
    "timeout",
    "shutting down",
)


class Command(BaseCommand):
    help = (
        "Migrate, collect static files and create the default workspace, its first admin, API key and the virtual key `mock`. "
        "Prints one JSON object; generated secrets are in it only at their creation."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--wait-for-stdin", action="store_true", help="use the database only after standard input has ended"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self.check()
        if options["wait_for_stdin"]:
            sys.stdin.read()
        self._connect(env_int("GATEHOUSE_DATABASE_WAIT_SECONDS", 60))
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [_ADVISORY_LOCK])  # released when this process ends
        self._migrate()
        self._collect_static()
        self.stdout.write(json.dumps(first_objects()))

    def _connect(self, seconds: int) -> None:
        """Waits for a server that is not up yet (containers start in any order); any other refusal is final."""
        deadline, told = time.monotonic() + seconds, False
        while True:
            try:
                connection.ensure_connection()
            except OperationalError as error:
                reason = str(error).strip()
                if time.monotonic() > deadline or not any(word in reason.lower() for word in _STARTING):
                    raise CommandError(f"DATABASE_URL: the database cannot be used: {reason}") from error
                if not told:
                    self.stderr.write("waiting for the database")
                    told = True
                time.sleep(0.25)
            else:
                return

    def _migrate(self) -> None:
        executor = MigrationExecutor(connection)
        plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
        if not plan:
            return
        self.stderr.write(f"applying {len(plan)} migrations")
        try:
            call_command("migrate", interactive=False, verbosity=0, stdout=self.stderr)
        except DatabaseError as error:
            raise CommandError(f"the migrations could not be applied: {error}") from error

    def _collect_static(self) -> None:
        """Only when a file changed: compressing all of them takes seconds."""
        mark = Path(settings.STATIC_ROOT) / ".fingerprint"
        fingerprint = _static_fingerprint()
        if mark.exists() and mark.read_text(encoding="ascii") == fingerprint:
            return
        self.stderr.write("collecting static files")
        call_command("collectstatic", interactive=False, verbosity=0, stdout=self.stderr)
        mark.write_text(fingerprint, encoding="ascii")


def _static_fingerprint() -> str:
    digest = hashlib.sha256(settings.VERSION.encode())
    for finder in get_finders():
        for path, storage in finder.list([]):
            status = Path(storage.path(path)).stat()
            digest.update(f"{path} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


@transaction.atomic
def first_objects() -> dict[str, Any]:
    """Creates what is missing, and says what that was: `created`, and the secret where it was generated."""
    workspace = Workspace.objects.filter(slug="default").first()
    new = workspace is None
    if workspace is None:
        workspace = actions.create_workspace(slug="default", name="Default")
        actions.create_virtual_key(workspace=workspace, name="Mock", provider="mock", key="", actor=actions.SYSTEM, slug="mock")
    return {
        "workspace": {"slug": workspace.slug, "created": new},
        "admin": _admin(workspace),
        "api_key": _api_key(workspace, new=new),
    }


def _admin(workspace: Workspace) -> dict[str, Any]:
    """The owner; a workspace without any could not be administered. A later change of the variables changes nothing."""
    owner = Member.objects.filter(workspace=workspace, role="owner").select_related("user").order_by("created_at").first()
    if owner is not None:
        return {"email": owner.user.email, "password": None, "created": False}
    email = env_str("GATEHOUSE_ADMIN_EMAIL", "admin@example.com")
    given = env_str("GATEHOUSE_ADMIN_PASSWORD")
    password = given or secrets.token_urlsafe(12)
    try:
        actions.create_user(email=email, password=password, workspace=workspace, role="owner")
    except InvalidRequest as error:
        name = "GATEHOUSE_ADMIN_EMAIL" if error.param == "email" else "GATEHOUSE_ADMIN_PASSWORD"
        raise CommandError(f"{name}: {error.message}") from error
    return {"email": email, "password": None if given else password, "created": True}


def _api_key(workspace: Workspace, *, new: bool) -> dict[str, Any]:
    """The key from the environment where it is unknown; a generated one only for a new workspace. Revoked keys stay so."""
    given = env_str("GATEHOUSE_API_KEY")
    missing = new if given is None else not ApiKey.objects.filter(key_hash=actions.hash_api_key(given)).exists()
    if not missing:
        return {"key": None, "from_environment": given is not None, "created": False}
    name = "First key" if given is None else "GATEHOUSE_API_KEY"
    scopes = sorted(policy.ALL_SCOPES)
    try:
        _, raw = actions.create_api_key(workspace=workspace, name=name, actor=actions.SYSTEM, scopes=scopes, raw_key=given)
    except InvalidRequest as error:
        raise CommandError(f"GATEHOUSE_API_KEY: {error.message}") from error
    return {"key": None if given else raw, "from_environment": given is not None, "created": True}
