"""Settings of the watchdog, read from ``TAPELINE_WATCHDOG_<NAME>``."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Final

from pydantic import AfterValidator, BeforeValidator, Field

from tapeline.model.events import HEARTBEAT_KINDS
from tapeline_watchdog.feeds import FeedKey
from tapeline_watchdog.gap_settings import GapSettings
from tapeline_watchdog.incident_settings import IncidentSettings
from tapeline_watchdog.lane import FeedLimits

_FEED: Final = re.compile(r"(?P<source>[^/=\s]+)/(?P<stream>[^=\s]+)\s*=\s*(?P<kinds>[a-z0-9, ]+)")


def _list(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"must be a regular expression: {error}") from None
    return value


def _addresses(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if not re.fullmatch(r"https?://[^/?#]+/?", value):
            raise ValueError(f"must be addresses such as http://127.0.0.1:8110, not {value!r}")
    return tuple(value.rstrip("/") for value in values)


def _feeds(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    feeds = []
    for part in value.split(";"):
        if not part.strip():
            continue
        found = _FEED.fullmatch(part.strip())
        kinds = [kind.strip() for kind in found["kinds"].split(",")] if found else []
        if found is None or not set(kinds) <= set(HEARTBEAT_KINDS):
            known = ", ".join(HEARTBEAT_KINDS)
            raise ValueError(f"must be source/stream=kind,kind; … with kinds of {known}, not {part.strip()!r}")
        feeds += [FeedKey(found["source"], found["stream"], kind) for kind in kinds]
    return tuple(feeds)


def _names(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    pairs = [part.partition("=") for part in value.split(",") if part.strip()]
    if not all(equals and first.strip() and second.strip() for first, equals, second in pairs):
        raise ValueError("must be first=dataset, first=dataset, …")
    return {first.strip(): second.strip() for first, _, second in pairs}


class WatchdogSettings(IncidentSettings, GapSettings):
    """Every setting has its unit in its name; the defaults suit the processor, which commits every few seconds."""

    service: ClassVar[str] = "watchdog"

    cluster: str = Field("local", pattern=r"^[A-Za-z0-9._-]+$")
    """What the cluster is called in paths and labels."""

    groups: Annotated[str, AfterValidator(_pattern)] = ".*"
    """Regular expression for the names, without namespace, of the groups to watch; under one, only its own are seen."""

    topics: Annotated[str, AfterValidator(_pattern)] = "(?!__).*"
    """Regular expression for the names, without namespace, of the topics to watch; by default all but Kafka's own."""

    interval_s: float = Field(10.0, gt=0.0, le=300.0)
    """Time between two samples of the cluster."""

    window: int = Field(10, ge=2, le=1_000)
    """Samples by which a consumer is judged: what does not move for as many of them has stalled or stopped."""

    minimum_window_s: float = Field(60.0, ge=0.0, le=86_400.0)
    """Least time for which a consumer is watched before it is judged."""

    allowed_lag: int = Field(0, ge=0)
    """Messages that a consumer may be behind without being judged for it."""

    timeout_s: float = Field(5.0, gt=0.0, le=60.0)
    """Longest wait for the cluster's answers, and again for the records whose times tell the lag in seconds."""

    processor_urls: Annotated[tuple[str, ...], BeforeValidator(_list), AfterValidator(_addresses)] = (
        "http://127.0.0.1:8110",
    )
    """Health endpoints of the processor's workers, comma separated: asked when one of them does not move."""

    feeds: Annotated[tuple[FeedKey, ...], BeforeValidator(_feeds)] = ()
    """Feeds that are expected, and shown also while their service is down: `source/stream=kind,kind; …`, such as
    `databento/GLBX.MDP3/NQ.FUT=mbo,status; barchart/barchart/NQ=chain`. Others are shown once they are heard of."""

    feed_datasets: Annotated[dict[str, str], BeforeValidator(_names)] = Field({"barchart": "GLBX.MDP3"})
    """Whose market a stream follows where its first part is not a dataset: `first=dataset, …`."""

    feed_history_s: float = Field(3_600.0, ge=0.0, le=604_800.0)
    """How far back feed events are read at the start. Three sessions teach what is usual by time of day, without which
    no fall of a rate is found; each feed takes some 15 s of one core per week, and none is told of before the end."""

    heartbeat_timeout_s: float = Field(10.0, ge=2.0, le=600.0)
    """After so long without a heartbeat, of which there is one a second, a feed's service counts as down."""

    latency_limit_s: float = Field(1.0, gt=0.0, le=3_600.0)
    """A feed is degraded where half of its ticks come later than this, and than four times what is usual for it."""

    reconnects_limit: int = Field(3, ge=1, le=1_000)
    """A feed is degraded after so many reconnects within ten minutes."""

    hosts: Annotated[tuple[str, ...], BeforeValidator(_list)] = ()
    """Names under which a browser may ask besides addresses and localhost, comma separated, such as that of a proxy."""

    page_clients: int = Field(32, ge=1, le=1_000)
    """Browsers that may look at the page at the same time."""

    health_port: int = Field(8112, ge=0, le=65_535)
    """Port of the page, the paths of Burrow, /v1/…, /livez, /readyz and /metrics on 127.0.0.1; 0: any free one."""

    def feed_limits(self) -> FeedLimits:
        """Return from when on something is wrong with a feed."""
        return FeedLimits(
            heartbeat_timeout_ns=round(self.heartbeat_timeout_s * 1e9),
            latency_ns=round(self.latency_limit_s * 1e9),
            reconnects=self.reconnects_limit,
        )
