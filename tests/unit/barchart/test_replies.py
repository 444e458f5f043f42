"""What an answer is, by status, headers and first bytes."""

from __future__ import annotations

import pytest
from tests.unit.barchart.test_hybrid import TUESDAY_NS

from tapeline.errors import TapelineError
from tapeline_barchart.errors import (
    Challenged,
    CutAnswer,
    KeyRefused,
    NotJson,
    SessionInvalid,
    SiteAway,
    Throttled,
    UnexpectedStatus,
)
from tapeline_barchart.replies import (
    Answer,
    check_json,
    check_on_demand,
    check_page,
    redirected_to,
    retry_after_s,
)

WAF = b"<!DOCTYPE html><html><script>window.awsWafCookieDomainList = [];</script></html>"


def answer(status: int = 200, body: bytes = b'{"count":2}', **headers: str) -> Answer:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer("https://www.example.com/proxies/get?apikey=secret", status, names, body, TUESDAY_NS)


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (answer(401), SessionInvalid),
        (answer(403), SessionInvalid),
        (answer(419), SessionInvalid),
        (answer(403, WAF), Challenged),
        (answer(200, WAF), Challenged),
        (answer(202, b"", x_amzn_waf_action="challenge"), Challenged),
        (answer(405, b"", x_amzn_waf_action="captcha"), Challenged),
        (answer(429), Throttled),
        (answer(500), SiteAway),
        (answer(503, b"<html>"), SiteAway),
        (answer(404), UnexpectedStatus),
        (answer(200, b"<html><title>Sorry</title></html>"), NotJson),
        (answer(200, b""), NotJson),
        (answer(200, b"ok"), NotJson),
        (answer(200, b'{"count":2,"da'), CutAnswer),
    ],
)
def test_what_is_no_json_has_a_name(given: Answer, error: type[TapelineError]) -> None:
    with pytest.raises(error) as raised:
        check_json(given)
    assert type(raised.value) is error
    assert "/proxies/get" in str(raised.value)
    assert "secret" not in str(raised.value)


def test_json_passes_and_a_page_passes_where_one_was_asked_for() -> None:
    check_json(answer(200, b' {"count": 2}\n'))
    check_page(answer(200, b"\n<!DOCTYPE html><html></html>"))
    with pytest.raises(Challenged):
        check_page(answer(200, WAF))
    with pytest.raises(NotJson, match="is not a page"):
        check_page(answer())


def test_to_be_sent_to_the_login_page_is_to_be_turned_away() -> None:
    assert redirected_to(answer(302, b"", location="/futures/quotes/NQU25/options")) == "/futures/quotes/NQU25/options"
    assert redirected_to(answer(200)) is None
    for place in ("/login", "https://www.example.com/login/?next=/"):
        with pytest.raises(SessionInvalid, match="sent to the login page"):
            redirected_to(answer(302, b"", location=place))


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("17", 17.0),
        (" 0 ", 0.0),
        ("Tue, 10 Jun 2025 14:00:30 GMT", 30.0),
        ("Tue, 10 Jun 2025 13:00:00 GMT", 0.0),
        ("soon", None),
        (None, None),
        ("", None),
        ("-5", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, wait_s: float | None) -> None:
    assert retry_after_s(header, TUESDAY_NS) == wait_s


def test_on_demand_says_in_its_envelope_what_others_say_by_status() -> None:
    check_on_demand(answer(200, b'{"status":{"code":200,"message":"Success."},"results":[{}]}'))
    check_on_demand(answer(200, b'{"status":{"code":204,"message":"no content"},"results":null}'))
    for given in (answer(401), answer(200, b'{ "status" : {"code":403,"message":"no"},"results":null}')):
        with pytest.raises(KeyRefused, match="does not accept the key"):
            check_on_demand(given)
    with pytest.raises(Throttled):
        check_on_demand(answer(200, b'{"status":{"code":429,"message":"slow"},"results":null}'))
    with pytest.raises(SiteAway):
        check_on_demand(answer(200, b'{"status":{"code":500,"message":"?"},"results":null}'))
