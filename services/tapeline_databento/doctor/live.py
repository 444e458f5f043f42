"""What a sample of the live feed shows: whether it may be had, what came, which symbols mean nothing. Pure."""

from __future__ import annotations

import re
from typing import Final

from tapeline.errors import Refused, TapelineError
from tapeline.feed.doctor import Check
from tapeline.feed.source import Pair
from tapeline_databento.doctor.account import NEW_KEY, SUBSCRIBE
from tapeline_databento.doctor.sample import LiveSample, symbols_of
from tapeline_databento.errors import GatewayError, KeyRefused

AUTHENTICATION: Final = "live-authentication"
ENTITLEMENT: Final = "live-entitlement"
SYMBOLS: Final = "symbols"
DATA: Final = "live-data"

REACH_GATEWAY: Final = (
    "see whether this computer reaches it (firewall, TAPELINE_DATABENTO_GATEWAY, TAPELINE_DATABENTO_PORT), and whether"
    " databento.com reports an incident; then try again"
)
_TOO_MANY: Final = (
    "end other sessions of this account (each producer has up to three; the plan limits them), wait a minute and try"
    " again; else see whether databento.com reports an incident"
)
_ABOUT_DATASET: Final = ("entitle", "licen", "subscri", "dataset", "permission")
_SUBSCRIPTIONS: Final = "correct TAPELINE_DATABENTO_SUBSCRIPTIONS; symbols end: contracts expire, and parents are exact"
_LONGER: Final = "listen for longer (--seconds 30), and see whether the market has halted"


def handshake_checks(dataset: str, gateway: str, error: TapelineError | None) -> list[Check]:
    """Return whether the gateway takes the key, and whether for this dataset; `error` is what the handshake raised."""
    if error is None:
        return [
            Check(AUTHENTICATION, "ok", f"{gateway} accepts the key"),
            Check(ENTITLEMENT, "ok", f"{gateway} accepts the key for {dataset}"),
        ]
    not_known = Check(ENTITLEMENT, "skipped", "it takes authentication with the gateway")
    if not isinstance(error, Refused):
        return [Check(AUTHENTICATION, "red", str(error), _remedy(error)), not_known]
    if is_about_dataset(str(error), dataset):
        return [
            Check(AUTHENTICATION, "ok", f"{gateway} knows the key"),
            Check(ENTITLEMENT, "red", str(error), SUBSCRIBE),
        ]
    return [Check(AUTHENTICATION, "red", str(error), NEW_KEY), not_known]


def is_about_dataset(refusal: str, dataset: str) -> bool:
    """Return whether the gateway's words are about what the account may have, and not about the key."""
    # Our own words behind the gateway's speak of entitlement too.
    said = refusal.partition("; check the key")[0].lower()
    return dataset.lower() in said or any(each in said for each in _ABOUT_DATASET)


def symbols_check(sample: LiveSample) -> Check:
    """Return whether each symbol that is subscribed to means instruments."""
    symbols = symbols_of(sample.plan)
    if sample.unresolved:
        told = list(dict.fromkeys(sample.unresolved))
        named = [symbol for symbol in symbols if any(_names(text, symbol) for text in told)]
        return Check(SYMBOLS, "red", f"not resolved: {', '.join(named) or 'some'} ({'; '.join(told)})", _SUBSCRIPTIONS)
    silent = [stream for stream, instruments in sample.instruments.items() if not instruments]
    found = f"{sum(sample.instruments.values()):,} instruments of {', '.join(symbols)}"
    if silent:
        detail = f"{found}; the gateway has named none of {', '.join(silent)} yet"
        return Check(SYMBOLS, "warning", detail, "listen for longer (--seconds 30)")
    return Check(SYMBOLS, "ok", found)


def data_check(sample: LiveSample, *, is_open: bool) -> Check:
    """Return what came per stream and kind; nothing is a fault only where the market trades."""
    seconds = f"{sample.seconds:.1f} s"
    came = [_said(sample, pair) for pair in sorted(sample.plan.pairs) if _came(sample, pair)]
    said = "; ".join([f"in {seconds}", *came, *dict.fromkeys(sample.complaints)])
    if sample.fault is not None:
        remedy = _remedy(sample.fault)
        return Check(DATA, "red", f"the session ended after {seconds}: {sample.fault}", remedy)
    if not came and not sample.messages:
        return Check(DATA, "red", f"the gateway sent nothing in {seconds}, not even an acknowledgement", REACH_GATEWAY)
    quoted = [pair for pair in sorted(sample.plan.pairs) if pair[1] in ("mbo", "l1")]
    quiet = [pair for pair in quoted if not sample.ticks[pair]]
    if not is_open:
        return Check(DATA, "ok", said if came else f"nothing came in {seconds}: the market is closed")
    if quoted and len(quiet) == len(quoted):
        return Check(DATA, "red", f"{said}: no orders and no quotes, and the market is open", _LONGER)
    if not came:
        return Check(DATA, "warning", f"nothing came in {seconds}, and the market is open", _LONGER)
    if quiet:
        return Check(DATA, "warning", f"{said}; no {', no '.join(map(_name, quiet))}", _LONGER)
    return Check(DATA, "warning" if sample.complaints else "ok", said)


def _remedy(fault: TapelineError) -> str:
    """Return what to do about what the gateway refuses, or ends with."""
    match fault:
        case KeyRefused():
            return NEW_KEY
        case Refused():
            return _SUBSCRIPTIONS
        case GatewayError():
            return _TOO_MANY
    return REACH_GATEWAY


def _came(sample: LiveSample, pair: Pair) -> bool:
    return bool(sample.ticks[pair] or sample.snapshot_ticks[pair])


def _said(sample: LiveSample, pair: Pair) -> str:
    said = f"{_name(pair)}: {sample.ticks[pair]:,} ticks"
    if sample.snapshot_ticks[pair]:
        said += f" and {sample.snapshot_ticks[pair]:,} of snapshots"
    latency_ms = sample.latency_ms(pair)
    if latency_ms is not None:
        said += f", latency p50 {latency_ms[0]:,.1f} ms, p99 {latency_ms[1]:,.1f} ms"
    return said


def _name(pair: Pair) -> str:
    return f"{pair[1]} of {pair[0]}"


def _names(text: str, symbol: str) -> bool:
    """Return whether a text names a symbol, and not only a longer one."""
    return re.search(rf"(?<![\w.]){re.escape(symbol)}(?!\w|\.\w)", text) is not None
