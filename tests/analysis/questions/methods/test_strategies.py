import itertools
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy import stats

from analysis import load
from analysis.questions.methods.strategies import (
    COLUMNS,
    ablation,
    average_ranks,
    by_fraction,
    complete_cells,
    scatter,
    seed_deviation,
    strategy_frame,
    sweep_names,
)
from analysis.questions.methods.targets import pareto_front
from analysis.sections.methods.strategy_tables import strategy_tables
from analysis.sections.shape import Shape
from analysis.statistics.significance import holm, wilcoxon_table
from tests.analysis.hand_sweep import write_hand_sweep
from tests.analysis.synthetic import ARMS, Arm, Sweep, write_frames


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    made = []
    for fraction in (0.05, 0.1):
        arms = dict(ARMS) | {"cached": Arm(0.04 - 0.1 * fraction, joules=36.0)}
        folder = tmp_path_factory.mktemp("sweeps") / f"f{fraction}"
        sweep = Sweep(arms=arms, fraction=fraction, name=f"f{fraction}", noise=0.001)
        made.append(load(sweep.write(folder)))
    return made


def test_frame_of_the_hand_sweep(tmp_path: Path) -> None:
    frame = strategy_frame(load(write_hand_sweep(tmp_path))).set_index(["arm", "configuration"])
    assert frame.at[("full", 0), "fraction"] == 1.0
    assert frame.at[("cached", 0), "full_test"] == 0.80
    assert frame.at[("cached", 0), "speedup"] == pytest.approx(10.0)
    assert frame.at[("gradmatch", 1), "speedup"] == pytest.approx(40 / 6)
    assert ("random_pb", 1) not in frame.index  # diverged


def test_tables_by_fraction_are_plain_means(sweeps: list) -> None:
    frame = strategy_frame(sweeps)
    wide = by_fraction(frame, "test").set_index("arm")
    own = frame[(frame["arm"] == "cached") & (frame["fraction"] == 0.05)]
    assert wide.at["cached", "5%"] == pytest.approx(own["test"].mean())
    assert math.isnan(wide.at["full", "5%"])
    assert wide.at["full", "100%"] == pytest.approx(frame.query("arm == 'full'")["test"].mean())
    speed = by_fraction(frame, "speedup").set_index("arm")
    assert speed.at["cached", "5%"] == pytest.approx(
        own["full_seconds"].sum() / own["seconds"].sum()
    )
    energy = by_fraction(frame, "kwh").set_index("arm")
    assert energy.index.tolist() == ["cached"]
    assert energy.at["cached", "10%"] == pytest.approx(36.0 * 12 / 3.6e6)
    deviation = seed_deviation(frame).set_index("arm")
    variances = own.groupby("configuration")["test"].var()
    assert deviation.at["cached", "5%"] == pytest.approx(math.sqrt(variances.mean()))


def test_full_training_stopped_early_stands_at_its_arms_fraction(tmp_path: Path) -> None:
    folder = write_hand_sweep(tmp_path)
    trials, epochs = (pd.read_parquet(folder / f"{n}.parquet") for n in ("trials", "epochs"))
    trials["config/selection/fraction"] = np.where(trials["configuration"] == 0, 0.1, 0.3)
    early = trials[trials["arm"] == "full"].assign(arm="early", selector="full", status="STOPPED")
    early["trial_id"] += "-early"
    own = epochs[epochs["trial_id"].isin(trials.loc[trials["arm"] == "full", "trial_id"])]
    own = own.assign(trial_id=own["trial_id"] + "-early", arm="early")
    write_frames(folder, pd.concat([trials, early]), pd.concat([epochs, own]))
    sweep = yaml.safe_load((folder / "sweep.yaml").read_text())
    matching = {"name": "early", "selector": "full", "match_seconds_of": "gradmatch"}
    (folder / "sweep.yaml").write_text(yaml.safe_dump({**sweep, "arms": ["full", matching]}))
    results = load(folder)
    wide = by_fraction(strategy_frame(results), "test").set_index("arm")
    assert wide.loc["early", ["10%", "30%"]].tolist() == pytest.approx([0.8, 0.9])
    assert math.isnan(wide.at["early", "100%"])
    assert wide.loc["full", ["10%", "30%"]].isna().all()
    errors = [t for t in strategy_tables(strategy_frame(results), Shape.of([results]))
              if t.name in ("gradient_error", "never_used")]  # fmt: skip
    assert not any("early" in set(table.frame["arm"]) for table in errors)


def test_a_replay_has_no_gradient_error_of_its_own(tmp_path: Path) -> None:
    """Its reports repeat what the seed's model had measured, which was another model."""
    folder = write_hand_sweep(tmp_path)
    trials, epochs = (pd.read_parquet(folder / f"{n}.parquet") for n in ("trials", "epochs"))
    trials["history"] = trials["arm"].map({"seed": "k1", "cached": "k1"})
    epochs["gradient_error"], epochs["random_gradient_error"] = 0.25, 0.5
    write_frames(folder, trials, epochs)
    frame = strategy_frame(load(folder)).drop_duplicates("arm").set_index("arm")
    for column, value in (("gradient_error", 0.25), ("random_gradient_error", 0.5)):
        assert frame.loc[["seed", "gradmatch"], column].tolist() == [value, value]
        assert math.isnan(frame.at["cached", column])


def test_settings_of_an_arm_come_before_those_of_the_sweep(tmp_path: Path) -> None:
    folder = write_hand_sweep(tmp_path)
    trials, epochs = (pd.read_parquet(folder / f"{n}.parquet") for n in ("trials", "epochs"))
    trials["config/selection/fraction"] = 0.1
    trials["config/selection/select_every"] = 20
    mine = trials["arm"] == "gradmatch"
    trials.loc[mine, "config/arms/gradmatch/select_every"] = 5
    write_frames(folder, trials, epochs)
    frame = strategy_frame(load(folder)).drop_duplicates("arm").set_index("arm")
    assert frame["select_every"].drop("full").to_dict() == {
        "seed": 20,
        "cached": 20,
        "gradmatch": 5,
        "random_pb": 20,
    }
    assert math.isnan(frame.at["full", "select_every"])
    assert frame.at["cached", "fraction"] == 0.1


def test_means_only_over_what_every_arm_finished(tmp_path: Path) -> None:
    cells = complete_cells(strategy_frame(load(write_hand_sweep(tmp_path))))
    # random_pb diverged on configuration 1, so that only configuration 0 can be averaged.
    assert set(cells["configuration"]) == {0}
    assert set(cells["arm"]) == {"cached", "gradmatch", "random_pb", "full"}


def test_scatter_and_its_front(sweeps: list) -> None:
    frame = strategy_frame(sweeps)
    points = scatter(frame[frame["arm"] != "seed"])
    assert len(points) == 3 * 2
    row = points[(points["arm"] == "cached") & (points["fraction"] == 0.1)].iloc[0]
    own = frame[(frame["arm"] == "cached") & (frame["fraction"] == 0.1)]
    assert row["relative_error"] == pytest.approx((own["full_test"] - own["test"]).mean())
    assert row["speedup"] == pytest.approx(120 / 12)
    front = pareto_front(-points["speedup"].to_numpy(), points["relative_error"].to_numpy())
    assert points["pareto"].tolist() == front.tolist()


def test_ablation_keeps_only_what_varies() -> None:
    rows = [
        ("d", "m", "gradmatch_r5", "gradmatch", 0.1, 5.0),
        ("d", "m", "gradmatch", "gradmatch", 0.1, 20.0),
        ("d", "m", "random", "random", 0.1, 20.0),
    ]
    names = ["dataset", "model", "arm", "selector", "fraction", "select_every"]
    found = ablation(pd.DataFrame(rows, columns=names), "select_every")
    assert found["arm"].tolist() == ["gradmatch_r5", "gradmatch"]
    assert set(found["family"]) == {"GradMatch"}


def test_average_ranks_by_hand() -> None:
    rows = [
        *[("d", "m", "a", f, v) for f, v in ((0.1, 0.5), (0.2, 0.9), (0.3, 0.9))],
        *[("d", "m", "b", f, v) for f, v in ((0.1, 0.6), (0.2, 0.8), (0.3, 0.9))],
        *[("d", "m", "c", f, v) for f, v in ((0.1, 0.6), (0.2, 0.7))],
        ("d", "m", "full", 1.0, 0.85),
    ]
    frame = pd.DataFrame(rows, columns=["dataset", "model", "arm", "fraction", "test"])
    found = average_ranks(frame).set_index("arm")
    # 10%: full 1, b and c 2.5, a 4; 20%: a 1, full 2, b 3, c 4; 30% is left out, c did not run.
    assert found["rank"].to_dict() == {"a": 2.5, "b": 2.75, "c": 3.25, "full": 1.5}
    assert set(found["missing"]) == {"30%"}
    assert found.at["a", "test"] == pytest.approx(0.7)
    turned = average_ranks(frame, larger_is_better=False).set_index("arm")
    assert turned["rank"].to_dict() == {"a": 2.5, "b": 2.25, "c": 1.75, "full": 3.5}


def exact_signed_rank(differences: np.ndarray) -> float:
    """One-tailed p of Wilcoxon's statistic, all sign patterns enumerated."""
    ranks = stats.rankdata(np.abs(differences))
    observed = ranks[differences > 0].sum()
    signs = np.array(list(itertools.product((0, 1), repeat=len(ranks))))
    return float(((signs * ranks).sum(axis=1) >= observed - 1e-9).mean())


def test_wilcoxon_against_enumeration() -> None:
    rng = np.random.default_rng(0)
    keys = {"dataset": "d", "model": "m", "fraction": 0.1, "sweep": "s", "seed": 0}
    values = {"a": rng.normal(0.6, 0.1, 9), "b": rng.normal(0.5, 0.1, 9)}
    frame = pd.concat(
        pd.DataFrame({**keys, "configuration": range(9), "arm": arm, "test": v})
        for arm, v in values.items()
    )
    table = wilcoxon_table(frame).set_index(["better", "worse"])
    assert table.at[("a", "b"), "p"] == pytest.approx(exact_signed_rank(values["a"] - values["b"]))
    assert table.at[("b", "a"), "p"] == pytest.approx(exact_signed_rank(values["b"] - values["a"]))
    turned = wilcoxon_table(frame, larger_is_better=False).set_index(["better", "worse"])
    assert turned.at[("a", "b"), "p"] == pytest.approx(table.at[("b", "a"), "p"])
    same = wilcoxon_table(
        pd.concat([frame[frame["arm"] == "a"], frame[frame["arm"] == "a"].assign(arm="c")])
    )
    assert same["p"].isna().all()
    assert same["p_holm"].isna().all()


def test_holm_by_hand() -> None:
    adjusted = holm(np.array([0.04, 0.01, np.nan, 0.03]))
    np.testing.assert_allclose(adjusted, [0.06, 0.03, np.nan, 0.06])
    assert holm(np.array([0.9, 0.8])).max() == 1.0


def test_missing_cells_are_named(sweeps: list) -> None:
    frame = strategy_frame(sweeps)
    frame = frame[~((frame["arm"] == "gradmatch") & (frame["fraction"] == 0.05))]
    lost = (frame["arm"] == "random_pb") & (frame["fraction"] == 0.05)
    frame = frame[~(lost & (frame["configuration"] > 0))]
    tables = {t.name: t for t in strategy_tables(frame, Shape.of(sweeps))}
    rows = {row[0].text: row for row in tables["strategy_accuracy"].rows()}
    heads = [column.title for column in tables["strategy_accuracy"].columns]
    assert heads == ["Strategy", "5%", "10%"]
    assert rows["GradMatch"][1].note == "not run"
    # Full training has no fraction: its one value stands in every column, as in the papers.
    assert rows["full training"][1] == rows["full training"][2]
    assert rows["full training"][1].text != "–"
    energy = {row[0].text: row for row in tables["strategy_energy"].rows()}
    assert energy["RandomPB"][2].note == "not measured"
    assert energy["full training"][1].note == "not measured"
    for table in tables.values():
        for row in table.rows():
            unnamed = [cell for cell in row if cell.text == "–" and not cell.note]
            assert not unnamed, (table.name, row)


def strategies(rows: list[tuple[str, str, float, float]]) -> pd.DataFrame:
    """A frame of trials (dataset, arm, fraction, test), one seed and configuration."""
    columns = ["dataset", "arm", "fraction", "test"]
    frame = pd.DataFrame(rows, columns=columns)
    frame = frame.assign(sweep=frame["dataset"] + frame["fraction"].astype(str), model="m", seed=0)
    frame = frame.assign(selector=frame["arm"], configuration=0, seconds=1.0)
    return frame.reindex(columns=COLUMNS)


def test_ranks_over_data_sets_are_printed_as_in_the_paper() -> None:
    rows = [
        (dataset, arm, fraction, 0.5 + 0.1 * place)
        for dataset, arms in (
            ("cifar", ("uniform", "big_loss", "small_loss")),
            ("bike", ("uniform", "big_loss")),
        )
        for fraction in (0.1, 0.2)
        for place, arm in enumerate(arms)
    ]
    rows += [("svhn", "uniform", 0.1, 0.5), ("svhn", "big_loss", 0.2, 0.6)]
    frame = strategies(rows)
    shape = Shape(share=True, sign=1, metric="accuracy")
    tables = {t.name: t for t in strategy_tables(frame, shape)}
    ranks = {row[0].text: row for row in tables["average_ranks"].rows()}
    assert [c.title for c in tables["average_ranks"].columns] == [
        *("Data", "uniform", "Big Loss", "Small Loss"),
    ]
    assert [cell.text for cell in ranks["cifar"]] == ["cifar", "3.00", "2.00", "1.00"]
    assert ranks["bike"][3] == ("–", "", "not run")
    assert ranks["svhn"][1].note == "no fraction that every strategy ran at"
    metric = {row[0].text: row for row in tables["average_metric"].rows()}
    assert [cell.text for cell in metric["bike"]] == ["bike", "50.00", "60.00", "–"]


def test_subsets_chosen_once_stand_beside_gradmatch() -> None:
    rows = [
        ("cifar10", arm, fraction, test)
        for fraction in (0.1, 0.3)
        for arm, test in (("facility_location", 0.6), ("gradmatch_pb_warm", 0.7), ("random", 0.5))
    ]
    frame = strategies([*rows, ("cifar10", "forgetting", 0.3, 0.62)])
    frame["selector"] = frame["selector"].str.removesuffix("_warm")
    table = {t.name: t for t in strategy_tables(frame, Shape(True, 1, "accuracy"))}
    shown = {row[0].text: row for row in table["static_baselines"].rows()}
    assert list(shown) == ["Facility Location", "GradMatchPB-warm", "Forgetting Events"]
    assert shown["Forgetting Events"][1].note == "not run"
    assert "gradmatch_variants" not in table  # one variant is no comparison


def test_sweeps_of_one_name_are_told_apart(sweeps: list) -> None:
    assert sweep_names([sweeps[0], sweeps[1], sweeps[0]]) == ["f0.05 (1)", "f0.1", "f0.05 (2)"]
