"""One line of text per message, for people: feed events, instruments, quality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

Document = Mapping[str, Any]

_MOST_NAMED: Final = 5
_ACTIONS: Final = {"M": "(modified)", "D": "(deleted)"}
_SIGNS: Final = {"B": "+", "A": "−"}


def event_line(event: Document) -> str:
    """Return the line of a feed event."""
    where = f"{_moment(event['at'])} {event['source']} {event['stream']}"
    if event["type"] == "heartbeat":
        return f"{where} {event['kind']}: {_beat(event)}"
    if event["type"] == "source_changed":
        return f"{where} source_changed {event['was']} → {event['now']}: {event['reason']}"
    captures = f" (captured: {', '.join(event['captures'])})" if event.get("captures") else ""
    return f"{where} {event['type']} {event.get('reason') or event.get('gap') or ''}".rstrip() + captures


def _beat(event: Document) -> str:
    latency_ns = event["latency_p99_ns"]
    said = [counted(event["ticks"], "chain" if event["kind"] == "chain" else "tick")]
    if event["frame"] is not None:
        said.append(f"frame {event['frame']}")
    if latency_ns is not None:
        said.append(f"latency p99 {latency_ns / 1e6:,.1f} ms")
    return ", ".join(said)


def instrument_line(instrument: Document) -> str:
    """Return the line of an instrument; what its definition does not say is left out."""
    said = [
        instrument["trading_day"],
        f"{instrument['dataset']}/{instrument['parent'] or '–'}",
        f"{instrument['raw_symbol']}:",
        "user-defined" if instrument["user_defined"] else "",
        instrument["style"] or "",
        instrument["right"] or f"class {instrument['instrument_class']}",
        "" if instrument["strike"] is None else f"at {_number(instrument['strike'])}",
        "" if instrument["underlying"] is None else f"on {instrument['underlying']}",
        "" if instrument["expiry"] is None else f"until {_moment(instrument['expiry'])}",
        "" if instrument["multiplier"] is None else f"× {_number(instrument['multiplier'])}",
        "" if instrument["tick"] is None else _tick(instrument["tick"]),
        "" if not instrument["legs"] else "of " + ", ".join(map(_leg, instrument["legs"])),
        _ACTIONS.get(instrument["update_action"], ""),
    ]
    return " ".join(filter(None, said))


def quality_line(event: Document) -> str:
    """Return the line of a quality event."""
    return _QUALITY_LINES[event["type"]](event)


def _completeness_line(event: Document) -> str:
    said = [f"{event['quoted']:,} of {event['expected']:,} contracts have quoted since {_moment(event['since'])}"]
    if event["missing"]:
        said.append(f"missing {_some(event['missing_symbols'], event['missing'])}")
    if event["unlisted"]:
        said.append(f"without definition {_some(event['unlisted_ids'], event['unlisted'])}")
    if event["user_defined"]:
        said.append(f"{event['user_defined']:,} user-defined")
    if event["final"]:
        said.append("end of the trading day")
    return f"{_moment(event['at'])} {event['source']} {event['stream']} {event['trading_day']}: {'; '.join(said)}"


def _chain_check_line(event: Document) -> str:
    verdict = event["verdict"]
    said = [f"{counted(verdict['errors'], 'error')}, {counted(verdict['warnings'], 'warning')}"]
    said += [
        f"{finding['rule']} {finding['severity']}: {finding['detail']}" + _named(finding)
        for finding in event["findings"]
    ]
    if event["not_checked"]:
        said.append("not checked: " + ", ".join(f"{rule} ({why})" for rule, why in event["not_checked"].items()))
    vendor = "" if event["vendor"] == event["source"] else f" ({event['vendor']})"
    where = f"{event['source']}{vendor} {event['mode']} {event['chain']} as of {_moment(event['as_of'])}"
    return f"{_moment(event['at'])} {where}: {'; '.join(said)}"


def _tick_quality_line(event: Document) -> str:
    said = [f"{event['ticks']:,} ticks since {_moment(event['since'])}"]
    said += [f"{counted(event['errors'], 'error')}, {counted(event['warnings'], 'warning')}"]
    said += [
        f"{finding['rule']} {finding['severity']} {finding['symbol']} {counted(finding['count'], 'time')}:"
        f" {finding['detail']}" + "".join(f", {name} {number:,.10g}" for name, number in finding["numbers"].items())
        for finding in event["findings"]
    ]
    if event["not_checked"]:
        said.append("not checked: " + ", ".join(f"{rule} ({why})" for rule, why in event["not_checked"].items()))
    return f"{_moment(event['at'])} {event['source']} {event['stream']} {event['kind']}: {'; '.join(said)}"


_QUALITY_LINES: Final = {
    "contract_completeness": _completeness_line,
    "chain_check": _chain_check_line,
    "tick_quality": _tick_quality_line,
}


def counted(number: int, noun: str) -> str:
    """Return a number and what it counts."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _named(finding: Document) -> str:
    return f" ({_some(finding['contracts'], finding['count'])})" if finding["contracts"] else ""


def _some(names: Sequence[str | int], count: int) -> str:
    shown = ", ".join(str(name) for name in names[:_MOST_NAMED])
    more = count - min(len(names), _MOST_NAMED)
    return f"{shown} and {more:,} more" if more else shown


def _tick(rule: Document) -> str:
    steps = [
        _number(step["increment"]) + ("" if step["up_to"] is None else f" up to {_number(step['up_to'])}")
        for step in rule["steps"]
    ]
    return f"tick {', '.join(steps)}" + (" (assumed)" if rule["basis"] == "assumed" else "")


def _leg(leg: Document) -> str:
    ratio = "" if leg["quantity_denominator"] in (0, 1) else f"/{leg['quantity_denominator']}"
    return f"{_SIGNS.get(leg['side'], '')}{leg['quantity_numerator']}{ratio} {leg['raw_symbol']}"


def _number(value_e9: int) -> str:
    return f"{value_e9 / 1e9:,.12g}"


def _moment(at: str) -> str:
    return f"{datetime.fromtimestamp(int(at) / 1e9, UTC):%Y-%m-%d %H:%M:%S}"
