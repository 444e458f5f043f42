"""What of librdkafka's words about a lost broker is told."""

from __future__ import annotations

import logging

from tapeline.bus.publisher import Seldom


def record(words: str, at_s: float) -> logging.LogRecord:
    made = logging.LogRecord("tapeline.bus.publisher", logging.ERROR, "", 0, words, (), None)
    made.created = at_s
    return made


def test_a_lost_broker_is_told_once_in_a_while_and_all_else_always() -> None:
    seldom = Seldom(30.0)
    refused = "FAIL [producer-1]: 127.0.0.1:9092/1: Connect failed: Connection refused"
    told = [at_s for at_s in (100.0, 100.1, 101.0, 129.9, 130.0, 140.0, 200.0) if seldom.filter(record(refused, at_s))]
    assert told == [100.0, 130.0, 200.0]
    assert seldom.filter(record("FATAL [producer-1]: fenced", 200.1))
    assert seldom.filter(record("FATAL [producer-1]: fenced", 200.2))
