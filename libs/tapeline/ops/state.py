"""Where Tapeline keeps what outlives a process on this machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def state_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder of everything Tapeline keeps on this machine: ``TAPELINE_STATE_DIR``, else ``.tapeline``."""
    return Path(environment.get("TAPELINE_STATE_DIR") or ".tapeline").absolute()
