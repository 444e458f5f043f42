"""Every refusal of the Historical API, with the cases and texts of the real one where they are known.

401  auth_authentication_failed            no key, or not a key of an account
403  license_not_found_unauthorized        the account may not see the dataset
404  not_found                             no such method
422  data_time_range_start_on_or_after_end, data_date_range_start_on_or_after_end
     data_start_before_available_start     before the first day of the dataset
     data_start_after_available_end, data_end_after_available_end      in the future
     dataset_unavailable_range             not yet historical: it needs a live licence
     symbology_invalid_request             nothing that was asked for could be resolved
     invalid_parameter, unknown_dataset, unavailable_schema            (the real names are not known)
429  too_many_requests                     with Retry-After (the real name is not known)
501  not_simulated                         what this simulator does not do
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tapeline_simulator.databento.history.times import format_time, say_time

_DOCS: Final = "https://databento.com/docs"
_RANGES: Final = f"{_DOCS}/api-reference-historical/basics/datasets"
_TIMES: Final = f"{_DOCS}/standards-and-conventions/common-fields-enums-types"
_SYMBOLOGY: Final = f"{_DOCS}/api-reference-historical/basics/symbology"
_LIMITS: Final = f"{_DOCS}/api-reference-historical/basics/rate-limits"
_ERRORS: Final = f"{_DOCS}/api-reference-historical/basics/errors"
_KEYS: Final = f"{_DOCS}/portal/api-keys"
_PRICING: Final = "https://databento.com/pricing"


class Refusal(Exception):
    """An answer with a status of 400 or above: its HTTP status, the `detail` of its JSON body, and extra headers."""

    def __init__(
        self,
        status: int,
        case: str,
        message: str,
        docs: str = _ERRORS,
        payload: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {case}: {message}")
        self.status = status
        self.case = case
        self.headers = dict(headers or {})
        self.body: dict[str, Any] = {
            "detail": {"case": case, "message": message, "status_code": status, "docs": docs, "payload": payload}
        }


def not_authenticated() -> Refusal:
    """Refuse a request without a valid key."""
    return Refusal(401, "auth_authentication_failed", "Authentication failed.", _KEYS)


def not_entitled(dataset: str) -> Refusal:
    """Refuse a dataset that the account has no licence for."""
    message = f"A license is required to access {dataset}."
    return Refusal(403, "license_not_found_unauthorized", message, _PRICING, {"dataset": dataset})


def no_such_method(method: str) -> Refusal:
    """Refuse a path that is no method of the API."""
    return Refusal(404, "not_found", f"There is no method {method}.")


def not_simulated(what: str) -> Refusal:
    """Refuse what the real API does and this one does not."""
    return Refusal(501, "not_simulated", f"The simulator does not serve {what}; the real API does.")


def invalid_parameter(name: str, rule: str) -> Refusal:
    """Refuse a parameter that breaks a rule: ``limit: Input should be greater than 0``."""
    return Refusal(422, "invalid_parameter", f"{name}: {rule}", _TIMES, {"parameter": name})


def unknown_dataset(dataset: str, known: Sequence[str]) -> Refusal:
    """Refuse a dataset that does not exist."""
    return Refusal(422, "unknown_dataset", f"The dataset {dataset} is not one of {', '.join(known)}.", _RANGES)


def unavailable_schema(dataset: str, schema: str, available: Sequence[str]) -> Refusal:
    """Refuse a schema that the dataset does not have."""
    message = f"The schema {schema} is not available for {dataset}; there are {', '.join(available)}."
    return Refusal(422, "unavailable_schema", message, _RANGES, {"dataset": dataset, "schema": schema})


def too_many_requests(retry_after_s: float) -> Refusal:
    """Refuse a request above the rate limit; whole seconds until the next may be tried go to the header."""
    seconds = str(max(1, math.ceil(retry_after_s)))
    return Refusal(429, "too_many_requests", "Too many requests.", _LIMITS, headers={"Retry-After": seconds})


def times_not_ascending(start_ns: int, end_ns: int) -> Refusal:
    """Refuse a range that is empty or runs backwards."""
    message = f"Invalid time range query, `start` {say_time(start_ns)} cannot be on or after `end` {say_time(end_ns)}."
    payload = {"start": format_time(start_ns), "end": format_time(end_ns)}
    return Refusal(422, "data_time_range_start_on_or_after_end", message, _TIMES, payload)


def dates_not_ascending(start: str, end: str) -> Refusal:
    """Refuse dates that are empty or run backwards."""
    message = f"Invalid date range query, `start_date` {start} cannot be on or after `end_date` {end}."
    return Refusal(422, "data_date_range_start_on_or_after_end", message, _TIMES)


def nothing_resolved(stype_in: str, symbols: Sequence[str]) -> Refusal:
    """Refuse symbols none of which means an instrument in the range."""
    message = "None of the symbols could be resolved"
    if stype_in == "parent":
        message = f"Could not resolve smart symbols: {', '.join(symbols)}"
    return Refusal(422, "symbology_invalid_request", message, _SYMBOLOGY, {"symbols": list(symbols)})


def unsupported_symbology(stype_in: str, stype_out: str) -> Refusal:
    """Refuse a combination of symbologies."""
    message = f"Conversion from {stype_in} to {stype_out} is not supported"
    return Refusal(422, "symbology_invalid_request", message, _SYMBOLOGY)
