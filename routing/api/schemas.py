"""The schemas that the gateway publishes for editors. They are documentation: nobody needs a key for them."""

from __future__ import annotations

import orjson
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_safe

from routing.configs.schema import config_schema

_MAX_AGE_S = 300


@csrf_exempt  # there is nothing to forge, and a wrong method is to be told so
@require_safe
def config(request: HttpRequest) -> HttpResponse:
    """The JSON schema of routing configs."""
    headers = {"cache-control": f"public, max-age={_MAX_AGE_S}", "access-control-allow-origin": "*"}
    return HttpResponse(orjson.dumps(config_schema()), content_type="application/schema+json", headers=headers)
