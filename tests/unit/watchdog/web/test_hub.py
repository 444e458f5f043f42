"""The newest of each key is kept, within bounds, and each client gets what it has not had."""

from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st

from tapeline_watchdog.web.hub import Hub, Shelf

SHELVES = {"feeds": Shelf(keys=1), "pressure": Shelf(keys=2, depth=3)}


def numbers(news: dict[str, list[bytes]], event: str) -> list[int]:
    return [orjson.loads(value) for value in news.get(event, [])]


def test_a_new_client_gets_the_present_state_and_then_only_changes() -> None:
    hub = Hub(SHELVES)
    hub.put("feeds", "", 1)
    hub.put("pressure", "NQ", 10)
    seen, news = hub.since(0)
    assert (numbers(news, "feeds"), numbers(news, "pressure")) == ([1], [10])
    assert hub.since(seen) == (seen, {})
    hub.put("pressure", "NQ", 11)
    assert hub.since(seen)[1] == {"pressure": [b"11"]}
    assert numbers(hub.since(0)[1], "pressure") == [10, 11]


def test_the_same_again_is_no_news() -> None:
    hub = Hub(SHELVES)
    hub.put("feeds", "", {"at": "1"})
    seen, _ = hub.since(0)
    hub.put("feeds", "", {"at": "1"})
    assert hub.since(seen)[1] == {}
    hub.put("feeds", "", {"at": "2"})
    assert hub.since(seen)[1] == {"feeds": [b'{"at":"2"}']}


def test_of_too_many_keys_the_one_goes_that_changed_longest_ago() -> None:
    hub = Hub(SHELVES)
    for key, value in (("NQ", 1), ("ES", 2), ("NQ", 3), ("YM", 4)):
        hub.put("pressure", key, value)
    assert numbers(hub.since(0)[1], "pressure") == [1, 3, 4]


def test_a_slow_client_misses_what_was_replaced_and_nothing_newer() -> None:
    hub = Hub(SHELVES)
    hub.put("pressure", "NQ", 0)
    seen, _ = hub.since(0)
    for value in range(1, 10):
        hub.put("pressure", "NQ", value)
    assert numbers(hub.since(seen)[1], "pressure") == [7, 8, 9]


def test_what_is_forgotten_is_told_to_nobody() -> None:
    hub = Hub(SHELVES)
    hub.put("pressure", "NQ", 1)
    hub.forget("pressure")
    assert hub.since(0)[1] == {}
    hub.put("pressure", "NQ", 1)
    assert numbers(hub.since(0)[1], "pressure") == [1]


@given(st.lists(st.one_of(st.tuples(st.sampled_from("abc"), st.integers(0, 5)), st.none()), max_size=40))
def test_a_client_that_keeps_up_sees_every_change_in_order(steps: list[tuple[str, int] | None]) -> None:
    hub = Hub({"row": Shelf(keys=3, depth=50)})
    put: list[list[object]] = []
    got: list[list[object]] = []
    newest: dict[str, int] = {}
    seen = 0
    for step in [*steps, None]:
        if step is None:
            seen, news = hub.since(seen)
            got += [orjson.loads(value) for value in news.get("row", [])]
            continue
        key, value = step
        hub.put("row", key, [key, value])
        if newest.get(key) != value:
            put.append([key, value])
        newest[key] = value
    assert got == put
