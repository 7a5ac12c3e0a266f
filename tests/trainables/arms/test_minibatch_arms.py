"""Every mini-batch selector as an arm of a real trainable, on real digits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from trainables import ImageClassification
from trainables.arms.plan import plan_arm
from trainables.base import TRACE_FILE
from tune_select.selection.minibatch import SELECTOR_NAMES

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:ray")

DATASETS: dict[str, Any] = {}


@pytest.fixture(autouse=True)
def _working_directories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of Tune, Ray puts a trial's working directory under the user's home."""
    monkeypatch.setattr("ray.tune.trainable.trainable.DEFAULT_STORAGE_PATH", str(tmp_path / "ray"))


def trainable(
    arm: str, max_epochs: int = 3, device: str = "cpu", **own: Any
) -> ImageClassification:
    config = {
        "arm": arm,
        "model": "small_cnn",
        "max_epochs": max_epochs,
        "batch_size": 64,
        "learning_rate": 0.05,
        "device": device,
        "energy": False,
        "data": {"name": "digits", "train_limit": 250},
        "selection": {"fraction": 0.3, "settings": {arm: own}},
    }
    dataset = DATASETS.setdefault("digits", ImageClassification.load_dataset(config))
    trial = ImageClassification()
    trial.setup(config, dataset=dataset)
    return trial


def timeless(report: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in report.items() if not k.endswith("_s")}


@pytest.mark.parametrize("arm", SELECTOR_NAMES)
def test_every_selector_trains(arm: str) -> None:
    trial = trainable(arm)
    reports = [trial.step() for _ in range(3)]
    assert [report["epoch"] for report in reports] == [1, 2, 3]
    assert reports[-1]["done"]
    last = reports[-1]
    assert last["examples_seen"] == sum(report["subset_size"] for report in reports)
    assert 0 < last["subset_size"] <= 250
    if arm not in ("kath18", "selective_backprop"):
        assert last["trained_share"] == pytest.approx(0.3, abs=0.05)
    assert (last["selection_examples"] > 0) is (last["select_s"] > 0) is (arm != "uniform")
    assert last["points_never_used"] < 0.7


@pytest.mark.parametrize(
    ("arm", "own"),
    [
        ("selective_backprop", {}),
        ("selective_backprop", {"stale": 2, "beta": 1}),
        ("selective_backprop_fixed", {"start": 0.2, "interrupt": 2}),
        ("kath18", {}),
        ("ada_selection", {"batch_mode": "collected"}),
        ("gradient_matching", {"precision": "bfloat16", "batch_mode": "scaled"}),
        ("big_loss", {"batch_norm": "running"}),
        ("uniform", {}),
    ],
)
def test_a_restored_trial_goes_on_as_if_never_stopped(
    arm: str, own: dict[str, Any], tmp_path: Path
) -> None:
    straight = trainable(arm, 4, **own)
    expected = [timeless(straight.step()) for _ in range(4)]
    first = trainable(arm, 4, **own)
    for _ in range(2):
        first.step()
    first.save_checkpoint(str(tmp_path))
    second = trainable(arm, 4, **own)
    second.load_checkpoint(str(tmp_path))
    assert [timeless(second.step()) for _ in range(2)] == expected[2:]


@pytest.mark.gpu
@pytest.mark.parametrize("arm", SELECTOR_NAMES)
def test_every_selector_trains_on_a_gpu_and_from_its_checkpoint(arm: str, tmp_path: Path) -> None:
    first, second = trainable(arm, device="cuda"), trainable(arm, device="cuda")
    first.step()
    first.save_checkpoint(str(tmp_path))
    second.load_checkpoint(str(tmp_path))
    report = second.step()
    assert report["epoch"] == 2
    assert (report["select_s"] > 0) is (arm != "uniform")


def test_method_weights_are_logged_per_iteration(tmp_path: Path) -> None:
    trial = trainable("ada_selection")
    trial.save_checkpoint(str(tmp_path))
    trial.step()
    trial.load_checkpoint(str(tmp_path))
    means = [trial.step()["method_weight_uniform"] for _ in range(2)]
    frame = pq.read_table(Path(trial.logdir) / TRACE_FILE).to_pandas()
    # The epoch that was repeated is there once; every epoch has four mini-batches.
    assert frame["epoch"].tolist() == [1] * 4 + [2] * 4
    assert frame["iteration"].tolist() == [*range(4), *range(4)]
    found = frame.groupby("epoch")["method_weight_uniform"].mean()
    assert found.tolist() == pytest.approx(means)
    weights = frame.filter(like="method_weight_")
    assert weights.shape[1] == 3
    assert weights.sum(axis=1).to_numpy() == pytest.approx(1.0)


def test_warm_start_trains_on_everything_first() -> None:
    trial = ImageClassification()
    config = {
        "arm": "big_loss", "model": "small_cnn", "max_epochs": 3, "batch_size": 64, "device": "cpu",
        "energy": False, "data": {"name": "digits", "train_limit": 250},
        "selection": {"fraction": 0.25, "warm_start_epochs": 1},
    }  # fmt: skip
    trial.setup(config, dataset=DATASETS.get("digits"))
    sizes = [trial.step()["subset_size"] for _ in range(3)]
    assert sizes[0] > 3 * sizes[1]
    assert sizes[1] == sizes[2]


def test_variants_of_an_arm() -> None:
    config = {
        "arm": "sb_sharp",
        "arms": {
            "sb_sharp": {
                "selector": "selective_backprop",
                "settings": {"selective_backprop": {"beta": 3, "keep": 0.5}},
            }
        },
    }
    assert plan_arm(ImageClassification.check(config)).kind == "mini_batch"


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"keep": 2}, r"keep must be a share of the batch in \(0, 1\], got 2"),
        ({"bta": 2}, "unknown setting bta=2 of selective_backprop"),
        ({"beta": -2}, "beta must be at least 0, got -2"),
    ],
)
def test_bad_settings_are_found_before_the_trial_starts(own: dict[str, Any], message: str) -> None:
    config = {
        "arm": "selective_backprop",
        "selection": {"settings": {"selective_backprop": own}},
    }
    with pytest.raises(ValueError, match=message):
        ImageClassification.check(config)
