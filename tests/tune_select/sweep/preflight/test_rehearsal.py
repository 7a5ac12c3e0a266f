"""What a sweep's points name is built once before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn
from typer.testing import CliRunner

from tune_select.cli import app
from tune_select.sweep.config import SweepError
from tune_select.sweep.plan import make_plan
from tune_select.sweep.preflight import rehearsal, rehearsal_text, rehearse
from tune_select.sweep.validation import preflight_sweep
from tune_select.sweep.yaml_file import parse_sweep

BUILT: list[str] = []

SWEEP: dict[str, Any] = {
    "name": "s",
    "space": {"model": ["small_cnn", "lenet"], "learning_rate": [0.1, 0.2]},
    "train": {"model": "small_cnn", "learning_rate": 0.1, "max_epochs": 40},
    "data": {"name": "digits", "train_limit": 40},
    "arms": ["cached", "random", "full"],
    "promote": 0,
    "cluster": {"num_cpus": 2, "num_gpus": 0},
}


class Counted(nn.Module):
    def __init__(self, num_classes: int, width: int = 4) -> None:
        super().__init__()
        BUILT.append(f"{width}")
        self.body, self.head = nn.Linear(64, width), nn.Linear(width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(images.flatten(1)).relu())
        return logits


class WrongShape(Counted):
    """Fails in its forward pass alone, for one of two widths."""

    def forward(self, images: Tensor) -> Tensor:
        if self.body.out_features == 3:
            images = images[..., :5]
        return super().forward(images)


class Headless(nn.Module):
    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(num_classes))

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)[:, : len(self.scale)] * self.scale


def not_a_number(num_classes: int) -> nn.Module:
    model = Counted(num_classes)
    nn.init.constant_(model.head.weight, float("nan"))
    return model


def branching(trial: Any) -> dict[str, Any] | None:
    """One branch in five names a model that is not there."""
    if trial.suggest_categorical("momentum", [0.1, 0.2, 0.3, 0.4, 0.5]) == 0.5:
        return {"model": "no_such_model"}
    return {"model": "small_cnn"}


def sweep(**keys: Any) -> Any:
    return parse_sweep({**SWEEP, **keys})


def tried(**keys: Any) -> rehearsal.Rehearsal:
    return preflight_sweep(sweep(**keys)).rehearsal


def test_each_distinct_model_is_built_once_whatever_it_stands_beside() -> None:
    BUILT.clear()
    space = {"model_settings.width": [4, 8], "optimizer": ["sgd", "adam"]}
    train = {"model": f"{__name__}.Counted", "model_settings": {"width": 4}, "optimizer": "sgd"}
    found = tried(space=space, train={**SWEEP["train"], **train})
    assert BUILT == ["4", "8"]
    assert found.points == 4
    assert [row["parameters"] for row in found.rows] == [310, 610]
    assert found.rows[0]["head"] == "head (Linear)"
    assert found.rows[0]["batch"] == "4 x 1 x 8 x 8"
    text = rehearsal_text(found)
    assert "Counted  310" in text
    assert "head (Linear)" in text


def test_global_random_numbers_are_left_alone() -> None:
    plan = make_plan(sweep())
    dataset = plan.trainable.load_dataset(plan.base_config())
    state = torch.random.get_rng_state()
    rehearse(plan, dataset)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"model": "WrongShape"}, "arm cached.*WrongShape' cannot train on a batch.*RuntimeError"),
        ({"model": "Headless"}, "arm seed: .*no torch.nn.Linear layer.*an arm that needs none"),
        ({"model": "not_a_number"}, "the loss of model .* is nan before any step"),
    ],
)
def test_what_would_fail_in_every_trial_is_refused_at_once(
    keys: dict[str, Any], message: str
) -> None:
    model = f"{__name__}.{keys['model']}"
    space: dict[str, Any] = {"learning_rate": [0.1]}
    train = {**SWEEP["train"], "model": model}
    if keys["model"] == "WrongShape":
        space["model_settings.width"], train["model_settings"] = [4, 3], {"width": 4}
    with pytest.raises(SweepError, match=message):
        tried(space=space, train=train)
    if keys["model"] == "Headless":  # arms without gradients need no head
        assert tried(space=space, train=train, arms=["random", "full"]).rows[0]["head"] == "-"


def test_branches_of_a_space_that_is_known_point_by_point_are_drawn() -> None:
    with pytest.raises(SweepError, match="arm random: model must be one of .*'no_such_model'"):
        tried(
            space=f"{__name__}.branching", arms=["random"], tune={"searcher": "optuna"},
            train={"max_epochs": 40, "learning_rate": 0.1},
        )  # fmt: skip


def test_what_is_not_tried_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "MOST_MODELS", 1)
    found = tried(arms=["full"])
    assert len(found.rows) == 1
    assert "not built: models beyond the first 1" in rehearsal_text(found)


def test_a_dry_run_prints_the_table(tmp_path: Path) -> None:
    path = tmp_path / "sweep.yaml"
    path.write_text(yaml.safe_dump({**SWEEP, "storage_path": str(tmp_path / "out")}))
    shown = CliRunner().invoke(app, ["run", str(path), "--dry-run"]).stdout
    assert "Built once each, with one batch forward and backward" in shown
    assert "lenet" in shown
    assert not (tmp_path / "out").exists()


def test_an_axis_of_thousands_of_values_is_looked_at_in_part_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rehearsal, "MOST_POINTS", 10)
    rates = [0.1 + i * 1e-4 for i in range(100)]
    config = parse_sweep({**SWEEP, "space": {"learning_rate": rates}, "arms": ["full"]})
    found = preflight_sweep(config).rehearsal
    assert (found.points, found.of_points) == (20, 100)
    assert "(20 of 100 points looked at)" in rehearsal_text(found)


def test_the_last_of_thousands_of_values_is_checked() -> None:
    rates: list[Any] = [0.1 + i * 1e-6 for i in range(4999)]
    config = parse_sweep({**SWEEP, "space": {"learning_rate": [*rates, -1.0]}, "arms": ["full"]})
    with pytest.raises(SweepError, match=r"space\.learning_rate must be .*got -1"):
        preflight_sweep(config)
