"""Instruments as JSON (schemas/instrument.v1.json)."""

from __future__ import annotations

from datetime import date
from typing import Any, Final, cast

from tapeline.errors import BadData
from tapeline.model.columns import INT64_MAX, INT64_MIN
from tapeline.model.documents import (
    Document,
    dump,
    integer,
    is_null,
    mapping,
    mappings,
    nanoseconds,
    object_of,
    one_of,
    text,
)
from tapeline.model.instruments import (
    SIDES,
    STYLES,
    TICK_BASES,
    UPDATE_ACTIONS,
    Instrument,
    Leg,
    Style,
    TickBasis,
    TickRule,
    TickStep,
    UpdateAction,
)

SCHEMA: Final = "instrument.v1"

_ID_MAX: Final = 2**32 - 1
_INT32: Final = (-(2**31), 2**31 - 1)
_TEXTS_OR_NULL: Final = ("asset", "group", "parent", "underlying", "currency")
_TIMES_OR_NULL: Final = ("expiry", "activation")
_NUMBERS_OR_NULL: Final = ("strike", "multiplier")


def encode_instrument(instrument: Instrument) -> bytes:
    """Return the instrument as JSON bytes. Raises BadData where it breaks a rule of the schema."""
    _check(instrument)
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "source": instrument.source,
        "dataset": instrument.dataset,
        "trading_day": instrument.trading_day,
        "instrument_id": instrument.instrument_id,
        "raw_symbol": instrument.raw_symbol,
        "instrument_class": instrument.instrument_class,
        "asset": instrument.asset,
        "group": instrument.group,
        "parent": instrument.parent,
        "underlying": instrument.underlying,
        "underlying_id": instrument.underlying_id,
        "expiry": _digits(instrument.expiry),
        "activation": _digits(instrument.activation),
        "strike": instrument.strike,
        "right": instrument.right,
        "style": instrument.style,
        "tick": None,
        "multiplier": instrument.multiplier,
        "currency": instrument.currency,
        "user_defined": instrument.user_defined,
        "legs": None,
        "update_action": instrument.update_action,
        "ts_recv": str(instrument.ts_recv),
    }
    if (tick := instrument.tick) is not None:
        steps = [{"up_to": step.up_to, "increment": step.increment} for step in tick.steps]
        document["tick"] = {"basis": tick.basis, "steps": steps}
    if instrument.legs is not None:
        document["legs"] = [{name: getattr(leg, name) for name in Leg.__dataclass_fields__} for leg in instrument.legs]
    return dump(document)


def decode_instrument(value: bytes) -> Instrument:
    """Return the instrument in `value`. Raises BadData that names the field and the rule it breaks."""
    document = object_of(value, SCHEMA)
    user_defined = document.get("user_defined")
    if not isinstance(user_defined, bool):
        raise BadData("user_defined", "must be true or false")
    null_or: dict[str, Any] = {
        name: None if is_null(document, name) else text(document, name) for name in _TEXTS_OR_NULL
    }
    null_or |= {name: None if is_null(document, name) else nanoseconds(document, name) for name in _TIMES_OR_NULL}
    null_or |= {name: _number_or_null(document, name) for name in _NUMBERS_OR_NULL}
    instrument = Instrument(
        source=text(document, "source"),
        dataset=text(document, "dataset"),
        trading_day=text(document, "trading_day"),
        instrument_id=integer(document, "instrument_id", 0, _ID_MAX),
        raw_symbol=text(document, "raw_symbol"),
        instrument_class=text(document, "instrument_class"),
        underlying_id=None if is_null(document, "underlying_id") else integer(document, "underlying_id", 0, _ID_MAX),
        style=None if is_null(document, "style") else cast(Style, one_of(document, "style", STYLES)),
        tick=None if is_null(document, "tick") else _tick_rule(mapping(document, "tick")),
        user_defined=user_defined,
        legs=None if is_null(document, "legs") else tuple(_leg(leg) for leg in mappings(document, "legs")),
        update_action=None
        if is_null(document, "update_action")
        else cast(UpdateAction, one_of(document, "update_action", UPDATE_ACTIONS)),
        ts_recv=nanoseconds(document, "ts_recv"),
        **null_or,
    )
    _check(instrument)
    if is_null(document, "right") != (instrument.right is None) or document["right"] != instrument.right:
        raise BadData("right", f"must be call for the class C, put for P, else null; is {document['right']!r}")
    return instrument


def _tick_rule(document: Document) -> TickRule:
    steps = [
        TickStep(
            up_to=_number_or_null(step, "up_to", "tick.steps.up_to"),
            increment=integer(step, "increment", 0, INT64_MAX, "tick.steps.increment"),
        )
        for step in mappings(document, "steps", "tick.steps")
    ]
    return TickRule(cast(TickBasis, one_of(document, "basis", TICK_BASES, "tick.basis")), tuple(steps))


def _leg(document: Document) -> Leg:
    return Leg(
        instrument_id=integer(document, "instrument_id", 0, _ID_MAX, "legs.instrument_id"),
        raw_symbol=text(document, "raw_symbol", "legs.raw_symbol"),
        instrument_class=text(document, "instrument_class", "legs.instrument_class"),
        side=one_of(document, "side", SIDES, "legs.side"),
        quantity_numerator=integer(document, "quantity_numerator", *_INT32, "legs.quantity_numerator"),
        quantity_denominator=integer(document, "quantity_denominator", *_INT32, "legs.quantity_denominator"),
        price=_number_or_null(document, "price", "legs.price"),
        delta=_number_or_null(document, "delta", "legs.delta"),
    )


def _number_or_null(document: Document, name: str, path: str = "") -> int | None:
    return None if is_null(document, name, path) else integer(document, name, INT64_MIN, INT64_MAX, path)


def _digits(at: int | None) -> str | None:
    return None if at is None else str(at)


def _check(instrument: Instrument) -> None:
    for name in ("source", "dataset", "raw_symbol"):
        if not getattr(instrument, name):
            raise BadData(name, "must not be empty")
    for name in _TEXTS_OR_NULL:
        if getattr(instrument, name) == "":
            raise BadData(name, "must be null where there is none, not empty")
    try:
        valid_day = date.fromisoformat(instrument.trading_day).isoformat() == instrument.trading_day
    except ValueError:
        valid_day = False
    if not valid_day:
        raise BadData("trading_day", f"must be a date as YYYY-MM-DD, is {instrument.trading_day!r}")
    for name in ("instrument_id", "underlying_id"):
        number = getattr(instrument, name)
        if number is not None and not 0 <= number <= _ID_MAX:
            raise BadData(name, f"must be within [0, {_ID_MAX}]")
    for name in (*_TIMES_OR_NULL, *_NUMBERS_OR_NULL, "ts_recv"):
        number = getattr(instrument, name)
        if number is not None and not INT64_MIN <= number <= INT64_MAX:
            raise BadData(name, "must fit 64 bits")
    _check_letter("instrument_class", instrument.instrument_class)
    if instrument.style not in (None, *STYLES):
        raise BadData("style", f"must be one of {', '.join(STYLES)}, or null")
    if instrument.update_action not in (None, *UPDATE_ACTIONS):
        raise BadData("update_action", f"must be one of {', '.join(UPDATE_ACTIONS)}, or null")
    if instrument.tick is not None:
        _check_tick_rule(instrument.tick)
    for leg in instrument.legs or ():
        _check_leg(leg)


def _check_letter(name: str, letter: str) -> None:
    if len(letter) != 1 or not letter.isascii() or not letter.isprintable():
        raise BadData(name, "must be one printable ASCII letter")


def _check_tick_rule(rule: TickRule) -> None:
    if rule.basis not in TICK_BASES:
        raise BadData("tick.basis", f"must be one of {', '.join(TICK_BASES)}")
    if not rule.steps or rule.steps[-1].up_to is not None:
        raise BadData("tick.steps", "must end with a step whose up_to is null")
    limits = [step.up_to for step in rule.steps[:-1]]
    if None in limits or limits != sorted(set(limits)):  # type: ignore[type-var]
        raise BadData("tick.steps.up_to", "must increase from step to step")
    for step in rule.steps:
        if not 0 <= step.increment <= INT64_MAX:
            raise BadData("tick.steps.increment", f"must be within [0, {INT64_MAX}]")
        if step.up_to is not None and not INT64_MIN <= step.up_to <= INT64_MAX:
            raise BadData("tick.steps.up_to", "must fit 64 bits")


def _check_leg(leg: Leg) -> None:
    if not 0 <= leg.instrument_id <= _ID_MAX:
        raise BadData("legs.instrument_id", f"must be within [0, {_ID_MAX}]")
    if not leg.raw_symbol:
        raise BadData("legs.raw_symbol", "must not be empty")
    _check_letter("legs.instrument_class", leg.instrument_class)
    if leg.side not in SIDES:
        raise BadData("legs.side", f"must be one of {', '.join(SIDES)}")
    for name in ("quantity_numerator", "quantity_denominator"):
        if not _INT32[0] <= getattr(leg, name) <= _INT32[1]:
            raise BadData(f"legs.{name}", "must fit 32 bits")
    for name in ("price", "delta"):
        number = getattr(leg, name)
        if number is not None and not INT64_MIN <= number <= INT64_MAX:
            raise BadData(f"legs.{name}", "must fit 64 bits")
