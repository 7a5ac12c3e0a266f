"""Folders of any Tuner: written here as Tune writes them, and read without Ray."""

import contextlib
import json
import math
import os
import random
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from analysis import ResultsError, from_results, load, write_report

ROOT = Path(__file__).parents[3]


def write_tuner_folder(folder: Path, trials: list[dict[str, Any]], *, state: bool = True) -> Path:
    """As ``tune.Tuner`` leaves it: a state, and a folder per trial with its reports."""
    data = []
    for number, trial in enumerate(trials):
        name = f"train_{number:05d}_{number}_x"
        own = folder / name
        own.mkdir(parents=True)
        lines = []
        for i, report in enumerate(trial["reports"], start=1):
            kept = {"trial_id": f"t{number}", "training_iteration": i, "time_total_s": 2.0 * i}
            kept |= {"timestamp": 100 + i, "pid": 1, "done": i == len(trial["reports"])}
            lines.append(json.dumps({**report, **kept, "config": trial["config"]}))
        if lines:
            (own / "result.json").write_text("\n".join(lines) + "\n")
        (own / "params.json").write_text(json.dumps(trial["config"]))
        if trial.get("error"):
            (own / "error.txt").write_text(f"Traceback\n{trial['error']}\n")
        saved = {"trial_id": f"t{number}", "relative_logdir": name, "config": trial["config"]}
        saved["status"] = "ERROR" if trial.get("error") else "TERMINATED"
        data.append([json.dumps(saved), json.dumps({"start_time": 1.0, "last_result_time": 2.0})])
    if state:
        (folder / "experiment_state-1.json").write_text(json.dumps({"trial_data": data}))
    return folder


def search(metric: str, *, sign: int = 1, **more: Any) -> list[dict[str, Any]]:
    return [
        {
            "config": {"lr": lr, "depth": {"blocks": 2}},
            "reports": [{metric: sign * (lr + 0.1 * e)} for e in range(3)],
            **more,
        }
        for lr in (0.1, 0.2, 0.4)
    ]


@pytest.mark.parametrize("state", [True, False])
def test_a_folder_of_any_tuner_is_read(tmp_path: Path, state: bool) -> None:
    folder = write_tuner_folder(tmp_path / "mine", search("score"), state=state)
    results = load(folder)
    assert (results.name, results.metric, results.mode) == ("mine", "score", "max")
    assert results.axes == ("lr",)
    assert results.trials["val"].tolist() == pytest.approx([0.3, 0.4, 0.6])
    assert results.trials["slot_s"].tolist() == [6.0, 6.0, 6.0]
    assert set(results.trials["outcome"]) == {"finished"}
    assert results.trials["configuration"].nunique() == 3
    assert write_report(folder, resamples=100).exists()


def test_the_metric_and_its_direction_can_be_named(tmp_path: Path) -> None:
    trials = search("gap", sign=-1)
    for trial in trials:
        trial["reports"] = [{**r, "other": 1.0} for r in trial["reports"]]
    folder = write_tuner_folder(tmp_path, trials)
    with pytest.raises(ResultsError, match=r"gap, other.*--metric"):
        load(folder)
    results = load(folder, metric="gap", mode="min")
    assert (results.mode, results.sign) == ("min", -1)
    assert results.trials["val"].tolist() == pytest.approx([-0.3, -0.4, -0.6])
    assert write_report(folder, metric="gap", mode="min", resamples=100).exists()
    with pytest.raises(ResultsError, match="metric 'gab' was not reported; reported were"):
        load(folder, metric="gab")
    with pytest.raises(ValueError, match="mode must be max or min, got 'up'"):
        load(folder, metric="gap", mode="up")  # type: ignore[arg-type]


def test_failed_and_silent_trials_are_counted_and_named(tmp_path: Path) -> None:
    silent = {"config": {"lr": 9.0}, "reports": [], "error": "ValueError: too fast"}
    folder = write_tuner_folder(tmp_path / "some", [*search("score"), silent])
    trials = load(folder).trials.set_index("trial_id")
    assert trials.at["t3", "outcome"] == "failed"
    assert trials.at["t3", "error"] == "ValueError: too fast"
    page = write_report(folder, resamples=100).read_text()
    assert "1 of 4 trials failed" in page
    nothing = write_tuner_folder(tmp_path / "none", [silent, silent])
    assert "2 of 2 trials failed" in write_report(nothing, metric="score").read_text()


def test_seeds_of_a_configuration_share_its_number(tmp_path: Path) -> None:
    trials = [
        {"config": {"lr": lr, "seed": seed}, "reports": [{"val_loss": lr + seed}]}
        for lr in (0.1, 0.2)
        for seed in (0, 1)
    ]
    results = load(write_tuner_folder(tmp_path, trials))
    assert (results.metric, results.mode) == ("loss", "min")
    assert results.trials["configuration"].value_counts().to_dict() == {0: 2, 1: 2}


def test_a_line_that_a_crash_cut_off_is_left_out_and_a_damaged_one_is_named(
    tmp_path: Path,
) -> None:
    folder = write_tuner_folder(tmp_path, search("score"))
    log = next(folder.glob("*_0_x/result.json"))
    log.write_text(log.read_text() + '{"score": 0.')
    assert load(folder).epochs.query("trial_id == 't0'")["epoch"].tolist() == [1, 2, 3]
    log.write_text("{nonsense}\n" + log.read_text())
    with pytest.raises(ResultsError, match=r"result\.json, line 1, is not JSON"):
        load(folder)


def test_a_result_grid_gives_results_by_its_attributes_alone(tmp_path: Path) -> None:
    class Grid(list[Any]):
        experiment_path = str(tmp_path)

    def result(lr: float, error: Exception | None = None) -> SimpleNamespace:
        frame = pd.DataFrame({"score": [lr, 2 * lr], "training_iteration": [1, 2]})
        metrics = None if error else {"trial_id": f"t{lr}", "score": 2 * lr}
        shown = None if error else frame
        return SimpleNamespace(
            config={"lr": lr}, metrics=metrics, metrics_dataframe=shown, error=error
        )

    grid = Grid([result(0.1), result(0.2), result(0.3, RuntimeError("no"))])
    results = from_results(grid, metric="score", mode="max")
    assert results.trials["val"].tolist()[:2] == pytest.approx([0.2, 0.4])
    assert math.isnan(results.trials["val"].iloc[2])
    assert results.trials["error"].iloc[2] == "RuntimeError: no"
    assert write_report(results, resamples=100) == tmp_path / "report.html"
    with pytest.raises(ResultsError, match="holds no trial"):
        from_results([])


BLOCKED = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "ray", "torchvision", "mlflow", "pycocotools", "optuna"}:
            raise ImportError(f"{name} is not installed")

sys.meta_path.insert(0, Blocked())
sys.argv = ["tune-select", "report", sys.argv[1], "--metric", "score", "--mode", "max"]
from tune_select.cli import main

main()
"""


def test_the_command_reports_where_neither_ray_nor_torch_is_installed(tmp_path: Path) -> None:
    folder = write_tuner_folder(tmp_path / "mine", search("score"))
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, str(folder)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (folder / "report.html").exists()


def test_what_a_trials_arm_came_to_is_read_where_the_tables_are_still_to_come(
    tmp_path: Path,
) -> None:
    resolved = {"kind": "selector", "selector": "random", "added": ["fraction"]}
    trials = [
        {"config": {"lr": lr, "arm": arm, **more}, "reports": [{"val_loss": lr}]}
        for lr in (0.1, 0.2)
        for arm, more in (("full", {}), ("random_10", {"resolved_arm": resolved}))
    ]
    rows = load(write_tuner_folder(tmp_path, trials)).trials.set_index("arm")
    assert set(rows.loc["random_10", "selector"]) == {"random"}
    assert set(rows.loc["full", "selector"]) == {"full"}
    assert not [column for column in rows if "resolved_arm" in column]


def spoilt(generator: random.Random, value: Any) -> Any:
    """The value with one place of it replaced or taken out, in JSON inside of JSON too."""
    if isinstance(value, str) and value[:1] == "{":
        return json.dumps(spoilt(generator, json.loads(value)))
    if isinstance(value, (dict, list)) and value and generator.random() < 0.85:
        changed = value.copy()
        key = generator.choice(list(value) if isinstance(value, dict) else range(len(value)))
        if generator.random() < 0.3:
            del changed[key]
        else:
            changed[key] = spoilt(generator, value[key])
        return changed
    return generator.choice([None, [], {}, "x", 1, True, 1e300, [1, 2], {"a": {}}])


@pytest.mark.parametrize("seed", range(2))
def test_what_tune_never_wrote_is_named_or_read(tmp_path: Path, seed: int) -> None:
    generator = random.Random(seed)
    files = ["experiment_state-1.json", "*/result.json", "*/params.json"]
    for number in range(20):
        folder = write_tuner_folder(tmp_path / str(number), search("score"))
        (path, *_) = folder.glob(generator.choice(files))
        content = path.read_bytes()
        how = generator.choice(["json", "json", "json", "byte", "cut", "folder"])
        if how == "json":
            whole, *rest = content.decode().split("\n", 1)
            path.write_text("\n".join([json.dumps(spoilt(generator, json.loads(whole))), *rest]))
        elif how == "byte":
            at = generator.randrange(len(content))
            path.write_bytes(content[:at] + bytes([generator.randrange(256)]) + content[at + 1 :])
        elif how == "cut":
            path.write_bytes(content[: generator.randrange(len(content))])
        else:
            path.unlink()
            path.mkdir()
        with contextlib.suppress(ResultsError):  # and nothing else
            load(folder)
