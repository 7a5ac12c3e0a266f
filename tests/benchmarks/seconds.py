"""What a user waits for beside what the papers count, and beside what was forecast: a table.

``python -m tests.benchmarks.seconds [SWEEP ...] [--points N] [--data FOLDER]``. Each shipped sweep
is reduced to the arms ``cached`` and ``full``, one training seed and the first N points of its
grid. All ratios are of one run, so that a busy machine bears on both sides; what it does between
the forecast and the sweep bears on the forecast alone.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import load
from analysis.questions.headline import decision_table
from analysis.results.frames import SECONDS_COLUMNS, START_UP
from tune_select.sweep.outlook.forecast import forecast
from tune_select.sweep.run import run_sweep
from tune_select.sweep.validation import checked_with_data
from tune_select.sweep.yaml_file import load_sweep, parse_sweep

ROOT = Path(__file__).parents[2]
SWEEPS = ("digits", "mnist_small", "cifar10_small", "small_sst2", "shapes_ssd")


@dataclass(frozen=True)
class Measured:
    """One run.

    Attributes:
        arms: The decision table, by arm.
        forecast_s: Slot-seconds that were forecast, by phase.
        slot_s: Those that it took, by phase.
    """

    arms: pd.DataFrame
    forecast_s: pd.Series[float]
    slot_s: pd.Series[float]

    def row(self, name: str) -> dict[str, Any]:
        """What is printed; speed-ups are of replay over full training, the seed paid for."""
        replay, full = self.arms.loc["cached"], self.arms.loc["full"]
        waited, papers = replay["waited_speedup"], replay["speedup_with_seed"]
        beside = {
            f"{arm} beside train+select": row["total_s"]
            / (row["train_s"] + (row["select_s"] or 0.0))
            for arm, row in (("replay", replay), ("full", full))
        }
        # What evaluation alone leaves of the ratio: reports, checkpoints, start-up, waiting free.
        seed = self.arms.loc["seed"]
        measured = [_with_evaluation(replay, seed), _with_evaluation(full)]
        papers_s = [_papers(replay, seed), _papers(full)]
        return {
            "sweep": name,
            "waited": waited,
            "papers": papers,
            "ratio": waited / papers,
            "by evaluation": (measured[1] / measured[0]) / (papers_s[1] / papers_s[0]),
            **beside,
            "forecast / real": self.forecast_s.sum() / self.slot_s.sum(),
        }

    def rows(self) -> pd.DataFrame:
        """Slot-seconds by phase, as forecast and as they were."""
        both = {"forecast": self.forecast_s, "real": self.slot_s}
        return pd.DataFrame(both).fillna(0.0).rename_axis("phase")


def _papers(*arms: pd.Series[Any]) -> float:
    """Seconds of training and selection."""
    return float(sum(arm["train_s"] + arm["select_s"] for arm in arms))


def _with_evaluation(*arms: pd.Series[Any]) -> float:
    return _papers(*arms) + float(sum(arm["eval_s"] for arm in arms))


def reduced(name: str, points: int, data: str, folder: str) -> Mapping[str, Any]:
    """A shipped sweep with the two arms and the first points of its grid."""
    config = load_sweep(ROOT / "search_spaces" / f"{name}.yaml")
    raw = config.model_dump(mode="json", exclude_unset=True)
    plan, _ = checked_with_data(parse_sweep({**raw, **_data(raw, data)}))
    listed = plan.space.listed()[:points]
    axes = plan.space.axes
    rows = [{axis: point[axis] for axis in axes} for point in listed]
    changes = {"space": rows, "arms": ["cached", "full"], "promote": 0, "storage_path": folder}
    return {**raw, **_data(raw, data), **changes, "tune": {"seeds": [0]}}


def _data(raw: Mapping[str, Any], folder: str) -> dict[str, Any]:
    rooted = "root" in raw.get("data", {})
    return {"data": {**raw.get("data", {}), **({"root": folder} if rooted else {})}}


def measured(name: str, points: int, data: str) -> Measured:
    """Forecast a sweep, then run it."""
    with tempfile.TemporaryDirectory(prefix="s", dir="/tmp") as folder:
        config = parse_sweep(reduced(name, points, data, folder))
        found = forecast(*checked_with_data(config))
        assert found is not None
        results = load(run_sweep(config).location)
        paid = results.paid(results.search)
        spent = paid[[*SECONDS_COLUMNS, START_UP]].sum().rename(lambda name: name[:-2])
        spent["reports"] = float(paid["slot_s"].sum()) - spent.sum()
        forecast_s = pd.Series(dict(found.phases), dtype=float)
        return Measured(decision_table(results).set_index("arm"), forecast_s, spent)


def main() -> None:
    """Measure what is asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sweeps", nargs="*", default=SWEEPS)
    parser.add_argument("--points", type=int, default=8)
    parser.add_argument("--data", default=os.environ.get("TUNE_SELECT_DATA", "~/data"))
    given = parser.parse_args()
    rows = []
    for name in given.sweeps:
        found = measured(name, given.points, given.data)
        rows.append(found.row(name))
        print(f"\n{name}, slot-seconds by phase\n{found.rows().round(2).to_string()}", flush=True)
    print("\n" + pd.DataFrame(rows).round(3).T.to_string(header=False))


if __name__ == "__main__":
    main()
