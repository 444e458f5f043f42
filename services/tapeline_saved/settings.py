"""Settings of the saved-files producer."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from tapeline.feed.source import FeedSettings


class SavedSettings(FeedSettings):
    """What to replay, and how fast."""

    service: ClassVar[str] = "saved"

    path: str = Field(min_length=1)
    """A `.dbn` or `.dbn.zst` file, a folder of them, or `-` for standard input."""
    speed: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Multiple of real speed; 0 is as fast as possible."""
    passes: int = Field(default=1, ge=0)
    """How many times to replay; 0 is for ever."""
    rebase: bool = False
    """Shift each pass so that its first record is received now."""
    queue_bytes: int = Field(default=16_777_216, ge=1_048_576)
    """Most bytes handed to Kafka and not yet acknowledged. Files can wait, so that more would only take memory."""
    stream: str = ""
    """Name of the stream; by default the dataset with the file's symbol, or with its name where it has several."""
    health_port: int = Field(default=8105, ge=0, le=65_535)
    """Port of the health endpoint on loopback; 0 takes any free one."""
