"""The short form of the matrix: one fault that asks everything of everybody, on the broker of the other tests."""

from __future__ import annotations

from pathlib import Path

from tests.chaos.faults import FAULTS
from tests.chaos.matrix import judge


async def test_an_outage_beyond_what_is_resumed_mends_itself(
    bootstrap_servers: str, namespace: str, tmp_path: Path
) -> None:
    """Disconnect, incident, gap, request, backfill, proof and recompute, each by the service whose business it is."""
    [fault] = [fault for fault in FAULTS if fault.name == "gateway: outage beyond what is resumed"]
    verdict, said = await judge(fault, bootstrap_servers, tmp_path, namespace)
    assert verdict.ok, (verdict, said)


def test_every_fault_has_a_name_of_its_own() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) > 30
