"""Bad data is one incident per origin, while it comes, and tells what is wrong with it and not what it is."""

from __future__ import annotations

from typing import Final

from tests.unit.watchdog.troubles import BEGIN, S, Topic, Watcher

from tapeline_watchdog.dead_letter_findings import DeadLetter, DeadLetters, letter_of
from tapeline_watchdog.findings import Finding

TOPIC: Final = "md.dead-letters.v1"
LASTS_NS: Final = 300 * S
TICKS: Final = "md.ticks.saved.v1"


def letter(offset: int, at_ns: int = BEGIN, **headers: str) -> DeadLetter:
    usual = {
        "error": "columns.price: must be finite",
        "field": "columns.price",
        "rule": "must be finite",
        "origin_topic": TICKS,
        "origin_partition": "2",
        "origin_offset": str(1_000 + offset),
        "service": "tapeline-processor",
    }
    told = {name: value.encode() for name, value in (usual | headers).items() if value}
    return letter_of(told, offset, at_ns)


def findings(*letters: DeadLetter, now_ns: int = BEGIN) -> list[Finding]:
    kept = DeadLetters(TOPIC, LASTS_NS)
    for each in letters:
        kept.take(each)
    return list(kept.judge(now_ns).findings)


def test_letters_of_one_origin_are_one_finding_that_says_what_is_wrong_and_where_to_look() -> None:
    schema = {"field": "schema", "rule": "must be ticks.v1"}
    [finding] = findings(letter(7), letter(9, BEGIN + S, **schema), letter(10, BEGIN + 2 * S), now_ns=BEGIN + 3 * S)
    assert (finding.type, finding.subject, finding.severity) == ("dead_letters", f"topic/{TICKS}", "warning")
    assert (finding.hold_ns, finding.since_ns) == (0, BEGIN)
    assert finding.summary == f"3 messages of {TICKS} set aside as bad data: columns.price: must be finite"
    assert finding.evidence == (
        f"letters: 3, offsets 7 to 10 of {TOPIC}, by tapeline-processor",
        f"last: {TICKS}[2] at offset 1010",
        rf"to see them: kcat -b $KAFKA_BOOTSTRAP_SERVERS -C -t {TOPIC} -o 7 -c 4 -f '%o %h\n'",
        "columns.price: must be finite (2 in all)",
        "schema: must be ticks.v1 (1 in all)",
    )


def test_what_no_topic_had_is_of_the_service_that_set_it_aside() -> None:
    none = {"origin_topic": "", "origin_partition": "", "origin_offset": ""}
    saved = letter(1, **none, service="tapeline-saved", origin_file="chain.csv", origin_line="12")
    barchart = letter(2, **none, service="tapeline-barchart")
    assert [(each.origin, each.place) for each in (saved, barchart)] == [
        ("service/tapeline-saved", "chain.csv, line 12"),
        ("service/tapeline-barchart", ""),
    ]
    assert [each.subject for each in findings(saved, barchart, letter(3))] == [
        "service/tapeline-saved",
        "service/tapeline-barchart",
        f"topic/{TICKS}",
    ]
    bare = letter_of({}, 4, BEGIN)
    assert (bare.origin, bare.field, bare.rule) == ("service/unknown", "unknown", "unknown")
    [finding] = findings(letter_of({"error": b"x\n" * 500, "service": b"\xff", "field": None}, 4, BEGIN))
    assert "\n" not in finding.summary
    assert len(finding.summary) < 300


def test_an_incident_lasts_while_letters_come_and_a_while_longer() -> None:
    watcher, letters = Watcher(Topic()), DeadLetters(TOPIC, LASTS_NS)
    for second in range(0, 2_000, 10):
        now_ns = BEGIN + second * S
        if second in (100, 350, 600):
            letters.take(letter(second, now_ns))
        watcher.step([letters.judge(now_ns)], now_ns)
    assert [(each.state, each.opened_at) for each in watcher.turns] == [
        ("open", BEGIN + 100 * S),
        ("closed", BEGIN + 100 * S),
    ]
    [incident] = watcher.topic.incidents()
    assert (incident.closed_at, incident.flaps) == (BEGIN + 910 * S, 0)
    assert incident.evidence[0].startswith("letters: 3, ")


def test_after_a_pause_it_is_counted_anew_and_what_is_long_ago_is_none() -> None:
    [finding] = findings(letter(1), letter(2, BEGIN + 301 * S), now_ns=BEGIN + 302 * S)
    assert finding.since_ns == BEGIN + 301 * S
    assert finding.evidence[0].startswith("letters: 1, offsets 2 to 2 ")
    assert findings(letter(1), now_ns=BEGIN + 300 * S) != []
    assert findings(letter(1), now_ns=BEGIN + 301 * S) == []


def test_headers_do_not_fill_the_memory() -> None:
    many = [letter(number, origin_topic=f"t{number}", field=f"f{number}") for number in range(500)]
    assert [each.subject for each in findings(*many)] == [f"topic/t{number}" for number in range(400, 500)]
    [finding] = findings(*(letter(number, field=f"f{number}") for number in range(500)))
    assert [line.partition(":")[0] for line in finding.evidence[3:]] == ["f499", "f498", "f497", "f496", "f495"]
