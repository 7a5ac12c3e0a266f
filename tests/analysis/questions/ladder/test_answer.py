import math
from pathlib import Path

import pandas as pd
import pytest
from scipy import stats

from analysis import load, write_report
from analysis.questions.ladder.answer import (
    SAME,
    answer_sentences,
    answer_table,
    paired_interval,
)
from tests.analysis.synthetic import Arm, Sweep

# Which configuration each strategy chose, its waiting and its slots' seconds per trial.
CHOICES = {"ladder": (3, 100.0, 1.0), "asha": (5, 300.0, 3.0), "random": (3, 500.0, 5.0)}


def write_strategies(
    folder: Path, choices: dict[str, tuple[int, float, float]] = CHOICES, seeds: int = 3
) -> Path:
    """Every strategy trained all six configurations fully, by what each trial's slot cost."""
    sweep = Sweep(arms={"full": Arm()}, seeds=range(seeds), promote=False, histories=0)
    sweep.write(folder)
    trials, epochs = (pd.read_parquet(folder / f"{n}.parquet") for n in ("trials", "epochs"))
    frames, curves, rows = [], [], []
    for name, (configuration, wall_s, slot_s) in choices.items():
        own = {t: f"{name}-{t}" for t in trials["trial_id"]}
        frames.append(
            trials.assign(
                trial_id=trials["trial_id"].map(own),
                strategy=name,
                rung=3 if name == "ladder" else -1,
                slot_s=200.0 * slot_s,
            )
        )
        curves.append(epochs.assign(trial_id=epochs["trial_id"].map(own)))
        test = trials.loc[trials["configuration"] == configuration, "test_accuracy"].mean()
        rows.append(
            {
                "strategy": name,
                "started": 0.0,
                "ended": wall_s,
                "wall_s": wall_s,
                "slots": 2,
                "chosen_trial": "",
                "chosen_configuration": configuration,
                "test_accuracy": test,
            }
        )
    pd.concat(frames, ignore_index=True).to_parquet(folder / "trials.parquet")
    pd.concat(curves, ignore_index=True).to_parquet(folder / "epochs.parquet")
    pd.DataFrame(rows).to_parquet(folder / "strategies.parquet")
    return folder


def test_the_answer_stands_beside_each_rivals(tmp_path: Path) -> None:
    results = load(write_strategies(tmp_path))
    table = answer_table(results).set_index("strategy")
    assert table.index.tolist() == ["ladder", "asha", "random"]
    assert table["wall_s"].tolist() == [100.0, 300.0, 500.0]
    # Six configurations and three seeds of 200 slot-seconds each, times the strategy's factor.
    assert table["slot_s"].tolist() == [3600.0, 10800.0, 18000.0]
    assert table.at["random", "outcome"] == SAME
    # Configuration 5 is better than 3 by 0.1, give or take the noise of three seeds.
    assert table.at["asha", "difference"] == pytest.approx(-0.1, abs=0.01)
    assert table.at["asha", "low"] < table.at["asha", "difference"] < table.at["asha", "high"] < 0
    assert (table.at["asha", "outcome"], table.at["asha", "seeds"]) == ("worse", 3)
    assert "optimizer = " in table.at["ladder", "point"]


def test_where_a_rival_wins_the_first_sentence_says_so(tmp_path: Path) -> None:
    folder = write_strategies(tmp_path)
    results = load(folder)
    said = answer_sentences(results, answer_table(results))
    assert said[0].startswith("ASHA beat the ladder: its choice is better by ")
    assert said[1].startswith("The ladder chose learning_rate = ")
    assert "100 s of waiting" in said[1]
    assert said[2].endswith("5.00 times as much, and its choice was the same configuration.")
    page = write_report(folder, resamples=100).read_text(encoding="utf-8")
    assert page.index("ASHA beat the ladder") < page.index("The ladder chose")
    assert 'id="answer"' in page
    assert (folder / "tables" / "answer.csv").exists()


def test_a_cheaper_rival_with_as_good_a_choice_is_named_first(tmp_path: Path) -> None:
    choices = {"ladder": (5, 100.0, 1.0), "asha": (5, 50.0, 0.5), "hyperband": (0, 50.0, 0.5)}
    results = load(write_strategies(tmp_path, choices))
    said = answer_sentences(results, answer_table(results))
    assert said[0].startswith("ASHA was cheaper than the ladder")
    assert said[0].endswith("its choice was the same configuration.")
    assert "HyperBand" in said[2]
    assert "its choice is worse by" in said[2]  # cheap, but not as good


def test_a_rival_that_kept_its_user_waiting_less_is_named_first(tmp_path: Path) -> None:
    choices = {"ladder": (5, 100.0, 1.0), "random": (5, 60.0, 1.2), "asha": (5, 120.0, 1.2)}
    results = load(write_strategies(tmp_path, choices))
    said = answer_sentences(results, answer_table(results))
    assert said[0] == (
        "Random search was quicker than the ladder, 60 s of waiting against 100 s, and its choice "
        "was the same configuration."
    )
    assert said[1].startswith("The ladder chose")
    assert said[2].startswith("ASHA took")


def test_one_training_seed_gives_a_difference_without_an_interval(tmp_path: Path) -> None:
    results = load(write_strategies(tmp_path, seeds=1))
    table = answer_table(results).set_index("strategy")
    assert math.isfinite(table.at["asha", "difference"])
    assert math.isnan(table.at["asha", "low"])
    assert "too few for an interval" in " ".join(answer_sentences(results, answer_table(results)))


def test_a_strategy_that_trained_nothing_to_its_end_chose_nothing(tmp_path: Path) -> None:
    choices = {"ladder": (-1, 1.0, 1.0), "asha": (2, 1.0, 1.0)}
    results = load(write_strategies(tmp_path, choices))
    (said,) = answer_sentences(results, answer_table(results))
    assert said == "The ladder trained nothing to its end, so it chose nothing."


def test_the_interval_is_students_t_over_paired_seeds() -> None:
    found = paired_interval([0.01, 0.02, 0.04])
    reference = stats.ttest_1samp([0.01, 0.02, 0.04], 0.0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((reference.low, reference.high))
    assert not paired_interval([0.01]).known
    assert math.isnan(paired_interval([]).estimate)


def test_a_sweep_of_arms_alone_has_no_strategies(tmp_path: Path) -> None:
    results = load(Sweep(arms={"full": Arm()}, promote=False).write(tmp_path))
    table = answer_table(results)
    assert table.empty
    assert answer_sentences(results, table) == []
