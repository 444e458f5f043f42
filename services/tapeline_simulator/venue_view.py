"""What a venue shows at one moment: its futures, and its options series by series. Later changes do not reach it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from tapeline.feed.dbn_records import Array
from tapeline_simulator.book_rows import SessionTrades
from tapeline_simulator.expiries import Future, Series
from tapeline_simulator.option_board import ListedContract
from tapeline_simulator.option_rows import NICKEL_E9
from tapeline_simulator.reference_records import Yesterday


@dataclass(frozen=True, slots=True)
class FutureView:
    """A future: best bid and ask (exponent -9; INT64_MAX: none), the session's trades, and yesterday."""

    future: Future
    bid_e9: int
    ask_e9: int
    session: SessionTrades
    yesterday: Yesterday


@dataclass(frozen=True, slots=True)
class ContractView:
    """An option: bid and ask (exponent -9; 0: none), the session's trades; `yesterday` is None where it is new."""

    instrument_id: int
    strike_points: int
    is_call: bool
    bid_e9: int
    ask_e9: int
    session: SessionTrades
    yesterday: Yesterday | None


class VenueView:
    """What a venue shows at `at_ns`. `listed` has the contracts of each series, `state` (STATE) what they show."""

    def __init__(
        self,
        *,
        at_ns: int,
        futures: tuple[FutureView, ...],
        listed: Mapping[Series, tuple[ListedContract, ...]],
        state: Array,
    ) -> None:
        self.at_ns = at_ns
        self.futures = futures
        self.series = tuple(listed)
        self._listed = listed
        self._state = state
        self._order = np.argsort(state["instrument_id"], kind="stable")

    def contracts(self, series: Series) -> Iterator[ContractView]:
        """Yield the calls and puts of a series in the order of their listing; what is never quoted shows no quote."""
        listed = self._listed[series]
        numbers = np.array([each.instrument_id for each in listed], dtype=np.int64)
        known = self._state["instrument_id"][self._order]
        found = np.searchsorted(known, numbers)
        for contract, at in zip(listed, found.tolist(), strict=True):
            if at < len(known) and known[at] == contract.instrument_id:
                yield _shown(contract, self._state[self._order[at]])
            else:
                yield ContractView(
                    contract.instrument_id,
                    contract.strike_points,
                    contract.is_call,
                    0,
                    0,
                    SessionTrades(),
                    contract.yesterday,
                )


def _shown(contract: ListedContract, state: np.void) -> ContractView:
    nickels = {name: int(state[name]) * NICKEL_E9 for name in ("bid", "ask", "open", "high", "low", "last")}
    return ContractView(
        contract.instrument_id,
        contract.strike_points,
        contract.is_call,
        nickels["bid"],
        nickels["ask"],
        SessionTrades(
            nickels["open"],
            nickels["high"],
            nickels["low"],
            nickels["last"],
            int(state["traded_ns"]),
            int(state["volume"]),
        ),
        contract.yesterday,
    )
