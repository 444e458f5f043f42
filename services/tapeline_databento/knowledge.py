"""What the lines of a source tell each other, and what a line's session leaves to the next one."""

from __future__ import annotations

from dataclasses import dataclass, field

from tapeline.feed.contracts import Contracts
from tapeline_databento.metering import Metering, Unmetered
from tapeline_databento.normalize import InstrumentClasses
from tapeline_databento.watching import TradingStatus


@dataclass(slots=True)
class Knowledge:
    """What the lines of a source tell each other."""

    classes: InstrumentClasses
    contracts: Contracts
    status: TradingStatus = field(default_factory=TradingStatus)
    metering: Metering = field(default_factory=Unmetered)


@dataclass(slots=True)
class Lessons:
    """What a line's next session must heed."""

    without_replay: bool = False
    """The replay was refused as too old."""
    orders_anew: bool = False
    """Some book is not known: a replay of orders would not tell it."""
