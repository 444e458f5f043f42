"""The strike ladder: which chain, which strikes, and what it says of itself."""

from __future__ import annotations

import copy
import io
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
from rich.console import Console

from tapeline.errors import Misconfigured
from tapeline_cli.ladder import Ladder, Wanted, parse_expiry

GOLDEN: Final = Path(__file__).parents[3] / "schemas" / "golden"
BEST: Final = orjson.loads((GOLDEN / "option-chain.v1.best.json").read_bytes())
VENDOR: Final = orjson.loads((GOLDEN / "option-chain.v1.vendor.json").read_bytes())
NOW_NS: Final = int(BEST["as_of"]) + 1_500_000_000
_DAY_NS: Final = 86_400 * 10**9


def shown(ladder: Ladder, width: int = 200) -> str:
    console = Console(width=width, file=io.StringIO())
    console.print(ladder.table())
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def ladder(
    *chains: dict[str, Any], underlying: str = "NQ", expiry: str = "", strikes: int = 12, now_ns: int = NOW_NS
) -> str:
    kept = Ladder(Wanted(underlying, parse_expiry(expiry) if expiry else None), strikes, lambda: now_ns)
    for chain in chains:
        kept.update(chain)
    return shown(kept)


def unwrapped(text: str) -> str:
    return " ".join(text.split())


def later(days: int) -> dict[str, Any]:
    chain = copy.deepcopy(BEST)
    chain["expiry"] = str(int(BEST["expiry"]) + days * _DAY_NS)
    chain["key"] = f"later {days}"
    return chain


def test_a_chain_says_where_it_comes_from_how_old_it_is_and_what_was_found() -> None:
    text = unwrapped(ladder(BEST))
    assert "NQZ6 options to Wed 25 Nov 2026 15:00 Chicago (24 h)" in text
    assert "databento live, 1.5 s old" in text
    assert "forward 25,012.50 by parity" in text
    assert "2 of 2 (definitions) contracts · 0 errors, 1 warning (37_parity × 1)" in text
    assert "chosen because live, complete and 0.5 s old" in text
    assert "barchart cache: cache comes after live" in text


def test_calls_are_left_of_the_strike_and_puts_right_of_it_and_what_is_unknown_is_not_zero() -> None:
    line = next(line for line in ladder(BEST).splitlines() if "25,000" in line)
    cells = [cell.strip() for cell in line.strip("│").split("│")]
    assert cells == [
        *("431", "120", "24.0%", "+0.52", "148.25", "149.75", "25,000"),
        *("–", "137.00", "–", "–", "0", "0", "one_sided parity"),
    ]


def test_what_is_not_live_says_so_with_its_delay() -> None:
    text = unwrapped(ladder(VENDOR))
    assert "barchart cache, 16 min old, delayed by the vendor 15 min" in text
    assert "delayed" in text


def test_the_newest_message_of_a_chain_counts_and_its_age_grows() -> None:
    newer = {**BEST, "as_of": str(NOW_NS - 100_000_000)}
    assert "live, 0.1 s old" in ladder(BEST, newer)
    assert "live, 61 min old" in ladder(BEST, now_ns=int(BEST["as_of"]) + 61 * 60 * 10**9)


def test_the_next_expiry_is_shown_and_the_others_are_named() -> None:
    text = unwrapped(ladder(later(7), BEST))
    assert "Wed 25 Nov" in text
    assert "also: NQZ6 2026-12-02 (choose with --expiry)" in text
    assert "Wed 02 Dec 2026" in ladder(later(7), BEST, expiry="2026-12-02")
    assert "(expired)" in ladder(BEST, now_ns=int(BEST["expiry"]) + 1)
    assert "Wed 02 Dec 2026" in ladder(later(7), BEST, now_ns=int(BEST["expiry"]) + 1)


@pytest.mark.parametrize(
    ("underlying", "wanted"), [("NQ", True), ("NQZ6", True), ("", True), ("ES", False), ("NQH7", False)]
)
def test_an_underlying_is_a_future_or_a_product(underlying: str, wanted: bool) -> None:
    assert ("25,000" in ladder(BEST, underlying=underlying)) is wanted
    assert ("no chain yet" in ladder(BEST, underlying=underlying)) is not wanted


def test_only_so_many_strikes_around_the_money_are_shown() -> None:
    chain = copy.deepcopy(BEST)
    chain["contracts"] = [
        {"symbol": "x", "vendor_symbol": "", "right": "call", "strike": float(strike), "flags": []}
        for strike in range(20_000, 30_000, 50)
    ]
    lines = ladder(chain, strikes=2).splitlines()
    strikes = [word for line in lines for word in line.split() if word.replace(",", "").isdigit() and len(word) == 6]
    assert strikes == ["25,100", "25,050", "25,000", "24,950", "24,900"]


@pytest.mark.parametrize(
    ("width", "left_out"),
    [(200, set()), (100, {"volume"}), (90, {"volume", "OI"}), (80, {"volume", "OI", "delta"}), (60, {"OI", "IV"})],
)
def test_a_narrow_screen_shows_fewer_columns_and_cuts_none(width: int, left_out: set[str]) -> None:
    kept = Ladder(Wanted("NQ"), 12, lambda: NOW_NS)
    kept.update(BEST)
    text = shown(kept, width)
    assert "…" not in text
    assert all(price in text for price in ("148.25", "149.75", "25,000", "137.00"))
    headings = {word for line in text.splitlines() if line.startswith("┃") for word in line.split()}
    assert headings.isdisjoint(left_out)
    assert headings >= {"OI", "volume", "IV", "delta"} - left_out or width == 60


def test_a_volume_of_an_earlier_day_is_in_brackets_and_the_caption_says_what_they_mean() -> None:
    chain = copy.deepcopy(BEST)
    assert "in brackets" not in ladder(chain)
    chain["contracts"][0]["volume_is_stale"] = True
    assert "(120)" in ladder(chain)
    assert "a volume in brackets is of an earlier day" in unwrapped(ladder(chain))


def test_a_saved_chain_names_the_vendor_that_it_is_of() -> None:
    assert "saved (databento) saved," in ladder({**BEST, "source": "saved", "mode": "saved"})


def test_an_expiry_that_is_no_date_is_told() -> None:
    with pytest.raises(Misconfigured, match="--expiry must be a date such as"):
        parse_expiry("next friday")
