"""Everything a gateway process holds open, built once from the settings and handed to the pipeline."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

import structlog
from django.conf import settings

from analytics import reconcile
from analytics.prices import Prices
from analytics.recorder import Recorder
from analytics.shipper import Shipper
from analytics.spool import Spool
from keys import hashing
from keys.limits import Limits, scripts
from routing.breakers import Breakers
from routing.errors import Unavailable
from routing.health import Health
from routing.loader import SnapshotHolder
from routing.pools import Pools
from routing.providers import mock
from routing.redis import RedisPipe, Script
from routing.snapshot import Snapshot
from routing.upstream import Upstream, connect

log = structlog.get_logger(__name__)

# How long a starting process waits for its first snapshot before it serves errors instead.
FIRST_SNAPSHOT_S = 20.0


@dataclass(slots=True)
class Gateway:
    """Lives on one event loop from `start` to `close`."""

    snapshots: SnapshotHolder
    upstream: Upstream
    redis: RedisPipe
    limits: Limits
    prices: Prices
    spool: Spool
    shipper: Shipper
    recorder: Recorder
    health: Health
    pools: Pools
    require_api_key: bool
    max_body_bytes: int
    # What an upload may have, and where what does not fit into memory is kept while its call lasts.
    max_upload_bytes: int = 512 * 1024 * 1024
    upload_dir: Path = Path(tempfile.gettempdir())

    @property
    def snapshot(self) -> Snapshot:
        snapshot = self.snapshots.current
        if snapshot is None:
            raise Unavailable(
                "The gateway is starting: its database has not answered yet. Try again in a moment.", code="starting"
            )
        return snapshot

    async def close(self) -> None:
        await self.upstream.close()
        await self.limits.close()
        await self.health.breakers.close()
        await asyncio.to_thread(self.shipper.close)
        await asyncio.to_thread(self.snapshots.close)
        await self.redis.close()


_current: Gateway | None = None
_starting: asyncio.Task[Gateway] | None = None


async def current() -> Gateway:
    """This process's gateway, started on first use. A process has one event loop that serves calls."""
    global _starting
    if _current is not None:
        return _current
    if _starting is None:
        _starting = asyncio.create_task(_start())
    try:
        return await asyncio.shield(_starting)
    except Exception:
        _starting = None  # the next call tries again
        raise


async def _start() -> Gateway:
    """Raises OSError where the spool's directory cannot be had."""
    global _current
    pipe = RedisPipe(settings.REDIS_URL)
    sources = (scripts.ADMIT, scripts.SETTLE, scripts.RENEW, scripts.HOLD)
    known = {source: Script(source) for source in sources}
    spool = Spool(settings.SPOOL_DIR, settings.SPOOL_MAX_BYTES)
    prices = Prices()
    gateway = Gateway(
        snapshots=SnapshotHolder(settings.REDIS_URL, hashing.derive_pepper(settings.SECRET_KEY)),
        upstream=connect(settings.EGRESS, mock.respond),
        redis=pipe,
        limits=Limits(
            lambda source, keys, args: pipe.ask(known[source], keys, args),
            lambda source, keys, args: pipe.ask_later(known[source], keys, args),
            fail_closed=settings.LIMITS_FAIL == "closed",
            lease_s=settings.LIMITS_LEASE_SECONDS,
            rebuild=lambda workspace_id: asyncio.to_thread(reconcile.rebuild, workspace_id),
        ),
        prices=prices,
        spool=spool,
        shipper=Shipper(spool),
        health=Health(Breakers(pipe), prices),
        pools=Pools(),
        recorder=Recorder(spool, log_content=settings.LOG_CONTENT, max_content_bytes=settings.LOG_CONTENT_MAX_BYTES),
        require_api_key=settings.REQUIRE_API_KEY,
        max_body_bytes=settings.MAX_BODY_BYTES,
        max_upload_bytes=settings.MAX_UPLOAD_BYTES,
        upload_dir=settings.UPLOAD_DIR,
    )
    gateway.snapshots.start()
    gateway.shipper.start()
    gateway.health.breakers.listen()  # so that a process knows before its first call which targets are left alone
    await asyncio.to_thread(gateway.snapshots.loaded.wait, FIRST_SNAPSHOT_S)
    _current = gateway
    return gateway


async def shut_down() -> None:
    """Closes this process's gateway, if it was started."""
    global _current, _starting
    if _current is not None:
        gateway, _current, _starting = _current, None, None
        await gateway.close()
