"""Settings of the processor, read from ``TAPELINE_PROCESSOR_<NAME>``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field

from tapeline.model.chains import MODES
from tapeline.ops.settings import ServiceSettings


def _names(value: Any) -> Any:
    return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value


def _limits(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    limits: dict[str, Any] = {}
    for part in filter(None, map(str.strip, value.split(","))):
        name, equals, seconds = map(str.strip, part.partition("="))
        if not equals:
            raise ValueError(f"{part!r} must be written as live=120 or databento/live=15")
        limits[name] = seconds
    return limits


def _whole(limits: Mapping[str, float]) -> Mapping[str, float]:
    if missing := [mode for mode in MODES if mode not in limits]:
        raise ValueError(f"must name every mode; missing: {', '.join(missing)}")
    if unknown := [name for name in limits if name.rpartition("/")[2] not in MODES]:
        raise ValueError(f"must name modes ({', '.join(MODES)}) or source/mode, not {', '.join(unknown)}")
    if wrong := [name for name, limit_s in limits.items() if not limit_s > 0.0]:
        raise ValueError(f"must be seconds above 0: {', '.join(wrong)}")
    return limits


class ProcessorSettings(ServiceSettings):
    """Every setting has its unit in its name; the defaults suit a worker with one core of its own."""

    service: ClassVar[str] = "processor"

    topics: Annotated[tuple[str, ...], BeforeValidator(_names)] = ()
    """Ticks topics to read, comma separated, without namespace; none: every one of schemas/topics.yaml."""

    instance_id: str = ""
    """Static group membership: a name that this worker keeps over restarts, its own among all workers. With it a
    killed worker resumes within seconds of its restart; without, after `session_timeout_s`."""

    health_port: int = Field(8110, ge=0, le=65_535)
    """Port of /livez, /readyz and /metrics on 127.0.0.1; 0: any free one."""

    session_timeout_s: float = Field(45.0, ge=1.0, le=300.0)
    """Time without a heartbeat after which the group gives this worker's partitions to others."""

    fetch_max_wait_ms: int = Field(20, ge=1, le=1_000)
    """Longest time that the broker holds back an empty answer. A busy partition can wait this long behind idle ones."""

    fetch_partition_bytes: int = Field(1 << 20, ge=64 << 10, le=64 << 20)
    """Most bytes per partition and fetch; as much is held per assigned partition that is behind."""

    buffered_frames: int = Field(32, ge=1, le=4_096)
    """Frames read ahead per topic; when they are all waiting, reading stops."""

    linger_ms: float = Field(0.0, ge=0.0, le=1_000.0)
    """Time that rows wait for company in a batch; what comes during a request goes together without it."""

    queue_bytes: int = Field(8 << 20, ge=1 << 20, le=1 << 30)
    """Most bytes of rows and checkpoints on their way to Kafka; when they are too many, reading stops."""

    checkpoint_interval_s: float = Field(30.0, gt=0.0, le=3_600.0)
    """Longest time between two checkpoints of a busy partition."""

    checkpoint_ticks: int = Field(500_000, ge=1)
    """Most ticks between two checkpoints of a partition."""

    checkpoint_part_bytes: int = Field(512 << 10, ge=1 << 10, le=768 << 10)
    """Most bytes in one message of a checkpoint."""

    restore_timeout_s: float = Field(60.0, gt=0.0, le=600.0)
    """Longest time that loading the checkpoints of newly assigned partitions may take."""

    definitions_timeout_s: float = Field(60.0, gt=0.0, le=3_600.0)
    """Longest wait at the start for the definitions of options; pressure then begins without, live chains do not."""

    interest_rate: float = Field(0.04, ge=-0.1, le=1.0)
    """Interest rate for forwards, volatilities and greeks: continuous, per year, 0.04 for 4 %."""

    chain_max_age_s: Annotated[Mapping[str, float], BeforeValidator(_limits), AfterValidator(_whole)] = Field(
        "live=120,databento/live=15,cache=2100,saved=86400", validate_default=True
    )
    """How old a chain's data may be, by mode or by source and mode, for it to be the best one; what its vendor declares
    as delay is not counted."""

    chain_hold_s: float = Field(10.0, ge=0.0, le=3_600.0)
    """Time for which a source must have ranked before the present one until it takes over."""

    shutdown_timeout_s: float = Field(4.0, gt=0.0, le=300.0)
    """Time to deliver rows and a last checkpoint after SIGTERM."""
