"""What may go wrong at the site, as a test or a command asks for it.

| name | what happens | parameters |
|---|---|---|
| session-expired | the session of the call is gone; its cookies stay worthless | status |
| xsrf-rotated | the tokens that were given are worthless; the answer brings a new one | status |
| login-rejected | good credentials lead back to /login | |
| waf | a challenge page instead of the answer | status |
| html-instead-of-json | a page of HTML instead of the answer | status |
| http-error | an error, with Retry-After where one is asked for | status, retry_after, seconds |
| hang | no answer until the faults are cleared | |
| reset | the connection is reset after a share of the body | share |
| truncated-json | the body ends after a share of it, and its length says so | share |
| empty-chain | no rows | |
| expired-chain | no bid and no ask, settled off the tick grid | |
| partial-chain | the puts are missing, or some strikes of the calls, or rows that `total` counts | what |
| schema-drift | a field is renamed, missing, new, or of another type | what, field |
| wrong-symbol | the rows of another series | |
| stale | everything as it was when the fault began | |

All take `times`, how many requests it happens to (0: until it is cleared); `after`, how many it spares first; and `on`,
which requests: page, chain, quote, login-form, login, on-demand, or all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from tapeline.errors import BadData
from tapeline_simulator.barchart.market import MarketView

KINDS: Final = ("page", "chain", "quote", "login-form", "login", "on-demand")
ALL_KINDS: Final = "all"

AT_THE_DOOR: Final = frozenset(
    ("session-expired", "xsrf-rotated", "login-rejected", "waf", "html-instead-of-json", "http-error", "hang")
)
"""They happen to a request whoever sends it; the others to an answer that would have been given."""

_COMMON: Final = {"times": 1, "after": 0}
_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "session-expired": {"on": "chain", "status": 401},
    "xsrf-rotated": {"on": "chain", "status": 419},
    "login-rejected": {"on": "login"},
    "waf": {"on": "page", "status": 200},
    "html-instead-of-json": {"on": "chain", "status": 200},
    "http-error": {"on": "chain", "status": 503, "retry_after": "none", "seconds": 20},
    "hang": {"on": "chain"},
    "reset": {"on": "chain", "share": 0.5},
    "truncated-json": {"on": "chain", "share": 0.5},
    "empty-chain": {"on": "chain"},
    "expired-chain": {"on": "chain"},
    "partial-chain": {"on": "chain", "what": "side"},
    "schema-drift": {"on": "chain", "what": "renamed", "field": "bidPrice"},
    "wrong-symbol": {"on": "chain"},
    "stale": {"on": "chain"},
}
FAULT_NAMES: Final = tuple(_DEFAULTS)
_CHOICES: Final[Mapping[str, Mapping[str, Collection[Any]]]] = {
    "session-expired": {"status": (401, 403, 419)},
    "xsrf-rotated": {"status": (401, 403, 419)},
    "waf": {"status": (200, 403)},
    "html-instead-of-json": {"status": (200, 403)},
    "http-error": {"status": range(400, 600), "retry_after": ("seconds", "date", "none")},
    "partial-chain": {"what": ("side", "strikes", "total")},
    "schema-drift": {"what": ("renamed", "missing", "extra", "type")},
}


@dataclass(slots=True, eq=False)
class SiteFault:
    """One fault that was asked for; `times` and `after` count down. `view` is the market when it began."""

    name: str
    on: str
    times: int
    after: int
    parameters: Mapping[str, Any]
    view: MarketView

    def __getitem__(self, parameter: str) -> Any:
        """Return a parameter, which was checked."""
        return self.parameters[parameter]

    def describe(self) -> dict[str, Any]:
        """Return what a command shows of it."""
        return {"name": self.name, "on": self.on, "times": self.times, "after": self.after, **self.parameters}


class SiteFaults:
    """The faults of one site, the oldest first; belongs to the thread of the event loop."""

    def __init__(self, view: Callable[[], MarketView]) -> None:
        self._view = view
        self._waiting: list[SiteFault] = []
        self._cleared = asyncio.Event()

    def start(self, name: str, /, **parameters: Any) -> SiteFault:
        """Let a fault happen. Raises BadData that names the parameter, the rule and what there is to choose from."""
        checked = _checked(name, parameters)
        common = {key: checked.pop(key) for key in ("on", "times", "after")}
        fault = SiteFault(name, **common, parameters=checked, view=self._view())
        self._waiting.append(fault)
        return fault

    def active(self) -> list[SiteFault]:
        """Return what goes wrong now or will, oldest first."""
        return list(self._waiting)

    def clear(self) -> None:
        """Let nothing more go wrong, and let go of what hangs."""
        self._waiting.clear()
        self._cleared.set()
        self._cleared = asyncio.Event()

    async def wait_until_cleared(self) -> None:
        """Return once `clear` is called."""
        await self._cleared.wait()

    def take(self, kind: str, *, at_the_door: bool) -> SiteFault | None:
        """Return the fault that happens to this request of `kind`, and count it; None: all goes well."""
        for fault in self._waiting:
            if fault.on not in (ALL_KINDS, kind) or (fault.name in AT_THE_DOOR) is not at_the_door:
                continue
            if fault.after:
                fault.after -= 1
                continue
            if fault.times == 1:
                self._waiting.remove(fault)
            elif fault.times:
                fault.times -= 1
            return fault
        return None


def _checked(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    if name not in _DEFAULTS:
        raise BadData("name", f"must be one of {', '.join(FAULT_NAMES)}, is {name!r}")
    checked = {**_COMMON, **_DEFAULTS[name]}
    choices: dict[str, Collection[Any]] = {"on": (*KINDS, ALL_KINDS), **_CHOICES.get(name, {})}
    for parameter, value in parameters.items():
        if parameter not in checked:
            raise BadData(parameter, f"is no parameter of {name}, which takes {', '.join(checked)}")
        if parameter in choices and value not in choices[parameter]:
            raise BadData(parameter, f"must be one of {_listed(choices[parameter])}, is {value!r}")
        checked[parameter] = _value(parameter, value, checked[parameter])
    return checked


def _value(parameter: str, value: Any, default: Any) -> Any:
    if isinstance(default, float):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise BadData(parameter, f"must be within 0 and 1, is {value!r}")
    elif type(value) is not type(default) or (isinstance(value, int) and value < 0):
        kind = "a whole number from 0 on" if isinstance(default, int) else "text"
        raise BadData(parameter, f"must be {kind}, is {value!r}")
    return value


def _listed(choices: Collection[Any]) -> str:
    if isinstance(choices, range):
        return f"{choices.start} to {choices.stop - 1}"
    return ", ".join(str(choice) for choice in choices)
