"""A limit on wrong passwords, per account and address.

Guessing gets slow, and nobody can lock a colleague out from elsewhere.
"""

from __future__ import annotations

import hashlib

import redis
import structlog
from django.conf import settings
from redis.exceptions import RedisError

# Wrong passwords in one window: for one account from one address, and for all accounts from one address.
PER_ACCOUNT = 8
PER_ADDRESS = 60
WINDOW_S = 15 * 60

log = structlog.get_logger(__name__)


def _counters(address: str, account: str) -> tuple[tuple[str, int], ...]:
    name = hashlib.sha256(f"{address}\n{account.strip().casefold()}".encode("utf-8", "replace")).hexdigest()[:32]
    return (f"gatehouse:guesses:{name}", PER_ACCOUNT), (f"gatehouse:guesses:{address}", PER_ADDRESS)


def _connect() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1, socket_connect_timeout=1)


def wait_s(address: str, account: str) -> int:
    """The seconds until another try is allowed; 0 when it is now. Without Redis every try is."""
    counters = _counters(address, account)
    try:
        with _connect() as client:
            used = client.mget([name for name, _ in counters])
            full = [name for (name, most), count in zip(counters, used, strict=True) if int(count or 0) >= most]
            return max((max(1, int(client.ttl(name))) for name in full), default=0)
    except RedisError as error:
        log.warning("wrong passwords are not counted", error=type(error).__name__)
        return 0


def count(address: str, account: str) -> None:
    """Notes one wrong password."""
    try:
        with _connect() as client:
            for name, _ in _counters(address, account):
                client.set(name, 0, ex=WINDOW_S, nx=True)
                client.incr(name)
    except RedisError as error:
        log.warning("a wrong password was not counted", error=type(error).__name__)


def forget(address: str, account: str) -> None:
    """After the right password, the account's count from this address starts again."""
    try:
        with _connect() as client:
            client.delete(_counters(address, account)[0][0])
    except RedisError as error:
        log.warning("a count of wrong passwords was not reset", error=type(error).__name__)
