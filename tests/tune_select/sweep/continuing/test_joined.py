"""What finished sweeps leave, from tables by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.tune_select.histories import identity, interval
from tune_select.history.folder import FolderHistory
from tune_select.search.earlier import Earlier, EarlierPoint
from tune_select.sweep.config import SweepError
from tune_select.sweep.continuing import joined
from tune_select.sweep.continuing.folders import FinishedSweep
from tune_select.sweep.continuing.joined import Continued
from tune_select.sweep.folder.results_folder import ResultsFolder
from tune_select.sweep.outlook.stop_rule import StopRule
from tune_select.sweep.yaml_file import parse_sweep

SWEEP = parse_sweep({"name": "a", "space": {"rate": [1, 2]}, "arms": ["cached", "full"]})


class Left(FinishedSweep):
    """A finished sweep whose tables are given."""

    def table(self, name: str) -> pd.DataFrame:
        rates = RATES[self.location]
        rows = [
            {
                "trial_id": f"{self.location}{i}{arm}",
                "arm": arm,
                "phase": "search",
                "status": "finished",
                "configuration": i,
                "seed": 0,
                "val_accuracy": rate / 10,
            }
            for i, rate in enumerate(rates)
            for arm in ("cached", "full")
        ]
        promotion = {**rows[-1], "trial_id": f"{self.location}p", "phase": "promotion"}
        return pd.DataFrame([*rows, promotion]) if name == "trials" else pd.DataFrame()

    def configs(self) -> dict[str, dict[str, Any]]:
        rates = RATES[self.location]
        return {
            f"{self.location}{i}{arm}": {"rate": rate, "arm": arm, "configuration": i, "seed": 0}
            for i, rate in enumerate(rates)
            for arm in ("cached", "full")
        }


RATES = {"a": [1, 2], "b": [3, 2.0, 4]}


@pytest.fixture
def both() -> Continued:
    """Two sweeps that share one of their points under different numbers."""
    sweeps = [Left("a", SWEEP), Left("b", SWEEP.model_copy(update={"name": "b"}))]
    parts = [joined._numbered(sweep, numbers) for sweep, numbers in joined._numbers(sweeps)]
    trials = pd.concat([trials for trials, _ in parts], ignore_index=True)
    configs = {key: value for _, found in parts for key, value in found.items()}
    points = joined._points(trials, configs, "cached", "val_accuracy")
    nothing = pd.DataFrame()
    return Continued(Earlier(points, 2), trials, nothing, nothing, (), configs, {}, ())


def test_a_point_of_two_sweeps_has_one_number_and_no_two_points_share_one(both: Continued) -> None:
    found = {point.number: float(point.config["rate"]) for point in both.earlier.points}
    assert found == {0: 1.0, 1: 2.0, 2: 3.0, 3: 4.0}
    assert {point.number: point.value for point in both.earlier.points} == pytest.approx(
        {0: 0.1, 1: 0.2, 2: 0.3, 3: 0.4}
    )
    assert both.earlier.numbers_from == 4
    assert both.promoted() == {1, 3}
    assert both.trials["from_sweep"].value_counts().to_dict() == {"b": 7, "a": 5}


def test_only_new_points_are_left_of_a_list(both: Continued) -> None:
    listed = [{"rate": rate} for rate in (2, 5, 1.0, 6, 7)]
    assert both.new_among(listed, {}) == [{"rate": 5}, {"rate": 6}]


def test_a_rule_to_stop_by_knows_what_was_tried_before(both: Continued) -> None:
    rule = StopRule("val_accuracy", "max", "cached", (0,), 6, 0.001, 0.05)
    for row in both.ended("cached"):
        rule.note(row, row)
    told = sorted(score for known in rule._scores.values() for score in known.values())
    assert told == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_histories_of_one_name_must_be_one_history(tmp_path: Path) -> None:
    class Holding(Left):
        def histories(self) -> dict[str, str]:
            return {"seed": f"{tmp_path}/{self.location}"}

    for name, seed, select_s in (("a", 0, 0.25), ("b", 0, 0.75), ("c", 1, 0.25)):
        history = FolderHistory(str(tmp_path / name))
        history.begin(identity())
        for number in range(3):
            history.publish(interval(number, seed=seed, select_s=select_s))
        history.finish()
    assert joined._histories([Holding("a", SWEEP), Holding("b", SWEEP)], SWEEP) == {
        "seed": f"{tmp_path}/a"
    }
    with pytest.raises(SweepError, match="hold different subsets"):
        joined._histories([Holding("a", SWEEP), Holding("c", SWEEP)], SWEEP)


def test_histories_and_earlier_times_lie_in_the_new_folder(both: Continued, tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "manifest.json").write_text("{}")
    run = {"started": 1.0, "ended": 2.0, "slots": 1}
    left = Continued(
        both.earlier,
        both.trials,
        both.epochs,
        both.stays,
        (run,),
        {},
        {"seed": f"{tmp_path}/old"},
        (),
    )
    (tmp_path / "new").mkdir()
    folder = ResultsFolder(f"{tmp_path}/new")
    left.leave_to(folder)
    assert (tmp_path / "new" / "history" / "seed" / "manifest.json").read_text() == "{}"
    assert json.loads((tmp_path / "new" / "runs.json").read_text()) == [run]
    folder.add_run(3.0, 4.0, 2)
    assert len(json.loads((tmp_path / "new" / "runs.json").read_text())) == 2


def test_a_point_without_a_result_is_known_but_not_told() -> None:
    rows = Left("a", SWEEP).table("trials").assign(val_accuracy=math.nan)
    points = joined._points(rows, Left("a", SWEEP).configs(), "cached", "val_accuracy")
    assert [point.value for point in points] == [None, None]
    assert isinstance(points[0], EarlierPoint)


def test_a_damaged_table_is_named_with_the_way_out(tmp_path: Path) -> None:
    sweep = FinishedSweep(str(tmp_path), SWEEP)
    assert sweep.table("trials").empty
    pd.DataFrame({"trial_id": ["a"]}).to_parquet(tmp_path / "trials.parquet")
    assert list(sweep.table("trials")["trial_id"]) == ["a"]
    content = (tmp_path / "trials.parquet").read_bytes()
    for damaged in (content[:-9], content.replace(b'"numpy_type"', b'"numpy_typo"')):
        (tmp_path / "trials.parquet").write_bytes(damaged)
        with pytest.raises(SweepError, match=r"trials\.parquet in .* --resume"):
            sweep.table("trials")
    assert sweep.runs() == []
    for damaged in (b"[{", b"\xff\xfe", b"3"):
        (tmp_path / "runs.json").write_bytes(damaged)
        with pytest.raises(SweepError, match=r"runs\.json in .* delete it"):
            sweep.runs()
