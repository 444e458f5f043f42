"""No secret is left in any form that pages, addresses, headers and errors hold it in; what helps to understand is."""

from __future__ import annotations

import html
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tapeline_barchart.redaction import REDACTED, Redaction

EMAIL = "trader+nq@example.com"
PASSWORD = 'Tr4de & "hédge" <1%>/\\\''  # noqa: S105
COOKIE = "eyJpdiI6Ik5RPT0iLCJ2YWx1ZSI6IkFCQyJ9%3D%3D"
KNOWN = Redaction([EMAIL, PASSWORD, COOKIE])


def _escapings(secret: str) -> list[str]:
    entities = "".join(f"&#{ord(each)};" if not each.isalnum() else each for each in secret)
    hexadecimal = "".join(f"&#x{ord(each):X};" if not each.isalnum() else each for each in secret)
    return [
        *(secret, quote(secret, safe=""), quote_plus(secret), quote(quote(secret, safe=""), safe="")),
        *(html.escape(secret), json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]),
        *(json.dumps(json.dumps(secret))[3:-3], entities, hexadecimal, secret.replace("/", "\\/"), secret.upper()),
    ]


@pytest.mark.parametrize("secret", [EMAIL, PASSWORD, COOKIE])
def test_a_known_secret_goes_however_it_is_escaped(secret: str) -> None:
    for escaped in _escapings(secret):
        assert KNOWN.text(f"before {escaped} after") == f"before {REDACTED} after"


def test_a_percent_encoded_secret_goes_where_it_is_decoded() -> None:
    assert KNOWN.text("x eyJpdiI6Ik5RPT0iLCJ2YWx1ZSI6IkFCQyJ9== y") == f"x {REDACTED} y"


@given(st.text(min_size=4, max_size=40).filter(str.strip))
def test_any_known_secret_goes(secret: str) -> None:
    redaction = Redaction([secret])
    shown = redaction.text(f"<p>{html.escape(secret)}</p> {quote(secret, safe='')} {secret}")
    assert shown == f"<p>{REDACTED}</p> {REDACTED} {REDACTED}"


def test_a_short_secret_goes_where_it_stands_alone() -> None:
    assert Redaction(["nq"]).text("fill('nq') of nqm25") == f"fill('{REDACTED}') of nqm25"


@pytest.mark.parametrize(
    "leaky",
    [
        "https://ondemand.example/getQuote.json?apikey=SEKRET&symbols=NQM25",
        "https://SEKRET:SEKRET@example.com/",
        "Authorization: Bearer SEKRET",
        "sent with bearer SEKRET/+=",
        "Cookie: market=SEKRET; other=SEKRET",
        "  set-cookie: whatever=SEKRET; path=/",
        "laravel_session=SEKRET; path=/",
        "XSRF-TOKEN=SEKRET%3D",
        '{"csrfToken":"SEKRET","a":1}',
        '{\\"_token\\":\\"SEKRET\\"}',
        "&quot;apiKey&quot;:&quot;SEKRET&quot;",
        "window.Laravel = {csrfToken: 'SEKRET'}",
        'let password = "SEKRET SEKRET"',
        'let password = "SEKRET, and the text ends here',
        "email=SEKRET&password=SEKRET&_token=SEKRET",
    ],
)
def test_what_stands_where_secrets_stand_goes(leaky: str) -> None:
    shown = Redaction().text(leaky)
    assert "SEKRET" not in shown
    assert REDACTED in shown
    assert Redaction().text(shown) == shown


@pytest.mark.parametrize(
    "harmless",
    [
        "Page.goto: Timeout 15000ms exceeded: https://example.com/futures/quotes/NQM25/options/MC2M25?futuresOptionsView=merged",
        "the final address is still /login: the e-mail or the password is wrong",
        '{"count":2,"total":592,"data":{"Call":[{"strike":"21,350.00C","lastPrice":"486.75s"}]}}',
        '<option value="MC2M25">Monday week 2</option>',
    ],
)
def test_what_helps_to_understand_stays(harmless: str) -> None:
    assert KNOWN.text(harmless) == harmless
    assert KNOWN.html(harmless) == harmless


PAGE = f"""<html><head><meta name="csrf-token" content="SEKRET"><meta content='SEKRET' name='xsrf'>
<meta name="description" content="options"><meta name=token content=SEKRET></head><body>
<form><input type="hidden" name="_token" value="SEKRET"><input name=email value=SEKRET data-x="a>b">
<input data-x='>' type="password" VALUE='SEKRET'><textarea name="note">SEKRET
SEKRET</textarea><button value="SEKRET">Log in</button></form>
<script id="bc-dynamic-config">{{"currentSymbol":"NQM25","csrfToken":"SEKRET"}}</script><p>Hello {EMAIL}</p>"""


def test_a_page_loses_its_values_and_tokens_and_keeps_its_form() -> None:
    shown = KNOWN.html(PAGE)
    assert "SEKRET" not in shown
    assert EMAIL not in shown
    for kept in ('content="options"', 'name="_token"', "Log in", '"currentSymbol":"NQM25"', "Hello", "</textarea>"):
        assert kept in shown


def test_a_page_that_is_cut_anywhere_shows_no_more() -> None:
    for length in range(len(PAGE) - len(EMAIL)):
        assert "SEKRET" not in KNOWN.html(PAGE[:length]), PAGE[:length]


def test_only_headers_known_to_be_harmless_are_seen() -> None:
    harmless = {"Content-Type": "text/html", "Retry-After": "20"}
    others = ("Set-Cookie", "X-Of-Tomorrow", "Authorization")
    shown = Redaction().headers(
        harmless | dict.fromkeys(others, "SEKRET") | {"Location": "https://example.com/?token=SEKRET"}
    )
    assert shown == harmless | dict.fromkeys(others, REDACTED) | {"Location": f"https://example.com/?token={REDACTED}"}


def test_a_page_of_megabytes_is_done_at_once() -> None:
    # one word of a megabyte, and quotes that never close: what a pattern that looks back again and again dies of
    for page in ("token_" * 170_000, "a-" * 500_000, '<input value="' * 70_000, "'" * 1_000_000, "<textarea>" * 10_000):
        assert "SEKRET" not in KNOWN.html(page)
