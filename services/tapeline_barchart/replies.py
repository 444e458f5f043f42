"""Whether an answer is what was asked for, and what it is otherwise, by status, headers and first bytes. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

from tapeline_barchart.errors import (
    Challenged,
    CutAnswer,
    FetchFailed,
    KeyRefused,
    NotJson,
    SessionInvalid,
    SiteAway,
    Throttled,
    UnexpectedStatus,
)

LOGIN_PATH: Final = "/login"
NOT_LET_IN: Final = frozenset({401, 403, 419})
_FIREWALL_HEADER: Final = "x-amzn-waf-action"
_FIREWALL_MARKS: Final = (b"awswaf", b"aws-waf", b"challenge.js", b"captcha")
_FIREWALL_STATUS: Final = frozenset({202, 405})
_LOOKED_AT_BYTES: Final = 65_536
_CODE: Final = re.compile(rb'^\s*{\s*"status"\s*:\s*{\s*"code"\s*:\s*"?(\d{3})\b')


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it came. `headers` by their names in lower case; `received_ns` when it was whole."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    received_ns: int

    @property
    def is_page(self) -> bool:
        """Whether it is HTML."""
        return self.body.lstrip()[:1] == b"<"

    @property
    def path(self) -> str:
        """The path of its address: what may be told, as the rest may hold a key."""
        return urlsplit(self.url).path


Check = Callable[[Answer], None]
"""Raises what is wrong with an answer."""


def check_json(answer: Answer) -> None:
    """Raise what an answer is, where it is not the begin and the end of JSON."""
    _check_status(answer)
    if answer.is_page:
        if _is_of_firewall(answer):
            raise _challenged(answer)
        raise NotJson(f"{answer.path} answered with a page instead of JSON")
    body = answer.body.strip()
    if not body:
        raise NotJson(f"{answer.path} answered with nothing")
    if body[:1] != b"{":
        raise NotJson(f"{answer.path} answered with something that is not JSON")
    if body[-1:] != b"}":
        raise CutAnswer(f"{answer.path}: the JSON was cut off after {len(body):,} bytes")


def check_page(answer: Answer) -> None:
    """Raise what an answer is, where it is no page of the site."""
    _check_status(answer)
    if _is_of_firewall(answer):
        raise _challenged(answer)
    if not answer.is_page:
        raise NotJson(f"{answer.path} is not a page")


def check_on_demand(answer: Answer) -> None:
    """Raise what an answer of OnDemand is, where it is not the begin and the end of JSON.

    Its errors may come with status 200 and a code in the answer. Raises KeyRefused where the key is not accepted.
    """
    said = _CODE.search(answer.body[:_LOOKED_AT_BYTES])
    status = answer.status if answer.status != 200 or said is None else int(said[1])
    if status in NOT_LET_IN:
        raise KeyRefused(
            f"OnDemand answered {status}: it does not accept the key, or the key may not have futures options;"
            " see TAPELINE_BARCHART_ON_DEMAND_KEY"
        )
    # An empty answer is one, and is told as such by who reads it.
    check_json(replace(answer, status=200 if status == 204 else status))


def redirected_to(answer: Answer) -> str | None:
    """Return where an answer sends to, None where it does not. Raises SessionInvalid where that is the login page."""
    if not 300 <= answer.status < 400 or "location" not in answer.headers:
        return None
    location = answer.headers["location"]
    if urlsplit(location).path.rstrip("/") == LOGIN_PATH:
        raise SessionInvalid(f"{answer.path} sent to the login page: the session is not accepted")
    return location


def retry_after_s(header: str | None, now_ns: int) -> float | None:
    """Return for how long (s) a Retry-After wants quiet, by seconds or by an HTTP date; None where it says neither."""
    words = (header or "").strip()
    if words.isdigit():
        return float(words)
    try:
        until = parsedate_to_datetime(words)
    except ValueError:
        return None
    now = datetime.fromtimestamp(now_ns / 1e9, UTC)
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds())


def _check_status(answer: Answer) -> None:
    status = answer.status
    if status == 429:
        quiet_s = retry_after_s(answer.headers.get("retry-after"), answer.received_ns)
        raise Throttled(f"{answer.path} answered 429: it was asked too often", quiet_s)
    if status in _FIREWALL_STATUS | NOT_LET_IN and _is_of_firewall(answer):
        raise _challenged(answer)
    if status in NOT_LET_IN:
        raise SessionInvalid(f"{answer.path} answered {status}: the session is not accepted")
    if status >= 500:
        raise SiteAway(f"{answer.path} answered {status}")
    if status != 200:
        raise UnexpectedStatus(f"{answer.path} answered {status}")


def _is_of_firewall(answer: Answer) -> bool:
    if _FIREWALL_HEADER in answer.headers:
        return True
    if not answer.is_page:
        return False
    begin = answer.body[:_LOOKED_AT_BYTES].lower()
    return any(mark in begin for mark in _FIREWALL_MARKS)


def _challenged(answer: Answer) -> FetchFailed:
    return Challenged(
        f"{answer.path} answered {answer.status} with a challenge of the site's firewall instead of data"
        " (a browser may pass it: authentication=browser)"
    )
