"""Requests that mean the same have one key; entries hold until what they are of can no longer change."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeline.errors import BadData
from tapeline.feed.cache_entry import CacheEntry, CacheRequest, decode_entry, encode_entry, valid_until
from tapeline.feed.calendar import always_open, cme_globex_equity

REQUEST = CacheRequest("databento", "GLBX.MDP3", "mbo", ("NQ.FUT", "ES.FUT"), "parent", 1, 2, "dbn.zst/3")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


def entries() -> st.SearchStrategy[CacheEntry]:
    start = st.integers(0, 2**62)
    requests = st.builds(
        lambda start, length, **rest: CacheRequest(start_ns=start, end_ns=start + length, **rest),
        start=start,
        length=st.integers(1, 2**62),
        source=st.sampled_from(["databento", "polygon"]),
        dataset=TEXTS,
        schema=TEXTS,
        symbols=st.lists(TEXTS, max_size=4).map(tuple),
        stype_in=TEXTS,
        encoding=st.sampled_from(["dbn.zst/3", "json/1"]),
    )
    counts = st.integers(0, 2**63 - 1)
    return st.builds(
        CacheEntry,
        request=requests,
        sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
        bytes=counts,
        records=counts,
        cost_micro_usd=counts,
        fetched_at_ns=counts,
        valid_until_ns=st.none() | counts,
    )


@given(st.lists(TEXTS, min_size=1, max_size=5), st.randoms())
def test_symbols_are_a_set(symbols: list[str], random: Any) -> None:
    shuffled = [*symbols, random.choice(symbols)]
    random.shuffle(shuffled)
    one, other = replace(REQUEST, symbols=tuple(symbols)), replace(REQUEST, symbols=tuple(shuffled))
    assert one == other
    assert one.key == other.key


@given(entries(), entries())
def test_different_requests_have_different_keys(one: CacheEntry, other: CacheEntry) -> None:
    assert (one.request == other.request) == (one.request.key == other.request.key)


@pytest.mark.parametrize("field", [field.name for field in fields(CacheRequest)])
def test_every_field_is_part_of_the_key(field: str) -> None:
    changed = {"symbols": ("NQ.FUT",), "start_ns": 0, "end_ns": 3, "encoding": "dbn.zst/4"}.get(field, "other")
    assert replace(REQUEST, **{field: changed}).key != REQUEST.key


def test_symbols_cannot_be_mistaken_for_others() -> None:
    assert replace(REQUEST, symbols=("a,b",)).key != replace(REQUEST, symbols=("a", "b")).key


def test_a_key_does_not_change_from_version_to_version() -> None:
    # Otherwise everything that users have paid for would be fetched again.
    assert REQUEST.key == "743926271727cf212c6eeb76c960e7fdf06ddd07044ff730cc946c88b22fad8b"
    assert REQUEST.suffix == ".dbn.zst"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("source", "../x"),
        ("source", ""),
        ("encoding", "dbn.zst"),
        ("encoding", "../x/3"),
        ("start_ns", 2),
        ("end_ns", 0),
    ],
)
def test_a_request_that_cannot_be_is_refused(field: str, value: Any) -> None:
    with pytest.raises(BadData, match=field.removesuffix("_ns").replace("end", "start")):
        replace(REQUEST, **{field: value})


@given(entries())
def test_an_entry_comes_back(entry: CacheEntry) -> None:
    assert decode_entry(encode_entry(entry)) == entry


@pytest.mark.parametrize("field", orjson.loads(encode_entry(CacheEntry(REQUEST, "0" * 64, 1, 1, 1, 1))))
@pytest.mark.parametrize("wrong", [..., True, -1, "", "x", [], {}])
def test_a_damaged_description_is_found(field: str, wrong: Any) -> None:
    document = orjson.loads(encode_entry(CacheEntry(REQUEST, "0" * 64, 1, 1, 1, 1)))
    if wrong is ...:
        del document[field]
    else:
        document[field] = wrong
    with pytest.raises(BadData):
        decode_entry(orjson.dumps(document))


# -- until when an entry holds -----------------------------------------------------------------------------------------

CME = cme_globex_equity()


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


def until(end: str, *, available: str, fetched: str, calendar: Any = CME) -> int | None:
    request = replace(REQUEST, start_ns=at("2026-01-01"), end_ns=at(end))
    return valid_until(request, calendar, at(available), at(fetched))


def test_a_closed_session_holds_for_ever() -> None:
    # Tuesday's session closes at 22:00 UTC.
    assert until("2026-01-06T22:00", available="2026-01-06T22:00", fetched="2026-01-06T22:00") is None
    assert until("2026-01-06T12:00", available="2026-01-08", fetched="2026-01-08") is None


def test_what_ends_within_an_open_session_holds_until_it_closes() -> None:
    closes = at("2026-01-06T22:00")
    assert until("2026-01-06T12:00", available="2026-01-06T15:00", fetched="2026-01-06T15:00") == closes
    # its first half is of Monday, by UTC
    assert until("2026-01-05T23:30", available="2026-01-06T15:00", fetched="2026-01-06T15:00") == closes


def test_what_ends_in_a_break_is_of_the_session_before() -> None:
    assert until("2026-01-06T22:30", available="2026-01-06T22:45", fetched="2026-01-06T22:45") is None
    assert until("2026-01-10T12:00", available="2026-01-10T12:00", fetched="2026-01-10T12:00") is None


def test_what_reaches_past_what_the_vendor_has_does_not_hold() -> None:
    fetched = at("2026-01-06T23:00")
    assert until("2026-01-06T22:00", available="2026-01-06T21:59", fetched="2026-01-06T23:00") == fetched
    assert until("2099-01-01", available="2026-01-06", fetched="2026-01-06T23:00") == fetched


def test_a_market_that_never_closes_has_the_days_of_utc() -> None:
    midnight = at("2026-01-07")
    told = until("2026-01-06T12:00", available="2026-01-06T13:00", fetched="2026-01-06T13:00", calendar=always_open())
    assert told == midnight


@given(st.integers(0, 10), st.integers(0, 10))
def test_an_entry_ceases_to_hold_at_its_moment(moment: int, now: int) -> None:
    entry = CacheEntry(REQUEST, "0" * 64, 1, 1, 1, 1, valid_until_ns=moment)
    assert entry.is_valid(now) == (now < moment)
    assert replace(entry, valid_until_ns=None).is_valid(now)
