"""The browser's session between two starts: its cookies and local storage, in a file that only its owner reads."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import orjson

from tapeline.ops.logs import get_logger

_LONGEST_BYTES: Final = 4_194_304

log = get_logger("barchart.session")


class KeptSession:
    """The file of one site and account in `folder`; another account never finds its session. Its calls block."""

    def __init__(self, folder: Path, site: str, account: str) -> None:
        name = hashlib.sha256(f"{site}\n{account}".encode()).hexdigest()[:16]
        self.path = folder / f"session-{name}.json"

    def load(self) -> dict[str, Any] | None:
        """Return what was kept; None where nothing was, or where it is damaged."""
        try:
            if self.path.stat().st_size > _LONGEST_BYTES:
                raise ValueError("is too large")
            state = orjson.loads(self.path.read_bytes())
            if not isinstance(state, dict) or not isinstance(state.get("cookies"), list):
                raise ValueError("is no session")
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            log.warning("the kept session cannot be used; a new one begins", file=self.path.name, fault=_words(error))
            return None
        return state

    def save(self, state: Mapping[str, object]) -> None:
        """Keep a session in the place of the last. A disk that takes nothing is logged: it costs a login at most."""
        part = self.path.with_suffix(f".{secrets.token_hex(4)}.part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.path.parent.chmod(0o700)
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(descriptor, "wb") as file:
                file.write(orjson.dumps(state))
            part.replace(self.path)
        except OSError as error:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            log.warning("the session is not kept", file=self.path.name, fault=_words(error))


def _words(error: Exception) -> str:
    return str(error) if type(error) is ValueError else type(error).__name__
