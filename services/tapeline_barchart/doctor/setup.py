"""Whether the settings let the producer run: turned on, and with the credentials that its way in needs. Pure."""

from __future__ import annotations

from typing import Final

from pydantic import SecretStr, ValidationInfo, field_validator

from tapeline.feed.doctor import Check
from tapeline_barchart.redaction import Redaction
from tapeline_barchart.settings import BarchartSettings

ENABLED: Final = "enabled"
CREDENTIALS: Final = "credentials"

_TERMS: Final = "to read the site by a program may breach its terms of use, which are yours to read and to keep"
_TURN_ON: Final = (
    "read barchart.com's Terms of Use; if they let you, set TAPELINE_BARCHART_ENABLED=true; the licensed way is"
    " Barchart OnDemand: TAPELINE_BARCHART_AUTHENTICATION=on-demand and a key, and also"
    " TAPELINE_BARCHART_ENABLED=true"
)
_ACCOUNT: Final = (
    "put them in TAPELINE_BARCHART_EMAIL and TAPELINE_BARCHART_PASSWORD, in the environment or in the file .env, or"
    " name files that hold them in …_EMAIL_FILE and …_PASSWORD_FILE; or, as delayed chains need no login, set"
    " TAPELINE_BARCHART_AUTHENTICATION=browser"
)
_KEY: Final = (
    "Barchart sells keys (barchart.com, OnDemand): put yours in TAPELINE_BARCHART_ON_DEMAND_KEY, in the environment or"
    " in the file .env, or name a file that holds it in TAPELINE_BARCHART_ON_DEMAND_KEY_FILE"
)


class DoctorSettings(BarchartSettings):
    """The producer's settings, for which it is a finding and no error to be off, or to lack credentials."""

    @field_validator("enabled")
    @classmethod
    def _is_on(cls, enabled: bool) -> bool:
        return enabled

    @field_validator("email", "password")
    @classmethod
    def _is_an_account(cls, secret: SecretStr, given: ValidationInfo) -> SecretStr:
        return secret

    @field_validator("on_demand_key")
    @classmethod
    def _is_a_key(cls, key: SecretStr, given: ValidationInfo) -> SecretStr:
        return key


def enabled_check(settings: BarchartSettings) -> Check:
    """Return whether the producer is turned on, with what its user has to know of the terms."""
    if not settings.enabled:
        return Check(ENABLED, "red", f"Barchart is off, as it is unless it is turned on: {_TERMS}", _TURN_ON)
    if settings.authentication == "on-demand":
        return Check(ENABLED, "ok", "on, by the licensed API (authentication=on-demand)")
    return Check(ENABLED, "ok", f"on, by authentication={settings.authentication}; {_TERMS}")


def credentials_check(settings: BarchartSettings) -> Check:
    """Return whether there is what the way in needs; never any part of it."""
    way = f"authentication={settings.authentication}"
    if settings.authentication == "login":
        secrets = {"the e-mail address": settings.email, "the password": settings.password}
        if missing := [name for name, secret in secrets.items() if not secret.get_secret_value()]:
            return Check(CREDENTIALS, "red", f"{way} needs an account; not set: {', '.join(missing)}", _ACCOUNT)
        return Check(CREDENTIALS, "ok", "an e-mail address and a password are set; `--live` tries them")
    if settings.authentication == "on-demand":
        if not settings.on_demand_key.get_secret_value():
            return Check(CREDENTIALS, "red", f"{way} needs a key, and there is none", _KEY)
        return Check(CREDENTIALS, "ok", "a key is set")
    return Check(CREDENTIALS, "skipped", f"{way} needs none")


def secrets_of(settings: BarchartSettings) -> Redaction:
    """Return what blots the settings' secrets out of findings, should somebody else have put them there."""
    secrets = (settings.email, settings.password, settings.on_demand_key)
    return Redaction(each.get_secret_value() for each in secrets)
