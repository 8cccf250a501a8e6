"""The child process that speaks to the outside: `python -m analytics.alerts.sender`, with a job on its stdin and one line of
JSON as its answer.

A process of its own gives three things that no library gives: the egress guard holds for every connection that any code in it
makes, at the moment of connecting and for the very address; nothing outlasts the time limit; and the hundred senders of apprise
see none of the gateway's secrets and load no memory into it. The job comes on stdin, so that no list of processes shows it.

Of our own code it imports the guard alone, and no Django.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import re
import sys
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import apprise
import httpx
import requests

from routing.egress import EgressGuard, EgressRefused

_TIMEOUT_S = 10.0
_MAX_ERROR = 250
_SHORTEST_SECRET = 4
# Senders that keep one incident on the other side need to know which message belongs to which.
_THREADED: Mapping[str, Mapping[str, str]] = {"pagerduty": {"action": "map", "dedup": "{incident}"}}
_LEVELS = {"firing": "failure", "repeat": "failure", "resolved": "success"}


class Guard:
    """Lets this process connect where the egress guard allows it, and nowhere else. `refused` is the last no."""

    def __init__(self, guard: EgressGuard) -> None:
        self._guard = guard
        self._name = ""
        self.refused = ""

    def install(self) -> None:
        sys.addaudithook(self._hear)

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if event == "socket.getaddrinfo":
            self._name = args[0].decode("idna") if isinstance(args[0], bytes) else str(args[0] or "")
        elif event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            self._check(args[1])
        elif event in ("subprocess.Popen", "os.system", "os.posix_spawn", "os.fork"):
            raise EgressRefused("a sender may not start programs")

    def _check(self, address: Any) -> None:
        try:
            # A name that was not looked up first is no address, and neither is the path of a Unix socket.
            self._guard.check(self._name or str(address[0]), str(address[0]))
        except EgressRefused as error:
            self.refused = str(error)
            raise
        except (ValueError, TypeError, IndexError) as error:
            self.refused = "only addresses on the internet can be reached"
            raise EgressRefused(self.refused) from error


class Heard(logging.Handler):
    """The last thing that apprise complained about."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.said = record.getMessage()


def main() -> None:
    job = json.load(sys.stdin)
    guard = Guard(EgressGuard.parse(job["private_hosts"]))
    heard = Heard()
    logging.getLogger("apprise").addHandler(heard)
    logging.getLogger("apprise").propagate = False
    guard.install()
    try:
        answer = _check(job["url"]) if job["command"] == "check" else _send(job)
    except Exception as error:  # noqa: BLE001 - whatever a sender fails at is the answer, and never a traceback with a secret
        answer = {"error": f"{type(error).__name__}: {error}"}
    if "error" in answer:
        # The guard's no names the host that was looked up, and nothing else of the address.
        answer["error"] = guard.refused or scrubbed(answer["error"] or heard.said or "it was not accepted", job)
    print(json.dumps(answer))


def _check(url: str) -> dict[str, Any]:
    """Which sender an address is for: `{"sender", "scheme"}`, or `{"error"}`."""
    found = _sender(url)
    if found is not None:
        scheme = urlsplit(url).scheme.lower()
        names = _names(found)
        return {"sender": "apprise", "scheme": scheme if scheme in names else names[0]}
    if urlsplit(url).scheme.lower() in ("http", "https"):
        return {"sender": "webhook", "scheme": urlsplit(url).scheme.lower()}
    return {"error": ""}


def _names(sender: Any) -> list[str]:
    given = (sender.secure_protocol, sender.protocol)
    return [name for one in given if one for name in ((one,) if isinstance(one, str) else one)]


def _sender(url: str) -> Any:
    """Apprise's sender for an address; None where it has none or does not understand it."""
    asset = apprise.AppriseAsset(
        app_id="Gatehouse",
        app_desc="Gatehouse",
        app_url="",
        storage_mode=apprise.common.PersistentStoreMode.MEMORY,
        pgp_autogen=False,
        http_redirects=False,
    )
    return apprise.Apprise.instantiate(url, asset=asset)


def _send(job: Mapping[str, Any]) -> dict[str, Any]:
    return _send_webhook(job) if job["sender"] == "webhook" else _send_by_apprise(job)


def _send_by_apprise(job: Mapping[str, Any]) -> dict[str, Any]:
    # Whatever a sender asks for itself: nobody is followed to another address.
    requests.Session.get_redirect_target = lambda _session, _response: None  # type: ignore[method-assign, assignment]
    sender = _sender(_threaded(job))
    if sender is None:
        return {"error": ""}
    level = apprise.NotifyType(_LEVELS.get(job["kind"], "info"))
    return {"ok": True} if sender.notify(title=job["title"], body=job["text"], notify_type=level) else {"error": ""}


def _threaded(job: Mapping[str, Any]) -> str:
    url: str = job["url"]
    wanted = _THREADED.get(job["scheme"])
    parts = urlsplit(url)
    if wanted is None or job["incident"] is None or parts.scheme != job["scheme"] or "action=" in parts.query:
        return url
    added = "&".join(f"{name}={value.format(incident=job['incident'])}" for name, value in wanted.items())
    return f"{url}{'&' if parts.query else '?'}{added}"


def _send_webhook(job: Mapping[str, Any]) -> dict[str, Any]:
    """POSTs the payload. With a signing secret, ``x-gatehouse-signature`` is ``t=<seconds>,v1=<hex>``, the HMAC-SHA256 of the
    seconds, a dot and the body."""
    body = json.dumps(job["payload"], ensure_ascii=False).encode()
    headers = {"content-type": "application/json", "user-agent": "Gatehouse"}
    if job["signing_secret"]:
        moment = str(int(time.time()))
        digest = hmac.new(job["signing_secret"].encode(), moment.encode() + b"." + body, hashlib.sha256).hexdigest()
        headers["x-gatehouse-signature"] = f"t={moment},v1={digest}"
    try:
        # Only the status is read: an answer may be as large as it likes.
        with (
            httpx.Client(timeout=_TIMEOUT_S, follow_redirects=False, trust_env=False) as client,
            client.stream("POST", job["url"], content=body, headers=headers) as answer,
        ):
            status = answer.status_code
    except httpx.TimeoutException:
        return {"error": "no answer in time"}
    except httpx.HTTPError as error:
        return {"error": str(error) or type(error).__name__}
    return {"ok": True} if 200 <= status < 300 else {"error": f"it answered with status {status}"}


def scrubbed(text: str, job: Mapping[str, Any]) -> str:
    """An error without anything that the address or the signing secret hold, but for the scheme and the host."""
    parts = urlsplit(job["url"])
    kept = {parts.scheme.lower(), (parts.hostname or "").lower(), ""} if parts.username else {parts.scheme.lower(), ""}
    if job.get("sender", "apprise") == "webhook":
        kept.add((parts.hostname or "").lower())
    secrets = {job.get("signing_secret") or "", job["url"], parts.path, parts.query, parts.netloc}
    secrets |= set(re.split(r"[/:@?&=,#]", job["url"])) | {value for _, value in parse_qsl(parts.query)}
    secrets |= {unquote(one) for one in secrets}
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET and secret.lower() not in kept:
            text = re.sub(re.escape(secret), "***", text, flags=re.IGNORECASE)
    return " ".join(text.split())[:_MAX_ERROR]


if __name__ == "__main__":
    main()
