#!/usr/bin/env python3
"""Django's command line, plus `up`, which starts the whole product and therefore runs before Django can be configured."""

from __future__ import annotations

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway_project.settings")
    if sys.argv[1:2] == ["up"]:
        from gateway_project.embedded import supervisor

        sys.exit(supervisor.main(sys.argv[2:]))

    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
