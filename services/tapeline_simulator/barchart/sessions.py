"""Sessions of the site: their cookies, their tokens, and who is logged in."""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hmac import compare_digest
from typing import Final
from urllib.parse import quote

SESSION_COOKIE: Final = "laravel_session"
TOKEN_COOKIE: Final = "laravel_token"  # noqa: S105  # the name of a cookie
XSRF_COOKIE: Final = "XSRF-TOKEN"
MARKET_COOKIE: Final = "market"

GIVEN_REMEMBERED: Final = 10_000
_TOKENS_GOOD: Final = 2
"""The newest XSRF token and the one before it, because two calls of a page may be under way at once."""

Bytes = Callable[[int], bytes]


@dataclass(slots=True, eq=False)
class Session:
    """One visitor: `csrf_token` is in its pages, the cookie's token changes with every answer."""

    identity: str
    csrf_token: str
    is_logged_in: bool = False
    was_rejected: bool = False
    """Whether the last login failed."""
    xsrf_tokens: deque[str] = field(default_factory=lambda: deque(maxlen=_TOKENS_GOOD))

    def accepts(self, token: str) -> bool:
        """Return whether `token`, decoded from the cookie as it must be, is good."""
        return any(compare_digest(good.encode(), token.encode()) for good in self.xsrf_tokens)


class Sessions:
    """All sessions; `random_bytes` makes what nobody can guess."""

    def __init__(self, random_bytes: Bytes) -> None:
        self._random_bytes = random_bytes
        self._open: dict[str, Session] = {}
        self.given: deque[str] = deque(maxlen=GIVEN_REMEMBERED)
        """Identities and tokens that visitors were given, the newest, decoded: what nobody else may see."""

    def open(self, *, is_logged_in: bool = False) -> Session:
        """Begin a session."""
        session = Session(self._random_bytes(20).hex(), self._random_bytes(20).hex(), is_logged_in)
        self._open[session.identity] = session
        self.given += session.identity, session.csrf_token
        return session

    def find(self, cookies: Mapping[str, str]) -> Session | None:
        """Return the session that the cookies of a request belong to, or None."""
        return self._open.get(cookies.get(SESSION_COOKIE, ""))

    def end(self, session: Session) -> None:
        """End a session: its cookies are worth nothing any more."""
        self._open.pop(session.identity, None)

    def cookies(self, session: Session) -> dict[str, str]:
        """Return the cookies of the next answer, by name, with a new XSRF token, percent-encoded."""
        token, other_token = self._token(), self._token()
        session.xsrf_tokens.append(token)
        self.given += token, other_token
        return {
            SESSION_COOKIE: session.identity,
            TOKEN_COOKIE: quote(other_token, safe=""),
            XSRF_COOKIE: quote(token, safe=""),
            MARKET_COOKIE: "us",
        }

    def rotate(self, session: Session) -> None:
        """Make the tokens that were given so far worthless."""
        session.xsrf_tokens.clear()

    def _token(self) -> str:
        """Return a token of Laravel's form: an encrypted value as JSON in base 64, which ends with ``=``."""
        sealed = {
            "iv": base64.b64encode(self._random_bytes(16)).decode(),
            "value": base64.b64encode(self._random_bytes(48)).decode(),
            "mac": self._random_bytes(32).hex(),
        }
        text = json.dumps(sealed, separators=(",", ":"))
        # Two characters more than a multiple of three are padded with one `=`.
        text += " " * ((2 - len(text)) % 3)
        return base64.b64encode(text.encode()).decode()
