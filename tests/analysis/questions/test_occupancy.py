import json
import math
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from analysis import ReportOptions, build_report, load
from analysis.questions.occupancy import (
    AFTER,
    BEFORE,
    BETWEEN,
    REPORTS,
    held_seconds,
    occupancy,
    wall_seconds,
)
from tests.analysis.hand_sweep import write_hand_sweep
from tests.analysis.synthetic import Sweep

# Two slots, by hand. The seed's trial measured 7 s, each cached one 5 s.
#   slot 0: seed 0-8, cached-1 9-14.5
#   slot 1: empty until 2, cached-0 2-4 and (it stepped aside) 5-8, empty from 8 on
STAYS = [
    ("seed-0", "seed", 0.0, 8.0, 0.5),
    ("cached-0", "cached", 2.0, 4.0, 0.25),
    ("cached-0", "cached", 5.0, 8.0, 0.25),
    ("cached-1", "cached", 9.0, 14.5, float("nan")),
]


def write_stays(folder: Path, offset_s: float = 1.7e9) -> Path:
    columns = ["trial_id", "arm", "started", "ended", "startup_s"]
    stays = pd.DataFrame(STAYS, columns=columns).assign(phase="search")
    stays[["started", "ended"]] += offset_s
    stays.to_parquet(folder / "slots.parquet")
    trials = pd.read_parquet(folder / "trials.parquet").set_index("trial_id")
    by_trial = stays.assign(held=stays["ended"] - stays["started"]).groupby("trial_id")
    trials["slot_s"] = by_trial["held"].sum()
    trials["startup_s"] = by_trial["startup_s"].sum(min_count=1)
    trials.reset_index().to_parquet(folder / "trials.parquet")
    return folder


def test_the_rows_of_the_slots_add_up_to_all_their_time(tmp_path: Path) -> None:
    folder = write_stays(write_hand_sweep(tmp_path, ("seed", "cached")))
    found = occupancy(load(folder))
    assert found is not None
    assert (found.slots, found.wall_s) == (2, 14.5)
    rows = found.rows.set_index("work")["seconds"]
    assert rows.sum() == pytest.approx(2 * 14.5)
    assert found.rows["share"].sum() == pytest.approx(1.0)
    assert found.busy == pytest.approx((8 + 5 + 5.5) / 29)
    assert rows["training"] == pytest.approx(12)  # three trials of 4 x 1 s
    assert rows["evaluation"] == pytest.approx(3)
    assert rows["start-up of trials"] == pytest.approx(1.0)
    assert rows[REPORTS] == pytest.approx(18.5 - 12 - 2 - 3 - 1)  # 2 s of selection by the seed
    assert (rows[BEFORE], rows[BETWEEN]) == (pytest.approx(2.0), pytest.approx(2.0))
    assert rows[AFTER] == pytest.approx(6.5)


def test_a_pause_before_a_resume_is_nobodys_time(tmp_path: Path) -> None:
    folder = write_stays(write_hand_sweep(tmp_path, ("seed", "cached")), 0.0)
    runs = [
        {"started": -1.0, "ended": 8.0, "slots": 2},  # interrupted, and gone on with
        {"started": 8.9, "ended": 15.0, "slots": 2},
    ]
    (folder / "runs.json").write_text(json.dumps(runs))
    results = load(folder)
    found = occupancy(results)
    assert found is not None
    assert found.wall_s == pytest.approx(8.0 + 5.5)
    assert found.rows["seconds"].sum() == pytest.approx(27.0)
    assert wall_seconds(results) == pytest.approx(9.0 + 6.1)


def test_a_killed_call_counts_from_its_first_trial_to_its_last(tmp_path: Path) -> None:
    folder = write_stays(write_hand_sweep(tmp_path, ("seed", "cached")), 0.0)
    (folder / "runs.json").write_text(json.dumps([{"started": 8.9, "ended": 15.0, "slots": 1}]))
    results = load(folder)
    assert wall_seconds(results) == pytest.approx(8.0 + 6.1)
    found = occupancy(results)
    assert found is not None
    assert (found.slots, found.wall_s) == (2, pytest.approx(8.0 + 5.5))
    assert found.rows["seconds"].sum() == pytest.approx(27.0)


def test_what_the_slot_was_held_for_is_what_a_trial_costs(tmp_path: Path) -> None:
    folder = write_stays(write_hand_sweep(tmp_path))
    results = load(folder)
    trials = results.trials.set_index("trial_id")
    assert trials.at["seed-0", "slot_s"] == 8.0
    assert trials.at["full-0", "slot_s"] == pytest.approx(
        41.0
    )  # nothing recorded: what it measured
    last = results.epochs.groupby("trial_id").last()
    pd.testing.assert_series_equal(last["slot_s"], trials["slot_s"].sort_index())
    report = build_report(results, ReportOptions(resamples=100))
    (cost,) = (section for section in report.sections if section.id == "cost")
    assert {"cost", "slots"} <= {item.name for item in cost.items}
    said = " ".join(cost.paragraphs)
    assert "The 2 slots were busy for 64% of the search's 14.5 s" in said


@pytest.mark.parametrize("content", [b"", b"not a table"])
def test_old_and_damaged_folders_have_no_slots(tmp_path: Path, content: bytes) -> None:
    folder = write_hand_sweep(tmp_path)
    if content:
        (folder / "slots.parquet").write_bytes(content)
        (folder / "runs.json").write_bytes(content)
    results = load(folder)
    assert occupancy(results) is None
    assert math.isnan(wall_seconds(results))


def test_a_training_that_several_cells_show_held_its_slot_once(tmp_path: Path) -> None:
    results = load(Sweep(promote=False).write(tmp_path))
    shown = results.trials.iloc[[0]].assign(trial_id="cell", same_as=results.trials["trial_id"][0])
    both = replace(results, trials=pd.concat([results.trials, shown], ignore_index=True))
    assert held_seconds(both) == held_seconds(results) > 0


@pytest.mark.parametrize("phase", ["promotion", "rival"])
def test_what_came_after_the_search_is_no_work_of_its_slots(tmp_path: Path, phase: str) -> None:
    folder = write_stays(write_hand_sweep(tmp_path, ("seed", "cached")))
    alone = occupancy(load(folder))
    stays = pd.read_parquet(folder / "slots.parquet")
    later = stays.tail(1).assign(trial_id="later", phase=phase)
    later[["started", "ended"]] += 20.0
    pd.concat([stays, later]).to_parquet(folder / "slots.parquet")
    found = occupancy(load(folder))
    assert alone is not None
    assert found is not None
    assert (found.wall_s, found.busy) == (alone.wall_s, alone.busy)
    pd.testing.assert_frame_equal(found.rows, alone.rows)
