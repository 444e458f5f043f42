"""Pages: the list of series as the vendor has it, tokens, and pages that are something else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tapeline.errors import BadData
from tapeline.feed.barchart.page import QuotePage, parse_page
from tapeline.model.chains import UnderlyingPrice

AT = int(datetime(2025, 6, 8, 12, tzinfo=UTC).timestamp()) * 10**9
TOKEN = "kept-out"  # noqa: S105
OPTIONS = """
<option selected value="/futures/quotes/NQM25/options/MC7M25?futuresOptionsView=merged">
  Monday Week 2 Options Jun &#39;25
<option value='https://www.barchart.com/futures/quotes/NQU25/options/MQ6M25'>MQ6M25</option>
<OPTION VALUE="MM2M25"> Tuesday  Week 2
  Options Jun '25</OPTION>
<option value="/futures/quotes/NQM25/options">Nasdaq 100 E-Mini Jun '25</option>
<option value="merged">Stacked</option>
"""
CONFIGURATION = (
    '{"optionContract":"MC7M25","currentSymbol":{"symbol":"NQM25","lastPrice":"21,800.25","tradeTime":"15:59 CT",'
    '"raw":{"symbol":"NQM25","pointValue":20,"lastPrice":21800.25,"tradeTime":1749243599}}}'
)


def page(
    options: str = OPTIONS, configuration: str = CONFIGURATION, expires: str = "06/09/25", at_ns: int = AT
) -> QuotePage:
    return parse_page(
        f"""<!DOCTYPE html><html><head><meta content="{TOKEN}" name="csrf-token"></head><body>
        <select>{options}</select><script>var a = "<option value='MC2M25'>";</script>
        <p><strong>1 Day</strong> to expiration on
        <strong>{expires}</strong></p>
        <script type="application/json" id="bc-dynamic-config">{configuration}</script></body></html>""",
        at_ns,
    )


def test_series_come_from_the_list_of_the_page() -> None:
    found = page()
    assert [
        (each.series.vendor_series, each.series.series, each.series.underlying, each.path) for each in found.series
    ] == [
        ("MC7M25", "Q2A", "NQM5", "/futures/quotes/NQM25/options/MC7M25"),
        ("MQ6M25", "QNE", "NQU5", "/futures/quotes/NQU25/options/MQ6M25"),
        ("MM2M25", "Q2B", "NQM5", "/futures/quotes/NQM25/options/MM2M25"),
        ("NQM25", "NQ", "NQM5", "/futures/quotes/NQM25/options"),
    ]
    assert all(each.series.is_from_page for each in found.series)
    assert found.series[0].series.label == "Monday Week 2 Options Jun '25"
    assert found.unresolved == ()


def test_the_page_tells_its_future_and_what_a_point_is_worth() -> None:
    found = page()
    assert (found.current_series, found.vendor_underlying, found.underlying) == ("MC7M25", "NQM25", "NQM5")
    assert found.point_value == 20 * 10**9
    assert found.underlying_price == UnderlyingPrice(21_800_250_000_000, "trade", 1_749_243_599 * 10**9)
    without = page(configuration='{"currentSymbol":{"symbol":"NQM25","raw":{}}}')
    assert (without.underlying_price, without.point_value, without.current_series) == (None, None, None)


def test_tokens_are_read_and_not_shown() -> None:
    found = page()
    assert found.csrf_token == TOKEN
    assert TOKEN not in repr(found)
    login = parse_page(f'<form><input value="{TOKEN}" type="hidden" name="_token"/></form>', AT)
    assert login.login_token == TOKEN
    assert TOKEN not in repr(login)


def test_a_page_of_another_kind_says_nothing() -> None:
    challenge = parse_page("<html><body><div id=challenge-container></div><script>window.a={};", AT)
    assert challenge == QuotePage(None, None, None, None, None, None, None, (), ())


def test_a_series_that_contradicts_itself_is_left_out_with_the_reason() -> None:
    found = page("<option value='MC8M25'>Tuesday Week 3 Options Jun '25</option>" + OPTIONS)
    assert [each.series.vendor_series for each in found.series] == ["MC7M25", "MQ6M25", "MM2M25", "NQM25"]
    (reason,) = found.unresolved
    assert "MC8M25 (Tuesday Week 3 Options Jun '25): label: must agree with the name" in reason


def test_the_day_that_the_page_names_must_be_that_of_the_series_it_shows() -> None:
    found = page(expires="06/10/25")
    assert [each.series.vendor_series for each in found.series] == ["MQ6M25", "MM2M25", "NQM25"]
    (reason,) = found.unresolved
    assert "must be 2025-06-09 by its name and label, the page says 2025-06-10" in reason


@pytest.mark.parametrize(
    ("configuration", "field"),
    [
        ('{"optionContract":', "bc-dynamic-config"),
        ('{"currentSymbol":{"raw":{"pointValue":50}}}', "pointValue"),
        ('{"currentSymbol":{"raw":{"pointValue":"much"}}}', "pointValue"),
        ('{"currentSymbol":{"symbol":"../../x"}}', "currentSymbol.symbol"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(configuration: str, field: str) -> None:
    with pytest.raises(BadData) as caught:
        page(configuration=configuration)
    assert caught.value.field == field
