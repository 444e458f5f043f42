"""All input of the saved-files producer: finding files, opening them, reading records."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from typing import Final

from tapeline.errors import Misconfigured
from tapeline.feed.dbn import DbnReader, open_dbn
from tapeline_saved.chain_files import ANSWER_SUFFIX, CHAINS_SUFFIX
from tapeline_saved.frame_files import FRAMES_SUFFIX

STANDARD_INPUT: Final = "-"
_STANDARD_INPUT_DESCRIPTOR: Final = 0
_SUFFIXES: Final = (".dbn", ".dbn.zst")


def find_files(path: str) -> list[Path]:
    """Return the DBN files that `path` stands for, in the order of their first moment.

    Raises Misconfigured where there is none, BadData where one of several cannot be DBN.
    """
    given = Path(path)
    with _readable(given):
        if not given.exists():
            raise Misconfigured(f"{path}: there is no such file or folder")
        if given.is_file():
            return [given]
        if not given.is_dir():
            raise Misconfigured(f"{path}: a pipe or device can be read only once; hand it over as standard input")
        files = [file for file in sorted(given.iterdir()) if file.is_file() and file.name.endswith(_SUFFIXES)]
    if not files:
        endings = ", ".join((*_SUFFIXES, ANSWER_SUFFIX, CHAINS_SUFFIX))
        raise Misconfigured(f"{path}: holds no file that ends in {endings} or {FRAMES_SUFFIX}")
    if len(files) == 1:
        return files
    return sorted(files, key=_start_ns)


def has_dbn(folder: Path) -> bool:
    """Return whether a folder has DBN files in it. Raises Misconfigured where it cannot be read."""
    with _readable(folder):
        return any(file.name.endswith(_SUFFIXES) and file.is_file() for file in folder.iterdir())


def open_standard_input() -> DbnReader:
    """Return a reader of standard input; waits for its head. Raises Misconfigured or BadData as `open_file` does."""
    with _readable("standard input"):
        return DbnReader(FileIO(_STANDARD_INPUT_DESCRIPTOR, "rb", closefd=False), "standard input")


@contextmanager
def open_file(path: Path) -> Iterator[DbnReader]:
    """Open a file. Raises Misconfigured where it cannot be read, BadData where it does not begin as DBN does."""
    with _readable(path), open_dbn(path) as reader:
        yield reader


@contextmanager
def _readable(what: Path | str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Misconfigured(f"{what}: cannot be read: {error.strerror}") from None


def _start_ns(path: Path) -> int:
    with open_file(path) as reader:
        return reader.metadata.start
