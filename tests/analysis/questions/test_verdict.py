from pathlib import Path

import pandas as pd
import pytest

from analysis import ReportOptions, build_report, load
from analysis.questions.baselines import (
    BETTER,
    NO_DIFFERENCE,
    UNKNOWN,
    WORSE,
    against_random,
    random_arm,
)
from analysis.questions.summary import summary
from analysis.questions.verdict import verdict
from analysis.report import opening
from analysis.sections import overview
from tests.analysis.hand_sweep import write_hand_sweep
from tests.analysis.synthetic import ARMS, GRID, Arm, Sweep, write_frames


def sweep(cached: float, random: float, **options: object) -> Sweep:
    arms = dict(ARMS) | {"cached": Arm(cached), "random_pb": Arm(random)}
    return Sweep(arms=arms, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cached", "random", "outcome", "words"),
    [
        (0.02, 0.05, BETTER, "Replay beat random batches of the same size beyond the noise"),
        (0.05, 0.02, WORSE, "Replay was worse than random batches"),
        (0.03, 0.03, NO_DIFFERENCE, "did not beat random batches of the same size beyond"),
    ],
)
def test_known_differences_are_said(
    tmp_path: Path, cached: float, random: float, outcome: str, words: str
) -> None:
    said = verdict(load(sweep(cached, random, noise=0.004).write(tmp_path)))
    assert said.outcome == outcome
    assert words in said.sentence
    assert said.accuracy is not None
    assert said.accuracy.low <= random - cached <= said.accuracy.high
    assert said.random_arm == "random_pb"
    assert said.sentence.count(". ") == 0  # one sentence
    assert "6 configurations and 3 training seeds" in said.details


def test_one_configuration_and_one_seed_cannot_tell(tmp_path: Path) -> None:
    results = load(sweep(0.02, 0.05, grid=GRID[:1], seeds=(0,)).write(tmp_path))
    said = verdict(results)
    assert said.outcome == UNKNOWN
    assert "1 configuration and 1 training seed" in said.details
    assert "allow no interval" in said.sentence


def test_several_seeds_of_one_configuration_speak_of_that_one_alone(tmp_path: Path) -> None:
    results = load(sweep(0.02, 0.05, grid=GRID[:1], seeds=range(6)).write(tmp_path))
    said = verdict(results)
    assert said.outcome == BETTER
    assert "6 training seeds within the one configuration" in said.details


@pytest.mark.parametrize(
    ("arms", "words"),
    [
        (("cached",), "has no random arm"),
        (("full", "random_pb"), "No arm replayed a history"),
        (("seed", "cached", "full"), "has no random arm"),
    ],
)
def test_a_missing_arm_is_named(tmp_path: Path, arms: tuple[str, ...], words: str) -> None:
    said = verdict(load(write_hand_sweep(tmp_path, arms)))
    assert said.outcome == UNKNOWN
    assert words in said.sentence
    assert said.accuracy is None


def test_no_shared_cell_is_said(tmp_path: Path) -> None:
    folder = write_hand_sweep(tmp_path)
    trials, epochs = (pd.read_parquet(folder / f"{n}.parquet") for n in ("trials", "epochs"))
    keep = ~trials["trial_id"].isin(["cached-0", "random_pb-1"])
    write_frames(folder, trials[keep], epochs)
    said = verdict(load(folder))
    assert said.outcome == UNKNOWN
    assert "share no configuration and seed" in said.sentence


def test_arms_that_never_look_at_the_test_split_are_not_said_to_have_failed(
    tmp_path: Path,
) -> None:
    folder = write_hand_sweep(tmp_path)
    trials, epochs = (pd.read_parquet(folder / f"{n}.parquet") for n in ("trials", "epochs"))
    tested = [name for name in trials if name.startswith("test_")]
    rungs = trials["arm"].isin(["cached", "random_pb"])
    trials.loc[rungs, tested] = float("nan")
    trials["config/evaluation/test"] = rungs.map({True: "never", False: "last"})
    epochs.loc[epochs["trial_id"].isin(trials.loc[rungs, "trial_id"]), tested] = float("nan")
    write_frames(folder, trials, epochs)
    said = verdict(load(folder))
    assert said.outcome == UNKNOWN
    assert "was not asked: cached (replay) and RandomPB did not look" in said.sentence


def test_named_replays_and_other_random_arms_are_found(tmp_path: Path) -> None:
    arms = {"seed": ARMS["seed"], "cached_mixed": Arm(0.02), "random": Arm(0.05)}
    folder = Sweep(arms=arms, promote=False).write(tmp_path)
    trials, epochs = (pd.read_parquet(folder / f"{n}.parquet") for n in ("trials", "epochs"))
    trials.loc[trials["arm"] == "cached_mixed", "selector"] = "cached"
    write_frames(folder, trials, epochs)
    said = verdict(load(folder))
    assert (said.outcome, said.random_arm) == (BETTER, "random")
    assert "cached_mixed and random over" in said.details
    assert said.tau is None  # no full training to rank against


@pytest.mark.parametrize(("whole", "single"), [(0.05, 0.03), (0.03, 0.05)])
def test_the_stronger_random_arm_is_the_baseline(
    tmp_path: Path, whole: float, single: float
) -> None:
    arms = dict(ARMS) | {"cached": Arm(0.04), "random_pb": Arm(whole), "random": Arm(single)}
    results = load(Sweep(arms=arms, noise=0.0).write(tmp_path))
    stronger, other = ("random", "random_pb") if single < whole else ("random_pb", "random")
    said = verdict(results)
    assert (said.random_arm, said.outcome) == (stronger, WORSE)
    table = against_random(results).set_index("arm")
    assert set(table["baseline"]) == {stronger}
    assert table.at[other, "outcome"] == WORSE
    assert "Of the random arms the strongest is the baseline (mean test accuracy: " in said.details
    shown = overview.section(results, ReportOptions(resamples=100)).items[-1]
    assert shown.name == "against_random"
    assert "strongest" in shown.notes[-1]


def test_random_arms_without_a_common_cell_go_by_their_order(tmp_path: Path) -> None:
    arms = dict(ARMS) | {"random_pb": Arm(0.05), "random": Arm(0.01)}
    folder = Sweep(arms=arms).write(tmp_path)
    trials, epochs = (pd.read_parquet(folder / f"{n}.parquet") for n in ("trials", "epochs"))
    half = trials["configuration"] < 3
    apart = (trials["arm"] == "random_pb") & half | (trials["arm"] == "random") & ~half
    write_frames(folder, trials[~apart], epochs)
    results = load(folder)
    assert random_arm(results) == "random_pb"
    assert "finished nothing in common" in verdict(results).details


def test_minimised_metrics_turn_the_sign(tmp_path: Path) -> None:
    folder = sweep(0.02, 0.05).write(tmp_path)
    trials, epochs = (pd.read_parquet(folder / f"{n}.parquet") for n in ("trials", "epochs"))
    names = {f"{s}_accuracy": f"{s}_rmse" for s in ("val", "test")}
    epochs = epochs.rename(columns=names)
    epochs[list(names.values())] = 1.0 - epochs[list(names.values())]
    trials = trials.drop(columns=[c for c in trials if "accuracy" in c])
    write_frames(folder, trials, epochs)
    results = load(folder)
    assert results.mode == "min"
    said = verdict(results)
    assert said.outcome == BETTER
    assert "+0.0" in said.sentence
    assert "pp" not in said.sentence


def test_summary_of_the_hand_sweep(tmp_path: Path) -> None:
    (text,) = summary(load(write_hand_sweep(tmp_path)))
    assert "2 pairs" in text
    # Two trials of 4 x 1.25 s and the seed's 4 x 1.75 s against 2 x 4 x 10.25 s.
    assert "held its slots for 10 s and its seed for 7 s" in text
    assert "full training for 82 s: 4.82× faster, the seed paid for." in text
    assert "training and selection alone, it is 10×, 5.71× with the seed paid for." in text
    # cached: (0.68 + 0.80) / 2; full training at its best epochs: (0.80 + 0.90) / 2.
    assert "Its mean test accuracy on them is 74.00%, full training's 85.00%." in text
    assert "as good as full training's own" in text


def test_summary_says_what_cannot_be_said(tmp_path: Path) -> None:
    (text,) = summary(load(write_hand_sweep(tmp_path / "a", ("seed", "cached"))))
    assert "Without full training" in text
    assert summary(load(write_hand_sweep(tmp_path / "b", ("random_pb", "full")))) == []


def test_interval_of_tau_difference_is_paired(tmp_path: Path) -> None:
    arms = dict(ARMS) | {"cached": Arm(0.03, 0.06), "random_pb": Arm(0.03)}
    said = verdict(load(Sweep(arms=arms, noise=0.0).write(tmp_path)), resamples=500)
    assert said.tau is not None
    assert said.tau.estimate < 0  # the noisy ranking is worse than the exact one
    assert said.tau.low <= said.tau.estimate <= said.tau.high
    assert "difference in Kendall's tau \N{MINUS SIGN}0." in said.details


def test_every_arm_against_random(tmp_path: Path) -> None:
    arms = dict(ARMS) | {"cached": Arm(0.02), "gradmatch": Arm(0.08), "random_pb": Arm(0.05)}
    results = load(Sweep(arms=arms, noise=0.004).write(tmp_path))
    table = against_random(results, resamples=500).set_index("arm")
    assert table["outcome"].to_dict() == {"cached": BETTER, "gradmatch": WORSE}
    cells = results.search.set_index(["arm", "configuration", "seed"])["test"]
    expected = (cells["cached"] - cells["random_pb"]).mean()
    assert table.at["cached", "difference"] == pytest.approx(expected)
    assert set(table["pairs"]) == {18}


def test_without_a_replay_the_summary_speaks_of_the_selectors(tmp_path: Path) -> None:
    arms = {"uniform": Arm(0.05), "big_loss": Arm(0.02), "small_loss": Arm(0.09), "full": Arm()}
    grid = [{"selection/fraction": f} for f in (0.1, 0.2, 0.3, 0.4, 0.5)]
    folder = Sweep(arms=arms, grid=grid, promote=False, noise=0.004).write(tmp_path)
    results = load(folder)
    assert results.selection_only
    (text,) = summary(results)
    assert "better: Big Loss; worse: Small Loss" in text
    # A space of selection settings alone is nothing that full training could rank.
    report = build_report(results, ReportOptions(resamples=100))
    assert "choosing" not in [section.id for section in report.sections]
    # What can be said comes before what cannot.
    assert opening(report)[0].startswith("Against uniform of the same size")
    assert opening(report)[1].startswith("No arm replayed a history")
    assert verdict(results).tau is None


def test_one_configuration_leaves_nothing_to_choose(tmp_path: Path) -> None:
    for rates, named in (((0.1,), False), ((0.1, 0.2), True)):
        grid = [{"learning_rate": rate} for rate in rates]
        arms = {"random": Arm(0.05), "gradmatch": Arm(0.02), "full": Arm()}
        results = load(Sweep(arms=arms, grid=grid, promote=False).write(tmp_path / str(named)))
        items = overview.section(results, ReportOptions(resamples=100)).items
        assert ("choices" in [item.name for item in items]) == named


def test_an_arm_is_compared_with_random_subsets_of_its_own_size(tmp_path: Path) -> None:
    shifts = {"replay_3": 0.05, "replay_10": 0.02, "random_3": 0.08, "random_10": 0.01}
    arms = {"seed": ARMS["seed"], "full": ARMS["full"]}
    arms |= {name: Arm(shift) for name, shift in shifts.items()}
    folder = Sweep(arms=arms, noise=0.0, promote=False).write(tmp_path)
    trials, epochs = (pd.read_parquet(folder / f"{n}.parquet") for n in ("trials", "epochs"))
    kinds, parts = {"replay": "cached", "random": "random"}, {"3": 0.03, "10": 0.1}
    for name in shifts:
        kind, size = name.split("_")
        own = trials["arm"] == name
        trials.loc[own, "selector"] = kinds[kind]
        trials.loc[own, "config/selection/fraction"] = parts[size]
    write_frames(folder, trials, epochs)
    results = load(folder)
    said = verdict(results)
    assert (said.outcome, said.random_arm) == (BETTER, "random_3")
    table = against_random(results).set_index("arm")
    assert table["baseline"].to_dict() == {"replay_3": "random_3", "replay_10": "random_10"}
    assert table["outcome"].to_dict() == {"replay_3": BETTER, "replay_10": WORSE}
    shown = overview.section(results, ReportOptions(resamples=100)).items[-1]
    assert shown.title == "Each arm against random subsets of its size"
    write_frames(folder, trials[trials["arm"] != "random_3"], epochs)
    assert "no random arm of replay_3's size" in verdict(load(folder)).sentence
