"""The layouts of definition records are those of Databento's own package, byte for byte, in every version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import databento_dbn as dbn
import numpy as np
import pytest

from tapeline.feed.dbn_records import RTYPE_DEFINITION, layouts

OFFICIAL = {1: dbn.InstrumentDefMsgV1, 2: dbn.InstrumentDefMsgV2, 3: dbn.InstrumentDefMsg}


@pytest.mark.parametrize("version", OFFICIAL)
def test_every_field_is_where_the_official_package_has_it(version: int) -> None:
    ours = layouts(version, ts_out=False)[RTYPE_DEFINITION].record
    official = np.dtype(OFFICIAL[version]._dtypes)
    assert ours.itemsize == official.itemsize == OFFICIAL[version].size_hint
    assert ours.names == official.names
    for name in ours.names:
        theirs, at = official.fields[name][:2]
        form, position = ours.fields[name][:2]
        assert position == at, name
        assert form.itemsize == theirs.itemsize, name
        if name in ("ts_event", "ts_recv", "expiration", "activation"):
            assert form == np.dtype("<i8"), name  # unsigned there
        elif form.kind != "V":
            assert form == theirs, name


@pytest.mark.parametrize("version", OFFICIAL)
def test_with_ts_out_the_fields_stay_where_they_are(version: int) -> None:
    plain = layouts(version, ts_out=False)[RTYPE_DEFINITION].record
    longer = layouts(version, ts_out=True)[RTYPE_DEFINITION].record
    assert longer.itemsize == plain.itemsize + 8
    assert {name: longer.fields[name] for name in longer.names} == {name: plain.fields[name] for name in plain.names}


def test_every_field_of_every_real_definition_is_what_the_official_decoder_reads(real_data: Path) -> None:
    seen = set()
    for path in sorted((real_data / "databento").rglob("*definition*.dbn.zst")):
        decoder = dbn.DBNDecoder(compression=dbn.Compression.ZSTD, upgrade_policy=dbn.VersionUpgradePolicy.AS_IS)
        decoder.write(path.read_bytes())
        metadata, *records = decoder.decode()
        layout = layouts(metadata.version, ts_out=False)[RTYPE_DEFINITION].record
        for record in records:
            ours = np.frombuffer(bytes(record), dtype=layout)[0]
            for name in layout.names or ():
                if not name.startswith("_") and name != "length":
                    assert _plain(ours[name]) == _official(record, name), (path.name, name)
            seen.add((metadata.version, chr(ours["instrument_class"][0])))
    assert {version for version, _ in seen} == {1, 3}
    assert {letter for _, letter in seen} == {"F", "C", "P", "K"}


def _plain(value: Any) -> int | str:
    return value.decode("latin-1") if isinstance(value, bytes) else int(value) % 2**64


def _official(record: Any, name: str) -> int | str:
    value = getattr(record, name)
    value = getattr(value, "value", value)
    return value.rstrip("\0") if isinstance(value, str) else int(value) % 2**64
