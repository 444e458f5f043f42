"""Real files, served and read back: the official client finds byte for byte what its own decoder finds in the files."""

from __future__ import annotations

from pathlib import Path

import databento
import databento_dbn as dbn
import pytest
import zstandard
from tests.integration.simulator.historical import DATASET, ask, client, historical_api, records_in

from tapeline_simulator.databento.files import load_files
from tapeline_simulator.databento.tape import VendorTape


def decoded(path: Path) -> tuple[dbn.Metadata, list[dbn.DBNRecord]]:
    """Return metadata and records of a file, upgraded to version 3 by the official decoder."""
    decoder = dbn.DBNDecoder(upgrade_policy=dbn.VersionUpgradePolicy.UPGRADE_TO_V3)
    with path.open("rb") as file:
        decoder.write(zstandard.ZstdDecompressor().stream_reader(file).read())
    metadata, *records = decoder.decode()
    return metadata, records


@pytest.mark.parametrize(
    ("name", "schema", "symbol", "stype_in"),
    [
        ("esh4-glbx-mdp3-20231225.mbo.dbn.zst", "mbo", "ESH4", "raw_symbol"),
        ("esm4-glbx-mdp3-20240508-2s.mbo.dbn.zst", "mbo", "ESM4", "raw_symbol"),
        ("esu4-glbx-mdp3-20240701.mbp-1.dbn.zst", "mbp-1", "ESU4", "raw_symbol"),
        ("esu4-glbx-mdp3-20240701.mbp-1.dbn.zst", "mbp-1", "ES.c.0", "continuous"),
        ("esu4-glbx-mdp3-20240701.trades.dbn.zst", "trades", "ES.FUT", "parent"),
        ("stubs/GLBX.MDP3__test_data.definition.dbn.zst", "definition", "ALL_SYMBOLS", "raw_symbol"),
        ("stubs/GLBX.MDP3__test_data.statistics.dbn.zst", "statistics", "ESH1", "raw_symbol"),
        ("stubs/GLBX.MDP3__test_data.ohlcv-1d.dbn.zst", "ohlcv-1d", "ESH1", "raw_symbol"),
    ],
)
async def test_what_is_in_a_file_comes_back(
    real_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    schema: str,
    symbol: str,
    stype_in: str,
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "tls" / "ca.pem"))
    path = real_data / "databento" / name
    metadata, records = decoded(path)
    tape = VendorTape(DATASET, tmp_path)
    load_files(tape, [path], shift_to_ns=None)
    async with historical_api(tmp_path, [tape]) as server:
        asked = {"dataset": DATASET, "start": metadata.start, "end": metadata.end, "schema": schema}
        asked |= {"symbols": symbol, "stype_in": stype_in}
        store: databento.DBNStore = await ask(client(server).timeseries.get_range, **asked)
        assert await ask(client(server).metadata.get_record_count, **asked) == len(records)
    assert records_in(store) == b"".join(bytes(record) for record in records)
    if stype_in == "raw_symbol" and symbol != "ALL_SYMBOLS":
        # The range alone decides which days a mapping covers; what it says is what the file says.
        mapped = {key: [each["symbol"] for each in its] for key, its in store.metadata.mappings.items()}
        assert mapped == {key: [each["symbol"] for each in its] for key, its in metadata.mappings.items()}
