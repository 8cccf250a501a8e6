"""DRF's authenticator for model calls: a gateway API key against the snapshot, with no database behind it."""

from __future__ import annotations

import time
from typing import Any

from rest_framework.authentication import BaseAuthentication

from keys.auth import Caller, authenticate
from routing.call import Call
from routing.gateway import Gateway


class GatewayKeyAuthentication(BaseAuthentication):
    """`identify` is what the gateway's own dispatch calls; DRF's protocol leads to nobody, since no view goes that way."""

    def authenticate(self, request: Any) -> None:
        return None

    def identify(self, call: Call, gateway: Gateway) -> tuple[Caller, str | None]:
        """The caller and its own provider key, if it sent one. Raises `Unauthenticated` or `Forbidden`."""
        return authenticate(
            call.headers, gateway.snapshot, required=gateway.require_api_key, now=time.time(), address=call.address
        )
