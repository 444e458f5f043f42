"""The HTML of the site: quote page, login form, and what stands in their way. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from string import Template
from typing import Any, Final

from tapeline_simulator.barchart.formats import FUTURE_FIELDS, future_cell
from tapeline_simulator.barchart.market import POINT_VALUE, FutureRow, ListedSeries
from tapeline_simulator.barchart.payload import CHAIN_FIELDS
from tapeline_simulator.barchart.symbols import chicago

CORE_API: Final = "/proxies/core-api/v1/quotes/get"
PULSE: Final = "/pulse"
"""What the page asks without end, as the real one does its analytics, so that its network is never idle."""
_EXCHANGE: Final = "CME"
_MINUTE_S: Final = 60


def series_path(series: ListedSeries) -> str:
    """Return the path of a series' page."""
    return f"/futures/quotes/{series.future}/options/{series.symbol}"


def quote_page(
    future: FutureRow,
    current: ListedSeries,
    listed: Sequence[ListedSeries],
    *,
    at_ns: int,
    delay_s: float,
    csrf_token: str,
    csrf_late_ms: int | None,
    is_merged: bool,
    is_logged_in: bool,
) -> str:
    """Return the page of one series; with `csrf_late_ms` its script puts the token into its head so much later."""
    expires, today = chicago(current.expires_ns).date(), chicago(at_ns).date()
    days = (expires - today).days
    view = "?futuresOptionsView=merged" if is_merged else ""
    options = "\n".join(
        f'<option value="{escape(series_path(each) + view)}"{" selected" if each == current else ""}>'
        f"{escape(each.symbol)}</option>"
        for each in listed
    )
    body = _QUOTE_BODY.substitute(
        name=escape(future.name),
        symbol=escape(future.symbol),
        last=future_cell(future, "lastPrice")[0],
        options=options,
        days=f"{days} Day{'' if days == 1 else 's'}",
        expires=f"{expires:%m/%d/%y}",
        point_value=POINT_VALUE,
        delay_minutes=f"{delay_s / _MINUTE_S:g}",
        config=_script_json(_configuration(future, current)),
        script=_SCRIPT.substitute(
            address=json.dumps(_chain_address(current, is_merged=is_merged)),
            pulse=json.dumps(PULSE),
            csrf="" if csrf_late_ms is None else _LATE_CSRF.substitute(token=csrf_token, delay_ms=csrf_late_ms),
        ),
    )
    return _page(
        f"{current.symbol} Options Prices for {future.name} - Barchart.com",
        body,
        head="" if csrf_late_ms is not None else _csrf(csrf_token),
        is_logged_in=is_logged_in,
    )


def login_page(csrf_token: str, *, is_rejected: bool) -> str:
    """Return the login form."""
    said = '<p class="error">Your email or password is incorrect.</p>' if is_rejected else ""
    return _page("Login - Barchart.com", _LOGIN_BODY.substitute(token=csrf_token, said=said), head=_csrf(csrf_token))


def plain_page(title: str, text: str, *, csrf_token: str | None = None, is_logged_in: bool = False) -> str:
    """Return a page that only says something."""
    head = "" if csrf_token is None else _csrf(csrf_token)
    return _page(f"{title} - Barchart.com", f"<p>{escape(text)}</p>", head=head, is_logged_in=is_logged_in)


def challenge_page() -> str:
    """Return what a firewall shows to who may be a robot; it has neither form nor token."""
    return _CHALLENGE


def _page(title: str, body: str, *, head: str = "", is_logged_in: bool = False) -> str:
    links = '<a href="/logout">Log Out</a>' if is_logged_in else '<a href="/login">Log In</a>'
    return _PAGE.substitute(title=escape(title), head=head, links=links, body=body)


def _csrf(token: str) -> str:
    return f'<meta name="csrf-token" content="{escape(token)}">'


def _configuration(future: FutureRow, current: ListedSeries) -> dict[str, Any]:
    cells = {name: future_cell(future, name) for name in (*FUTURE_FIELDS, "openInterest")}
    shown = {name: text for name, (text, _) in cells.items()}
    raw = {name: raw for name, (_, raw) in cells.items()}
    about = {"symbolRoot": future.symbol[:-3], "exchange": _EXCHANGE, "pointValue": POINT_VALUE}
    return {"optionContract": current.symbol, "currentSymbol": {**shown, **about, "raw": {**raw, **about}}}


def _chain_address(series: ListedSeries, *, is_merged: bool) -> str:
    group = "optionType" if is_merged else "strikePrice"
    fields = ",".join(CHAIN_FIELDS)
    return (
        f"{CORE_API}?symbol={series.symbol}&list=futures.options&fields={fields}"
        f"&meta=field.shortName,field.description,field.type,lists.lastUpdate"
        f"&groupBy={group}&orderBy=strike&orderDir=asc&raw=1"
    )


def _script_json(document: object) -> str:
    return json.dumps(document, separators=(",", ":")).replace("/", "\\/")


_PAGE: Final = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>$title</title>
$head
</head>
<body>
<header><a href="/">Barchart</a> <span class="bc-user-block">$links</span></header>
$body
</body>
</html>
""")

_QUOTE_BODY: Final = Template("""<main>
<h1>$name ($symbol)</h1>
<p class="pricechangerow"><span class="last-change">$last</span></p>
<div class="bc-datatable-toolbar bc-options-toolbar">
<select id="bc-options-toolbar__dropdown-month" name="expiration">
$options
</select>
<div class="row bc-options-toolbar__second-row">
<div class="column small-12 medium-4"><div><strong>$days</strong> to expiration on <strong>$expires</strong></div></div>
<div class="column small-12 medium-4">Price Value of Option point: <strong>$$$point_value</strong></div>
</div>
</div>
<table class="bc-datatable" data-state="loading"><tbody></tbody></table>
<p class="disclaimer">Futures and options on futures prices are delayed at least $delay_minutes minutes.</p>
</main>
<script id="bc-dynamic-config" type="application/json">$config</script>
<script>$script</script>
""")

_SCRIPT: Final = Template("""
const token = () => decodeURIComponent((document.cookie.match(/XSRF-TOKEN=([^;]*)/) || ["", ""])[1]);
const table = document.querySelector(".bc-datatable");
const shown = ["strike", "bidPrice", "askPrice", "lastPrice", "volume", "openInterest", "tradeTime"];
async function load() {
  const answer = await fetch($address, {headers: {accept: "application/json", "x-xsrf-token": token()}});
  if (!answer.ok) { throw new Error("status " + answer.status); }
  for (const rows of Object.values((await answer.json()).data)) {
    for (const row of rows) {
      const line = table.tBodies[0].insertRow();
      line.className = row.optionType;
      for (const name of shown) { line.insertCell().textContent = row[name]; }
    }
  }
  table.dataset.state = "loaded";
}
load().catch((error) => { table.dataset.state = "failed"; table.dataset.reason = String(error); });
const pulse = () => fetch($pulse).catch(() => null).finally(() => setTimeout(pulse, 100));
pulse();
$csrf
""")

_LATE_CSRF: Final = Template("""setTimeout(() => {
  const meta = document.createElement("meta");
  meta.name = "csrf-token";
  meta.content = "$token";
  document.head.append(meta);
}, $delay_ms);
""")

_LOGIN_BODY: Final = Template("""<main>
<h1>Login</h1>
$said
<form id="bc-login-form" method="post" action="/login">
<input type="hidden" name="_token" value="$token">
<label>Email <input type="text" name="email" autocomplete="username"></label>
<label>Password <input type="password" name="password" autocomplete="current-password"></label>
<label><input type="checkbox" name="remember"> Remember me</label>
<button type="submit">Log In</button>
</form>
</main>
""")

_CHALLENGE: Final = """<!DOCTYPE html>
<html lang="en">
<head><title></title><meta http-equiv="cache-control" content="no-store"></head>
<body>
<div id="challenge-container"></div>
<noscript><h1>JavaScript is disabled</h1>
In order to continue, we need to verify that you're not a robot. This requires JavaScript.</noscript>
<script>window.awsWafCookieDomainList = []; window.gokuProps = {"key": "simulated", "iv": "simulated"};</script>
</body>
</html>
"""
