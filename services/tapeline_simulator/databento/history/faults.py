"""What may go wrong with the next requests of the Historical API, as a test or a command asks for it.

| name | what happens to the next `times` requests of `method` (`*`: of any) | parameters |
|---|---|---|
| http-refuse | the answer is `status` (429, 500, 503, …), with Retry-After where one is given | status, retry_after_s |
| http-hang | no answer until the faults are cleared, or the server stops; then as if nothing had been | |
| http-slow | the body comes at its pace | bytes_per_s |
| http-cut | the body, framed by length, chunked or close, ends after a share of its bytes; 1: whole | framing, share |
| http-count | so much is added to the number that metadata.get_record_count answers | difference |
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Literal, get_args

from tapeline.errors import BadData

FaultKind = Literal["refuse", "hang", "slow", "cut", "count"]
Framing = Literal["length", "chunked", "close"]

EVERY_METHOD: Final = "*"
FAULT_NAMES: Final = tuple(f"http-{kind}" for kind in get_args(FaultKind))


@dataclass(frozen=True, slots=True)
class HistoryFault:
    """One kind of trouble; parameters of other kinds are not looked at. Raises BadData for what cannot be."""

    kind: FaultKind
    method: str = EVERY_METHOD
    times: int = 1
    status: int = 503
    retry_after_s: int | None = None
    framing: Framing = "chunked"
    share: float = 0.5
    bytes_per_s: int = 1_024
    difference: int = 1

    def __post_init__(self) -> None:
        """Check what a command may have given."""
        for name, is_good, rule in (
            ("times", _is_whole(self.times) and self.times > 0, "must be a whole number above 0"),
            ("status", _is_whole(self.status) and 400 <= self.status <= 599, "must be within 400 and 599"),
            ("retry_after_s", self.retry_after_s is None or _is_whole(self.retry_after_s), "must be a whole number"),
            ("framing", self.framing in get_args(Framing), f"must be one of {', '.join(get_args(Framing))}"),
            ("share", isinstance(self.share, float | int) and 0 <= self.share <= 1, "must be within 0 and 1"),
            ("bytes_per_s", _is_whole(self.bytes_per_s) and self.bytes_per_s > 0, "must be a whole number above 0"),
            ("difference", _is_whole(self.difference), "must be a whole number"),
        ):
            if not is_good:
                raise BadData(name, f"{rule}, is {getattr(self, name)!r}")


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def named_fault(name: str, parameters: dict[str, Any]) -> HistoryFault:
    """Return the fault that `name` and `parameters` ask for. Raises BadData that says what there is to choose from."""
    if name not in FAULT_NAMES:
        raise BadData("name", f"must be one of {', '.join(FAULT_NAMES)}, is {name!r}")
    known = [field.name for field in fields(HistoryFault) if field.name != "kind"]
    for parameter in parameters:
        if parameter not in known:
            raise BadData(parameter, f"is no parameter of {name}, which takes {', '.join(known)}")
    return HistoryFault(name.removeprefix("http-"), **parameters)  # type: ignore[arg-type]  # checked above


class HistoryFaults:
    """The faults that wait for requests, the oldest first; belongs to the thread of the event loop."""

    def __init__(self) -> None:
        self._waiting: list[HistoryFault] = []
        self._cleared = asyncio.Event()

    def add(self, fault: HistoryFault) -> None:
        """Let a fault happen to the next requests that fit it."""
        self._waiting.append(fault)

    def clear(self) -> None:
        """Let nothing more go wrong, and answer what hangs."""
        self._waiting.clear()
        self._cleared.set()
        self._cleared = asyncio.Event()

    async def wait_until_cleared(self) -> None:
        """Return once `clear` is called."""
        await self._cleared.wait()

    def take(self, method: str) -> HistoryFault | None:
        """Return the fault that happens to this request of `method`, and count it; None: all goes well."""
        for index, fault in enumerate(self._waiting):
            if fault.method in (EVERY_METHOD, method):
                if fault.times > 1:
                    self._waiting[index] = replace(fault, times=fault.times - 1)
                else:
                    del self._waiting[index]
                return fault
        return None
