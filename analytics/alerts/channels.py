"""What an address of a channel may be, what is shown of it, and the child process that knows how to reach it."""

from __future__ import annotations

import ipaddress
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
from django.conf import settings

from analytics.alerts.models import AlertChannel, AlertDelivery
from gateway_project.env import environment
from keys import validation as check
from keys import vault
from routing.egress import EgressRefused

TIMEOUT_S = 30.0
_MAX_URL = 2000
# Of the environment, a sender needs to know where programs and certificates are, and nothing else.
_PASSED_ON = ("PATH", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
# Schemes whose host is the user's own choice and tells nobody a secret.
_SHOWS_HOST = frozenset(
    {"http", "https", "mailto", "mailtos", "json", "jsons", "xml", "xmls", "form", "forms", "ntfy", "ntfys"}
)
# These make a sender read a file of this machine, or fetch what another address holds.
_REFUSED_PARAMETERS = frozenset({"template", "attach", "keyfile", "pgp", "pgpkey", "smime", "config"})


class NotDelivered(Exception):
    """A message that did not arrive. The text says why, and holds no secret."""


@dataclass(frozen=True, slots=True)
class Address:
    """A checked address: who sends to it, its scheme, and what may be shown."""

    url: str
    sender: str
    scheme: str
    masked: str


def check_address(value: Any, path: str = "url") -> Address:
    """Reads the URL of a channel, without reaching for it. Raises `InvalidRequest`, which does not repeat the URL."""
    if not isinstance(value, str) or not value.strip():
        check.refuse(path, "must be the address of a channel, such as https://... or slack://...")
    url = value.strip()
    if len(url) > _MAX_URL or not url.isascii() or not url.isprintable() or " " in url:
        check.refuse(path, f"must be printable ASCII without spaces, at most {_MAX_URL} characters")
    scheme, sign, _rest = url.partition("://")
    scheme = scheme.lower()
    if not sign or scheme not in settings.ALERT_SCHEMES:
        known = ", ".join(sorted(settings.ALERT_SCHEMES))
        check.refuse(
            path, f"{scheme[:20] if sign else 'it'} is not an allowed scheme{check.nearest(scheme, known.split(', '))}"
        )
    _check_parts(url, path)
    try:
        answer = _ask({"command": "check", "url": url})
    except NotDelivered as error:
        check.refuse(path, f"is not understood: {error}")
    if answer["scheme"] not in settings.ALERT_SCHEMES:
        check.refuse(path, f"{answer['scheme']} is not an allowed scheme")
    return Address(url, answer["sender"], answer["scheme"], _masked(url, answer["scheme"]))


def _check_parts(url: str, path: str) -> None:
    """An address that is written as a number is refused at once; a name is looked up when it is used."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        check.refuse(path, "is not a URL")
    for name, _value in parse_qsl(parts.query, keep_blank_values=True):
        if name.lstrip("+-: ").lower() in _REFUSED_PARAMETERS:
            check.refuse(path, f"the parameter {name} cannot be used here")
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError:
        return
    try:
        settings.EGRESS.check(host, address)
    except EgressRefused as error:
        check.refuse(path, str(error))


def _masked(url: str, scheme: str) -> str:
    parts = urlsplit(url)
    if parts.scheme.lower() not in _SHOWS_HOST or parts.scheme.lower() != scheme:
        return f"{scheme}://••••"
    port = f":{parts.port}" if parts.port else ""
    return f"{scheme}://{parts.hostname}{port}/••••"[:300]


def send(channel: AlertChannel, delivery: AlertDelivery) -> None:
    """Delivers one message, in at most `TIMEOUT_S`. Raises `NotDelivered`."""
    try:
        secret = orjson.loads(vault.decrypt(channel.secret))
    except vault.VaultError as error:
        raise NotDelivered("its address cannot be decrypted") from error
    if urlsplit(secret["url"]).scheme.lower() not in settings.ALERT_SCHEMES or channel.scheme not in settings.ALERT_SCHEMES:
        raise NotDelivered(f"{channel.scheme} is not an allowed scheme any more")
    job = {
        "command": "send",
        "url": secret["url"],
        "signing_secret": secret["signing_secret"],
        "sender": channel.sender,
        "scheme": channel.scheme,
        "kind": delivery.kind,
        "title": delivery.title,
        "text": delivery.text,
        "payload": delivery.payload,
        "incident": None if delivery.incident_id is None else str(delivery.incident_id),
    }
    _ask(job)


def _ask(job: Mapping[str, Any]) -> dict[str, Any]:
    """One run of analytics/alerts/sender.py. Raises `NotDelivered`."""
    guard = settings.EGRESS
    whole = {**job, "private_hosts": [*sorted(guard.names), *map(str, guard.networks)]}
    here = environment()
    try:
        run = subprocess.run(
            [sys.executable, "-m", "analytics.alerts.sender"],
            input=json.dumps(whole),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            cwd=settings.BASE_DIR,
            env={name: here[name] for name in _PASSED_ON if name in here},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise NotDelivered(f"no answer within {TIMEOUT_S:.0f} seconds") from error
    try:
        answer: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    except (IndexError, json.JSONDecodeError) as error:
        raise NotDelivered(f"the sender ended with code {run.returncode}") from error
    if "error" in answer:
        raise NotDelivered(answer["error"])
    return answer
