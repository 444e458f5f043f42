"""Every error Tapeline raises on purpose, split by what the operator must do.

    TapelineError
    ├── Retryable            wait and try again: the other side is away or busy
    │   ├── BrokerUnavailable    no Kafka broker answered in time
    │   ├── DeliveryFailed       Kafka did not take messages; says how many
    │   └── ReplayDistrusted     what a vendor sent again disagrees with the tape
    ├── Misconfigured        change a setting, install something, grant something
    │   ├── MissingExtra         an optional package is not installed
    │   ├── Refused              a vendor says no for good: key, entitlement or request
    │   └── TopicMismatch        a topic differs from schemas/topics.yaml
    ├── BadData              the input is wrong: it goes to the dead letters, the stream goes on
    ├── Fenced               another producer has taken the stream over: stop, do not retry
    └── Bug                  our own invariant does not hold: crash

A service adds its own leaves in its own ``errors.py``.
"""

from __future__ import annotations


class TapelineError(Exception):
    """Base of everything below; `exit_code` is what a command ends with."""

    exit_code = 1


class Retryable(TapelineError):
    """The other side is away or busy; the same call may succeed later."""


class BrokerUnavailable(Retryable):
    """No Kafka broker answered in time."""


class DeliveryFailed(Retryable):
    """Kafka did not take some messages.

    `undelivered` is the number of messages that were handed over and not acknowledged.
    """

    def __init__(self, message: str, undelivered: int) -> None:
        super().__init__(message)
        self.undelivered = undelivered


class ReplayDistrusted(Retryable):
    """What a vendor sent again disagrees with the tape; the next session begins anew."""


class Misconfigured(TapelineError):
    """A setting, an installation or a permission must change before a retry helps."""

    exit_code = 2


class MissingExtra(Misconfigured):
    """An optional package that the called part needs is not installed."""


class Refused(Misconfigured):
    """A vendor refuses for good: the key, what it is entitled to, or the request must change."""

    exit_code = 1


class TopicMismatch(Misconfigured):
    """A topic on the broker differs from its declaration in a way that is not mended automatically."""

    exit_code = 1


class BadData(TapelineError):
    """Input that breaks a rule.

    `field` names what is wrong (``columns.price``), `rule` says what must hold; the message carries both and,
    where there is one, the remedy.
    """

    def __init__(self, field: str, rule: str, remedy: str = "") -> None:
        super().__init__(f"{field}: {rule}" + (f" ({remedy})" if remedy else ""))
        self.field = field
        self.rule = rule
        self.remedy = remedy


class Fenced(TapelineError):
    """Another producer holds the stream with a higher epoch; this one must stop."""


class Bug(TapelineError):
    """An invariant of our own code does not hold; crash rather than go on."""


def cause_of(failed: ExceptionGroup[Exception]) -> Exception:
    """Return the first error of a group where all in it were raised on purpose; else the group, whose trace is wanted.

    Pure.
    """
    _, unforeseen = failed.split(TapelineError)
    error: Exception = failed
    while unforeseen is None and isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
