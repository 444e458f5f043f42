"""Settings of incidents and of the webhooks that are told of them."""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr

from tapeline.ops.settings import ServiceSettings
from tapeline_watchdog.feed_findings import FeedHolds
from tapeline_watchdog.group_findings import LagLimits
from tapeline_watchdog.incident_messages import Form
from tapeline_watchdog.incidents import IncidentRules
from tapeline_watchdog.webhooks import Patience, Webhook


def _urls(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    urls = [part for part in re.split(r"[\s,]+", value) if part]
    for number, url in enumerate(urls, 1):
        if not _is_address(url):
            # It may hold a secret even so, and is not shown.
            raise ValueError(f"must be addresses that begin with https:// or http://; number {number} is none")
    return tuple(SecretStr(url) for url in urls)


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # Two dots in a row, for one, make no name of a host.
        return parts.scheme in ("http", "https") and bool((parts.hostname or "").encode("idna"))
    except ValueError:
        return False


Urls = Annotated[tuple[SecretStr, ...], BeforeValidator(_urls)]


class IncidentSettings(ServiceSettings):
    """When something is an incident, and who is told."""

    incident_disconnected_s: float = Field(15.0, ge=0.0, le=86_400.0)
    """A feed that is disconnected or silent for longer than this is an incident."""

    incident_restart_s: float = Field(300.0, ge=0.0, le=86_400.0)
    """How long a service that was ended in order may take to come back without an incident."""

    incident_degraded_s: float = Field(120.0, ge=0.0, le=86_400.0)
    """A feed that is degraded for longer than this is an incident."""

    incident_gap_s: float = Field(1_800.0, ge=0.0, le=604_800.0)
    """A gap that is not filled so long after it ended is an incident."""

    incident_lag_s: float = Field(60.0, gt=0.0, le=604_800.0)
    """A consumer group that is further behind than this, in time between records, is an incident."""

    incident_lag_hold_s: float = Field(60.0, ge=0.0, le=86_400.0)
    """For how long a group must be so far behind, or have stopped, before that is an incident."""

    incident_broker_s: float = Field(10.0, ge=0.0, le=86_400.0)
    """Kafka's not answering for longer than this is an incident, which is written once it is back."""

    incident_dead_letters_s: float = Field(300.0, ge=0.0, le=86_400.0)
    """Bad data that was set aside is an incident at once, and until so long after the last of it."""

    incident_well_s: float = Field(60.0, ge=0.0, le=86_400.0)
    """For how long all must be well before an incident is over; twice as long for each time that it came back."""

    incident_again_s: float = Field(600.0, ge=0.0, le=604_800.0)
    """What comes back within this time after it was over is the same incident."""

    webhook_urls: Urls = ()
    """Addresses that are told of incidents with POSTs of JSON, comma separated; secret, so better in a `…_FILE`."""

    slack_webhook_urls: Urls = ()
    """Addresses of Slack's incoming webhooks, or of what takes the same, comma separated; secret as well."""

    webhook_timeout_s: float = Field(10.0, gt=0.0, le=300.0)
    """Longest wait for a webhook's answer."""

    webhook_attempts: int = Field(10, ge=1, le=100)
    """How often a webhook is told the same, if it does not take it, before it is given up."""

    def incident_rules(self) -> IncidentRules:
        """Return when an incident is over, and when it is the same one again."""
        return IncidentRules(well_ns=round(self.incident_well_s * 1e9), again_ns=round(self.incident_again_s * 1e9))

    def feed_holds(self) -> FeedHolds:
        """Return from when on a fault of a feed is an incident."""
        return FeedHolds(
            disconnected_ns=round(self.incident_disconnected_s * 1e9),
            silent_ns=round(self.incident_disconnected_s * 1e9),
            degraded_ns=round(self.incident_degraded_s * 1e9),
            restart_ns=round(self.incident_restart_s * 1e9),
        )

    def lag_limits(self) -> LagLimits:
        """Return from when on a group's lag is an incident."""
        return LagLimits(lag_s=self.incident_lag_s, hold_ns=round(self.incident_lag_hold_s * 1e9))

    def broker_limit_ns(self) -> int:
        """Return for how long (ns) Kafka may be away without an incident."""
        return round(self.incident_broker_s * 1e9)

    def dead_letters_last_ns(self) -> int:
        """Return for how long (ns) a dead letter counts."""
        return round(self.incident_dead_letters_s * 1e9)

    def webhooks(self) -> tuple[Webhook, ...]:
        """Return who is told of incidents."""
        forms: tuple[tuple[Form, Urls], ...] = (("json", self.webhook_urls), ("slack", self.slack_webhook_urls))
        return tuple(
            Webhook(f"{form}-{number}", form, url) for form, urls in forms for number, url in enumerate(urls, 1)
        )

    def patience(self) -> Patience:
        """Return how webhooks are told."""
        return Patience(timeout_s=self.webhook_timeout_s, attempts=self.webhook_attempts)
