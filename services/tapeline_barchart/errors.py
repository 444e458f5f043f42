"""What can go wrong between us and Barchart. Each leaf is one thing that an operator reads, and one thing to do.

Retryable
└── FetchFailed        an answer that is none; `captures` names files that show it, where there are any
    ├── SiteAway           no connection, a time-out, a reset, a 5xx
    ├── CutAnswer          the answer ended before it was whole
    ├── NotJson            a page or something else where JSON should be
    ├── Challenged         the site's firewall wants a proof that only a browser gives
    ├── SessionInvalid     401, 403, 419, or sent to the login page: the session must be made anew
    ├── Throttled          429: too many calls; says for how long to be quiet, where the site says it
    ├── UnexpectedStatus   any other status that is no success
    ├── HeldOff            nothing is asked now: the site wants quiet, or the breaker is open
    └── SeriesUnknown      the site's own list does not have the series
BadData
└── BadChain           JSON, but not the chain that was asked for; it goes to the dead letters
    ├── EmptyChain         not one contract
    ├── PartialChain       contracts, a side or strikes are missing
    ├── ExpiredChain       nothing in it is quoted: what is left of a series after its end
    └── OtherSymbol        another series than the one that was asked for
Misconfigured
└── Refused
    ├── LoginRefused       the site does not accept the credentials; not tried again before a new start
    └── KeyRefused         OnDemand does not accept the key
"""

from __future__ import annotations

from tapeline.errors import BadData, Refused, Retryable


class FetchFailed(Retryable):
    """The site was asked, and did not give what was asked for. `captures` are names in the folder of captures."""

    def __init__(self, message: str, captures: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.captures = captures


class SiteAway(FetchFailed):
    """The site does not answer, or not now."""


class CutAnswer(FetchFailed):
    """The answer ended before it was whole."""


class NotJson(FetchFailed):
    """The answer is not what it should be: a page, or nothing."""


class Challenged(FetchFailed):
    """The site's firewall answered instead of the site."""


class SessionInvalid(FetchFailed):
    """The site does not, or no longer, accept the session."""


class Throttled(FetchFailed):
    """The site says that it was asked too often; `retry_after_s` is how long it wants quiet, None: it does not say."""

    def __init__(self, message: str, retry_after_s: float | None, captures: tuple[str, ...] = ()) -> None:
        super().__init__(message, captures)
        self.retry_after_s = retry_after_s


class UnexpectedStatus(FetchFailed):
    """The site answered with a status that means neither success nor anything known."""


class HeldOff(FetchFailed):
    """Nothing is asked of the site for another `rest_s`."""

    def __init__(self, message: str, rest_s: float) -> None:
        super().__init__(message)
        self.rest_s = rest_s


class SeriesUnknown(FetchFailed):
    """The site's list has no such series."""


class BadChain(BadData):
    """An answer that is not the chain that was asked for."""


class EmptyChain(BadChain):
    """The answer has no contract."""


class PartialChain(BadChain):
    """The answer lacks contracts."""


class ExpiredChain(BadChain):
    """The answer is of options that nobody quotes any more."""


class OtherSymbol(BadChain):
    """The answer is of another series."""


class LoginRefused(Refused):
    """The site does not accept the credentials. `captures` are names in the folder of captures."""

    def __init__(self, message: str, captures: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.captures = captures


class KeyRefused(Refused):
    """OnDemand does not accept the key."""


def captures_of(error: Exception) -> tuple[str, ...]:
    """Return the names of the files that show what an error met."""
    captures: tuple[str, ...] = getattr(error, "captures", ())
    return captures
