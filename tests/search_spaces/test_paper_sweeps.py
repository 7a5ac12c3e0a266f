"""Every trial of the shipped sweeps is one that its trainable accepts."""

from __future__ import annotations

import importlib.resources

import pytest
from ray.tune.search.variant_generator import generate_variants

import search_spaces
from trainables.arms.plan import plan_arm
from trainables.arms.stage_settings import parse_stage
from trainables.settings.trial import parse_settings
from tune_select.search.space import merged
from tune_select.sweep.plan import make_plan
from tune_select.sweep.preflight import check_trials
from tune_select.sweep.yaml_file import load_sweep

SWEEPS = sorted(
    str(path)
    for path in importlib.resources.files("search_spaces").iterdir()
    # Table 11 names a record of forgetting events that a proxy run writes first.
    if path.name.endswith(".yaml") and "table11" not in path.name
)
# Third-party: transformers and ray warn while they are imported.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.rsplit("/", 1)[1])
def test_every_arm_is_one_that_the_trainable_accepts(path: str) -> None:
    check_trials(make_plan(load_sweep(path)))


@pytest.mark.parametrize(
    "path", [path for path in SWEEPS if any(
        name in path for name in ("time_to_error", "sampling_rates", "selectivity", "architectures")
    )],
    ids=lambda path: path.rsplit("/", 1)[1],
)  # fmt: skip
def test_methods_that_are_compared_in_time_step_on_as_many_examples(path: str) -> None:
    plan = make_plan(load_sweep(path))
    for arm in plan.config.arm_names():
        config = plan.config.arm(arm).on(merged(plan.base_config(), plan.space.example()))
        settings = parse_settings(config, getattr(plan.trainable, "defaults", {}))
        arm_plan = plan_arm(settings)
        if arm_plan.kind != "mini_batch":
            continue
        selector, stage = parse_stage(arm_plan)
        assert selector.variable_size or stage.batch_mode in ("scaled", "collected"), arm


def test_adam_and_rmsprop_have_no_weight_decay() -> None:
    points = [config for _, config in generate_variants(search_spaces.optimizers())]
    decay = {point["optimizer"]: point["weight_decay"] for point in points}
    assert decay == {"adam": 0.0, "rmsprop": 0.0, "sgd": 5e-4}


@pytest.mark.parametrize(
    ("name", "rate", "epochs"),
    [("learning_rate_stretch", 0.1, 200), ("small_learning_rate_stretch", 0.01, 10)],
)
def test_rate_and_length_stretch_together(name: str, rate: float, epochs: int) -> None:
    points = [config for _, config in generate_variants(getattr(search_spaces, name)())]
    assert (rate, epochs) in [(p["learning_rate"], p["max_epochs"]) for p in points]
    for point in points:
        whole = point["learning_rate"] * point["max_epochs"]
        # Epochs are whole: the product may miss by half an epoch at that rate.
        assert abs(whole - rate * epochs) <= point["learning_rate"] / 2 + 1e-9
