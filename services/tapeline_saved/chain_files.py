"""Files of option chains: Barchart's answers as they were saved, and chains that `tapeline capture` wrote.

What cannot be read becomes a dead letter that names file and line, and the rest goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import tzinfo
from pathlib import Path
from typing import Final

from tapeline.errors import BadData, Misconfigured
from tapeline.feed.barchart.captures import METADATA_SUFFIX, read_capture
from tapeline.model.chain_codec import decode_chain, encode_chain
from tapeline.model.chains import Chain

CHAINS_SUFFIX: Final = ".chains.ndjson"
"""Of a file with one message of schema option-chain.v1 per line."""
ANSWER_SUFFIX: Final = ".json"

SOURCE: Final = "saved"


_OF_OTHERS: Final = ("condition.json", "manifest.json", "metadata.json", "symbology.json")
"""What Databento puts beside the DBN files of a download."""


@dataclass(frozen=True, slots=True)
class SavedChain:
    """A chain as its message: `key` and `value`; `fetched_at` (ns) is when its vendor was asked."""

    key: str
    fetched_at: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """What cannot be read of a file: `line` counts from 1, 0 is the file as a whole."""

    path: Path
    line: int
    value: bytes
    error: BadData


def find_chain_files(path: Path) -> list[Path]:
    """Return the chain files that `path` stands for: itself, or those of a folder, by their names.

    Raises Misconfigured where the folder cannot be read.
    """
    try:
        found = sorted(path.iterdir()) if path.is_dir() else [path]
        return [file for file in found if _is_chain_file(file) and file.is_file()]
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read: {error.strerror}") from None


def read_chains(path: Path, *, published_at: int, zone: tzinfo | None) -> Iterator[SavedChain | Fault]:
    """Yield the chains of a file, and faults instead of what is bad, as is a last line without an end."""
    try:
        content = path.read_bytes()
        if path.name.endswith(CHAINS_SUFFIX):
            yield from chains_of_lines(path, content, published_at=published_at)
        else:
            yield _chain_of_answer(path, content, published_at, zone)
    except OSError as error:
        yield unreadable(path, error)


def unreadable(path: Path, error: OSError) -> Fault:
    """Return the fault of a file that cannot be read."""
    rule = f"must be readable, {path.name} is not: {error.strerror}"
    return Fault(path, 0, b"", BadData("file", rule, "check its permissions"))


def chains_of_lines(path: Path, content: bytes, *, begin: int = 0, published_at: int) -> Iterator[SavedChain | Fault]:
    """Yield what the lines of `content` hold, those after the first `begin` bytes."""
    first = content.count(b"\n", 0, begin) + 1
    for number, line in enumerate(content[begin:].splitlines(keepends=True), first):
        try:
            if not line.endswith(b"\n"):
                raise BadData("line", "must end; it was cut off", "capture it again")
            yield _message(replayed(decode_chain(line), published_at))
        except BadData as error:
            yield Fault(path, number, line, error)


def whole_lines(content: bytes) -> int:
    """Return how many bytes of `content` are whole lines."""
    return content.rfind(b"\n") + 1


def replayed(chain: Chain, published_at: int) -> Chain:
    """Return a captured chain as it is published again: saved, and not judged; all else is as it was."""
    return replace(chain, source=SOURCE, mode="saved", published_at=published_at, verdict=None, selection=None)


def _chain_of_answer(path: Path, content: bytes, published_at: int, zone: tzinfo | None) -> SavedChain | Fault:
    metadata_path = path.with_name(path.name.removesuffix(ANSWER_SUFFIX) + METADATA_SUFFIX)
    metadata = metadata_path.read_bytes() if metadata_path.is_file() else None
    written_at = path.stat().st_mtime_ns
    try:
        capture = read_capture(path.absolute(), content, metadata, written_at=written_at, zone=zone)
        return _message(capture.chain(source=SOURCE, published_at=published_at))
    except BadData as error:
        return Fault(path, 0, content, error)


def _message(chain: Chain) -> SavedChain:
    return SavedChain(chain.key, chain.fetched_at, encode_chain(chain))


def _is_chain_file(path: Path) -> bool:
    name = path.name
    if name.startswith(".") or name.endswith(METADATA_SUFFIX) or name in _OF_OTHERS:
        return False
    return name.endswith((CHAINS_SUFFIX, ANSWER_SUFFIX))
