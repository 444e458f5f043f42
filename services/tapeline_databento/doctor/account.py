"""What the account may have, as the Historical API tells: key, dataset, schemas, range, condition of the last days."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Final, TypeVar

from tapeline.errors import Misconfigured, Retryable, TapelineError
from tapeline.feed.doctor import Check, skipped
from tapeline.model.usage import day_of
from tapeline_databento.errors import KeyRefused, NotEntitled
from tapeline_databento.history.client import HistoryClient
from tapeline_databento.history.query import say_time

AUTHENTICATION: Final = "authentication"
ENTITLEMENT: Final = "entitlement"
RANGE: Final = "dataset-range"
CONDITION: Final = "dataset-condition"
CHECKS: Final = (AUTHENTICATION, ENTITLEMENT, RANGE, CONDITION)

CONDITION_DAYS: Final = 7
OLD_NS: Final = 5 * 86_400_000_000_000
"""History that ends longer ago is no weekend's or holiday's."""

NEW_KEY: Final = (
    "see at databento.com (portal, API keys) whether the key is still good, or create a new one there, and put it in"
    " TAPELINE_DATABENTO_API_KEY"
)
SUBSCRIBE: Final = (
    "subscribe to the dataset at databento.com (portal, plans and live data; an exchange may want its licence signed),"
    " or set TAPELINE_DATABENTO_DATASET"
)
REACH: Final = (
    "see whether this computer reaches it (firewall, proxy, TAPELINE_DATABENTO_HISTORY_GATEWAY), and whether"
    " databento.com reports an incident; then try again"
)
_SUBSCRIPTIONS: Final = "correct TAPELINE_DATABENTO_SUBSCRIPTIONS"

T = TypeVar("T")


async def account_checks(
    client: HistoryClient, dataset: str, schemas: Sequence[str], now_ns: int, timeout_s: float
) -> AsyncIterator[Check]:
    """Yield what the Historical API tells of the account, the dataset and the `schemas` that are subscribed to.

    The vendor may be silent for `timeout_s`. Nothing of it costs anything.
    """
    try:
        datasets = await _ask(client.datasets, timeout_s)
    except TapelineError as error:
        yield _red(AUTHENTICATION, error)
        for check in skipped(CHECKS[1:], "it takes authentication with the Historical API"):
            yield check
        return
    yield Check(AUTHENTICATION, "ok", "the Historical API accepts the key")
    if dataset not in datasets:
        yield Check(
            ENTITLEMENT, "red", f"the account is not shown {dataset}, but {', '.join(datasets) or 'nothing'}", SUBSCRIBE
        )
        for check in skipped(CHECKS[2:], f"{dataset} is not there"):
            yield check
        return
    try:
        yield schemas_check(dataset, schemas, await _ask(lambda: client.schemas(dataset), timeout_s))
    except TapelineError as error:
        yield _red(ENTITLEMENT, error)
    try:
        bounds = await _ask(lambda: client.available(dataset, schemas[0]), timeout_s)
    except TapelineError as error:
        yield _red(RANGE, error)
        yield Check(CONDITION, "skipped", "it is not known until when there is history")
        return
    yield range_check(dataset, schemas[0], bounds, now_ns)
    last_ns = min(bounds[1], now_ns) - 1
    first_day, last_day = day_of(last_ns, 1 - CONDITION_DAYS), day_of(last_ns)
    try:
        yield condition_check(dataset, await _ask(lambda: client.conditions(dataset, first_day, last_day), timeout_s))
    except TapelineError as error:
        yield _red(CONDITION, error)


def schemas_check(dataset: str, wanted: Sequence[str], there: Sequence[str]) -> Check:
    """Return whether a dataset has the schemas that are subscribed to. Pure."""
    unknown = [schema for schema in wanted if schema not in there]
    if unknown:
        detail = f"{dataset} has no {', '.join(unknown)}, but {', '.join(there) or 'nothing'}"
        return Check(ENTITLEMENT, "red", detail, _SUBSCRIPTIONS)
    return Check(ENTITLEMENT, "ok", f"{dataset} is there, with {', '.join(wanted)}")


def range_check(dataset: str, schema: str, bounds: tuple[int, int], now_ns: int) -> Check:
    """Return from when until when (ns since the epoch) there is history. Pure."""
    from_ns, until_ns = bounds
    detail = f"history of {dataset} {schema} is from {say_time(from_ns)} until {say_time(until_ns // 10**9 * 10**9)}"
    if now_ns - until_ns > OLD_NS:
        return Check(
            RANGE, "warning", f"{detail}: it ends long ago", "see at databento.com what the plan includes of history"
        )
    return Check(RANGE, "ok", detail)


def condition_check(dataset: str, conditions: Mapping[str, str]) -> Check:
    """Return how the vendor judges its last days. Pure."""
    if not conditions:
        return Check(CONDITION, "warning", f"nothing is told of the last {CONDITION_DAYS} days of {dataset}")
    flawed = [f"{day} {condition}" for day, condition in conditions.items() if condition in ("degraded", "missing")]
    span = f"{min(conditions)} to {max(conditions)}"
    if flawed:
        return Check(
            CONDITION,
            "warning",
            f"{dataset}, {span}: {', '.join(flawed)}",
            "expect gaps on these days; databento.com (dataset, condition) says whether they are being mended",
        )
    pending = [day for day, condition in conditions.items() if condition == "pending"]
    still = f"; not complete yet: {', '.join(pending)}" if pending else ""
    return Check(CONDITION, "ok", f"{dataset}, {span}: available{still}")


async def _ask(call: Callable[[], T], timeout_s: float) -> T:
    """Return what a blocking call returns, on a thread.

    Silence of `timeout_s` ends the call itself. Raises Retryable where it takes twice as long: an answer in drips.
    """
    longest_s = 2 * timeout_s
    try:
        async with asyncio.timeout(longest_s):
            return await asyncio.to_thread(call)
    except TimeoutError:
        raise Retryable(f"the Historical API has not finished its answer within {longest_s:g} s") from None


def _red(name: str, error: TapelineError) -> Check:
    match error:
        case KeyRefused():
            return Check(name, "red", "the Historical API does not accept the key", NEW_KEY)
        case NotEntitled():
            return Check(name, "red", str(error), SUBSCRIBE)
        case Misconfigured():
            return Check(name, "red", str(error), "change what is named there (settings: TAPELINE_DATABENTO_<NAME>)")
    return Check(name, "red", str(error), REACH)
