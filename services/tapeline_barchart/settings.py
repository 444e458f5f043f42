"""Settings of the Barchart producer."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import ClassVar, Final, Literal
from urllib.parse import urlsplit
from zoneinfo import available_timezones

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from tapeline.feed.resume import ResumeLimits
from tapeline.feed.source import FeedSettings
from tapeline.ops.state import state_folder
from tapeline_barchart.following import parse_follow
from tapeline_barchart.hybrid import parse_policies

Strategy = Literal["headers", "session", "browser", "login", "on-demand"]

_OFF: Final = (
    "Barchart is off, as it is unless you turn it on: to read its site by a program may breach its terms of use, which"
    " are yours to read and to keep (barchart.com, Terms of Use). The licensed way is its OnDemand API"
    " (TAPELINE_BARCHART_AUTHENTICATION=on-demand and a key); either way set TAPELINE_BARCHART_ENABLED=true"
)
_SITE: Final = "https://www.barchart.com"
_ON_DEMAND: Final = "https://ondemand.websol.barchart.com"


class BarchartSettings(FeedSettings):
    """What to follow, how to be let in, how often to ask, and what may take a live chain's place."""

    service: ClassVar[str] = "barchart"

    enabled: bool = Field(default=False, validate_default=True)
    """Whether the producer runs at all; off by default, for the site's terms of use are yours to accept."""
    authentication: Strategy = "browser"
    """How to be let in: `headers` alone, `session` (the page, without a browser), `browser`, `login`, `on-demand`."""
    products: str = Field(default="NQ", pattern=r"^[A-Z0-9]{1,3}( *, *[A-Z0-9]{1,3})*$")
    """Products of futures whose option chains are followed, with commas: NQ."""
    series: str = "next:2"
    """Which expiries: `next:N` of each product, `all`, or the vendor's own names with commas (MC2M25, MQ2M25)."""
    policy: str = "*=live:86400, cache:7200, saved:86400"
    """Which modes may be published, per stream: ``stream=mode:age, mode:age; …``; a stream is ``*``, a product or a
    series, an age the oldest that data may be, in s of open market, without one any."""
    site: str = _SITE
    """Address of the site."""
    on_demand: str = _ON_DEMAND
    """Address of the OnDemand API."""
    email: SecretStr = Field(default=SecretStr(""), validate_default=True)
    """With `login`: the account's e-mail address."""
    password: SecretStr = Field(default=SecretStr(""), validate_default=True)
    """With `login`: its password."""
    on_demand_key: SecretStr = Field(default=SecretStr(""), validate_default=True)
    """With `on-demand`: the key."""
    user_agent: str = Field(default="Mozilla/5.0 (X11; Linux x86_64) tapeline", min_length=1)
    """What requests without a browser call themselves."""
    dataset: str = "GLBX.MDP3"
    """Whose calendar says when the market trades; one that is not an exchange's never closes."""
    poll_s: float = Field(default=300.0, gt=0)
    """Time (s) between two polls of a series while the market trades."""
    poll_closed_s: float = Field(default=1_800.0, gt=0)
    """The same while it does not."""
    retry_s: float = Field(default=60.0, gt=0)
    """Time (s) from a poll that failed to the next, if that is less."""
    market_hours_only: bool = False
    """Poll only while the market trades."""
    ask_underlying: bool = True
    """Ask for the future's own price too: one more call per underlying and round."""
    cache_s: float = Field(default=300.0, ge=0)
    """How long (s) a chain that was fetched saves another call while the market trades."""
    cache_closed_s: float = Field(default=1_800.0, ge=0)
    """The same while it does not."""
    kept_folder: Path | None = None
    """Folder of the last chain of each series; by default `barchart/kept` in the state folder."""
    saved_folder: Path | None = None
    """Folder of captures that may take the place of live and kept chains; none: there are no saved chains."""
    saved_time_zone: str = ""
    """Time zone of clocks in saved files that name none (America/Chicago); by default it is guessed, and marked so."""
    calls_per_minute: int = Field(default=20, ge=1)
    """Most calls of one host within any 60 s, by all processes of this machine together, over restarts."""
    call_spacing_s: float = Field(default=1.0, ge=0, le=60)
    """Shortest time (s) between two calls of one host."""
    delay_s: float = Field(default=900.0, ge=0)
    """By how much (s) the vendor delays its data: what every chain says of itself."""
    connect_timeout_s: float = Field(default=10.0, gt=0)
    """Longest time (s) that a connection may take."""
    timeout_s: float = Field(default=30.0, gt=0)
    """Longest time (s) that an answer may take, from the request to its last byte."""
    attempts: int = Field(default=3, ge=1, le=10)
    """How often one call is tried where the site does not answer, or answers 5xx."""
    answer_bytes: int = Field(default=4_000_000, ge=65_536, le=4_000_000)
    """Most bytes of one answer: what a dead letter may hold."""
    throttled_s: float = Field(default=20.0, gt=0)
    """Quiet (s) after a 429 that does not say how long: once after the first, twice after the second, and so on."""
    breaker_failures: int = Field(default=5, ge=1)
    """After so many failed fetches in a row nothing is called for a while; a renewed session that fails: at once."""
    breaker_open_s: float = Field(default=300.0, gt=0)
    """For how long (s) nothing is called then; after it one call tries."""
    list_s: float = Field(default=86_400.0, gt=0)
    """After so long (s) the list of series is read anew; earlier where one has expired or is unknown."""
    browser_timeout_s: float = Field(default=60.0, gt=0)
    """Longest time (s) that a page may take in the browser."""
    chromium_path: Path | None = None
    """Chromium's program; by default the system's, else the one that Playwright installed."""
    captures_folder: Path | None = None
    """Folder of what failed pages looked like; by default `barchart/captures` in the state folder."""
    captures_count: int = Field(default=200, ge=0)
    """Most failures that are captured; the oldest are removed; 0: none is captured."""
    captures_bytes: int = Field(default=67_108_864, ge=1_048_576)
    """Most bytes of captures; the oldest are removed."""
    count_usage: bool | None = None
    """Whether to count calls for md.usage.v1; by default only those of the vendor's own hosts."""
    flat_usd: Decimal = Field(default=Decimal(0), ge=0, allow_inf_nan=False)
    """US dollars that the plan costs a month: for md.usage.v1."""
    licence_usd: Decimal = Field(default=Decimal(0), ge=0, allow_inf_nan=False)
    """US dollars that the exchanges' licences cost a month, likewise."""
    health_port: int = Field(default=8102, ge=0, le=65_535)
    """Port of the health endpoint on loopback; 0 takes any free one."""

    @field_validator("enabled")
    @classmethod
    def _is_on(cls, enabled: bool) -> bool:
        if not enabled:
            raise ValueError(_OFF)
        return enabled

    @field_validator("site", "on_demand")
    @classmethod
    def _is_an_address(cls, address: str) -> str:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
            raise ValueError(f"must be an address like {_SITE}")
        return address.rstrip("/")

    @field_validator("saved_time_zone")
    @classmethod
    def _is_a_time_zone(cls, name: str) -> str:
        if name and name not in available_timezones():
            raise ValueError(f"must be the name of a time zone such as America/Chicago, is {name!r}")
        return name

    @field_validator("series")
    @classmethod
    def _is_followable(cls, text: str) -> str:
        parse_follow(text)
        return text

    @field_validator("policy")
    @classmethod
    def _is_a_policy(cls, text: str) -> str:
        parse_policies(text)
        return text

    @field_validator("email", "password")
    @classmethod
    def _is_an_account(cls, secret: SecretStr, given: ValidationInfo) -> SecretStr:
        if given.data.get("authentication") == "login" and not secret.get_secret_value():
            raise ValueError(
                "authentication=login needs an account: set TAPELINE_BARCHART_EMAIL and TAPELINE_BARCHART_PASSWORD, or"
                " files that hold them in …_EMAIL_FILE and …_PASSWORD_FILE"
            )
        return secret

    @field_validator("on_demand_key")
    @classmethod
    def _is_a_key(cls, key: SecretStr, given: ValidationInfo) -> SecretStr:
        if given.data.get("authentication") == "on-demand" and not key.get_secret_value():
            raise ValueError(
                "authentication=on-demand needs a key, which Barchart sells (barchart.com, OnDemand): put it in"
                " TAPELINE_BARCHART_ON_DEMAND_KEY, or a file that holds it in TAPELINE_BARCHART_ON_DEMAND_KEY_FILE"
            )
        return key

    @property
    def product_list(self) -> tuple[str, ...]:
        """The products, each once."""
        return tuple(dict.fromkeys(each.strip() for each in self.products.split(",")))

    @property
    def captures_path(self) -> Path:
        """Folder of the captures."""
        return self.captures_folder or state_folder() / "barchart" / "captures"

    @property
    def kept_path(self) -> Path:
        """Folder of the kept chains."""
        return self.kept_folder or state_folder() / "barchart" / "kept"

    @property
    def is_vendors_own(self) -> bool:
        """Whether the vendor itself is asked, and not what stands in for it."""
        return (self.on_demand == _ON_DEMAND) if self.authentication == "on-demand" else (self.site == _SITE)

    def resume_limits(self) -> ResumeLimits:
        """Return limits under which nothing is resumed: after an outage of Kafka, chains are asked for anew."""
        return ResumeLimits(longest_outage_ns=0, overlap_ns=0, window_ns=0)
