"""Real NQ chains under the rules: healthy ones raise nothing, and the one that was saved after its expiry does."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from tests.unit.quality.chain_builders import EXACT, check

from tapeline.feed.barchart.payload import parse_chain
from tapeline.feed.barchart.series import series_from_code
from tapeline.model.chains import Chain, flag_bit
from tapeline.orderflow.forward import with_forward
from tapeline.orderflow.volatility import with_volatility

RATE: Final = 0.0433
"""About what the Federal Reserve paid in June 2025."""

EXPIRED: Final = "20250602T141553PDT_MC6M25_expired.json"
FETCHED: Final = {
    EXPIRED: "2025-06-02T21:15:53",
    "20250608_barchart_api_MC7M25_223218.json": "2025-06-09T05:32:18",
    "20250610_barchart_api_MC2M25_074943.json": "2025-06-10T14:49:43",
    "20250610_barchart_api_MC2M25_213417.json": "2025-06-11T04:34:17",
    "20250612_barchart_api_MC4M25_071855.json": "2025-06-12T14:18:55",
    "20250612_barchart_api_MC4M25_072059.json": "2025-06-12T14:20:59",
    "20250612_barchart_api_MC4M25_155746.json": "2025-06-12T20:57:46",
    "20250612_barchart_api_MC4M25_233909.json": "2025-06-13T04:39:09",
    "20250625_barchart_api_MC6N5_142402.json": "2025-06-25T19:24:02",
}
"""When: the names tell the time of where the machine stood, at first in California, then in Chicago."""


def real_chain(folder: Path, name: str) -> Chain:
    fetched_at = int(datetime.fromisoformat(FETCHED[name]).replace(tzinfo=UTC).timestamp()) * 10**9
    series = series_from_code(name.split("_")[1 if name == EXPIRED else 3], fetched_at)
    payload = (folder / "barchart" / name).read_bytes()
    chain = parse_chain(payload, series, source="saved", mode="saved", fetched_at=fetched_at, published_at=fetched_at)
    return with_volatility(with_forward(chain, rate=RATE, future=None), rate=RATE)


def test_all_real_chains_are_looked_at(real_data: Path) -> None:
    there = {path.name for path in (real_data / "barchart").glob("*.json")}
    assert {name for name in there if "metadata" not in name and "cache" not in name} == set(FETCHED)


@pytest.mark.parametrize("name", sorted(FETCHED.keys() - {EXPIRED}))
def test_a_healthy_real_chain_raises_nothing_even_without_any_slack(name: str, real_data: Path) -> None:
    chain = real_chain(real_data, name)
    for report in (check(chain, at_ns=chain.fetched_at), check(chain, at_ns=chain.fetched_at, limits=EXACT)):
        assert (report.verdict.errors, report.verdict.warnings) == (0, 0)
        assert not report.flags.any()
        # All that the files allow has been looked at: they have no price of the underlying, and one expiry each.
        assert set(report.not_checked) == {"36_calendar", "41_underlying"}
        (coverage,) = report.findings
        assert coverage.severity == "info"
        near = coverage.evidence[0].numbers
        assert near["two_sided"] == near["contracts"] > 30
        assert coverage.evidence[-1].numbers["contracts"] == len(chain.contracts) > 170


def test_the_chain_saved_after_its_expiry_has_expired(real_data: Path) -> None:
    chain = real_chain(real_data, EXPIRED)
    report = check(chain, at_ns=chain.fetched_at)
    (finding,) = report.findings
    assert (finding.rule, finding.severity, finding.count) == ("40_expiry", "error", 576)
    assert finding.detail == "expired 4,553 s ago; 0 contracts are quoted after the expiry"
    assert set(report.flags.tolist()) == {flag_bit("expired")}
