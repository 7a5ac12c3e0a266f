"""When a trial reports and is saved, by a clock of the test's own."""

from __future__ import annotations

from typing import Any

from trainables.loop.reports import BESIDE_S, Reports
from tune_select.reporting import Reporting


def due(wanted: Reporting, ends_s: list[float], **values: list[Any]) -> list[int]:
    """The epochs, ending at the given times, with which the driver is told."""
    reports, told = Reports(wanted, 0.0), []
    reports.begins(0.0)
    for epoch, now_s in enumerate(ends_s, 1):
        report = {"epoch": epoch, "done": epoch == len(ends_s)}
        report |= {name: column[epoch - 1] for name, column in values.items()}
        if reports.is_due(report, now_s):
            told.append(epoch)
            reports.sent(report)
            reports.begins(now_s)
    return told


def saves(wanted: Reporting, ends_s: list[float], took_s: float) -> list[int]:
    """The epochs after which the trial is saved, each time in so many seconds."""
    reports, found = Reports(wanted, 0.0), []
    for epoch, now_s in enumerate(ends_s, 1):
        if reports.saves({"epoch": epoch, "done": epoch == len(ends_s)}, now_s):
            found.append(epoch)
            reports.saved(now_s, took_s)
    return found


TENTHS = [0.1 * epoch for epoch in range(1, 41)]


def test_a_report_covers_the_seconds_asked_for_and_the_last_epoch_is_told() -> None:
    assert due(Reporting(every_s=1.05), TENTHS) == [11, 22, 33, 40]


def test_without_seconds_every_epoch_is_told() -> None:
    assert due(Reporting(), TENTHS[:5]) == [1, 2, 3, 4, 5]


def test_epochs_at_which_a_scheduler_decides_are_told_at_once() -> None:
    assert due(Reporting(every_s=60, epochs=frozenset({3, 9})), TENTHS) == [3, 9, 40]


def test_what_a_seed_publishes_is_told_at_once() -> None:
    published = [1] * 4 + [2] * 4 + [3] * 4
    assert due(Reporting(every_s=60), TENTHS[:12], history_published=published) == [1, 5, 9, 12]


def test_a_replay_that_waits_says_so_at_once() -> None:
    waiting = [-1, -1, 2, 0, -1, -1]
    assert due(Reporting(every_s=60), TENTHS[:6], waiting_for_interval=waiting) == [3, 4, 6]
    reports = Reports(Reporting(checkpoint_every=1), 0.0)
    assert [reports.saves({"epoch": 1, "waiting_for_interval": n}, 1.0) for n in (-1, 0, 1)] == [
        True, False, False,
    ]  # fmt: skip


def test_checkpoints_by_epochs_end_a_report() -> None:
    assert due(Reporting(every_s=60, checkpoint_every=10), TENTHS) == [10, 20, 30, 40]


def test_checkpoints_take_their_share_of_the_seconds() -> None:
    seconds = [float(second) for second in range(1, 101)]
    found = saves(Reporting(checkpoint_share=0.02), seconds, took_s=0.17)
    # The first at 0.1 s by guess; then 0.17 s and the driver's 0.03 s are 2% of ten seconds.
    assert found == [5, 15, 25, 35, 45, 55, 65, 75, 85, 95, 100]
    assert len(found) * 0.2 <= 0.02 * 100 + 2 * 0.2


def test_a_trial_of_seconds_is_not_saved() -> None:
    assert saves(Reporting(checkpoint_share=0.02), TENTHS, took_s=0.1) == []


def test_dear_checkpoints_are_rare() -> None:
    minutes = [60.0 * minute for minute in range(1, 61)]
    assert saves(Reporting(checkpoint_share=0.02), minutes, took_s=12.0) == [
        1,
        12,
        23,
        34,
        45,
        56,
        60,
    ]


def test_a_seed_is_saved_no_more_often_than_another_trial() -> None:
    """What it has published is not selected again, whether it was saved since or not."""
    reports, found = Reports(Reporting(checkpoint_share=0.02), 0.0), []
    for epoch, published in enumerate([1, 1, 2, 2, 2, 3, 3, 4], 1):
        report = {"epoch": epoch, "history_published": published}
        if reports.saves(report, 1.0 * epoch):
            found.append(epoch)
            reports.saved(1.0 * epoch, 0.1 - BESIDE_S)
        reports.sent(report)
    assert found == [5]  # of a tenth of a second, 2% of five seconds


def test_who_steps_aside_is_saved_by_whoever_makes_it() -> None:
    waiting = {"epoch": 10, "waiting_for_interval": 1}
    for wanted in (Reporting(checkpoint_every=10), Reporting(checkpoint_share=0.02)):
        assert not Reports(wanted, 0.0).saves(waiting, 1e6)


def test_nothing_is_saved_unless_the_sweep_says_when() -> None:
    assert saves(Reporting(every_s=1.0), TENTHS, took_s=0.0) == []


def test_what_the_driver_takes_for_a_checkpoint_counts_as_its_cost() -> None:
    """0.07 s of its own and 0.03 s of the driver's: a tenth of the time after one second."""
    reports = Reports(Reporting(checkpoint_every=None, checkpoint_share=0.1), 0.0)
    reports.saved(5.0, 0.07)
    assert not reports.saves({"epoch": 1}, 5.99)
    assert reports.saves({"epoch": 1}, 6.01)
