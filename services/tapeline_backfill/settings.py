"""Settings of the backfill service, read from ``TAPELINE_BACKFILL_<NAME>``."""

from __future__ import annotations

import socket
from typing import ClassVar

from pydantic import Field

from tapeline.ops.settings import ServiceSettings


class BackfillSettings(ServiceSettings):
    """Every setting has its unit in its name."""

    service: ClassVar[str] = "backfill"

    worker: str = Field(default_factory=socket.gethostname, min_length=1)
    """Name of this worker, the machine's by default: under it, a restart goes on at once with what was in hand."""

    takeover_s: float = Field(60.0, ge=1.0, le=3_600.0)
    """A request of which another worker has said nothing for so long is taken over from it."""

    parallel: int = Field(2, ge=1, le=16)
    """Requests that are worked on at the same time, of different streams."""

    poll_s: float = Field(0.5, gt=0.0, le=60.0)
    """How often new requests and commands are looked for."""

    cost_cap_usd: float = Field(5.0, ge=0.0, le=1_000_000.0)
    """Most that one request may cost; a request may set less for itself."""

    month_cap_usd: float = Field(25.0, ge=0.0, le=1_000_000.0)
    """Most that the requests of one month (UTC) may cost together; live data is never held up by it."""

    chunk_records: int = Field(20_000, ge=1, le=1_000_000)
    """Records that are looked at, and of which the new ones are published, in one transaction."""

    slice_s: float = Field(3_600.0, ge=1.0, le=86_400.0)
    """Length of venue time that is fetched at once, and whose event ids are held in memory."""

    records_per_s: float = Field(100_000.0, gt=0.0)
    """Most records that a request reads in a second."""

    lag_limit_messages: int = Field(20_000, ge=0)
    """A request pauses while the processor is further behind with the live ticks of its source than this."""

    lag_limit_s: float = Field(10.0, ge=0.0, le=86_400.0)
    """And while it is further behind than this, in seconds of the ticks' own time."""

    lag_interval_s: float = Field(2.0, gt=0.0, le=300.0)
    """How often that is looked at."""

    transaction_timeout_s: float = Field(10.0, ge=1.0, le=60.0)
    """Longest time for one chunk to get onto the tape; a worker that hangs for longer loses its request."""

    retry_first_s: float = Field(5.0, gt=0.0, le=3_600.0)
    """Wait after the first attempt that failed; it doubles with each further one."""

    retry_longest_s: float = Field(900.0, gt=0.0, le=86_400.0)
    """Longest wait between two attempts."""

    attempts: int = Field(10, ge=1, le=100)
    """A request whose attempts failed so often in a row without bringing anything is given up; with the waits between
    them, after about half an hour."""

    proof_interval_s: float = Field(3_600.0, gt=0.0, le=86_400.0)
    """Wait before a vendor that has no count of a window yet is asked again."""

    proof_limit_days: float = Field(7.0, ge=0.0, le=3_650.0)
    """For so long after the end of a window, or after it was asked for where that was later, its count is asked for."""

    health_port: int = Field(8111, ge=0, le=65_535)
    """Port of /livez, /readyz and /metrics on 127.0.0.1; 0: any free one."""
