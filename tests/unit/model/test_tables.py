"""Frames as tables: what is left out, what nothing becomes, and what is said where an extra is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import numpy as np
import pytest

import tapeline
from tapeline.errors import MissingExtra
from tapeline.model.codec import decode
from tapeline.model.columns import COLUMNS, TICK_KINDS, TickKind

GOLDEN: Final = Path(__file__).parents[3] / "schemas" / "golden"
FRAMES: Final = [decode(path.read_bytes()) for path in sorted(GOLDEN.glob("tick-frame.v1.*.json"))]


@pytest.mark.parametrize("kind", TICK_KINDS)
def test_each_kind_has_its_columns_with_and_without_ticks(kind: TickKind) -> None:
    ticks = sum(len(frame) for frame in FRAMES if frame.kind == kind)
    for frames, rows in ((FRAMES, ticks), ([], 0)):
        columns = tapeline.to_numpy(frames, kind)
        assert list(columns) == [column.name for column in COLUMNS[kind]] + ["instrument_id"]
        assert {len(values) for values in columns.values()} == {rows}
        assert tapeline.to_pandas(frames, kind).shape == (rows, len(columns))
        assert tapeline.to_polars(frames, kind).shape == (rows, len(columns))


def test_undefined_times_are_missing_in_tables() -> None:
    [statistics] = [frame for frame in FRAMES if frame.kind == "statistics"]
    assert np.ma.getmaskarray(tapeline.to_numpy([statistics], "statistics")["ts_ref"]).tolist() == [False, False, True]
    assert tapeline.to_pandas([statistics], "statistics")["ts_ref"].isna().tolist() == [False, False, True]
    assert tapeline.to_polars([statistics], "statistics")["ts_ref"].is_null().to_list() == [False, False, True]
    assert tapeline.to_polars([statistics], "statistics")["quantity"].to_list() == [None, 251_833, None]


@pytest.mark.parametrize(("package", "convert"), [("pandas", tapeline.to_pandas), ("polars", tapeline.to_polars)])
def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch, package: str, convert: object) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=rf"tapeline\[{package}\]"):
        convert(FRAMES, "mbo")  # type: ignore[operator]


def test_importing_tapeline_loads_nothing_heavy() -> None:
    code = "import sys, tapeline; print(sorted({'numpy', 'confluent_kafka', 'pandas', 'orjson'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert run.stdout.strip() == "[]"


def test_the_public_surface_is_whole() -> None:
    assert tapeline.__all__ == ["consume", "to_numpy", "to_pandas", "to_polars"]
    assert all(callable(getattr(tapeline, name)) for name in tapeline.__all__)
    with pytest.raises(AttributeError, match="dream"):
        _ = tapeline.dream
