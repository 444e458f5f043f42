"""How the simulated site treats its visitors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Auth = Literal["a", "b"]
"""What the core API asks for: `a` the cookies of a page and the matching x-xsrf-token, `b` sec-fetch-site alone."""
RetryAfter = Literal["seconds", "date", "none"]


@dataclass(frozen=True, slots=True)
class SiteSettings:
    """The defaults are the vendor's, as far as they are known."""

    auth: Auth = "a"
    accounts: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Passwords of those who may log in, by email."""
    keys: frozenset[str] = field(default=frozenset(), repr=False)
    """API keys of OnDemand that are good."""
    calls_per_minute: float = 60.0
    """Of the core API, and as many of OnDemand; as many at once."""
    retry_after: RetryAfter = "seconds"
    """In which form a refusal for too many calls says how long to wait."""
    delay_s: float = 900.0
    """By how much the site says that its prices are delayed, at least."""
    csrf_late_ms: int | None = None
    """The page's script puts the CSRF token into its head so much later; None: it is there from the beginning."""
