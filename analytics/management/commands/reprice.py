"""`manage.py reprice`: gives calls of the log the prices that are set now."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from analytics import reprice
from analytics.price_actions import moment
from keys.models import Workspace
from routing.errors import InvalidRequest


class Command(BaseCommand):
    help = "Prices the unpriced calls of a workspace anew, or with --all every call of a stretch of time."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("workspace", help="its slug")
        parser.add_argument("--since", help="the first moment, in ISO 8601; UTC where no offset is given")
        parser.add_argument("--until", help="the first moment that is not meant any more")
        parser.add_argument("--all", action="store_true", help="also calls that have a price")

    def handle(self, *args: Any, **options: Any) -> None:
        workspace = Workspace.objects.filter(slug=options["workspace"]).first()
        if workspace is None:
            raise CommandError(f"there is no workspace {options['workspace']!r}")
        try:
            done = reprice.reprice(
                workspace.pk,
                since=moment(options["since"], "--since"),
                until=moment(options["until"], "--until"),
                unpriced_only=not options["all"],
            )
        except InvalidRequest as error:
            raise CommandError(error.message) from error
        self.stdout.write(f"{done.seen} calls, {done.changed} of them changed, {done.difference:+.6f} USD")
