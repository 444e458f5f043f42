"""Which of a market's futures trade: all that have neither expired nor are halted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tapeline_simulator.expiries import Future
from tapeline_simulator.market import Market


class Trading:
    """Stops and starts the `futures` of `market`; while none trades, the market's own time stands still.

    `mask` says by position which futures trade.
    """

    def __init__(self, market: Market, futures: Sequence[Future]) -> None:
        self._market = market
        self._futures = futures
        self._halted_until_ns: dict[str, int] = {}
        self._silent_since_ns: int | None = None
        self.mask: npt.NDArray[np.bool_] = np.ones(len(futures), dtype=np.bool_)

    def halt(self, symbol: str, until_ns: int, at_ns: int) -> bool:
        """Halt a future until `until_ns`, or longer where it is halted already; return whether it traded so far."""
        traded = symbol not in self._halted_until_ns
        self._halted_until_ns[symbol] = max(until_ns, self._halted_until_ns.get(symbol, 0))
        self.update(at_ns)
        return traded

    def resume(self, symbol: str, at_ns: int) -> bool:
        """Let a future trade if its halt lasts until `at_ns` and no longer; return whether it does."""
        if self._halted_until_ns.get(symbol) != at_ns:
            return False
        del self._halted_until_ns[symbol]
        self.update(at_ns)
        return bool(self.mask[[future.symbol for future in self._futures].index(symbol)])

    def update(self, at_ns: int) -> None:
        """Take notice of what has expired by `at_ns`."""
        trading = [
            each.symbol
            for each in self._futures
            if each.symbol not in self._halted_until_ns and each.expires_ns > at_ns
        ]
        self.mask = np.array([each.symbol in trading for each in self._futures])
        if trading:
            if self._silent_since_ns is not None:
                self._market.pass_over(at_ns - self._silent_since_ns)
            self._market.set_trading(trading)
            self._silent_since_ns = None
        elif self._silent_since_ns is None:
            self._silent_since_ns = at_ns
