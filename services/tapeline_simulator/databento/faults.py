"""What may go wrong at the gateway, as a test or a command asks for it; every fault ends by itself.

| name | what happens | parameters |
|---|---|---|
| fin | all sessions end with a FIN, after a whole record | |
| rst | all sessions end with an RST, at once | |
| cut | all sessions end inside of their next record, with a FIN, or with an RST | reset |
| error | all sessions are sent an error record, then a FIN | code |
| refuse | connections are closed as soon as they are made | seconds |
| outage | all sessions end with an RST, and connections are refused | seconds |
| flap | every session ends with an RST so long after it was connected, wherever it is by then | every_ms, seconds |
| black-hole | nothing is sent, not even heartbeats; at stage connection: no greeting either | seconds, stage |
| stall | one schema stops, and comes later; all else goes on | schema, seconds |
| slow-reader | sessions are treated as if they read slowly: warned, or records skipped until it ends | seconds |
| auth-failure | keys are not accepted | seconds |
| revoked-key | all sessions are sent error 2, then a FIN, and keys are not accepted | seconds |
| connection-limit | all sessions are sent error 3, then a FIN, and new ones are over the limit | seconds |
| unentitled | nobody has a licence for the dataset | seconds |
| lost-replay | the next replays lack so many records, and are said to be complete | count, seconds |
| bad-book | the next record of an instrument carries F_MAYBE_BAD_BOOK | symbol |
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Final

from tapeline.errors import BadData
from tapeline_simulator.databento.schemas import RTYPES

LONGEST_S: Final = 3_600.0

_SECONDS: Final = ("seconds", 1.0)
_PARAMETERS: Final[Mapping[str, tuple[tuple[str, Any], ...]]] = {
    "fin": (),
    "rst": (),
    "cut": (("reset", False),),
    "error": (("code", 6),),
    "refuse": (_SECONDS,),
    "outage": (_SECONDS,),
    "flap": (("every_ms", 100.0), _SECONDS),
    "black-hole": (_SECONDS, ("stage", "session")),
    "stall": (("schema", "mbo"), _SECONDS),
    "slow-reader": (_SECONDS,),
    "auth-failure": (_SECONDS,),
    "revoked-key": (_SECONDS,),
    "connection-limit": (_SECONDS,),
    "unentitled": (_SECONDS,),
    "lost-replay": (("count", 1), ("seconds", 60.0)),
    "bad-book": (("symbol", ""), ("seconds", 60.0)),
}
"""Per fault its parameters and their defaults."""
FAULT_NAMES: Final = tuple(_PARAMETERS)
_CHOICES: Final[Mapping[str, tuple[object, ...]]] = {
    "stage": ("session", "connection"),
    "schema": tuple(RTYPES),
    "code": tuple(range(1, 9)),
}


@dataclass(frozen=True, slots=True)
class GatewayFault:
    """One fault that was asked for. `ends_s` is on the clock of the event loop."""

    number: int
    name: str
    parameters: Mapping[str, Any]
    ends_s: float

    def __getitem__(self, parameter: str) -> Any:
        """Return a parameter, which was checked."""
        return self.parameters[parameter]


class GatewayFaults:
    """The faults of one gateway. `begun` is called with each that starts, and may raise BadData; `changed` whenever one
    starts or ends.

    Belongs to the thread of the event loop.
    """

    def __init__(self, begun: Callable[[GatewayFault], None], changed: Callable[[], None]) -> None:
        self._begun = begun
        self._changed = changed
        self._numbers = count(1)
        self._active: dict[int, GatewayFault] = {}

    def start(self, name: str, /, **parameters: Any) -> GatewayFault:
        """Let a fault begin. Raises BadData that names the parameter, the rule and what there is to choose from."""
        loop = asyncio.get_running_loop()
        checked = _checked(name, parameters)
        seconds = float(checked.get("seconds", 0.0))
        fault = GatewayFault(next(self._numbers), name, checked, loop.time() + seconds)
        self._begun(fault)
        if seconds:
            self._active[fault.number] = fault
            loop.call_later(seconds, self.end, fault.number)
        self._changed()
        return fault

    def active(self, *names: str) -> list[GatewayFault]:
        """Return what goes wrong now, oldest first; with names: of these alone."""
        return [fault for fault in self._active.values() if not names or fault.name in names]

    def end(self, number: int) -> None:
        """End one fault; one that has ended stays so."""
        if self._active.pop(number, None) is not None:
            self._changed()

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        for number in list(self._active):
            self.end(number)


def _checked(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    known = _PARAMETERS.get(name)
    if known is None:
        raise BadData("name", f"must be one of {', '.join(FAULT_NAMES)}, is {name!r}")
    checked = dict(known)
    for parameter, value in parameters.items():
        if parameter not in checked:
            takes = f"takes {', '.join(checked)}" if checked else "takes none"
            raise BadData(parameter, f"is no parameter of {name}, which {takes}")
        checked[parameter] = _value(parameter, value, checked[parameter])
    if checked.get("symbol") == "":
        raise BadData("symbol", "must be the raw symbol of an instrument, as in symbol=NQZ6")
    return checked


def _value(parameter: str, value: Any, default: Any) -> Any:
    if isinstance(default, float):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LONGEST_S * 1e3:
            raise BadData(parameter, f"must be a number above 0, is {value!r}")
        if parameter == "seconds" and value > LONGEST_S:
            raise BadData(parameter, f"must be at most {LONGEST_S:g}, is {value!r}")
    elif type(value) is not type(default) or (isinstance(value, int) and not isinstance(value, bool) and value < 1):
        raise BadData(parameter, f"must be {_KINDS[type(default)]}, is {value!r}")
    choices = _CHOICES.get(parameter)
    if choices is not None and value not in choices:
        raise BadData(parameter, f"must be one of {', '.join(str(choice) for choice in choices)}, is {value!r}")
    return value


_KINDS: Final = {bool: "true or false", int: "a whole number above 0", str: "text"}
