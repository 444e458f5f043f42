"""Settings of the saved-files producer."""

from __future__ import annotations

from typing import ClassVar
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from tapeline.feed.source import FeedSettings


class SavedSettings(FeedSettings):
    """What to replay, and how fast."""

    service: ClassVar[str] = "saved"

    path: str = Field(min_length=1)
    """A file, a folder of files, or `-` for DBN on standard input. Files are `.dbn` and `.dbn.zst`; `.json`, answers of
    Barchart's; `.chains.ndjson` and `.frames.ndjson`, what `tapeline capture` writes."""
    speed: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Multiple of real speed; 0 is as fast as possible."""
    passes: int = Field(default=1, ge=0)
    """How many times to replay; 0 is for ever."""
    rebase: bool = False
    """Shift each pass so that its first record is received now; chains are not shifted, as they expire when they do."""
    watch: bool = False
    """Stay, and take in the chain files that come into the folder; what is there already comes first."""
    watch_s: float = Field(default=1.0, gt=0, le=3_600)
    """Time (s) between two looks into a watched folder."""
    settle_s: float = Field(default=10.0, ge=0)
    """How long (s) a file that cannot be read must rest in a watched folder before it counts as bad, not as half
    written."""
    captures_time_zone: str = ""
    """Zone of the clocks of Barchart's answers that name none, such as America/Chicago; by default it is guessed, and
    the chain says so (flag `time_zone_assumed`)."""
    queue_bytes: int = Field(default=16_777_216, ge=1_048_576)
    """Most bytes handed to Kafka and not yet acknowledged. Files can wait, so that more would only take memory."""
    stream: str = ""
    """Name of the stream; by default the dataset with the file's symbol, or with its name where it has several."""
    health_port: int = Field(default=8105, ge=0, le=65_535)
    """Port of the health endpoint on loopback; 0 takes any free one."""

    @field_validator("captures_time_zone")
    @classmethod
    def _is_a_zone(cls, name: str) -> str:
        try:
            return name and ZoneInfo(name).key
        except (KeyError, ValueError, OSError):
            raise ValueError("must be the name of a time zone, such as America/Chicago") from None
