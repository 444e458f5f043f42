"""What must not be seen, blotted out of pages, headers, addresses and texts. Pure.

Two nets lie over each other: secrets that are known (what was typed, what the cookies hold) go wherever they stand and
however they are escaped, and whatever stands where secrets stand goes unseen: values of forms, tokens of pages, fields
and parameters with such names, headers that are not known to be harmless.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from typing import Final
from urllib.parse import unquote

REDACTED: Final = "[redacted]"

HARMLESS_HEADERS: Final = frozenset(
    {
        *("age", "cache-control", "content-encoding", "content-length", "content-type", "date", "location"),
        *("retry-after", "server", "vary", "via", "x-amzn-waf-action", "x-cache", "x-ratelimit-limit"),
        *("x-ratelimit-remaining", "x-ratelimit-reset"),
    }
)
"""Headers whose values may be seen; of every other one only the name."""

_SHORT: Final = 4
"""A known secret that is shorter is only found where it stands alone: it may be a part of any word."""

_NAME: Final = (
    r"(?<![\w.-])(?>[\w.-]*?(?:token|csrf|xsrf|laravel|sess(?:ion)?[_-]?id|passw|passphrase|secret|api[_-]?key"
    r"|authori[sz]ation|credential|signature|jwt|e-?mail|cookie))[\w.-]*+"
)
_QUOTE: Final = r"""\\?["']|&quot;|&apos;|&#(?:0?3[49]|x2[27]);"""
_FIELD: Final = re.compile(
    rf"""(?P<name>{_NAME})(?P<sign>(?:{_QUOTE})?\s*(?:=>|[:=])\s*)"""
    rf"""(?:(?P<quote>{_QUOTE})(?:.*?)(?P<end>(?P=quote)|\Z)|(?!\[redacted\])(?P<bare>[^\s"'<>&;,(){{}}\[\]]+))""",
    re.IGNORECASE | re.DOTALL,
)
_HEADER_LINE: Final = re.compile(r"(?im)^([ \t>*-]*(?:set-cookie|cookie|authorization|x-[cx]srf-token)[ \t]*:).*$")
_SCHEME: Final = re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=%-]+", re.IGNORECASE)
_USER_INFO: Final = re.compile(r"(?<=://)[^/@\s\"'<>]+@")

# A tag that the text breaks off in is one too: half a page must not show what the whole one would not.
_ATTRIBUTES: Final = r"""(?:[^>"']|"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z))*+(?:>|\Z)"""
_FORM_FIELD: Final = re.compile(rf"<(?:input|button|textarea|meter|progress)\b{_ATTRIBUTES}", re.IGNORECASE)
_META: Final = re.compile(rf"<meta\b{_ATTRIBUTES}", re.IGNORECASE)
_TEXT_AREA: Final = re.compile(rf"(<textarea\b{_ATTRIBUTES})(.*?)(?=</textarea|\Z)", re.IGNORECASE | re.DOTALL)
_VALUE: Final = re.compile(r"""(?<![\w-])(value)\s*=\s*(?:"[^"]*(?:"|\Z)|'[^']*(?:'|\Z)|[^\s"'>]+)""", re.IGNORECASE)
_CONTENT: Final = re.compile(
    r"""(?<![\w-])(content)\s*=\s*(?:"[^"]*(?:"|\Z)|'[^']*(?:'|\Z)|[^\s"'>]+)""", re.IGNORECASE
)
_SECRET_META: Final = re.compile(r"csrf|xsrf|token|secret|api[_-]?key", re.IGNORECASE)


class Redaction:
    """Blots out `secrets`, in whatever way they are escaped, and all that stands where secrets stand."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = frozenset(form for secret in secrets for form in (secret, unquote(secret)) if form)
        longest_first = sorted(self._secrets, key=len, reverse=True)
        self._known = re.compile("|".join(map(_pattern, longest_first)), re.IGNORECASE) if longest_first else None

    def also(self, secrets: Iterable[str]) -> Redaction:
        """Return a redaction that knows these secrets too."""
        return Redaction(self._secrets | set(secrets))

    @property
    def visible(self) -> re.Pattern[str] | None:
        """What finds a known secret in a text that people see; None where none is known."""
        longest_first = sorted(self._secrets, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE) if longest_first else None

    def text(self, text: str) -> str:
        """Return any text, such as an error's or an address, without secrets."""
        if self._known is not None:
            text = self._known.sub(REDACTED, text)
        text = _HEADER_LINE.sub(rf"\1 {REDACTED}", text)
        text = _SCHEME.sub(rf"\1 {REDACTED}", text)
        text = _USER_INFO.sub(f"{REDACTED}@", text)
        return _FIELD.sub(_blank_field, text)

    def html(self, page: str) -> str:
        """Return a page, whole or cut, without the values of its forms, its tokens and the secrets in its scripts."""
        page = _TEXT_AREA.sub(r"\1", page)
        page = _FORM_FIELD.sub(lambda tag: _VALUE.sub(r'\1=""', tag[0]), page)
        page = _META.sub(_blank_meta, page)
        return self.text(page)

    def headers(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return headers with the values of those alone that are known to be harmless."""
        return {
            name: self.text(value) if name.lower() in HARMLESS_HEADERS else REDACTED for name, value in headers.items()
        }


def _blank_field(field: re.Match[str]) -> str:
    if field["quote"] is None:
        return f"{field['name']}{field['sign']}{REDACTED}"
    return f"{field['name']}{field['sign']}{field['quote']}{REDACTED}{field['end']}"


def _blank_meta(tag: re.Match[str]) -> str:
    is_cut = not tag[0].endswith(">")  # before it was named, perhaps
    return _CONTENT.sub(rf'\1="{REDACTED}"', tag[0]) if is_cut or _SECRET_META.search(tag[0]) else tag[0]


def _pattern(secret: str) -> str:
    """Return what finds `secret` as it is, and escaped for addresses, HTML or scripts, in part or in whole."""
    pattern = "".join(map(_character, secret))
    return rf"(?<!\w){pattern}(?!\w)" if len(secret) < _SHORT else pattern


def _character(character: str) -> str:
    if character.isascii() and character.isalnum():
        return character
    point = ord(character)
    percent = "".join(f"%(?:25)*{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))
    forms = [percent, rf"&\#0*{point};", rf"&\#x0*{point:x};", rf"\\+u{point:04x}"]
    if point < 0x100:
        forms.append(rf"\\+x{point:02x}")
    named = html.escape(character, quote=True)
    if named != character:
        forms.append(re.escape(named))
    if character == " ":
        forms.append(r"\+")
    if character in "\"'\\/":
        forms.append(rf"\\+{re.escape(character)}")
    forms.append(re.escape(character))  # last: `&` begins some of the others
    return f"(?:{'|'.join(forms)})"
