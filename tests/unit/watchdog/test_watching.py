"""How long the last sample says something of now."""

from __future__ import annotations

from tests.unit.watchdog.clusters import TICKS, Watched, cluster, group

from tapeline_watchdog.settings import WatchdogSettings
from tapeline_watchdog.watching import LagWatch


async def test_an_old_sample_says_nothing_of_now() -> None:
    now_s = 0.0
    watch = LagWatch(WatchdogSettings(interval_s=10.0, timeout_s=5.0), "127.0.0.1:1", clock=lambda: now_s)
    assert watch.status() == {"ready": False, "sample_age_s": None, "groups": {}, "stuck_workers": []}
    report = watch.report = Watched().sample(cluster({(TICKS, 0): 9}, group("g", {(TICKS, 0): 9})))
    now_s = 39.0
    assert watch.fresh_report() is report
    assert watch.status() == {"ready": True, "sample_age_s": 39.0, "groups": {"g": "OK"}, "stuck_workers": []}
    now_s = 41.0
    assert watch.fresh_report() is None
    assert watch.status()["ready"] is False
    now_s = 1.0
    watch.stop()
    assert watch.status()["ready"] is False
    await watch.run()
