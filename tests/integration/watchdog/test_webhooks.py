"""Webhooks are told over real HTTP: again where they fail, in their order, not for ever, and without naming a URL."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress

import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr
from structlog.testing import capture_logs
from tests.integration.watchdog.hooks import Hooks

from tapeline.model.incidents import Incident, incident_id
from tapeline_watchdog.webhooks import Patience, Webhook, Webhooks

PATIENCE = Patience(timeout_s=0.5, attempts=4, first_pause_s=0.01, longest_pause_s=0.02)
HOOK_PATH = "T000/B000/verysecret"


@pytest.fixture
def hooks() -> Iterator[Hooks]:
    with Hooks() as hooks:
        yield hooks


def incident(number: int) -> Incident:
    return Incident(
        id=incident_id("gap", str(number), number),
        type="gap",
        state="open",
        severity="warning",
        subject=str(number),
        summary=f"<b>{number} & more</b>",
        opened_at=number,
        changed_at=number,
    )


@asynccontextmanager
async def telling(*webhooks: Webhook) -> AsyncIterator[tuple[Webhooks, list[Incident]]]:
    told: list[Incident] = []
    found = Webhooks(webhooks, told.append, PATIENCE)
    task = asyncio.create_task(found.run())
    try:
        yield found, told
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 30.0
    while not holds():
        assert time.monotonic() < deadline_s
        await asyncio.sleep(0.005)


def posts(name: str, outcome: str) -> float:
    labels = {"webhook": name, "outcome": outcome}
    return REGISTRY.get_sample_value("tapeline_watchdog_webhook_posts_total", labels) or 0.0


async def test_what_fails_or_hangs_is_tried_again_and_later_ones_wait_for_it(hooks: Hooks) -> None:
    hooks.answers += [500, "hang", 429]
    one = Webhook("retried", "json", SecretStr(f"{hooks.url}/{HOOK_PATH}"))
    with capture_logs() as logs:
        async with telling(one) as (webhooks, told):
            webhooks.tell(incident(1))
            webhooks.tell(incident(2))
            await until(lambda: len(told) == 2)
    assert [body["incident"]["subject"] for _, body in hooks.calls] == ["1", "1", "1", "1", "2"]
    assert [each.subject for each in told] == ["1", "2"]
    keys = [headers["Idempotency-Key"] for headers in hooks.headers]
    assert len(set(keys)) == 2
    assert keys[:4] == [keys[0]] * 4
    assert (posts("retried", "failed"), posts("retried", "taken")) == (3.0, 2.0)
    assert [line["said"] for line in logs] == [
        "status 500",
        "no answer in time",
        "status 429",
        "status 200",
        "status 200",
    ]
    assert "127.0.0.1" not in str(logs)
    assert "secret" not in str(logs)


async def test_redirects_are_not_followed_and_what_is_refused_is_given_up_at_once(hooks: Hooks) -> None:
    hooks.answers += [302, 404]
    one = Webhook("refused", "json", SecretStr(f"{hooks.url}/hook"))
    async with telling(one) as (webhooks, told):
        webhooks.tell(incident(1))
        webhooks.tell(incident(2))
        await until(lambda: len(told) == 2)
    assert [path for path, _ in hooks.calls] == ["/hook", "/hook"]
    assert (posts("refused", "given_up"), posts("refused", "taken")) == (2.0, 0.0)


async def test_one_that_is_away_is_given_up_in_the_end_and_holds_up_no_other(hooks: Hooks) -> None:
    with Hooks() as gone:
        address = gone.url
    away = Webhook("away", "json", SecretStr(f"{address}/{HOOK_PATH}"))
    wrong = Webhook("wrong", "json", SecretStr(f"http://[{HOOK_PATH}"))
    slack = Webhook("slack", "slack", SecretStr(f"{hooks.url}/services/{HOOK_PATH}"))
    with capture_logs() as logs:
        async with telling(away, wrong, slack) as (webhooks, told):
            webhooks.tell(incident(1))
            await until(lambda: len(told) == 1)
    [(path, body)] = hooks.calls
    assert path == f"/services/{HOOK_PATH}"
    assert list(body) == ["text"]
    assert body["text"].startswith("WARNING: &lt;b&gt;1 &amp; more&lt;/b&gt;\nsince 1970-01-01 00:00:00 UTC")
    assert posts("away", "given_up") == posts("wrong", "given_up") == 1.0
    assert "secret" not in str(logs)
    assert address.rpartition(":")[2] not in str(logs)


async def test_a_queue_that_is_full_drops_what_comes_and_says_so(hooks: Hooks) -> None:
    one = Webhook("full", "json", SecretStr(f"{hooks.url}/hook"))
    told: list[Incident] = []
    webhooks = Webhooks([one], told.append, PATIENCE)
    for number in range(101):
        webhooks.tell(incident(number))
    assert [each.subject for each in told] == ["100"]
    assert posts("full", "dropped") == 1.0
