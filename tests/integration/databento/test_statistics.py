"""What the exchange told before a producer came: settlements, open interest, volume are on the tape, and in chains."""

from __future__ import annotations

import time
from pathlib import Path

from tests.integration.databento.feed_rig import DATASET, FUTURES, FeedRig, feed_rig

from tapeline.model.chains import ABSENT, Chain
from tapeline.model.columns import TickKind
from tapeline.orderflow.assembly import ChainAssembler
from tapeline.orderflow.contracts import ContractBook
from tapeline_simulator.listings import ALL_SYMBOLS
from tapeline_simulator.reference_records import opening_price
from tapeline_simulator.venue import OptionSettings


async def test_statistics_from_before_the_session_are_on_the_tape_once_and_in_every_chain(
    bootstrap_servers: str, namespace: str, tmp_path: Path
) -> None:
    options = OptionSettings(expiries=2, quotes_per_s=100.0, trades_per_s=1.0)
    async with feed_rig(bootstrap_servers, tmp_path, records_per_s=100.0, options=options) as rig:
        parents = parents_of(rig)
        names = ",".join(parents)
        rig.settings["subscriptions"] = f"statistics={names}; mbp-1={names}; definition={names}"
        pairs: list[tuple[str, str, TickKind]] = [("statistics", parent, "statistics") for parent in parents]
        async with rig.producing():
            await rig.until_caught_up(pairs)
            tell(rig)
            rig.gateway.faults.start("rst")
            tell(rig)
            await rig.until_caught_up(pairs)
        tell(rig)
        # For anything else this is too long an outage.
        async with rig.producing(resume_max_s=0.0):
            await rig.until_caught_up(pairs)
            tell(rig)
            await rig.close_market()
            await rig.until_caught_up(pairs)
        for parent in parents:
            compared = rig.compare("statistics", parent, "statistics", since_ns=0)
            assert compared.is_equal, (parent, compared)
            first, *_, last = rig.tape.of(f"{DATASET}/{parent}", "statistics")
            assert (first.origin, first.resumes, last.origin) == ("replay", None, "live")
        assert {kind for gap in rig.tape.gaps() for kind in gap.kinds} == {"l1"}
        chains = assembled(rig)
    assert {chain.series for chain in chains} == {parent.removesuffix(".OPT") for parent in parents} - {FUTURES}
    for chain in chains:
        for name in ("settlement", "open_interest", "volume"):
            assert (chain.contracts.columns[name] > ABSENT).all(), (chain.key, name)


def parents_of(rig: FeedRig) -> list[str]:
    """Return the parents of everything that is listed."""
    return sorted({each.parent for each in rig.vendor.listings.resolve("raw_symbol", ALL_SYMBOLS, time.time_ns())})


def tell(rig: FeedRig) -> None:
    """Let the exchange publish a statistic of every instrument that is subscribed to."""
    numbers = [each.instrument_id for parent in parents_of(rig) for each in rig.listed(parent)]
    for number in numbers:
        rig.vendor.append("statistics", opening_price(number, 100 * 10**9, time.time_ns()))


def assembled(rig: FeedRig) -> list[Chain]:
    """Return the chains of all that is on the tape, the definitions told last."""
    assembler = ChainAssembler(ContractBook())
    for frame in rig.tape.frames():
        assembler.apply(frame)
    for instrument in rig.tape.instruments():
        assembler.contracts.define(instrument)
    return assembler.due(time.time_ns(), {})
