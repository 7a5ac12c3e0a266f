"""Several epochs in one report: nothing of them is lost or changed."""

from __future__ import annotations

from typing import Any

from tune_select.reporting import EARLIER, each_report, packed


def report(epoch: int, **more: Any) -> dict[str, Any]:
    return {"epoch": epoch, "training_iteration": epoch, "config": {"a": 1}, "pid": 7, **more}


def test_unpacking_gives_back_what_was_packed() -> None:
    reports = [report(1), report(2, val_accuracy=0.5), report(3, done=True)]
    assert list(each_report(packed(reports))) == reports


def test_what_tune_adds_on_the_driver_stands_in_each() -> None:
    told = packed([report(1), report(2)]) | {"trial_id": "t"}
    assert [(one["epoch"], one["trial_id"]) for one in each_report(told)] == [(1, "t"), (2, "t")]


def test_one_epoch_is_a_report_as_ever() -> None:
    assert packed([report(1)]) == report(1)
    assert list(each_report(report(1))) == [report(1)]


def test_the_configuration_travels_once() -> None:
    assert all("config" not in earlier for earlier in packed([report(1), report(2)])[EARLIER])
