"""Live chains and option flow, written to be read: dictionaries, lists and fractions, row by row."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any, Final

from tapeline.model.chains import Chain
from tapeline.model.columns import F_SNAPSHOT
from tapeline.model.frames import TickFrame
from tapeline.model.instruments import Instrument

Row = dict[str, Any]

GRACE_NS: Final = 250_000_000
WINDOWS_MS: Final = (1_000, 10_000, 60_000)
E9: Final = 10**9


class ReferenceChains:
    """What was last told of each contract; absent fields are not in its dictionary, null is None."""

    def __init__(self) -> None:
        self.contracts: defaultdict[str, Row] = defaultdict(dict)

    def apply(self, frame: TickFrame) -> None:
        for row in frame.rows():
            cell = self.contracts[str(row["symbol"])]
            if frame.kind == "l1" and row["action"] not in ("T", "F"):
                for side in ("bid", "ask"):
                    price = None if row["action"] == "R" else row[f"{side}_price"]
                    cell |= {side: price, f"{side}_size": None if price is None else row[f"{side}_size"]}
                cell["quote_at"] = row["ts_event"]
            elif frame.kind == "trade" or (frame.kind == "l1" and row["action"] == "T"):
                if row["price"] is not None and row["ts_event"] >= cell.get("trade_at", 0):
                    cell |= {"last": row["price"], "trade_at": row["ts_event"]}
            elif frame.kind == "statistics":
                self._statistic(cell, row)

    def _statistic(self, cell: Row, row: Row) -> None:
        name, value = {3: ("settlement", "price"), 6: ("volume", "quantity"), 9: ("open_interest", "quantity")}[
            row["stat_type"]
        ]
        if row["ts_ref"] >= cell.get(f"{name}_at", 0):
            cell |= {name: None if row["update_action"] == 2 else row[value], f"{name}_at": row["ts_ref"]}


class ReferenceFlow:
    """The rows of one stream: windows as lists of trades."""

    def __init__(self, instruments: Mapping[str, Instrument], chains: Iterable[Chain]) -> None:
        self.instruments = instruments
        self.chains = sorted(chains, key=lambda chain: chain.as_of)
        self.watermarks: dict[str, int] = {}
        self.open: dict[tuple[str, int, int], tuple[int, list[Row]]] = {}
        self.latest: dict[tuple[str, int], int] = {}
        self.late: defaultdict[tuple[str, int, int], int] = defaultdict(int)
        self.rows: list[Row] = []

    def apply(self, frame: TickFrame) -> None:
        for kind, ts in (frame.clock or {}).items():
            self.watermark(kind, ts)
        for row in frame.rows() if frame.kind in ("l1", "trade") else ():
            if not int(row["flags"]) & F_SNAPSHOT:  # type: ignore[call-overload]
                self.watermark(frame.kind, int(row["ts_event"]))  # type: ignore[call-overload]
                if frame.kind == "trade" or row["action"] == "T":
                    self.trade(frame.kind, row)

    def watermark(self, kind: str, ts: int) -> None:
        self.watermarks[kind] = max(ts, self.watermarks.get(kind, ts))
        for (of_kind, expiry, window_ms), (start, _) in list(self.open.items()):
            if of_kind == kind and start + window_ms * 1_000_000 + GRACE_NS <= self.watermarks[kind]:
                self.close(kind, expiry, window_ms)

    def trade(self, kind: str, row: Row) -> None:
        instrument = self.instruments.get(str(row["symbol"]))
        if instrument is None or row["size"] is None:
            return
        ts, expiry = int(row["ts_event"]), instrument.expiry
        assert expiry is not None
        for window_ms in WINDOWS_MS:
            length = window_ms * 1_000_000
            key = (kind, expiry, window_ms)
            if key in self.open and ts >= self.open[key][0] + length:
                self.close(*key)
        for window_ms in WINDOWS_MS:
            length = window_ms * 1_000_000
            key, start = (kind, expiry, window_ms), ts // length * length
            if key in self.open:
                is_late = ts < self.open[key][0]
            else:
                is_over = start + length + GRACE_NS <= self.watermarks[kind]
                is_late = is_over or start + length <= self.latest.get((kind, expiry), 0)
            if is_late:
                self.late[key] += 1
            else:
                self.open.setdefault(key, (start, []))[1].append(row)
        self.latest[kind, expiry] = max(ts, self.latest.get((kind, expiry), ts))

    def close(self, kind: str, expiry: int, window_ms: int) -> None:
        start, trades = self.open.pop((kind, expiry, window_ms))
        late = self.late.pop((kind, expiry, window_ms), 0)
        head = {"kind": kind, "expiry": str(expiry), "window_ms": window_ms, "window_start": str(start)}
        self.rows.append({**head, "late_count": late, **self.sums(expiry, trades)})

    def sums(self, expiry: int, trades: list[Row]) -> Row:
        out: Row = {"user_defined_volume": 0, "delta_missing_volume": 0, "delta_flow": None, "vega_flow": None}
        for right in ("call", "put"):
            out |= {f"{right}_{side}_volume": 0 for side in ("buy", "sell", "unsigned")} | {f"premium_{right}": None}
        strikes: defaultdict[tuple[Fraction, str], dict[str, int]] = defaultdict(lambda: dict.fromkeys("BAN", 0))
        for row in trades:
            instrument = self.instruments[row["symbol"]]
            if instrument.user_defined:
                out["user_defined_volume"] += row["size"]
                continue
            assert instrument.strike is not None
            assert instrument.multiplier is not None
            right = str(instrument.right)
            side = {"B": "buy", "A": "sell", "N": "unsigned"}[row["side"]]
            out[f"{right}_{side}_volume"] += row["size"]
            strikes[Fraction(instrument.strike, E9), right][row["side"]] += row["size"]
            sign = {"B": 1, "A": -1, "N": 0}[row["side"]]
            if not sign:
                continue
            money = Fraction(sign * row["price"] * row["size"] * instrument.multiplier, E9**2)
            out[f"premium_{right}"] = (out[f"premium_{right}"] or 0) + money
            greeks = self.greeks(expiry, instrument, row["ts_event"])
            if greeks is None:
                out["delta_missing_volume"] += row["size"]
                continue
            for name, value in zip(("delta_flow", "vega_flow"), greeks, strict=True):
                out[name] = (out[name] or 0) + sign * row["size"] * Fraction(value)
        out["strikes"] = [
            {"strike": float(strike), "right": right, "buy_volume": lots["B"], "sell_volume": lots["A"]}
            | {"unsigned_volume": lots["N"]}
            for (strike, right), lots in sorted(strikes.items())
        ]
        return out

    def greeks(self, expiry: int, instrument: Instrument, ts: int) -> tuple[float, float] | None:
        before = [chain for chain in self.chains if chain.expiry == expiry and chain.as_of <= ts]
        if not before or ts - before[-1].as_of > 60 * E9:
            return None
        contracts = before[-1].contracts
        for row, symbol in enumerate(contracts.vendor_symbols):
            if symbol == instrument.raw_symbol:
                return float(contracts.columns["delta"][row]), float(contracts.columns["vega"][row])
        return None
