"""The last good answer of each series, on the disk: it saves a call for a while, and stands in for a live one later.

<folder>/<series>.chain    one line of JSON, what it is, and below it the answer's bytes as they came
<folder>/<product>.list    the vendor's list of series, as of when it was read
<folder>/corrupt/          what failed its check

The cache of fetched files (`tapeline.feed.cache`) knows no entry that is too old to save a call and still worth having.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

import orjson

from tapeline.errors import BadData, Misconfigured
from tapeline.feed.barchart.page import ListedSeries
from tapeline.feed.barchart.series import VendorSeries
from tapeline.feed.cache_files import write_durably
from tapeline.model.chains import UnderlyingPrice
from tapeline.ops import metrics
from tapeline.ops.logs import get_logger

AnswerForm = Literal["core-api", "on-demand"]
"""What an answer is written in: as the site's own page gets it, or in OnDemand's envelope."""

SCHEMA: Final = "kept-chain.v1"
LIST_SCHEMA: Final = "kept-list.v1"
_CORRUPT: Final = "corrupt"

log = get_logger("barchart.kept")


@dataclass(frozen=True, slots=True)
class KeptChain:
    """An answer and all that is needed to read it: of which series, and when (ns) it came.

    `date` is the vendor's own clock in its words, ``""`` where it does not say; `is_time_assumed` where `fetched_at` is
    a guess, as it may be of a saved file.
    """

    series: VendorSeries
    form: AnswerForm
    payload: bytes
    fetched_at: int
    underlying_price: UnderlyingPrice | None
    date: str
    is_time_assumed: bool = False


@dataclass(frozen=True, slots=True)
class KeptList:
    """The vendor's list of a product's series, and when (ns) it was read."""

    read_at: int
    series: tuple[ListedSeries, ...]


class KeptChains:
    """The folder of kept answers. Its calls block."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, chain: KeptChain) -> None:
        """Keep an answer instead of the one before it. Raises Misconfigured where it cannot be written."""
        head = {
            "schema": SCHEMA,
            "series": asdict(chain.series),
            "form": chain.form,
            "fetched_at": str(chain.fetched_at),
            "underlying_price": None if chain.underlying_price is None else asdict(chain.underlying_price),
            "date": chain.date,
            "sha256": hashlib.sha256(chain.payload).hexdigest(),
        }
        self._write(self._chain_file(chain.series.vendor_series), orjson.dumps(head) + b"\n" + chain.payload)

    def get(self, vendor_series: str) -> KeptChain | None:
        """Return the last answer of a series, None where there is none that is whole."""
        path = self._chain_file(vendor_series)
        value = _read(path)
        if value is None:
            return None
        try:
            chain = _chain_of(value)
            if chain.series.vendor_series != vendor_series:
                raise BadData("series", f"must be {vendor_series}, is {chain.series.vendor_series}")
        except (BadData, ValueError, TypeError, KeyError) as error:
            self._set_aside(path, str(error))
            return None
        return chain

    def put_list(self, product: str, kept: KeptList) -> None:
        """Keep the list of a product's series. Raises Misconfigured where it cannot be written."""
        listed = [{"path": each.path, "series": asdict(each.series)} for each in kept.series]
        document = {"schema": LIST_SCHEMA, "read_at": str(kept.read_at), "listed": listed}
        self._write(self._list_file(product), orjson.dumps(document))

    def get_list(self, product: str) -> KeptList | None:
        """Return the list that was kept of a product, None where there is none that is whole."""
        path = self._list_file(product)
        value = _read(path)
        if value is None:
            return None
        try:
            document = _document(value, LIST_SCHEMA)
            listed = tuple(ListedSeries(VendorSeries(**each["series"]), each["path"]) for each in document["listed"])
            return KeptList(int(document["read_at"]), listed)
        except (BadData, ValueError, TypeError, KeyError) as error:
            self._set_aside(path, str(error))
            return None

    def forget_expired(self, before_ns: int) -> None:
        """Remove the answers of series that expired before `before_ns`."""
        for path in self._folder.glob("*.chain"):
            chain = self.get(path.stem)
            if chain is not None and chain.series.expiry < before_ns:
                path.unlink(missing_ok=True)

    def _chain_file(self, vendor_series: str) -> Path:
        return self._folder / f"{vendor_series}.chain"

    def _list_file(self, product: str) -> Path:
        return self._folder / f"{product}.list"

    def _write(self, path: Path, value: bytes) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            write_durably(path, value)
        except OSError as error:
            raise Misconfigured(
                f"{path}: cannot be written: {error.strerror}; see TAPELINE_BARCHART_KEPT_FOLDER"
            ) from None

    def _set_aside(self, path: Path, fault: str) -> None:
        aside = self._folder / _CORRUPT
        aside.mkdir(exist_ok=True)
        path.replace(aside / path.name)
        metrics.CACHE_CORRUPT.labels("barchart").inc()
        log.warning("set aside", file=path.name, fault=fault, folder=str(aside))


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read: {error.strerror}; see TAPELINE_BARCHART_KEPT_FOLDER") from None


def _chain_of(value: bytes) -> KeptChain:
    head, _, payload = value.partition(b"\n")
    document = _document(head, SCHEMA)
    if hashlib.sha256(payload).hexdigest() != document["sha256"]:
        raise BadData("sha256", "must be that of the answer")
    if document["form"] not in get_args(AnswerForm):
        raise BadData("form", f"must be one of {', '.join(get_args(AnswerForm))}")
    price = document["underlying_price"]
    return KeptChain(
        series=VendorSeries(**document["series"]),
        form=document["form"],
        payload=payload,
        fetched_at=int(document["fetched_at"]),
        underlying_price=None if price is None else UnderlyingPrice(**price),
        date=document["date"],
    )


def _document(value: bytes, schema: str) -> Mapping[str, Any]:
    document = orjson.loads(value)
    if not isinstance(document, dict) or document.get("schema") != schema:
        raise BadData("schema", f"must be {schema}")
    return document
