"""What the simulated site tells its user."""

from __future__ import annotations

import pytest

from tapeline_simulator.barchart.commands import site_lines
from tapeline_simulator.barchart.running import SiteAddresses


@pytest.mark.parametrize(("delay_s", "told"), [(0.0, "0"), (900.0, "900")])
def test_what_is_told_is_all_that_the_producer_needs_and_its_delay_is_the_sites(delay_s: float, told: str) -> None:
    site = "http://127.0.0.1:13100"
    lines = site_lines(SiteAddresses(site, f"{site}/ondemand", 8120), delay_s)
    exported = dict(word.split("=") for line in lines if "export" in line for word in line.split()[1:])
    assert exported == {
        "TAPELINE_BARCHART_SITE": site,
        "TAPELINE_BARCHART_ON_DEMAND": f"{site}/ondemand",
        "TAPELINE_BARCHART_ENABLED": "true",
        "TAPELINE_BARCHART_DELAY_S": told,
    }
