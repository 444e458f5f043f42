"""The few parts of a Barchart page's HTML that matter: tokens, the configuration, the list of series, its words."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final

_CONFIGURATION: Final = "bc-dynamic-config"
_SILENT: Final = ("script", "style")


@dataclass(slots=True)
class Markup:
    """What a page's HTML holds: `options` are (value, text) of its lists, `words` all text outside of scripts."""

    csrf_token: str | None = None
    login_token: str | None = None
    configuration: str | None = None
    options: list[tuple[str, str]] = field(default_factory=list)
    words: str = ""


def read_markup(html: str) -> Markup:
    """Return the parts of a page, however broken its HTML is."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    reader.markup.words = " ".join(" ".join(reader.texts).split())
    return reader.markup


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.markup = Markup()
        self.texts: list[str] = []
        self._within = ""
        self._is_configuration = False
        self._value: str | None = None
        self._label: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of tokens, and of what the following text is."""
        of = {name: value or "" for name, value in attrs}
        self._end_option()
        if tag == "meta" and of.get("name") == "csrf-token":
            self.markup.csrf_token = of.get("content") or None
        elif tag == "input" and of.get("name") == "_token":
            self.markup.login_token = of.get("value") or None
        elif tag == "option":
            self._value, self._label = of.get("value", ""), []
        elif tag in _SILENT:
            self._within = tag
            self._is_configuration = of.get("id") == _CONFIGURATION

    def handle_endtag(self, tag: str) -> None:
        """End an option or a script."""
        self._end_option()
        if tag == self._within:
            self._within, self._is_configuration = "", False

    def handle_data(self, data: str) -> None:
        """Keep the text of the configuration, of options, and of everything that is shown."""
        if self._is_configuration:
            self.markup.configuration = (self.markup.configuration or "") + data
        elif not self._within:
            self.texts.append(data)
            if self._value is not None:
                self._label.append(data)

    def _end_option(self) -> None:
        if self._value is not None:
            self.markup.options.append((self._value, " ".join("".join(self._label).split())))
            self._value = None
