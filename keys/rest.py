"""What the views of the admin REST API have in common: JSON bodies, lists and pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import IO, Any, ClassVar, TypeVar

import orjson
from django.db.models import Model, QuerySet
from rest_framework.parsers import BaseParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from keys import validation as check
from keys.admin_auth import AdminAuthentication, HasScope
from routing.errors import BodyTooLarge, InvalidRequest

MAX_BODY_BYTES = 1024 * 1024
MAX_PAGE = 1000

Row = TypeVar("Row", bound=Model)


class StrictJsonParser(BaseParser):
    """JSON as RFC 8259 has it (no NaN), bounded in size and depth, and free of what Postgres cannot store."""

    media_type = "application/json"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:
        data = stream.read(MAX_BODY_BYTES + 1)
        if len(data) > MAX_BODY_BYTES:
            raise BodyTooLarge(f"The body is larger than {MAX_BODY_BYTES} bytes.")
        try:
            body = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise InvalidRequest(f"The body is not valid JSON: {error}.", code="invalid_json") from error
        check.storable(body, "body")
        return body


class AdminView(APIView):
    """A view of the admin API. `required_scopes` names, for each method, the scopes of which the caller needs one."""

    # Named here and not in the settings: DRF imports the settings' classes while it defines APIView, which these import.
    authentication_classes = (AdminAuthentication,)
    permission_classes = (HasScope,)
    parser_classes = (StrictJsonParser,)
    metadata_class = None
    required_scopes: ClassVar[Mapping[str, tuple[str, ...]]] = {}


def body(request: Request) -> dict[str, Any]:
    """The JSON object that was sent. Raises `InvalidRequest` for anything else."""
    data = request.data
    if not isinstance(data, dict):
        raise InvalidRequest("The body must be a JSON object.", code="invalid_json")
    return dict(data)


def query(request: Request, *known: str) -> dict[str, str]:
    """The query parameters, each once. Raises `InvalidRequest` for an unknown or repeated one."""
    values = {}
    for name, given in request.query_params.lists():
        if name not in known:
            raise InvalidRequest(
                f"{name[:80]}: unknown parameter{check.nearest(name[:80], known)}", param=name[:80], code="unknown_field"
            )
        if len(given) > 1:
            raise InvalidRequest(f"{name}: is given more than once", param=name)
        check.storable(given[0], name)
        values[name] = given[0]
    return values


def whole(values: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    """A whole number from the query."""
    text = values.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high):
        check.refuse(name, f"must be a whole number from {low} to {high}")
    return int(text)


def listing(request: Request, rows: QuerySet[Row], to_json: Callable[[Row], dict[str, Any]]) -> Response:
    """Portkey's list, with its `page_size` and zero-based `current_page`; `total` counts all pages."""
    values = query(request, "page_size", "current_page", "workspace_id")
    size = whole(values, "page_size", MAX_PAGE, 1, MAX_PAGE)
    first = whole(values, "current_page", 0, 0, 10**6) * size
    return Response({"object": "list", "total": rows.count(), "data": [to_json(row) for row in rows[first : first + size]]})
