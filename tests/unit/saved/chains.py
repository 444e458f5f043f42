"""Chains of the saved kind: an answer in a file, and a chain as a captured line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tests.unit.feed.barchart.answers import FETCHED_AT, answer, pair, parsed

from tapeline.model.chain_codec import encode_chain
from tapeline.model.chains import Chain, Selection, Verdict
from tapeline_saved.chain_files import CHAINS_SUFFIX

ANSWER = "20250610_barchart_api_MC2M25_110000.json"


def live_chain(minute: int = 0, strikes: tuple[int, ...] = (21_000, 21_010)) -> Chain:
    """Return a chain as a live source publishes it, judged and chosen, of so many minutes later."""
    at = FETCHED_AT + minute * 60 * 10**9
    chain = parsed(answer(each for strike in strikes for each in pair(strike)), fetched_at=at, published_at=at + 5)
    return replace(chain, verdict=Verdict(1, 0, {"31_pairing": 1}), selection=Selection("only one", at, at, ()))


def write_lines(folder: Path, *chains: Chain, name: str = f"taken{CHAINS_SUFFIX}") -> Path:
    """Write chains as captured."""
    path = folder / name
    path.write_bytes(b"".join(encode_chain(chain) + b"\n" for chain in chains))
    return path


def write_answer(folder: Path, *, name: str = ANSWER) -> Path:
    """Write an answer of Barchart's as a file."""
    path = folder / name
    path.write_bytes(answer(pair(21_000)))
    return path
