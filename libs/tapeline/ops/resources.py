"""Files that ship with Tapeline: schemas, profiles, the local broker's build file."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

REPOSITORY_ROOT = Path(__file__).parents[3]


def resource(*parts: str) -> Path:
    """Return the path of a shipped file or folder, in an editable install and in a wheel alike.

    `parts` are given from the repository's root: ``resource("schemas", "topics.yaml")``.
    Raises FileNotFoundError if neither layout has it.
    """
    packaged = Path(str(files("tapeline"))) / "_resources"
    for root in (packaged, REPOSITORY_ROOT):
        path = root.joinpath(*parts)
        if path.exists():
            return path
    raise FileNotFoundError("/".join(parts))
