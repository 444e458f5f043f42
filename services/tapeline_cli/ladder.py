"""The strike ladder of a chain: calls to the left, puts to the right, and above them whether it can be trusted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from tapeline.errors import Misconfigured
from tapeline.model.instruments import product_of_future
from tapeline_cli.fitting import Fitting
from tapeline_cli.lines import counted

Document = Mapping[str, Any]
Shape = tuple[frozenset[str], str]

_CHICAGO: Final = ZoneInfo("America/Chicago")
_CALL_SIDE: Final = {
    "open_interest": "OI",
    "volume": "volume",
    "iv_mid": "IV",
    "delta": "delta",
    "bid": "call\nbid",
    "ask": "call\nask",
}
"""Fields and their headings, from the outside to the strike."""
_PUT_SIDE: Final = {
    "bid": "put\nbid",
    "ask": "put\nask",
    "delta": "delta",
    "iv_mid": "IV",
    "volume": "volume",
    "open_interest": "OI",
}
_FORMS: Final = {
    "open_interest": "{:,d}",
    "volume": "{:,d}",
    "iv_mid": "{:.1%}",
    "delta": "{:+.2f}",
    "bid": "{:,.2f}",
    "ask": "{:,.2f}",
}
_SHOWN_OTHERWISE: Final = {"stale_volume"}
"""Its volume is in brackets."""
_STALE_VOLUME: Final = "a volume in brackets is of an earlier day"
_SHAPES: Final[tuple[Shape, ...]] = (
    (frozenset(), " "),
    (frozenset(), "\n"),
    (frozenset({"volume"}), "\n"),
    (frozenset({"volume", "open_interest"}), "\n"),
    (frozenset({"volume", "open_interest", "delta"}), "\n"),
    (frozenset({"volume", "open_interest", "delta", "iv_mid"}), "\n"),
)
"""Which fields are left out, and what stands between flags: from the widest screen to the narrowest."""
_OLD_S: Final = 5.0
"""A live chain older than this is marked."""


def parse_expiry(text: str) -> date:
    """Return the day (in Chicago) that `text` names. Raises Misconfigured where it is no date."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Misconfigured(f"--expiry must be a date such as 2026-11-27, is {text!r}") from None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which expiries are to be shown: `underlying` is a future (``NQZ6``), a product (``NQ``) or empty for any.

    `expiry` is a day in Chicago, None for any.
    """

    underlying: str = ""
    expiry: date | None = None

    def covers(self, document: Document) -> bool:
        """Return whether a message, with its underlying and expiry, is to be shown."""
        future = document["underlying"]
        if self.underlying and self.underlying not in (future, product_of_future(future)):
            return False
        return self.expiry is None or chicago(document["expiry"]).date() == self.expiry

    def __str__(self) -> str:
        return f"of {self.underlying or 'any underlying'}" + (f" to {self.expiry}" if self.expiry else "")


class Ladder:
    """Keeps the newest chain per key and shows the one that expires next.

    `strikes` is how many to show on each side of the money. `now_ns` gives the time, by which ages are told.
    """

    def __init__(self, wanted: Wanted, strikes: int, now_ns: Callable[[], int]) -> None:
        self._wanted = wanted
        self._strikes = strikes
        self._now_ns = now_ns
        self._chains: dict[str, Document] = {}

    def update(self, chain: Document) -> None:
        """Take a message of a topic of chains."""
        if self._wanted.covers(chain):
            self._chains[chain["key"]] = chain

    def table(self) -> RenderableType:
        """Return the ladder of the chain that expires next, and the names of the others."""
        now_ns = self._now_ns()
        chains = sorted(self._chains.values(), key=lambda chain: int(chain["expiry"]))
        alive = [chain for chain in chains if int(chain["expiry"]) > now_ns] or chains[-1:]
        if not alive:
            return self._empty()
        return Fitting(_SHAPES, lambda shape: self._draw(alive[0], alive[1:], now_ns, shape))

    def _draw(self, chain: Document, others: Sequence[Document], now_ns: int, shape: Shape) -> Table:
        left_out, between_flags = shape
        calls, puts = ([name for name in side if name not in left_out] for side in (_CALL_SIDE, _PUT_SIDE))
        table = Table(title=_title(chain, now_ns), expand=False)
        for heading in (*(_CALL_SIDE[name] for name in calls), "strike", *(_PUT_SIDE[name] for name in puts)):
            table.add_column(heading, justify="right")
        table.add_column("flags")
        has_stale_volume = False
        for strike, is_at_the_money, call, put in _around_the_money(chain, self._strikes):
            cells = [_cell(call, name) for name in calls]
            cells.append(Text(f"{strike:,g}", "bold reverse" if is_at_the_money else "bold"))
            cells += [_cell(put, name) for name in puts]
            rows = [row for row in (call, put) if row is not None]
            flags = sorted({flag for row in rows for flag in row["flags"]} - _SHOWN_OTHERWISE)
            table.add_row(*cells, Text(between_flags.join(flags), "yellow"))
            has_stale_volume |= any(row.get("volume_is_stale") for row in rows)
        named = [f"{other['underlying']} {chicago(other['expiry']):%Y-%m-%d}" for other in others]
        table.caption = _caption(chain, named, has_stale_volume and "volume" not in left_out)
        return table

    def _empty(self) -> Table:
        table = Table(title="option chain")
        table.add_column(f"no chain yet {self._wanted}")
        table.add_row("what came before is shown with --from-start")
        return table


def _title(chain: Document, now_ns: int) -> Text:
    age_s = (now_ns - int(chain["as_of"])) / 1e9
    mode, verdict = chain["mode"], chain.get("verdict")
    left = int(chain["expiry"]) - now_ns
    said = Text(f"{chain['underlying']} options to {chicago(chain['expiry']):%a %d %b %Y %H:%M} Chicago")
    said.append(f" ({_duration(left / 1e9)})\n" if left > 0 else " (expired)\n", "dim" if left > 0 else "bold red")
    is_fresh = mode == "live" and age_s <= _OLD_S
    vendor = "" if chain["vendor"] == chain["source"] else f" ({chain['vendor']})"
    said.append(
        f"{chain['source']}{vendor} {mode}, {_duration(age_s)} old", "bold green" if is_fresh else "bold yellow"
    )
    if chain["delay_s"]:
        said.append(f", delayed by the vendor {_duration(chain['delay_s'])}", "yellow")
    if (forward := chain["forward"]) is not None:
        said.append(f" · forward {forward['value']:,.2f} by {forward['from']}")
    if (price := chain["underlying_price"]) is not None:
        said.append(f" · {chain['underlying']} {price['value']:,.2f}")
    expected = "" if chain["expected"] is None else f" of {chain['expected']:,} ({chain['expected_from']})"
    said.append(f" · {chain['received']:,}{expected} contracts", "" if chain["complete"] else "yellow")
    if verdict is not None:
        is_clean = not (verdict["errors"] or verdict["warnings"])
        words = "no findings" if is_clean else _found(verdict)
        said.append(f" · {words}", "red" if verdict["errors"] else "")
    if chain["flags"]:
        said.append(" · " + " ".join(chain["flags"]), "bold yellow")
    return said


def _found(verdict: Document) -> str:
    rules = ", ".join(f"{rule} × {count:,}" for rule, count in verdict["rules"].items())
    return f"{counted(verdict['errors'], 'error')}, {counted(verdict['warnings'], 'warning')} ({rules})"


def _caption(chain: Document, others: list[str], has_stale_volume: bool) -> str:
    said = [_STALE_VOLUME] if has_stale_volume else []
    if (selection := chain.get("selection")) is not None:
        said.append(f"chosen because {selection['reason']}")
        said += [
            f"{each['source']} {each['mode']}: {each['remark']}"
            for each in selection["candidates"]
            if (each["source"], each["mode"]) != (chain["source"], chain["mode"])
            and each["remark"] != selection["reason"]
        ]
    if others:
        said.append(f"also: {', '.join(others)} (choose with --expiry)")
    return "; ".join(said)


def _around_the_money(chain: Document, strikes: int) -> list[tuple[float, bool, Document | None, Document | None]]:
    """Return (strike, is the nearest to the money, call, put), highest strike first."""
    rows: dict[float, dict[str, Document]] = {}
    for row in chain["contracts"]:
        rows.setdefault(row["strike"], {}).setdefault(row["right"], row)
    ordered = sorted(rows)
    if not ordered:
        return []
    middle = min(range(len(ordered)), key=lambda at: abs(ordered[at] - _money(chain, ordered)))
    shown = ordered[max(0, middle - strikes) : middle + strikes + 1]
    return [
        (strike, strike == ordered[middle], rows[strike].get("call"), rows[strike].get("put"))
        for strike in reversed(shown)
    ]


def _money(chain: Document, strikes: list[float]) -> float:
    for field in ("forward", "underlying_price"):
        if chain[field] is not None:
            return float(chain[field]["value"])
    return strikes[len(strikes) // 2]


def _cell(row: Document | None, name: str) -> Text:
    """Return a cell; what is not known is shown as such, never as 0."""
    value = None if row is None else row.get(name)
    if row is None or value is None:
        return Text("–", "dim")
    text = _FORMS[name].format(value)
    if name == "volume" and row.get("volume_is_stale"):
        return Text(f"({text})", "dim")
    return Text(text, {"bid": "green", "ask": "red"}.get(name, ""))


def chicago(at: str) -> datetime:
    """Return ns since the epoch, as text, as the time in Chicago."""
    return datetime.fromtimestamp(int(at) / 1e9, UTC).astimezone(_CHICAGO)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, hours = seconds / 60, seconds / 3600
    return f"{minutes:.0f} min" if hours < 2 else f"{hours:.0f} h" if hours < 48 else f"{hours / 24:.0f} days"
