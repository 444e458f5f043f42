"""``/proxies/core-api/v1/quotes/get``: who may ask, and what is answered."""

from __future__ import annotations

from collections.abc import Mapping

from tapeline_simulator.barchart.answers import Answer, document, refusal
from tapeline_simulator.barchart.distortions import distort, rows_under, view_under
from tapeline_simulator.barchart.faults import SiteFault
from tapeline_simulator.barchart.market import MarketView
from tapeline_simulator.barchart.payload import Question, chain_answer, quote_answer
from tapeline_simulator.barchart.sessions import Session
from tapeline_simulator.barchart.settings import Auth

_CHAIN_LIST = "futures.options"


def kind_of(query: Mapping[str, str]) -> str:
    """Return what a call asks for, as faults name it: ``quote`` for futures, else ``chain``."""
    return "quote" if "symbols" in query else "chain"


def refuse(auth: Auth, session: Session | None, headers: Mapping[str, str]) -> Answer | None:
    """Return the refusal of who may not ask, or None. Which status it has is not known of the vendor."""
    if auth == "b":
        if headers.get("sec-fetch-site") != "same-origin":
            return refusal(403, "Forbidden.")
        return None
    if session is None:
        return refusal(401, "Unauthenticated.")
    is_good = session.accepts(headers.get("x-xsrf-token", "")) or headers.get("x-csrf-token") == session.csrf_token
    return None if is_good else refusal(419, "CSRF token mismatch.")


def answer(query: Mapping[str, str], now: MarketView, session: Session | None, fault: SiteFault | None) -> Answer:
    """Return the answer to a call."""
    view, question = view_under(fault, now), Question.of(query)
    if kind_of(query) == "quote":
        asked = [symbol for symbol in query["symbols"].split(",") if symbol]
        known = {future.symbol: future for future in view.futures}
        rows = [known[symbol] for symbol in asked if symbol in known]
        return document(quote_answer(rows, question), session)
    if query.get("list") != _CHAIN_LIST or not query.get("symbol"):
        return refusal(400, "The symbol and list fields are required.")
    shown = rows_under(fault, view, query["symbol"])
    total = len(view.rows(query["symbol"])) if fault is not None else len(shown)
    return document(distort(fault, chain_answer(shown, question), total), session)
