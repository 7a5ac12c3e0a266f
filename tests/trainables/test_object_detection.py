from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from trainables import ObjectDetection

SMALL: dict[str, Any] = {
    "model": "ssd128_slim10",
    "batch_size": 8,
    "max_epochs": 2,
    "learning_rate": 0.005,
    "device": "cpu",
    "energy": False,
    "data": {"name": "shapes", "train_size": 28, "test_size": 6, "validation_fraction": 0.15},
    "selection": {"algorithm": "gradmatch", "fraction": 0.5, "select_every": 1},
    "projection_dim": 512,
}


def trial(**config: Any) -> ObjectDetection:
    return ObjectDetection({**SMALL, **config})


def run(one: ObjectDetection) -> list[dict[str, Any]]:
    reports = []
    while not reports or not reports[-1]["done"]:
        reports.append(one.train())
    return reports


def test_full_training_reports_what_the_paper_shows() -> None:
    reports = run(trial(arm="full", max_epochs=3))
    assert [r["epoch"] for r in reports] == [1, 2, 3]
    last = reports[-1]
    for split in ("val", "test"):
        for name in ("loss", "loss_conf", "loss_loc", "map", "map_50", "map_small", "map_medium"):
            assert f"{split}_{name}" in last
    assert last["train_loss"] == pytest.approx(
        last["train_loss_conf"] + last["train_loss_loc"], rel=1e-4
    )
    assert last["train_loss"] < reports[0]["train_loss"]
    # Decay at two thirds and five sixths of three epochs; milestones are whole epochs.
    assert [r["learning_rate"] for r in reports][1:] == pytest.approx([0.005, 0.0005])


def test_a_seeds_subsets_are_replayed_across_backbones_and_rates(tmp_path: Path) -> None:
    history = str(tmp_path / "history")
    seed = run(trial(arm="seed", history=history))
    assert seed[-1]["history_complete"]
    # Forty gradients of 92,000 entries in twelve: a random half of them is worse at this.
    assert seed[0]["gradient_error"] < seed[0]["random_gradient_error"]
    replay = trial(arm="cached", history=history, model="ssd128_wide10", learning_rate=0.001)
    reports = run(replay)
    assert [r["subset_size"] for r in reports] == [12, 12]
    assert reports[-1]["select_s"] == 0.0


@pytest.mark.parametrize("arm", ["gradmatch_pb", "random_pb", "random", "gradmatch_all", "craig"])
def test_other_selectors_take_the_sketched_gradients(arm: str) -> None:
    reports = run(trial(arm=arm, max_epochs=1, warmup_epochs=0))
    # Per-batch selectors take whole batches of eight out of 24.
    assert reports[0]["subset_size"] in (8, 12, 16)


def test_a_restored_trial_continues_bit_by_bit(tmp_path: Path) -> None:
    whole = trial(arm="gradmatch", max_epochs=3)
    first = whole.train()
    whole.save_checkpoint(str(tmp_path))
    rest = [whole.train(), whole.train()]
    other = trial(arm="gradmatch", max_epochs=3)
    other.load_checkpoint(str(tmp_path))
    assert first["epoch"] == 1
    for expected in rest:
        report = other.train()
        for key in ("train_loss", "val_map", "val_loss", "train_loss_loc"):
            assert report[key] == expected[key]
    for one, two in zip(whole.task.model.state_dict().values(),
                        other.task.model.state_dict().values(), strict=True):  # fmt: skip
        assert torch.equal(one, two)


def test_a_coco_folder_with_workers(tmp_path: Path) -> None:
    from trainables.detection.synthetic import write_coco_folder

    write_coco_folder(tmp_path, {"train2017": 12, "val2017": 4})
    data = {"name": "coco", "root": str(tmp_path), "workers": 2, "validation_fraction": 0.25}
    (report,) = run(ObjectDetection({**SMALL, "arm": "full", "max_epochs": 1, "data": data}))
    assert report["examples_seen"] == 9


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"model": "yolo"}, "model must be one of .*ssd300.*got 'yolo'"),
        ({"model_settings": {"width": 2}}, "detectors take none"),
        ({"alpha": -1}, "alpha must be a number of at least 0, got -1"),
        ({"alpha": None}, "alpha must be a number of at least 0, got None"),
        ({"selection_alpha": "big"}, "selection_alpha must be a number"),
        ({"projection_dim": 1}, "projection_dim must be an integer of at least 2"),
        ({"evaluator": "voc"}, "evaluator must be one of"),
        ({"data": {"name": "voc"}}, "data.name must be shapes or coco"),
        ({"projection": 3}, r"projection=3 is an unknown key; did you mean projection_dim\?"),
    ],
)
def test_wrong_settings_are_named_before_anything_is_trained(
    wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ObjectDetection.check({**SMALL, "arm": "full", **wrong})


def test_the_defaults_are_the_papers() -> None:
    settings = ObjectDetection.check({"arm": "full"})
    assert (settings.model, settings.batch_size, settings.max_epochs) == ("ssd300", 32, 30)
    assert settings.learning_rate == 2.6e-3
    assert settings.milestones == (2 / 3, 5 / 6)
    assert (settings.warmup_epochs, settings.gamma, settings.momentum) == (1, 0.1, 0.9)


def test_histograms_of_named_layers_are_written_each_epoch() -> None:
    one = trial(arm="full", histograms=["backbone.0.weight", "head.*.bias"])
    run(one)
    frame = pq.read_table(Path(one.logdir) / "histograms.parquet").to_pandas()
    assert sorted(frame["epoch"].unique()) == [1, 2]
    assert "backbone.0.weight" in set(frame["layer"])
    assert (frame["counts"].map(sum) > 0).all()
    with pytest.raises(ValueError, match="must be a list of parameter names, got 'head'"):
        ObjectDetection.check({**SMALL, "arm": "full", "histograms": "head"})


def test_selective_backprop_between_start_and_end_with_its_own_alpha() -> None:
    settings = {"start": 0.3, "end": 0.6, "interrupt": 2, "keep": 0.5}
    arms = {"sb2": {"selector": "selective_backprop_fixed",
                    "settings": {"selective_backprop_fixed": settings}}}  # fmt: skip
    reports = run(trial(arm="sb2", arms=arms, max_epochs=3, selection_alpha=0.0))
    seen = np.diff([0, *(r["examples_seen"] for r in reports)])
    # 24 pictures in batches of 8: in the middle epoch the first and third are whole, the second
    # is thinned to half.
    assert seen.tolist() == [24, 20, 24]
    seconds = np.diff([0.0, *(r["select_s"] for r in reports)])
    assert seconds[1] > 0
    assert seconds[[0, 2]].max() < seconds[1]
