"""Settings of the Databento producer."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, Final

from pydantic import Field, SecretStr, field_validator

from tapeline.feed.source import LiveFeedSettings
from tapeline_databento.subscriptions import parse_subscriptions

_VENDORS_NAME: Final = "DATABENTO_API_KEY"
_NO_KEY: Final = (
    "there is no API key; create one at databento.com (portal, API keys) and put it in TAPELINE_DATABENTO_API_KEY, or a"
    " file that holds it in TAPELINE_DATABENTO_API_KEY_FILE"
)


class DatabentoSettings(LiveFeedSettings):
    """Whom to connect to, with which key, what to subscribe to, and when to give a session up."""

    service: ClassVar[str] = "databento"

    api_key: SecretStr = Field(default=SecretStr(""), validate_default=True)
    """The key of databento.com; DATABENTO_API_KEY, the vendor's own name, serves where this one is not set."""
    dataset: str = Field(default="GLBX.MDP3", pattern=r"^[A-Z0-9]+\.[A-Z0-9]+$")
    """The dataset of all subscriptions."""
    subscriptions: str = "mbo=NQ.FUT; status=NQ.FUT; statistics=NQ.FUT; definition=NQ.FUT"
    """What to subscribe to: ``schema=symbol,symbol; schema=…``; symbols are parents, continuous or raw ones."""
    gateway: str = ""
    """Host of the gateway; by default the vendor's for the dataset."""
    port: int = Field(default=13_000, ge=1, le=65_535)
    """Port of the gateway."""
    connect_timeout_s: float = Field(default=10.0, gt=0)
    """Longest time (s) that a connection may take."""
    authentication_timeout_s: float = Field(default=30.0, gt=0)
    """Longest time (s) that the gateway may take to greet and authenticate."""
    heartbeat_interval_s: int = Field(default=10, ge=5, le=1_800)
    """After so long (s) without a record the gateway is to send a heartbeat."""
    silence_margin_s: float = Field(default=10.0, gt=0)
    """A session ends when nothing came for the heartbeat's interval and this (s)."""
    mbo_silence_s: float = Field(default=60.0, ge=0)
    """In an open market, longest silence (s) of the orders of a futures parent while heartbeats come; 0: no limit."""
    quotes_silence_s: float = Field(default=0.0, ge=0)
    """The same for each symbol's quotes (mbp-1, tbbo, bbo)."""
    trades_silence_s: float = Field(default=0.0, ge=0)
    """The same for each symbol's trades."""
    receive_bytes: int = Field(default=4_194_304, ge=65_536)
    """Most bytes per session received and not yet decoded; at this limit the socket is not read any further."""
    doubtful_books: int = Field(default=3, ge=0)
    """Most order books per session that are mended by a snapshot of their own; one more ends the session."""
    market_hours_only: bool = False
    """Connect only while the market trades by the calendar, with the margins below."""
    before_open_s: float = Field(default=300.0, ge=0)
    """With `market_hours_only`: how long (s) before the open a session may begin."""
    after_close_s: float = Field(default=300.0, ge=0)
    """With `market_hours_only`: how long (s) after the close a session ends."""
    count_usage: bool | None = None
    """Whether to count what comes live for md.usage.v1; by default only what comes from the vendor's own gateway."""
    history_gateway: str = "https://hist.databento.com"
    """Address of the Historical API."""
    history_embargo_s: float = Field(default=86_400.0, ge=0)
    """How old (s) data must be to be history for this account, until the vendor itself has told it."""
    backfill_pad_s: float = Field(default=10.0, gt=0, le=3_600)
    """How far (s) the time of capture may lie from the venue's: a backfill looks so far beyond its window."""
    backfill_stall_s: float = Field(default=60.0, gt=0)
    """Longest time (s) that a backfill's replay may bring nothing but heartbeats before it is complete."""
    cap_usd: Decimal = Field(default=Decimal(5), ge=0, allow_inf_nan=False)
    """Most US dollars that one fetch of history may cost, by the vendor's own estimate."""
    monthly_budget_usd: Decimal = Field(default=Decimal(50), ge=0, allow_inf_nan=False)
    """Most US dollars that this machine may spend on history in a month (UTC)."""
    flat_usd: Decimal = Field(default=Decimal(0), ge=0, allow_inf_nan=False)
    """US dollars that the live plan costs a month: for the month's projection, and for md.usage.v1."""
    licence_usd: Decimal = Field(default=Decimal(0), ge=0, allow_inf_nan=False)
    """US dollars that the exchanges' licences cost a month, likewise."""
    health_port: int = Field(default=8101, ge=0, le=65_535)
    """Port of the health endpoint on loopback; 0 takes any free one."""

    @field_validator("api_key")
    @classmethod
    def _is_a_key(cls, key: SecretStr) -> SecretStr:
        plain = key.get_secret_value()
        if not plain:
            raise ValueError(_NO_KEY)
        # What breaks the gateway's lines would otherwise come back in its words.
        if not plain.isascii() or not plain.isprintable() or any(each in plain for each in " |="):
            raise ValueError("a key is one word of letters, digits and '-'; copy it anew from databento.com (API keys)")
        return key

    @field_validator("subscriptions")
    @classmethod
    def _is_readable(cls, text: str) -> str:
        parse_subscriptions(text)
        return text

    @property
    def gateway_host(self) -> str:
        """Host to connect to."""
        return self.gateway or f"{self.dataset.lower().replace('.', '-')}.lsg.databento.com"

    @property
    def silence_limit_s(self) -> float:
        """Longest time (s) without a byte from the gateway."""
        return self.heartbeat_interval_s + self.silence_margin_s

    @classmethod
    def _from_names(cls, names: Mapping[str, str], where: str) -> dict[str, Any]:
        values = super()._from_names(names, where)
        if names.get(_VENDORS_NAME):
            values.setdefault("api_key", names[_VENDORS_NAME])
        return values
