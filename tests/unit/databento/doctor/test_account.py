"""What is made of the vendor's answers about an account."""

from __future__ import annotations

from tapeline_databento.doctor.account import condition_check, range_check, schemas_check

DAY_NS = 86_400 * 10**9
NOW = 1_790_035_200 * 10**9  # 2026-09-22T00:00:00Z


def test_schemas_that_the_dataset_has_not_are_red_and_named() -> None:
    assert schemas_check("GLBX.MDP3", ["mbo", "status"], ["mbo", "status", "trades"]).status == "ok"
    check = schemas_check("GLBX.MDP3", ["mbo", "tbbo", "status"], ["mbo", "trades"])
    assert (check.name, check.status) == ("entitlement", "red")
    assert check.detail == "GLBX.MDP3 has no tbbo, status, but mbo, trades"
    assert check.remedy == "correct TAPELINE_DATABENTO_SUBSCRIPTIONS"


def test_history_that_ends_long_ago_is_a_warning() -> None:
    fresh = range_check("GLBX.MDP3", "mbo", (0, NOW - 5 * DAY_NS), NOW)
    assert (fresh.status, fresh.remedy) == ("ok", None)
    assert fresh.detail == "history of GLBX.MDP3 mbo is from 1970-01-01T00:00:00Z until 2026-09-17T00:00:00Z"
    old = range_check("GLBX.MDP3", "mbo", (0, NOW - 5 * DAY_NS - 1), NOW)
    assert old.status == "warning"
    assert old.remedy is not None


def test_degraded_and_missing_days_are_a_warning_and_named() -> None:
    good = {"2026-09-18": "available", "2026-09-19": "available", "2026-09-20": "pending"}
    check = condition_check("GLBX.MDP3", good)
    assert check.status == "ok"
    assert check.detail == "GLBX.MDP3, 2026-09-18 to 2026-09-20: available; not complete yet: 2026-09-20"
    check = condition_check("GLBX.MDP3", good | {"2026-09-18": "degraded", "2026-09-19": "missing"})
    assert check.status == "warning"
    assert check.detail == "GLBX.MDP3, 2026-09-18 to 2026-09-20: 2026-09-18 degraded, 2026-09-19 missing"
    assert check.remedy is not None
    assert condition_check("GLBX.MDP3", {}).status == "warning"
