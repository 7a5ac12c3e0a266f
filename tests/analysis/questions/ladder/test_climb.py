from pathlib import Path

import pandas as pd
import yaml

from analysis import ReportOptions, build_report, load
from analysis.questions.ladder.climb import MOST_FINALISTS, ranked, way_up
from analysis.questions.ladder.live import live_curves
from analysis.results.load import Results
from analysis.sections.ladder import answer
from tests.analysis.hand_sweep import write_hand_sweep
from tests.analysis.synthetic import write_frames

# By configuration: validation accuracy on each rung that it trained on; loss is 1 - accuracy.
CLIMB = {
    0: (0.3,),
    1: (0.5, 0.6),
    2: (0.6, 0.8, 0.9),
    3: (0.4,),
    4: (0.2,),
    5: (0.45, 0.7),
}
RUNGS = ("3%", "10%", "full")
TRUTH = {0: 0.50, 1: 0.80, 2: 0.90, 3: 0.60, 4: 0.40, 5: 0.95}  # test accuracy of full training


def write_ladder(
    folder: Path, rivals: tuple[str, ...] = ("random",), rank_by: str = "both", seeds: int = 1
) -> Path:
    """A ladder on one slot, a second a trial, and rivals that train every configuration fully.

    A rival's trial has two epochs of five seconds each; what it reports is the truth.
    """
    trials, epochs, stays, clock = [], [], [], 0.0

    def train(strategy: str, number: int, rung: int, scores: list[tuple[float, float]]) -> None:
        nonlocal clock
        for seed in range(seeds):
            name = f"{strategy}-{number}-{rung}-{seed}"
            took = 1.0 if rung >= 0 else 10.0
            common = {"trial_id": name, "arm": RUNGS[rung] if rung >= 0 else "full"}
            whole = {
                "strategy": strategy,
                "rung": rung,
                "rung_name": RUNGS[rung] if rung >= 0 else None,
                "phase": "search" if rung >= 0 else "rival",
                "status": "finished",
                "configuration": number,
                "seed": seed,
                "config/learning_rate": 0.1 * (number + 1),
            }
            trials.append(common | whole)
            for epoch, (val, test) in enumerate(scores, start=1):
                held = took * epoch / len(scores)
                row = {"epoch": epoch, "val_accuracy": val, "test_accuracy": test}
                epochs.append(common | row | {"val_loss": 1 - val, "train_s": held})
            stay = {"phase": whole["phase"], "started": clock, "ended": clock + took}
            stays.append(common | stay | {"startup_s": 0.0})
            clock += took

    for rung in range(len(RUNGS)):
        for number, values in CLIMB.items():
            if rung < len(values):
                train("ladder", number, rung, [(values[rung], TRUTH[number])])
    for rival in rivals:
        for number, test in TRUTH.items():
            train(rival, number, -1, [(test / 2, test / 2), (test, test)])
    write_frames(folder, pd.DataFrame(trials), pd.DataFrame(epochs))
    pd.DataFrame(stays).to_parquet(folder / "slots.parquet")
    names = ("ladder", *rivals)
    choices = {"ladder": 2}
    rows = [
        {
            **{"strategy": name, "started": 0.0, "ended": 1.0, "wall_s": 1.0, "slots": 1},
            **{"chosen_trial": "", "chosen_configuration": choices.get(name, 5)},
            "test_accuracy": TRUTH[choices.get(name, 5)],
        }
        for name in names
    ]
    pd.DataFrame(rows).to_parquet(folder / "strategies.parquet")
    sweep = {
        "name": "climb",
        "space": {"learning_rate": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]},
        "tune": {"ladder": {"rank_by": rank_by}},
    }
    (folder / "sweep.yaml").write_text(yaml.safe_dump(sweep), encoding="utf-8")
    return folder


def places(results: Results, rung: int) -> list[int]:
    frame = way_up(results)
    own = frame[frame["rung"] == rung].sort_values("place")
    return [int(number) for number in own["configuration"]]


def test_each_rung_has_its_places_and_those_who_went_up(tmp_path: Path) -> None:
    results = load(write_ladder(tmp_path, seeds=2))
    assert places(results, 0) == [2, 1, 5, 3, 0, 4]
    assert places(results, 1) == [2, 5, 1]
    assert places(results, 2) == [2]
    frame = way_up(results).set_index(["rung", "configuration"])
    assert frame["rung_name"].groupby(level=0).first().tolist() == list(RUNGS)
    assert frame.index[frame["went_up"]].tolist() == [(0, 2), (0, 1), (0, 5), (1, 2)]
    assert set(frame[frame["finalist"]].index.get_level_values(1)) == {1, 2, 5}
    assert set(frame[frame["chosen"]].index.get_level_values(1)) == {2}


def test_the_places_are_those_of_the_ladders_own_ranking() -> None:
    metric = pd.Series([0.5, 0.7, float("nan"), 0.6])
    loss = pd.Series([0.1, 0.9, 0.0, 0.5])
    assert ranked(metric, loss, "accuracy") == [1, 3, 0, 2]
    assert ranked(metric, loss, "loss") == [0, 3, 1, 2]  # failed ones last, whatever their loss
    # Ranks 3 + 2, 1 + 4 and 2 + 3: equals in the order of the metric.
    assert ranked(metric, loss, "both") == [1, 3, 0, 2]
    assert ranked(metric, pd.Series([float("nan")] * 4), "both") == [1, 3, 0, 2]


def test_at_most_so_many_ways_are_told_apart(tmp_path: Path) -> None:
    folder = write_ladder(tmp_path)
    trials, epochs = (pd.read_parquet(folder / f"{n}.parquet") for n in ("trials", "epochs"))
    parts_t, parts_e = [trials], [epochs]
    for copy in range(1, 6):  # each configuration five times more
        parts_t.append(
            trials.assign(
                trial_id=trials["trial_id"] + f"+{copy}",
                configuration=trials["configuration"] + 6 * copy,
            )
        )
        parts_e.append(epochs.assign(trial_id=epochs["trial_id"] + f"+{copy}"))
    write_frames(folder, pd.concat(parts_t), pd.concat(parts_e))
    frame = way_up(load(folder))
    assert frame[frame["finalist"]]["configuration"].nunique() == MOST_FINALISTS


def test_the_curve_follows_what_was_held_for_best(tmp_path: Path) -> None:
    curves = live_curves(load(write_ladder(tmp_path)))
    own = curves[curves["strategy"] == "ladder"]
    # After a second 0 is all there is, then 1, then 2, which also leads 1 and 5 on the next rung
    # (1 is seen there first) and is the one trained fully, after 6 + 3 + 1 trials of a second.
    assert own["cost"].tolist() == [1.0, 2.0, 3.0, 7.0, 8.0, 10.0]
    assert own["configuration"].tolist() == [0, 1, 2, 1, 2, 2]
    assert own["regret"].round(6).tolist() == [0.45, 0.15, 0.05, 0.15, 0.05, 0.05]
    rival = curves[curves["strategy"] == "random"]
    # Each second epoch ends five seconds after the first; the last configuration is the best, at
    # whose first epoch the third one's end is still ahead.
    assert rival["configuration"].tolist() == [0, 1, 2, 5]
    assert rival["cost"].tolist() == [5.0, 20.0, 30.0, 60.0]
    assert rival["regret"].iloc[-1] == 0.0


def test_without_everyones_full_training_the_choices_stand_pair_by_pair(tmp_path: Path) -> None:
    folder = write_ladder(tmp_path, seeds=3)
    trials = pd.read_parquet(folder / "trials.parquet")
    gone = (trials["strategy"] == "random") & (trials["configuration"] == 4)
    trials[~gone].to_parquet(folder / "trials.parquet")
    results = load(folder)
    assert live_curves(results).empty
    section = answer.section(results, ReportOptions(resamples=100))
    assert section is not None
    assert [item.name for item in section.items] == ["answer", "winners", "way_up"]
    whole = answer.section(load(write_ladder(tmp_path / "all")), ReportOptions(resamples=100))
    assert whole is not None
    assert [item.name for item in whole.items] == ["answer", "regret_live", "way_up"]


def test_an_interrupted_ladder_has_ways_but_no_end(tmp_path: Path) -> None:
    folder = write_ladder(tmp_path, rivals=())
    trials = pd.read_parquet(folder / "trials.parquet")
    trials[trials["rung"] < 2].to_parquet(folder / "trials.parquet")
    results = load(folder)
    assert set(way_up(results)["rung"]) == {0, 1}
    assert live_curves(results).empty


def test_a_sweep_of_arms_has_no_way_up(tmp_path: Path) -> None:
    results = load(write_hand_sweep(tmp_path))
    assert way_up(results).empty
    assert live_curves(results).empty


def test_rungs_are_not_compared_with_full_training_as_arms_are(tmp_path: Path) -> None:
    folder = write_ladder(tmp_path)
    trials = pd.read_parquet(folder / "trials.parquet")
    trials["selector"] = trials["arm"].where(trials["arm"] == "full", "cached")
    trials.to_parquet(folder / "trials.parquet")
    report = build_report(load(folder), ReportOptions(resamples=100))
    assert report.answer
    assert list(report.summary) == []
    assert "speed" not in {section.id for section in report.sections}
    (folder / "strategies.parquet").unlink()  # the same trials as arms
    report = build_report(load(folder), ReportOptions(resamples=100))
    assert list(report.summary)
