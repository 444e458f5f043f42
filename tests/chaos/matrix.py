"""Does every fault of the matrix to an installation of its own, and tells what was lost, doubled, wrong and alarmed."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.chaos.desk import desk
from tests.chaos.faults import FAULTS, Fault
from tests.chaos.verdict import ROWS_TOPIC, Verdict, gaps_of, judged, ledger, wrong_rows

from tapeline_cli.local_broker import LocalBroker, state_folder

_COLUMNS = ("lost", "duplicated", "wrong_rows", "incidents", "false_alarms")


async def judge(
    fault: Fault, servers: str, folder: Path, namespace: str, broker: LocalBroker | None = None
) -> tuple[Verdict, list[str]]:
    """Do a fault to an installation of its own; return the verdict, and lines that explain a bad one."""
    async with desk(servers, folder, namespace, broker=broker, settings=fault.settings, **fault.desk) as found:
        await found.begin()
        await fault.befall(found)
        await found.until_mended()
        await found.finish()
        live = await asyncio.to_thread(found.tape.live)
        backfilled = await asyncio.to_thread(found.tape.backfilled)
        compared = ledger(found.vendor, live, backfilled)
        wrong = wrong_rows(found.vendor, live, found.tape.values(ROWS_TOPIC))
        incidents = found.tape.incidents()
    verdict = judged(fault.name, compared, wrong, incidents, fault.incidents)
    gaps = gaps_of(live)
    assert gaps or not fault.leaves_gap, "the fault was to leave a gap"
    told = [f"incident {each[-1].state}: {each[-1].summary}" for each in incidents.values()]
    seen = f"{compared.captured} captured, {compared.on_tape} on the tape, {len(gaps)} gaps, {len(wrong)} fields differ"
    return verdict, [seen, *told, *wrong[:5]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the matrix, print it, write it; return 0 where every row is good."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.matrix", description=__doc__)
    parser.add_argument("--only", metavar="TEXT", help="the faults whose names hold this")
    parser.add_argument("--list", action="store_true", help="name the faults and end")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep logs here")
    chosen = parser.parse_args(arguments)
    faults = [fault for fault in FAULTS if not chosen.only or chosen.only in fault.name]
    if chosen.list:
        print("\n".join(fault.name for fault in faults))
        return 0
    if not faults:
        parser.error(f"no fault's name holds {chosen.only!r}; --list names them")
    if chosen.keep is not None and chosen.keep.is_dir() and any(chosen.keep.iterdir()):
        parser.error(f"--keep {chosen.keep} must be empty, or not there yet")
    with _folder(chosen.keep) as folder:
        verdicts = list(_verdicts(faults, folder))
    target = state_folder() / "chaos.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps([verdict.document() for verdict in verdicts], indent=1) + "\n")
    good = sum(verdict.ok for verdict in verdicts)
    print(f"\n{good} of {len(verdicts)} faults left nothing lost, doubled or wrong; written to {target}")
    return 0 if good == len(verdicts) else 1


def _verdicts(faults: Sequence[Fault], folder: Path) -> Iterator[Verdict]:
    width = max(len(fault.name) for fault in faults)
    print(f"{'fault':{width}}  {'  '.join(_COLUMNS)}  seconds", flush=True)
    with ExitStack() as until_the_end:
        shared: LocalBroker | None = None
        for number, fault in enumerate(faults, 1):
            own = folder / f"{number:02}"
            own.mkdir()
            with ExitStack() as until_judged:
                if fault.broker is not None:
                    broker = until_judged.enter_context(_broker(own, fault.broker))
                else:
                    broker = shared = shared or until_the_end.enter_context(_broker(folder, {}))
                began_s = time.monotonic()
                verdict, said = _judged(fault, broker, own, f"chaos-{number}")
            cells = [f"{getattr(verdict, name):{len(name)}}" for name in _COLUMNS]
            mark = "" if verdict.ok else "  BAD"
            print(f"{fault.name:{width}}  {'  '.join(cells)}  {time.monotonic() - began_s:7.0f}{mark}", flush=True)
            if not verdict.ok:
                print("\n".join(f"    {line}" for line in said), flush=True)
            yield verdict


def _judged(fault: Fault, broker: LocalBroker, folder: Path, namespace: str) -> tuple[Verdict, list[str]]:
    os.environ["TAPELINE_NAMESPACE"] = namespace
    try:
        state = broker.state()
        assert state is not None
        return asyncio.run(judge(fault, state.bootstrap_servers, folder, namespace, broker))
    except Exception as error:
        # Whatever it is, the other faults are judged, and what was found is written.
        return Verdict(fault.name, 0, 0, 0, 0, 0, ok=False), [f"never judged: {error!r}"]


@contextmanager
def _broker(folder: Path, properties: Mapping[str, str]) -> Iterator[LocalBroker]:
    broker = LocalBroker(folder / "broker", jars=LocalBroker(state_folder()).jars, properties=properties)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="tapeline-chaos-") as folder:
        yield Path(folder)


if __name__ == "__main__":
    sys.exit(main())
