"""A process that plays a gateway's record path: it spools `count` records, says each one's number, and ships them.

    python -m tests.analytics.writer <spool directory> <count> <records a second>

It ends cleanly when its standard input closes.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import django

from analytics import record as records
from analytics import shipper as shipping
from analytics.ids import uuid7
from analytics.record import Record
from analytics.spool import Spool


def main() -> None:
    root, count, rate = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    django.setup()
    shipping.RESEND_S, shipping.BACK_OFF_MAX_S, shipping.PATROL_S = 2.0, 0.5, 0.5
    spool = Spool(root, 10**9, segment_bytes=200_000)
    shipper = shipping.Shipper(spool)
    shipper.start()
    begun = time.monotonic()
    for number in range(count):
        record = Record(
            id=uuid7(),
            started_at_us=time.time_ns() // 1000,
            workspace_id=None,
            api_key_id=None,
            trace_id=f"{spool.directory.name}:{number}",
            endpoint="chat/completions",
            status=200,
            request=b"x" * 500,
        )
        spool.append(records.encode(record))
        sys.stdout.write(f"{record.trace_id}\n")
        sys.stdout.flush()
        time.sleep(max(0.0, begun + number / rate - time.monotonic()))
    sys.stdin.read()
    shipper.close()


if __name__ == "__main__":
    main()
