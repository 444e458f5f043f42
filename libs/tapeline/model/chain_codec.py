"""Option chains as JSON (schemas/option-chain.v1.json)."""

from __future__ import annotations

from typing import Any, Final, cast

from tapeline.errors import BadData
from tapeline.model.chain_rows import ALL_FIELDS, contracts_of, decimal_number, rows_of, scaled_number
from tapeline.model.chains import (
    EXPECTED_FROM,
    FORWARDS_FROM,
    MODES,
    PRICES_FROM,
    SETTLEMENT_METHODS,
    Candidate,
    Chain,
    Forward,
    Selection,
    UnderlyingPrice,
    Verdict,
)
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
    texts,
)
from tapeline.model.instruments import STYLES

SCHEMA: Final = "option-chain.v1"

_TEXTS: Final = ("source", "vendor", "underlying")
_TEXTS_OR_NULL: Final = ("series", "vendor_series", "currency")
_TIMES: Final = ("expiry", "as_of", "fetched_at", "published_at")
_CHOICES_OR_NULL: Final = {
    "style": STYLES,
    "settlement_method": SETTLEMENT_METHODS,
    "expected_from": EXPECTED_FROM,
}


def encode_chain(chain: Chain) -> bytes:
    """Return the chain as JSON bytes. Raises BadData where it breaks a rule of the schema."""
    _check(chain)
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "key": chain.key,
        "source": chain.source,
        "vendor": chain.vendor,
        "mode": chain.mode,
        "underlying": chain.underlying,
        "series": chain.series,
        "vendor_series": chain.vendor_series,
        "expiry": str(chain.expiry),
        "style": chain.style,
        "settlement_method": chain.settlement_method,
        "multiplier": None if chain.multiplier is None else decimal_number(chain.multiplier, "multiplier"),
        "currency": chain.currency,
        "as_of": str(chain.as_of),
        "fetched_at": str(chain.fetched_at),
        "published_at": str(chain.published_at),
        "age_s": chain.age_s,
        "delay_s": chain.delay_s,
        "underlying_price": None,
        "forward": None,
        "rate": chain.rate,
        "expected": chain.expected,
        "expected_from": chain.expected_from,
        "received": len(chain.contracts),
        "complete": chain.complete,
        "computed": chain.computed,
        "approximate": chain.approximate,
        "flags": chain.flags,
    }
    if (price := chain.underlying_price) is not None:
        at = None if price.at is None else str(price.at)
        document["underlying_price"] = {
            "value": decimal_number(price.value, "underlying_price.value"),
            "from": price.source,
            "at": at,
        }
    if (forward := chain.forward) is not None:
        document["forward"] = {
            "value": forward.value,
            "from": forward.source,
            "pairs": forward.pairs,
            "deviation": forward.deviation,
        }
    if (verdict := chain.verdict) is not None:
        document["verdict"] = {"errors": verdict.errors, "warnings": verdict.warnings, "rules": dict(verdict.rules)}
    if chain.selection is not None:
        document["selection"] = _selection_document(chain.selection)
    document["contracts"] = rows_of(chain.contracts, chain.symbols())
    return dump(document)


def decode_chain(value: bytes) -> Chain:
    """Return the chain in `value`. Raises BadData that names the field and the rule it breaks."""
    document = object_of(value, SCHEMA)
    plain: dict[str, Any] = {name: text(document, name) for name in _TEXTS}
    plain |= {name: None if is_null(document, name) else text(document, name) for name in _TEXTS_OR_NULL}
    plain |= {name: nanoseconds(document, name) for name in _TIMES}
    plain |= {
        name: None if is_null(document, name) else one_of(document, name, allowed)
        for name, allowed in _CHOICES_OR_NULL.items()
    }
    rows = mappings(document, "contracts")
    contracts = contracts_of(rows)
    chain = Chain(
        **plain,
        mode=cast(Any, one_of(document, "mode", MODES)),
        multiplier=None
        if is_null(document, "multiplier")
        else scaled_number(_float(document, "multiplier"), "multiplier"),
        delay_s=None if is_null(document, "delay_s") else _float(document, "delay_s"),
        underlying_price=None if is_null(document, "underlying_price") else _underlying_price(document),
        forward=None if is_null(document, "forward") else _forward(mapping(document, "forward")),
        rate=None if is_null(document, "rate") else _float(document, "rate"),
        expected=None if is_null(document, "expected") else integer(document, "expected", 0, INT64_MAX),
        complete=None if is_null(document, "complete") else _truth(document, "complete"),
        computed=texts(document, "computed"),
        approximate=_truth(document, "approximate"),
        flags=texts(document, "flags"),
        contracts=contracts,
        verdict=_verdict(mapping(document, "verdict")) if "verdict" in document else None,
        selection=_selection(mapping(document, "selection")) if "selection" in document else None,
    )
    _float(document, "age_s")
    if integer(document, "received", 0, INT64_MAX) != len(contracts):
        raise BadData("received", f"must be the number of contracts, {len(contracts)}")
    if text(document, "key") != chain.key:
        raise BadData("key", f"must be made of underlying and expiry, {chain.key}")
    _check(chain)
    for row, (told, symbol) in enumerate(zip(rows, chain.symbols(), strict=True)):
        if told.get("symbol") != symbol:
            raise BadData(f"contracts[{row}].symbol", f"must be {symbol!r}, is {told.get('symbol')!r}")
    return chain


def _underlying_price(document: Document) -> UnderlyingPrice:
    price = mapping(document, "underlying_price")
    path = "underlying_price"
    return UnderlyingPrice(
        value=scaled_number(_float(price, "value", f"{path}.value"), f"{path}.value"),
        source=cast(Any, one_of(price, "from", PRICES_FROM, f"{path}.from")),
        at=None if is_null(price, "at", f"{path}.at") else nanoseconds(price, "at", f"{path}.at"),
    )


def _forward(document: Document) -> Forward:
    is_known = not is_null(document, "deviation", "forward.deviation")
    return Forward(
        value=_float(document, "value", "forward.value"),
        source=cast(Any, one_of(document, "from", FORWARDS_FROM, "forward.from")),
        pairs=integer(document, "pairs", 0, INT64_MAX, "forward.pairs"),
        deviation=_float(document, "deviation", "forward.deviation") if is_known else None,
    )


def _verdict(document: Document) -> Verdict:
    rules = mapping(document, "rules", "verdict.rules")
    for rule in rules:
        integer(rules, rule, 0, INT64_MAX, f"verdict.rules.{rule}")
    counts = {name: integer(document, name, 0, INT64_MAX, f"verdict.{name}") for name in ("errors", "warnings")}
    return Verdict(**counts, rules=dict(rules))


def _selection_document(selection: Selection) -> Document:
    candidates = [
        {name: getattr(candidate, name) for name in Candidate.__dataclass_fields__} | {"as_of": str(candidate.as_of)}
        for candidate in selection.candidates
    ]
    return {
        "reason": selection.reason,
        "at": str(selection.at),
        "since": str(selection.since),
        "candidates": candidates,
    }


def _selection(document: Document) -> Selection:
    return Selection(
        reason=text(document, "reason", "selection.reason"),
        at=nanoseconds(document, "at", "selection.at"),
        since=nanoseconds(document, "since", "selection.since"),
        candidates=tuple(map(_candidate, mappings(document, "candidates", "selection.candidates"))),
    )


def _candidate(document: Document) -> Candidate:
    path = "selection.candidates"
    is_told = not is_null(document, "complete", f"{path}.complete")
    return Candidate(
        source=text(document, "source", f"{path}.source"),
        mode=cast(Any, one_of(document, "mode", MODES, f"{path}.mode")),
        as_of=nanoseconds(document, "as_of", f"{path}.as_of"),
        age_s=_float(document, "age_s", f"{path}.age_s"),
        complete=_truth(document, "complete", f"{path}.complete") if is_told else None,
        errors=integer(document, "errors", 0, INT64_MAX, f"{path}.errors"),
        warnings=integer(document, "warnings", 0, INT64_MAX, f"{path}.warnings"),
        eligible=_truth(document, "eligible", f"{path}.eligible"),
        remark=text(document, "remark", f"{path}.remark"),
    )


def _float(document: Document, name: str, path: str = "") -> float:
    value = document.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise BadData(path or name, f"must be a number, is {value!r}")
    return float(value)


def _truth(document: Document, name: str, path: str = "") -> bool:
    value = document.get(name)
    if not isinstance(value, bool):
        raise BadData(path or name, "must be true or false")
    return value


def _check(chain: Chain) -> None:
    for name in _TEXTS:
        if not getattr(chain, name):
            raise BadData(name, "must not be empty")
    for name in _TEXTS_OR_NULL:
        if getattr(chain, name) == "":
            raise BadData(name, "must be null where there is none, not empty")
    for name in _TIMES:
        if not INT64_MIN <= getattr(chain, name) <= INT64_MAX:
            raise BadData(name, "must fit 64 bits")
    if chain.mode not in MODES:
        raise BadData("mode", f"must be one of {', '.join(MODES)}, is {chain.mode!r}")
    if (chain.expected is None) != (chain.expected_from is None):
        raise BadData("expected_from", "must be there with expected, and only then")
    if chain.expected is not None and not 0 <= chain.expected <= INT64_MAX:
        raise BadData("expected", f"must be within [0, {INT64_MAX}]")
    if unknown := [name for name in chain.computed if name not in (*ALL_FIELDS, "forward")]:
        raise BadData("computed", f"must name fields of a chain, not {', '.join(unknown)}")
    if not all(chain.flags):
        raise BadData("flags", "must not hold an empty flag")
