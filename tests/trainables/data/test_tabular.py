from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from trainables.data.encoding import Encoder
from trainables.data.tabular import load_table

DATA = os.environ.get("TUNE_SELECT_DATA")


def frame(rows: int = 200, seed: int = 0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "size": generator.normal(50, 10, rows),
            "floor": generator.integers(0, 4, rows),
            "street": generator.choice(["north", "south", "east"], rows),
            "lift": generator.choice([True, False], rows),
            "price": generator.normal(300, 40, rows),
        }
    )


def write(path: Path, table: pd.DataFrame) -> dict[str, Any]:
    if path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False)
    return {"name": "table", "root": str(path), "target": "price"}


def test_the_line_is_a_line() -> None:
    table = load_table({"name": "linear", "noise": 0.0})
    assert (len(table.train.targets), len(table.validation.targets)) == (9000, 1000)
    assert len(table.test.targets) == 5000
    x, y = table.test.inputs[:, 0].astype(np.float64), table.test.targets.astype(np.float64)
    slope, intercept = np.polyfit(x, y * table.target_std + table.target_mean, 1)
    spread = 10 / np.sqrt(12)  # of x uniform in [-5, 5]; inputs are in deviations of x
    assert slope == pytest.approx(2 * spread, rel=0.02)
    assert intercept == pytest.approx(1.0, abs=0.1)


def test_csv_and_parquet_give_the_same_table(tmp_path: Path) -> None:
    from_csv = load_table(write(tmp_path / "flats.csv", frame()))
    from_parquet = load_table(write(tmp_path / "flats.parquet", frame()))
    assert from_csv.features == from_parquet.features
    np.testing.assert_array_equal(from_csv.train.inputs, from_parquet.train.inputs)
    assert from_csv.identity == from_parquet.identity


def test_standardised_by_training_rows_and_one_hot_by_value(tmp_path: Path) -> None:
    config = write(tmp_path / "flats.csv", frame()) | {"categorical": ["floor"]}
    table = load_table(config)
    assert table.features == (
        "size", "floor=0", "floor=1", "floor=2", "floor=3",
        "street=east", "street=north", "street=south", "lift=False", "lift=True",
    )  # fmt: skip
    assert len(table.train.targets) == table.identity.size == 140
    size = table.train.inputs[:, 0].astype(np.float64)
    assert abs(size.mean()) < 1e-6
    assert size.std() == pytest.approx(1, abs=1e-6)
    assert abs(table.test.inputs[:, 0].mean()) > 1e-3  # not standardised by its own statistics
    np.testing.assert_array_equal(table.train.inputs[:, 1:5].sum(axis=1), 1)
    assert table.train.targets.astype(np.float64).std() == pytest.approx(1, abs=1e-6)


def test_every_row_is_in_exactly_one_split(tmp_path: Path) -> None:
    whole = frame().assign(price=np.arange(200.0))
    table = load_table(write(tmp_path / "flats.csv", whole))
    splits = (table.train, table.validation, table.test)
    prices = [rows.targets * table.target_std + table.target_mean for rows in splits]
    np.testing.assert_allclose(np.sort(np.concatenate(prices)), np.arange(200.0), atol=1e-3)
    assert [len(part) for part in prices] == [140, 20, 40]


def test_the_test_rows_do_not_hang_on_the_validation_share(tmp_path: Path) -> None:
    config = write(tmp_path / "flats.csv", frame())
    with_validation, without = (
        load_table(config | {"validation_fraction": share}) for share in (0.3, 0.0)
    )
    assert len(without.validation.targets) == 0
    np.testing.assert_allclose(
        with_validation.test.targets * with_validation.target_std + with_validation.target_mean,
        without.test.targets * without.target_std + without.target_mean,
        rtol=1e-5,
    )


def test_a_folder_with_train_and_test(tmp_path: Path) -> None:
    write(tmp_path / "train.csv", frame())
    write(tmp_path / "test.parquet", frame(30, seed=1).assign(street="west"))
    table = load_table({"name": "table", "root": str(tmp_path), "target": "price"})
    assert (len(table.train.targets), len(table.test.targets)) == (180, 30)
    streets = [i for i, name in enumerate(table.features) if name.startswith("street=")]
    np.testing.assert_array_equal(table.test.inputs[:, streets], 0)  # unseen value


def test_missing_values_are_an_error_unless_told_otherwise(tmp_path: Path) -> None:
    gaps = frame()
    gaps.loc[3, "size"] = np.nan
    gaps.loc[:20, "street"] = None
    config = write(tmp_path / "flats.csv", gaps)
    with pytest.raises(ValueError, match=r"'size': 1, 'street': 21.*data\.missing to drop"):
        load_table(config)
    dropped = load_table(config | {"missing": "drop"})
    parts = (dropped.train, dropped.validation, dropped.test)
    assert sum(len(part.targets) for part in parts) == 179
    imputed = load_table(config | {"missing": "impute"})
    assert np.isfinite(imputed.train.inputs).all()
    assert "street=<missing>" in imputed.features


def test_the_median_stands_in_for_a_missing_number() -> None:
    train = pd.DataFrame({"a": [1.0, 2.0, 6.0]})
    encoder = Encoder.fit(train)
    filled = encoder.transform(pd.DataFrame({"a": [np.nan, 2.0]}))
    assert filled[0, 0] == filled[1, 0]


def test_fingerprint_follows_content_split_and_corruption(tmp_path: Path) -> None:
    config = write(tmp_path / "flats.csv", frame())
    changed = write(tmp_path / "other.csv", frame(seed=1))
    prints = {
        load_table(variant).identity.fingerprint
        for variant in (
            config,
            config | {"split_seed": 1},
            config | {"label_noise": 0.1},
            config | {"drop": ["lift"]},
            changed,
        )
    }
    assert len(prints) == 5
    assert load_table(config).identity == load_table(dict(config)).identity


def test_noise_touches_training_targets_alone(tmp_path: Path) -> None:
    config = write(tmp_path / "flats.csv", frame())
    clean, noisy = load_table(config), load_table(config | {"label_noise": 0.1})
    assert int((clean.train.targets != noisy.train.targets).sum()) == 14
    np.testing.assert_array_equal(clean.train.inputs, noisy.train.inputs)
    np.testing.assert_array_equal(clean.validation.targets, noisy.validation.targets)
    np.testing.assert_array_equal(clean.test.targets, noisy.test.targets)
    assert clean.target_mean == noisy.target_mean


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": "rent"}, r"data\.target is 'rent'"),
        ({"drop": ["rent"]}, r"data\.drop names \['rent'\]"),
        ({"categorical": ["rent"]}, r"data\.categorical names \['rent'\]"),
        ({"missing": "guess"}, r"data\.missing must be error, drop or impute, got 'guess'"),
        ({"validation_fraction": 0.9}, "leave a split of the 200 rows empty"),
        ({"imbalance": {"classes": 0.3, "keep": 0.1}}, r"data\.imbalance: needs classes"),
        ({"target": "street"}, "column 'street' must be numeric"),
        ({"name": "tables"}, r"data\.name must be linear, bike_sharing or table"),
        ({"root": None}, r"data\.root is not set"),
        ({"targets": "price"}, r"data\.targets='price' is an unknown key"),
    ],
)
def test_bad_input_names_the_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], message: str
) -> None:
    monkeypatch.delenv("TUNE_SELECT_DATA", raising=False)
    config = write(tmp_path / "flats.csv", frame())
    with pytest.raises(ValueError, match=message):
        load_table(config | change)


def test_values_that_cannot_be_encoded(tmp_path: Path) -> None:
    infinite = frame()
    infinite.loc[0, "size"] = np.inf
    with pytest.raises(ValueError, match=r"column 'size' holds 1 infinite value"):
        load_table(write(tmp_path / "inf.parquet", infinite))
    dated = frame().assign(sold=pd.Timestamp("2020-01-01"))
    with pytest.raises(ValueError, match=r"column 'sold' is of type datetime.*data\.drop"):
        load_table(write(tmp_path / "dated.parquet", dated))
    gap = frame()
    gap.loc[0, "price"] = np.nan
    with pytest.raises(ValueError, match=r"target 'price' is missing in 1 row"):
        load_table(write(tmp_path / "gap.csv", gap))


@pytest.mark.parametrize("root", ["nowhere.csv", "nowhere", "text.txt"])
def test_files_that_are_not_there_or_not_tables(tmp_path: Path, root: str) -> None:
    (tmp_path / "text.txt").write_text("a,b\n")
    with pytest.raises((FileNotFoundError, ValueError), match=r"data\.root"):
        load_table({"name": "table", "root": str(tmp_path / root)})


@pytest.mark.skipif(DATA is None, reason="TUNE_SELECT_DATA is not set")
def test_bike_sharing_leaves_the_leaks_out() -> None:
    table = load_table({"name": "bike_sharing", "root": DATA})
    assert len(table.train.targets) + len(table.validation.targets) == 585
    assert len(table.test.targets) == 146
    # yr, holiday, workingday, four weather readings; 4 seasons, 12 months, 7 days, 3 kinds of sky
    assert len(table.features) == 7 + 4 + 12 + 7 + 3
    assert not {"casual", "registered", "instant", "cnt"} & set(table.features)
    total = sum(
        float((rows.targets.astype(np.float64) * table.target_std + table.target_mean).sum())
        for rows in (table.train, table.validation, table.test)
    )
    assert total == pytest.approx(3_292_679, rel=1e-6)
