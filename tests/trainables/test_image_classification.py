"""The image trainable without a cluster: arms on real digits, checkpoints, actor reuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.trainables.toy_tasks import timeless
from trainables import ImageClassification
from trainables.arms.plan import plan_arm
from trainables.arms.selecting import signals_for
from trainables.data.arrays import ImageArrays
from trainables.data.images import load_images
from trainables.loop.diverged import TrainingDivergedError
from trainables.models import build_model
from trainables.tasks.images import ImageTask
from tune_select.history import HistoryMismatchError, SubsetHistory
from tune_select.selection import selector_named
from tune_select.streams import stream


@pytest.fixture(scope="module")
def digits() -> ImageArrays:
    data = load_images({"train_limit": 300})
    assert isinstance(data, ImageArrays)
    for part in (data.train, data.validation, data.test):  # as Ray's object store hands them out
        part.images.flags.writeable = False
        part.labels.flags.writeable = False
    return data


def config(**changes: Any) -> dict[str, Any]:
    base = {
        "arm": "full",
        "model": "small_cnn",
        "model_settings": {"channels": [8, 16]},
        "max_epochs": 4,
        "learning_rate": 0.05,
        "batch_size": 32,
        "data": {"train_limit": 300},
        "selection": {"fraction": 0.2, "select_every": 2},
    }
    return {**base, **changes}


def trial(digits: ImageArrays, **changes: Any) -> ImageClassification:
    made = ImageClassification(config(**changes))
    # Ray hands a shared data set to setup; without Ray it is handed over here.
    made.setup(config(**changes), dataset=digits)
    return made


def finish(made: ImageClassification) -> list[dict[str, Any]]:
    reports = [made.step()]
    while not reports[-1]["done"]:
        reports.append(made.step())
    return [timeless(report) for report in reports]


def test_batches_are_the_normalised_images(digits: ImageArrays) -> None:
    task = ImageTask(build_model("small_cnn", 10, 1, 8), digits)
    indices = torch.tensor([5, 0, 5])
    batch = task.batch(indices)
    expected = (digits.train.images[indices].astype(np.float64) - digits.mean) / digits.std
    torch.testing.assert_close(batch.inputs, torch.tensor(expected).float())
    assert batch.targets.tolist() == digits.train.labels[[5, 0, 5]].tolist()
    everything = task.batch(torch.arange(300)).inputs
    assert float(everything.mean()) == pytest.approx(0, abs=1e-5)
    assert float(everything.std()) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("batch_size", [7, 1000])
def test_evaluation_is_the_mean_over_the_split(digits: ImageArrays, batch_size: int) -> None:
    task = ImageTask(build_model("small_cnn", 10, 1, 8), digits)
    task.eval_batch_size = batch_size
    scores = task.evaluate("test")
    task.model.eval()
    batch = task.batch(torch.arange(len(digits.test)), split="test")
    with torch.no_grad():
        logits = task.model(batch.inputs)
    assert scores["loss"] == pytest.approx(
        functional.cross_entropy(logits, batch.targets).item(), rel=1e-5
    )
    assert scores["accuracy"] == (logits.argmax(1) == batch.targets).double().mean().item()


def test_no_validation_split_reports_none() -> None:
    data = {"train_limit": 300, "validation_fraction": 0.0}
    made = ImageClassification(config(data=data, evaluation={"test": "every"}))
    report = made.step()
    assert "val_loss" not in report
    assert "test_accuracy" in report


@pytest.mark.parametrize("arm", ["gradmatch", "gradmatch_pb", "random", "random_pb"])
def test_every_arm_trains_on_its_fraction(digits: ImageArrays, arm: str) -> None:
    reports = finish(trial(digits, arm=arm))
    assert [r["epoch"] for r in reports] == [1, 2, 3, 4]
    assert {r["subset_size"] for r in reports} == {60}
    assert reports[-1]["examples_seen"] == 240
    assert reports[-1]["train_loss"] < reports[0]["train_loss"]


@pytest.mark.parametrize("algorithm", ["gradmatch", "gradmatch_pb", "craig", "random"])
def test_a_seed_publishes_all_rungs_of_one_path(
    digits: ImageArrays, algorithm: str, tmp_path: Path
) -> None:
    """What replays of each fraction train on is what one ``select_path`` gave."""
    selection = {"algorithm": algorithm, "select_every": 2, "rungs": [0.05, 0.1, 0.2]}
    place = str(tmp_path)
    made = trial(digits, arm="seed", history=place, selection={**selection, "fraction": 0.2})
    selector = selector_named(algorithm, batch_size=32) if algorithm == "gradmatch_pb" else (
        selector_named(algorithm)
    )  # fmt: skip
    path = selector.select_path(
        signals_for(selector, made.task), [15, 30, 60], stream(0, "selection", 0)
    )
    assert {report["subset_size"] for report in finish(made)} == {60}
    history = SubsetHistory.load(place)
    assert history.complete
    assert (history.identity.fraction, history.identity.rungs) == (0.2, (0.05, 0.1))
    for fraction, subset in zip((0.05, 0.1, 0.2), path, strict=True):
        first = history.rung(fraction).intervals[0]
        assert first.indices.tolist() == subset.indices.tolist()
        assert first.weights.tolist() == subset.weights.tolist()
        if subset.gradient_error is None:
            assert first.gradient_error is None
        else:
            assert first.gradient_error == pytest.approx(subset.gradient_error, rel=1e-4)
        replay = trial(
            digits, arm="cached", history=place, selection={**selection, "fraction": fraction}
        )
        report = replay.step()
        assert report["subset_size"] == len(subset)
        source: Any = replay._loop._source
        assert source._examples.indices.tolist() == subset.indices.tolist()
    lacking = trial(digits, arm="cached", history=place, selection={**selection, "fraction": 0.3})
    with pytest.raises(HistoryMismatchError, match=r"fraction: trial 0.3, history 0.05, 0.1, 0.2"):
        lacking.step()


def test_full_training_learns(digits: ImageArrays) -> None:
    assert finish(trial(digits, max_epochs=6))[-1]["test_accuracy"] > 0.8


def test_a_report_has_the_metrics_of_the_contract(digits: ImageArrays) -> None:
    made = trial(digits, arm="gradmatch")
    report = made.step()
    assert {
        "epoch", "train_loss", "val_loss", "val_accuracy",
        "learning_rate", "subset_size", "examples_seen", "train_s", "select_s", "eval_s", "wait_s",
        "gradient_error", "random_gradient_error", "points_never_used", "energy_j",
        "waiting_for_interval", "startup_s", "done", "forward_s", "backward_s",
    } == set(report)  # fmt: skip
    last = finish(made)[-1]
    assert set(last) - set(report) == {"test_loss", "test_accuracy", "val_calibrated_loss"}
    assert report["train_s"] > 0
    assert report["select_s"] > 0
    assert report["points_never_used"] == pytest.approx(0.8)


@pytest.mark.parametrize("arm", ["gradmatch", "full"])
def test_saving_and_restoring_in_the_middle_changes_nothing(
    digits: ImageArrays, arm: str, tmp_path: Path
) -> None:
    uninterrupted = trial(digits, arm=arm)
    expected = finish(uninterrupted)
    begun = trial(digits, arm=arm)
    for _ in range(3):
        begun.step()
    begun.save_checkpoint(str(tmp_path))
    resumed = trial(digits, arm=arm)
    resumed.load_checkpoint(str(tmp_path))
    assert finish(resumed) == expected[3:]
    for name, value in resumed.task.model.state_dict().items():
        assert torch.equal(value, uninterrupted.task.model.state_dict()[name])


def test_a_reused_actor_is_a_new_trial(digits: ImageArrays) -> None:
    expected = finish(trial(digits, arm="random", model="lenet", model_settings={}, seed=3))
    used = trial(digits, arm="full", seed=1)
    used.step()
    assert used.reset_config(config(arm="random", model="lenet", model_settings={}, seed=3))
    assert finish(used) == expected


def test_a_search_over_data_loads_what_the_shared_set_is_not(digits: ImageArrays) -> None:
    same, other = trial(digits), trial(digits, data={"train_limit": 200})
    assert same.task.dataset == digits.identity
    assert other.task.dataset.size == 200


def test_seed_and_replay_and_a_history_of_other_data(digits: ImageArrays, tmp_path: Path) -> None:
    history = str(tmp_path / "history")
    seed = finish(trial(digits, arm="seed", history=history))
    replay = finish(trial(digits, arm="cached", history=history))
    assert [r["train_loss"] for r in replay] == [r["train_loss"] for r in seed]
    other = trial(digits, arm="cached", history=history, data={"train_limit": 200})
    with pytest.raises(HistoryMismatchError, match="dataset size: trial 200, history 300"):
        other.step()


def test_divergence_is_one_clear_error(digits: ImageArrays) -> None:
    with pytest.raises(TrainingDivergedError, match=r"in epoch 1.*lower the learning rate"):
        finish(trial(digits, learning_rate=1e30))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lerning_rate": 1}, "lerning_rate=1 is an unknown key; did you mean learning_rate"),
        (
            {"arm": "gradmach"},
            "arm must be one of .*, cached, .*'gradmach'; did you mean gradmatch",
        ),
        ({"arm": "cached"}, "arm 'cached' needs history"),
        ({"optimizer": "lion"}, "optimizer must be sgd, adam, adamw or rmsprop, got 'lion'"),
        (
            {
                "arm": "gradmatch",
                "selection": {"select_every": 2, "settings": {"gradmatch": {"lambda": 1}}},
            },
            "lambda",
        ),
        ({"arm": "random", "selection": {"fraction": 0.001, "select_every": 2}}, "no example"),
    ],
)
def test_check_finds_it_before_a_trial_starts(
    digits: ImageArrays, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ImageClassification.check(config(**change), digits)


def test_check_passes_what_is_right(digits: ImageArrays) -> None:
    settings = ImageClassification.check(config(arm="gradmatch"), digits)
    assert plan_arm(settings).selector == "gradmatch"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("amp", [False, "bf16", "fp16"])
def test_on_a_gpu(digits: ImageArrays, amp: bool | str, tmp_path: Path) -> None:
    expected = finish(trial(digits, arm="gradmatch", amp=amp))
    begun = trial(digits, arm="gradmatch", amp=amp)
    assert begun.task.device.type == "cuda"
    for _ in range(2):
        begun.step()
    begun.save_checkpoint(str(tmp_path))
    resumed = trial(digits, arm="gradmatch", amp=amp)
    resumed.load_checkpoint(str(tmp_path))
    assert finish(resumed) == expected[2:]
