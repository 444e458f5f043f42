"""Records of several schemas in one stream: every byte once, in order of capture."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tapeline_simulator.databento.interleave import interleave

SIZES = (48, 56, 520)
KEYS = st.lists(st.integers(0, 20), max_size=12).map(sorted)


@given(st.tuples(KEYS, KEYS, KEYS))
def test_records_are_ordered_by_key_and_stay_whole(keys_of_parts: tuple[list[int], ...]) -> None:
    parts, labelled = [], []
    for part, keys in enumerate(keys_of_parts):
        rows = np.random.default_rng(part).integers(0, 256, (len(keys), SIZES[part]), dtype=np.uint8)
        parts.append((np.array(keys, dtype=np.uint64), rows))
        labelled += [(key, part, at, rows[at].tobytes()) for at, key in enumerate(keys)]
    assert bytes(interleave(parts)) == b"".join(data for *_, data in sorted(labelled, key=lambda each: each[:3]))
