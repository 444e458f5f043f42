"""All traffic with Databento's Historical API, through the official client; its calls block."""

from __future__ import annotations

import errno
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import databento
from databento.common.error import BentoClientError, BentoError, BentoHttpError, BentoWarning
from databento_dbn import DBNError
from pydantic import SecretStr

from tapeline.errors import Misconfigured, Refused, TapelineError
from tapeline.feed.cache_entry import CacheRequest
from tapeline.feed.cost import Estimate
from tapeline.feed.prices import UnitPrices, micro_usd, unit_prices
from tapeline_databento.errors import (
    CutAnswer,
    HistoryAway,
    KeyRefused,
    NotEntitled,
    NotHistory,
    NotYetHistory,
    Unresolved,
)
from tapeline_databento.history.query import say_time, vendor_time

_TIMED_OUT: Final = 408
_TOO_MANY: Final = 429
_DISK_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_TOO_EARLY: Final = "available_start"
_TOO_YOUNG: Final = ("available_end", "dataset_unavailable_range")


class HistoryClient:
    """Asks what there is and what it costs, and downloads it. `gateway` is an https address.

    `metadata_timeout_s`: how long the vendor may take to answer questions; by default as the official client says.
    Raises HistoryAway or CutAnswer where another attempt may help; NotHistory, Unresolved, Refused or Misconfigured
    where none will.
    """

    def __init__(self, key: SecretStr, gateway: str, metadata_timeout_s: int | None = None) -> None:
        self._key = key
        try:
            self._api = databento.Historical(key.get_secret_value(), gateway)
        except ValueError as error:
            raise Misconfigured(f"the address of the Historical API: {self._say(error)}") from None
        if metadata_timeout_s is not None:
            self._api.metadata.TIMEOUT = metadata_timeout_s

    def datasets(self) -> list[str]:
        """Return the codes of the datasets that the account is shown."""
        with self._explained("any dataset"):
            return _texts(self._api.metadata.list_datasets())

    def schemas(self, dataset: str) -> list[str]:
        """Return the schemas of a dataset."""
        with self._explained(dataset):
            return _texts(self._api.metadata.list_schemas(dataset))

    def conditions(self, dataset: str, first_day: str, last_day: str) -> dict[str, str]:
        """Return what the vendor says of each day from `first_day` to `last_day` (YYYY-MM-DD, both inclusive).

        That is ``available``, ``degraded``, ``pending`` or ``missing``.
        """
        with self._explained(dataset):
            answer: Any = self._api.metadata.get_dataset_condition(dataset, first_day, last_day)
            return {str(entry["date"]): str(entry["condition"]) for entry in answer}

    def available(self, dataset: str, schema: str) -> tuple[int, int]:
        """Return from when until when (ns since the epoch, the end exclusive) the account may have a schema."""
        with self._explained(dataset):
            answer: Any = self._api.metadata.get_dataset_range(dataset)
            bounds = answer.get("schema", {}).get(schema, answer)
            return vendor_time(bounds["start"]), vendor_time(bounds["end"])

    def unit_prices(self, dataset: str) -> UnitPrices:
        """Return the vendor's list prices."""
        with self._explained(dataset):
            return unit_prices(self._api.metadata.list_unit_prices(dataset))

    def estimate(self, request: CacheRequest) -> Estimate:
        """Return what the vendor says a request comes to; costs nothing."""
        asked = _parameters(request)
        with self._explained(request.dataset):
            return Estimate(
                cost_micro_usd=micro_usd(self._api.metadata.get_cost(**asked)),
                bytes=int(self._api.metadata.get_billable_size(**asked)),
                records=int(self._api.metadata.get_record_count(**asked)),
            )

    def count(self, request: CacheRequest) -> int:
        """Return how many records the vendor says that a request has; costs nothing."""
        with self._explained(request.dataset):
            return int(self._api.metadata.get_record_count(**_parameters(request)))

    def raw_symbol(self, dataset: str, instrument_id: int, day: str) -> str | None:
        """Return the raw symbol of an instrument on a day (YYYY-MM-DD), None where the vendor knows none."""
        with self._explained(dataset):
            answer: Any = self._api.symbology.resolve(dataset, [str(instrument_id)], "instrument_id", "raw_symbol", day)
            found = [interval["s"] for intervals in answer["result"].values() for interval in intervals]
        return str(found[0]) if found and found[0] else None

    def download(self, request: CacheRequest, path: Path) -> list[str]:
        """Write what was asked for to `path`, a new file, as it comes; return the vendor's warnings.

        What it raises may leave a part of it at `path`; and where the answer ends with its connection, a part of it may
        look whole: count its records.
        """
        with warnings.catch_warnings(record=True) as caught, self._explained(request.dataset):
            warnings.simplefilter("always", BentoWarning)
            self._api.timeseries.get_range(**_parameters(request), path=path)
        return [str(warning.message) for warning in caught if issubclass(warning.category, BentoWarning)]

    @contextmanager
    def _explained(self, dataset: str) -> Iterator[None]:
        """Raise the errors of the official client, of HTTP and of answers that make no sense as ours."""
        try:
            yield
        except TapelineError:
            raise
        except BentoHttpError as error:
            raise self._refusal(error, dataset) from None
        except BentoError as error:
            if getattr(error.__context__, "errno", None) in _DISK_FULL:
                raise Misconfigured(
                    f"{self._say(error)}: make room where the cache is, or set TAPELINE_CACHE_DIR"
                ) from None
            raise CutAnswer(f"the answer was cut: {self._say(error)}") from None
        except OSError as error:
            # Of requests' own errors this is the base.
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise Misconfigured(
                    "the Historical API shows a certificate that is not trusted here; if it is your own, name the"
                    " authority's file in REQUESTS_CA_BUNDLE"
                ) from None
            raise HistoryAway(f"the Historical API does not answer: {self._say(error)}") from None
        except (DBNError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CutAnswer(f"the Historical API answered what makes no sense: {self._say(error)}") from None

    def _refusal(self, error: BentoHttpError, dataset: str) -> TapelineError:
        told = self._say(error)
        status = error.http_status
        if status in (_TIMED_OUT, _TOO_MANY) or not isinstance(error, BentoClientError):
            return HistoryAway(f"the Historical API answers {told}", _seconds(error.headers.get("Retry-After")))
        if status == 401:
            return KeyRefused(
                "Databento does not accept the API key; see databento.com (portal, API keys) whether it is still good,"
                " and what TAPELINE_DATABENTO_API_KEY holds"
            )
        if status == 403:
            return NotEntitled(f"the account is not entitled to {dataset}: {told}")
        case, available_end = _detail(error)
        if _TOO_EARLY in case or any(each in case for each in _TOO_YOUNG):
            until_ns = vendor_time(available_end) if available_end else 0
            until = f" until {say_time(until_ns)}" if until_ns else ""
            what = f"{dataset} can be had{until}: {told}"
            return NotHistory(what) if _TOO_EARLY in case else NotYetHistory(what, until_ns)
        if case.startswith("symbology"):
            return Unresolved(f"{dataset}: {told}")
        return Refused(f"Databento refuses the request: {told}")

    def _say(self, error: BaseException) -> str:
        """Return the error's words on one line, never with the key."""
        words = " ".join(str(error).split()) or type(error).__name__
        return words.replace(self._key.get_secret_value(), "***")


def _parameters(request: CacheRequest) -> dict[str, Any]:
    return {
        "dataset": request.dataset,
        "schema": request.schema,
        "symbols": list(request.symbols),
        "stype_in": request.stype_in,
        "start": request.start_ns,
        "end": request.end_ns,
    }


def _texts(answer: Any) -> list[str]:
    """Return a list of texts. Raises TypeError where it is none."""
    if not isinstance(answer, list):
        raise TypeError(f"must be a list, is {type(answer).__name__}")
    return [str(each) for each in answer]


def _detail(error: BentoHttpError) -> tuple[str, str]:
    """Return the case that the vendor names, and until when the data can be had; empty where it does not say."""
    detail = (error.json_body or {}).get("detail")
    if not isinstance(detail, dict):
        return "", ""
    payload = detail.get("payload")
    end = payload.get("available_end") if isinstance(payload, dict) else None
    return str(detail.get("case", "")), end if isinstance(end, str) else ""


def _seconds(text: object) -> float:
    """Return a Retry-After in seconds; 0 where there is none, or it is a date."""
    try:
        return max(0.0, float(str(text)))
    except ValueError:
        return 0.0
