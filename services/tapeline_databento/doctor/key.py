"""The API key: whether there is one, whether it can be one. Pure; no finding repeats any part of it."""

from __future__ import annotations

from typing import Final

from pydantic import SecretStr, field_validator

from tapeline.feed.doctor import Check
from tapeline_databento.settings import DatabentoSettings

NAME: Final = "key"
PREFIX: Final = "db-"
LENGTH: Final = 32
"""Of the whole key, as documented: databento.com/docs, basics, authentication."""

_PLACEHOLDERS: Final = ("YOUR_API_KEY", "$YOUR_API_KEY")
_PUT: Final = (
    "put it in TAPELINE_DATABENTO_API_KEY, in the environment or in the file .env, or name a file that holds it in"
    " TAPELINE_DATABENTO_API_KEY_FILE"
)
_GET: Final = f"log in at databento.com, create a key in the portal under API keys, and {_PUT}"
_COPY: Final = f"copy it anew from databento.com (portal, API keys), and {_PUT}"


class DoctorSettings(DatabentoSettings):
    """The producer's settings, for which a key that is missing or impossible is a finding and no error."""

    @field_validator("api_key")
    @classmethod
    def _is_a_key(cls, key: SecretStr) -> SecretStr:
        return key


def key_check(key: SecretStr) -> Check:
    """Return whether the vendor can be asked with this key at all; a form that is not the usual one is a warning."""
    plain = key.get_secret_value()
    if not plain or plain in _PLACEHOLDERS:
        what = "the API key is still the placeholder of an example" if plain else "there is no API key"
        return Check(NAME, "red", what, _GET)
    if not plain.isascii() or not plain.isprintable() or any(each in plain for each in " |="):
        return Check(NAME, "red", "the API key is not one word of letters, digits and '-'", _COPY)
    oddities = []
    if plain[0] in "\"'":
        oddities.append("it is in quotes")
    if not plain.startswith(PREFIX):
        oddities.append(f"it does not begin with {PREFIX}")
    if len(plain) != LENGTH:
        oddities.append(f"it has {len(plain)} characters instead of {LENGTH}")
    if oddities:
        return Check(NAME, "warning", f"the API key has not the usual form: {', '.join(oddities)}", _COPY)
    return Check(NAME, "ok", f"there is an API key, of the usual form ({PREFIX}…, {LENGTH} characters)")


def without_key(text: str, key: SecretStr) -> str:
    """Return `text` with the key blotted out, should somebody else have put it there."""
    plain = key.get_secret_value()
    return text.replace(plain, "…") if plain else text
