"""What is set aside as bad data: one finding per origin, so that one bad writer is one trouble. Pure.

Moments are ns since the epoch. What a letter holds is not looked at, only what its headers say is wrong with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tapeline.model.incidents import IncidentType
from tapeline_watchdog.findings import Finding, Judged

DEAD_LETTER_TYPES: Final[frozenset[IncidentType]] = frozenset({"dead_letters"})
_MOST_ORIGINS: Final = 100
_MOST_REASONS: Final = 5
_MOST_SERVICES: Final = 5
_LONGEST: Final = 200
_UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One letter: its offset, when it was heard of, who wrote it, where its message was, and which rule that breaks.

    `origin` is ``topic/…`` where it was a message, and else ``service/…``, of what a vendor or a file gave.
    """

    offset: int
    heard_ns: int
    service: str
    origin: str
    place: str
    field: str
    rule: str


def letter_of(headers: Mapping[str, str | bytes | None], offset: int, heard_ns: int) -> DeadLetter:
    """Return the letter with these headers; what they lack is ``unknown``, or empty where it does not apply."""
    told = {name: _text(value) for name, value in headers.items()}
    service, topic = told.get("service") or _UNKNOWN, told.get("origin_topic")
    place = ""
    if topic:
        place = f"{topic}[{told.get('origin_partition')}] at offset {told.get('origin_offset')}"
    elif told.get("origin_file"):
        place = f"{told['origin_file']}, line {told.get('origin_line')}"
    return DeadLetter(
        offset=offset,
        heard_ns=heard_ns,
        service=service,
        origin=f"topic/{topic}" if topic else f"service/{service}",
        place=place,
        field=told.get("field") or _UNKNOWN,
        rule=told.get("rule") or told.get("error") or _UNKNOWN,
    )


@dataclass(slots=True)
class _Run:
    """Letters of one origin, without a long pause between them."""

    first: DeadLetter
    last: DeadLetter
    count: int = 0
    services: set[str] = field(default_factory=set)
    reasons: dict[str, tuple[str, int]] = field(default_factory=dict)
    """By field, a rule that it broke and how many letters there were; the field of the last letter is the last one."""


class DeadLetters:
    """The letters that count: those after which there was no pause of `lasts_ns`. `topic` is that of the letters, by
    its name on the broker."""

    def __init__(self, topic: str, lasts_ns: int) -> None:
        self._topic = topic
        self._lasts_ns = lasts_ns
        self._runs: dict[str, _Run] = {}

    def take(self, letter: DeadLetter) -> None:
        """Take in a letter, in the order of the topic."""
        run = self._runs.pop(letter.origin, None)
        if run is None or letter.heard_ns - run.last.heard_ns > self._lasts_ns:
            run = _Run(letter, letter)
        # The one that came last is the last one, and the first one goes.
        self._runs[letter.origin] = run
        if len(self._runs) > _MOST_ORIGINS:
            del self._runs[next(iter(self._runs))]
        run.last = letter
        run.count += 1
        if len(run.services) < _MOST_SERVICES:
            run.services.add(letter.service)
        _, before = run.reasons.pop(letter.field, ("", 0))
        run.reasons[letter.field] = (letter.rule, before + 1)
        if len(run.reasons) > _MOST_REASONS:
            del run.reasons[next(iter(run.reasons))]

    def judge(self, now_ns: int) -> Judged:
        """Return of what origins letters come."""
        self._runs = {origin: run for origin, run in self._runs.items() if now_ns - run.last.heard_ns <= self._lasts_ns}
        return Judged(DEAD_LETTER_TYPES, tuple(self._finding(origin, run) for origin, run in self._runs.items()))

    def _finding(self, origin: str, run: _Run) -> Finding:
        what = "a message" if run.count == 1 else f"{run.count} messages"
        of, begin, end = origin.partition("/")[2], run.first.offset, run.last.offset
        services = ", ".join(sorted(run.services))
        return Finding(
            type="dead_letters",
            subject=origin,
            severity="warning",
            summary=f"{what} of {of} set aside as bad data: {run.last.field}: {run.last.rule}",
            hold_ns=0,
            since_ns=run.first.heard_ns,
            evidence=(
                f"letters: {run.count}, offsets {begin} to {end} of {self._topic}, by {services}",
                *([f"last: {run.last.place}"] if run.last.place else []),
                "to see them: kcat -b $KAFKA_BOOTSTRAP_SERVERS -C"
                rf" -t {self._topic} -o {begin} -c {end + 1 - begin} -f '%o %h\n'",
                *(f"{name}: {rule} ({count} in all)" for name, (rule, count) in reversed(run.reasons.items())),
            ),
        )


def _text(value: str | bytes | None) -> str:
    text = value.decode(errors="replace") if isinstance(value, bytes) else value or ""
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
