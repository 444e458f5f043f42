"""What may go wrong with the next requests of the Historical API, as a test or a command asks for it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Final, Literal

FaultKind = Literal["refuse", "hang", "slow", "cut", "count"]
Framing = Literal["length", "chunked", "close"]

EVERY_METHOD: Final = "*"


@dataclass(frozen=True, slots=True)
class HistoryFault:
    """One kind of trouble for the next `times` requests of `method` (``timeseries.get_range``; ``*``: of any).

    - ``refuse``: the answer is `status` (429, 500, 503, …), with `retry_after_s` as Retry-After where it is given
    - ``hang``: no answer, until the faults are cleared or the server stops; then as if nothing had been
    - ``slow``: the body comes at `bytes_per_s`
    - ``cut``: the body is framed by `framing` and ends after `share` of its bytes; 1.0 leaves it whole
    - ``count``: `difference` is added to the number that metadata.get_record_count answers
    """

    kind: FaultKind
    method: str = EVERY_METHOD
    times: int = 1
    status: int = 503
    retry_after_s: int | None = None
    framing: Framing = "chunked"
    share: float = 0.5
    bytes_per_s: int = 1_024
    difference: int = 1


class HistoryFaults:
    """The faults that are waiting for requests, the oldest first; for the event loop's thread."""

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
