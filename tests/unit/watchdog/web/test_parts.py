"""Documents are asked for while somebody looks, once a second, and what is not there is said."""

from __future__ import annotations

from typing import Any

import orjson

from tapeline_watchdog.web.hub import Hub, Shelf
from tapeline_watchdog.web.parts import AVAILABILITY, NAMES, PartDocuments

SHELVES = {AVAILABILITY: Shelf(keys=16), **{name: Shelf(keys=1) for name in NAMES}}


def test_documents_are_made_once_for_all_who_look() -> None:
    hub, now_s = Hub(SHELVES), 100.0
    asked = []

    def feeds() -> dict[str, Any]:
        asked.append(now_s)
        return {"at": str(now_s), "feeds": len(asked)}

    parts = PartDocuments(hub, {"feeds": feeds}, clock=lambda: now_s)
    assert asked == []
    parts.refresh()
    parts.refresh()
    now_s += 0.5
    parts.refresh()
    assert asked == [100.0]
    now_s += 0.5
    parts.refresh()
    assert asked == [100.0, 101.0]
    assert hub.since(0)[1]["feeds"] == [b'{"at":"101.0","feeds":2}']


def test_what_is_the_same_is_not_sent_again_for_its_moment_alone() -> None:
    hub, now_s, incidents = Hub(SHELVES), 0.0, ["a"]
    parts = PartDocuments(hub, {"incidents": lambda: {"at": str(now_s), "incidents": incidents}}, clock=lambda: now_s)
    seen, sent = 0, []
    for second in range(12):
        now_s = float(second)
        if second == 7:
            incidents.append("b")
        parts.refresh()
        seen, news = hub.since(seen)
        sent += [(second, orjson.loads(value)) for value in news.get("incidents", ())]
    assert [(second, len(document["incidents"])) for second, document in sent] == [(0, 1), (5, 1), (7, 2)]
    assert [document["at"] for _, document in sent] == ["0.0", "5.0", "7.0"]


def test_what_is_not_there_is_said_until_it_is() -> None:
    hub, now_s = Hub(SHELVES), 0.0
    document: dict[str, Any] | None = None
    parts = PartDocuments(hub, {"gaps": lambda: document}, clock=lambda: now_s)
    parts.refresh()
    seen, news = hub.since(0)
    said = {row["part"]: row for row in map(orjson.loads, news[AVAILABILITY])}
    assert set(said) == set(NAMES)
    assert said["gaps"]["reason"] == "nothing has been read yet"
    assert said["costs"]["reason"] == "this watchdog does not tell of it"
    now_s, document = 1.0, {"gaps": []}
    parts.refresh()
    _, news = hub.since(seen)
    assert news["gaps"] == [b'{"gaps":[]}']
    assert [orjson.loads(row) for row in news[AVAILABILITY]] == [
        {"part": "gaps", "available": True, "reason": None, "left_out": 0}
    ]
