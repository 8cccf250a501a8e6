"""The ASGI application that every gateway process serves."""

from __future__ import annotations

import os
import warnings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway_project.settings")

import django

django.setup(set_prefix=False)
# WhiteNoise serves the console's few static files by a synchronous iterator; Django runs it on a thread and says so each time.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")

from django.conf import settings

from routing.api.handler import LeanHandler

application = LeanHandler(max_body_bytes=settings.MAX_BODY_BYTES)
