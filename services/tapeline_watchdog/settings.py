"""Settings of the watchdog, read from ``TAPELINE_WATCHDOG_<NAME>``."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field

from tapeline.ops.settings import ServiceSettings


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


class WatchdogSettings(ServiceSettings):
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

    health_port: int = Field(8112, ge=0, le=65_535)
    """Port of the paths of Burrow, /v1/lag, /livez, /readyz and /metrics on 127.0.0.1; 0: any free one."""
