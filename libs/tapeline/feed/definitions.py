"""Definition records of DBN -> instruments, in bulk. Pure."""

from __future__ import annotations

from typing import Any, Final

from tapeline.feed.dbn_records import INT32_MAX, Array
from tapeline.model.columns import INT64_MAX
from tapeline.model.instruments import (
    SIDES,
    UPDATE_ACTIONS,
    Instrument,
    Leg,
    Style,
    TickRule,
    TickStep,
    product_of_future,
)

_KINDS: Final = {"F": "FUT", "S": "FUT", "C": "OPT", "P": "OPT", "T": "OPT", "M": "OPT", "X": "SPOT", "Y": "SPOT"}
_SPREADS: Final = ("S", "T", "M")
_OPTIONS: Final = ("C", "P")
_STYLES: Final[dict[str, Style]] = {"A": "american", "E": "european"}

# CME's rule for options on these futures, whose definitions leave the step undefined: 0.05 up to 5.00, 0.25 above.
_TWO_STEPS: Final = TickRule("assumed", (TickStep(5_000_000_000, 50_000_000), TickStep(None, 250_000_000)))
_WITH_TWO_STEPS: Final = ("ES", "NQ")

_E9: Final = 1_000_000_000
_FIELDS: Final = (
    "instrument_id",
    "ts_recv",
    "min_price_increment",
    "expiration",
    "activation",
    "unit_of_measure_qty",
    "strike_price",
    "underlying_id",
    "contract_multiplier",
    "currency",
    "raw_symbol",
    "group",
    "asset",
    "cfi",
    "underlying",
    "instrument_class",
    "security_update_action",
    "user_defined_instrument",
)
_LEG_FIELDS: Final = (
    "leg_count",
    "leg_index",
    "leg_instrument_id",
    "leg_raw_symbol",
    "leg_instrument_class",
    "leg_side",
    "leg_ratio_qty_numerator",
    "leg_ratio_qty_denominator",
    "leg_price",
    "leg_delta",
)

Row = dict[str, Any]


class DefinitionDecoder:
    """Turns the definition records of one dataset, of any DBN version, into instruments.

    Version 3 sends a spread as one record per leg, which may come in several batches: the spread is returned with its
    last leg. What breaks off is forgotten when its first leg comes again.
    """

    def __init__(self, source: str, dataset: str) -> None:
        self._source = source
        self._dataset = dataset
        self._legs: dict[int, list[Leg]] = {}
        self._texts: dict[bytes, str | None] = {b"": None}
        self._tick_rules: dict[int, TickRule] = {}

    def decode(self, records: Array, trading_day: str) -> list[Instrument]:
        """Return the instruments that `records` (a structured array of one layout) complete, in their order."""
        names = [name for name in (*_FIELDS, *_LEG_FIELDS) if name in (records.dtype.names or ())]
        columns = [records[name].tolist() for name in names]
        instruments = []
        for values in zip(*columns, strict=True):
            row = dict(zip(names, values, strict=True))
            legs = self._collect(row)
            if legs is not None:
                instruments.append(self._instrument(row, tuple(legs), trading_day))
        return instruments

    def _collect(self, row: Row) -> list[Leg] | None:
        """Return the legs once they are complete, none for what has none; None while more are to come."""
        count = row.get("leg_count", 0)
        if not count:
            return []
        instrument_id, index = row["instrument_id"], row["leg_index"]
        legs = self._legs.setdefault(instrument_id, [])
        if index == 0:
            legs.clear()
        if index == len(legs):
            legs.append(_leg(row))
        return self._legs.pop(instrument_id) if len(legs) == count else None

    def _instrument(self, row: Row, legs: tuple[Leg, ...], trading_day: str) -> Instrument:
        letter = _letter(row["instrument_class"])
        asset, underlying = self._text(row["asset"]), self._text(row["underlying"])
        action = _letter(row["security_update_action"])
        return Instrument(
            source=self._source,
            dataset=self._dataset,
            trading_day=trading_day,
            instrument_id=row["instrument_id"],
            raw_symbol=_decoded(row["raw_symbol"]) or str(row["instrument_id"]),
            instrument_class=letter,
            asset=asset,
            group=self._text(row["group"]),
            parent=f"{asset}.{_KINDS[letter]}" if asset and letter in _KINDS else None,
            underlying=underlying,
            underlying_id=row["underlying_id"] or None,
            expiry=_time(row["expiration"]),
            activation=_time(row["activation"]),
            strike=_number(row["strike_price"]),
            style=_style(_decoded(row["cfi"])),
            tick=self._tick_rule(row["min_price_increment"], letter, underlying),
            multiplier=_multiplier(row["contract_multiplier"], row["unit_of_measure_qty"]),
            currency=self._text(row["currency"]),
            user_defined=row["user_defined_instrument"] == b"Y",
            legs=None if letter in _SPREADS and not legs else legs,
            update_action=action if action in UPDATE_ACTIONS else None,
            ts_recv=row["ts_recv"],
        )

    def _tick_rule(self, increment: int, letter: str, underlying: str | None) -> TickRule | None:
        if 0 <= increment < INT64_MAX:
            rule = TickRule("definition", (TickStep(None, increment),))
            return self._tick_rules.setdefault(increment, rule)
        if letter in _OPTIONS and underlying and product_of_future(underlying) in _WITH_TWO_STEPS:
            return _TWO_STEPS
        return None

    def _text(self, value: bytes) -> str | None:
        """Return the text, None where it is empty; thousands of contracts share few of them."""
        found = self._texts.get(value)
        if found is None and value:
            found = self._texts[value] = _decoded(value)
        return found


def _leg(row: Row) -> Leg:
    side = _letter(row["leg_side"])
    return Leg(
        instrument_id=row["leg_instrument_id"],
        raw_symbol=_decoded(row["leg_raw_symbol"]) or str(row["leg_instrument_id"]),
        instrument_class=_letter(row["leg_instrument_class"]),
        side=side if side in SIDES else "N",
        quantity_numerator=row["leg_ratio_qty_numerator"],
        quantity_denominator=row["leg_ratio_qty_denominator"],
        price=_number(row["leg_price"]),
        delta=_number(row["leg_delta"]),
    )


def _decoded(value: bytes) -> str:
    return value.decode("ascii", "replace")


def _letter(value: bytes) -> str:
    letter = _decoded(value)
    return letter if letter.isascii() and letter.isprintable() and letter else "?"


def _number(value: int) -> int | None:
    return None if value == INT64_MAX else value


def _time(at: int) -> int | None:
    # Undefined is -1; what is below does not fit a signed number.
    return None if at < 0 else at


def _style(cfi: str) -> Style | None:
    """Return the style in the third place of an option's CFI code (ISO 10962), None where it does not say."""
    return _STYLES.get(cfi[2]) if cfi.startswith("O") and len(cfi) > 2 else None


def _multiplier(contract_multiplier: int, unit_of_measure_quantity: int) -> int | None:
    """Return money per point, exponent -9: CME leaves the multiplier undefined and says the unit's quantity."""
    if contract_multiplier != INT32_MAX:
        return contract_multiplier * _E9
    return _number(unit_of_measure_quantity)
