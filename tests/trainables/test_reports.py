"""Reports of several epochs: the same epochs, and faults only after those before them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trainables import ImageClassification
from tune_select.reporting import Reporting, each_report

CONFIG = {
    "arm": "full",
    "model": "small_cnn",
    "model_settings": {"channels": [8]},
    "max_epochs": 5,
    "learning_rate": 0.05,
    "batch_size": 32,
    "data": {"train_limit": 100},
}


def trial(reporting: Reporting) -> ImageClassification:
    made = ImageClassification(CONFIG)
    made.setup(CONFIG, reporting=reporting)  # as Ray hands it over
    return made


def told(reporting: Reporting) -> list[dict[str, Any]]:
    """The reports of a trial as a sweep's driver gets them."""
    made = trial(reporting)
    reports = [made.train()]
    while not reports[-1]["done"]:
        reports.append(made.train())
    return reports


def without_times(report: dict[str, Any]) -> dict[str, Any]:
    other = ("date", "timestamp", "time_since_restore", "should_checkpoint")
    return {k: v for k, v in report.items() if not k.endswith("_s") and k not in other}


def test_epochs_reported_together_are_those_reported_one_by_one() -> None:
    alone = told(Reporting())
    assert [report["epoch"] for report in alone] == [1, 2, 3, 4, 5]
    together = told(Reporting(every_s=600, epochs=frozenset({3})))
    assert [report["epoch"] for report in together] == [3, 5]
    epochs = [epoch for report in together for epoch in each_report(report)]
    assert [*map(without_times, epochs)] == [*map(without_times, alone)]


def test_what_ends_a_trial_comes_after_the_epochs_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = trial(Reporting(every_s=600))
    whole = made._loop.run_epoch

    def fails() -> dict[str, Any]:
        if made._loop.epoch == 2:
            raise ValueError("of the third epoch")
        return whole()

    monkeypatch.setattr(made._loop, "run_epoch", fails)
    assert [report["epoch"] for report in each_report(made.train())] == [1, 2]
    with pytest.raises(ValueError, match="of the third epoch"):
        made.train()


def test_a_checkpoint_is_asked_for_with_the_report_it_belongs_to() -> None:
    reports = told(Reporting(every_s=600, checkpoint_every=2))
    assert [(r["epoch"], r["should_checkpoint"]) for r in reports] == [
        (2, True), (4, True), (5, False),
    ]  # fmt: skip


def test_what_epochs_record_is_written_with_their_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = trial(Reporting(every_s=600, epochs=frozenset({2})))
    monkeypatch.setattr(made, "_logdir", str(tmp_path))
    step, writes = made.step, []

    def recording() -> dict[str, Any]:
        report = step()
        made.record("rows.parquet", pa.table({"epoch": [report["epoch"]] * 2}))
        writes.append((tmp_path / "rows.parquet").exists())
        return report

    monkeypatch.setattr(made, "step", recording)
    made.train()
    assert writes == [False, False]
    assert pq.read_table(tmp_path / "rows.parquet")["epoch"].to_pylist() == [1, 1, 2, 2]
    made.train()
    assert pq.read_table(tmp_path / "rows.parquet")["epoch"].to_pylist()[-2:] == [5, 5]
