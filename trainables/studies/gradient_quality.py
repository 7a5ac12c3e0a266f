"""How well a few examples of a mini-batch stand for a gradient (Balles, Fig. 3; Jiang, Fig. 5).

For that of all the data by its squared error, for the mini-batch's own by direction and signs.
Every strategy sees the same mini-batches, and none changes the model's weights. Run
``python -m trainables.studies.gradient_quality SWEEP.yaml OUT.csv`` for the strategies, data and
model of a sweep, at its random initialisation; ``--epochs 0,1,4`` measures again after so many
epochs of training on all the data.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from trainables.arms.plan import plan_arm
from trainables.arms.selection_pass import SelectionPass
from trainables.arms.stage_settings import parse_stage
from trainables.loop.mini_batches import weighted_mean
from trainables.loop.seeding import stream
from trainables.settings.trial import parse_settings
from trainables.tasks.batches import take
from trainables.tasks.task import Task, index_batches
from tune_select.arms import Arm
from tune_select.imports import import_string
from tune_select.selection.heads.capture import evaluation_mode
from tune_select.selection.minibatch import BatchSignals, Choice, MiniBatchSelector, Plan, Progress
from tune_select.sweep.config import SweepConfig
from tune_select.sweep.yaml_file import load_sweep

COLUMNS = (
    *("strategy", "batch", "chosen", "squared_error", "relative_squared_error"),
    *("cosine", "same_sign"),
)


def gradient_errors(
    task: Task,
    strategies: Mapping[str, MiniBatchSelector],
    *,
    batch_size: int,
    keep: float,
    batches: int,
    seed: int = 0,
) -> pd.DataFrame:
    """Squared errors of each strategy's gradient estimates, in evaluation mode.

    Args:
        task: Whose model's gradient, in all its trainable parameters, is estimated.
        strategies: Selectors by name. Each starts as given and keeps its state from batch to batch.
        batch_size: M, examples of each mini-batch.
        keep: Share m / M that is chosen, in (0, 1].
        batches: How many mini-batches are drawn, each without replacement.
        seed: The seed of the mini-batches and the choices.

    Returns:
        A row per strategy and mini-batch: ``strategy``, ``batch``, ``chosen`` (examples),
        ``squared_error`` ||sum w_i g_i / sum w_i - g||^2 with g the mean gradient over all training
        examples, and ``relative_squared_error``, the same over ||g||^2. Strategies that choose a
        variable number of examples are measured on what they choose; mini-batches of which they
        choose nothing have no row. ``cosine`` and ``same_sign`` compare with the gradient of the
        whole mini-batch, see ``agreement``.

    Raises:
        ValueError: A count or share is out of range.
    """
    if not 0 < keep <= 1:
        raise ValueError(f"keep must be in (0, 1], got {keep}")
    if not 1 <= batch_size <= task.train_size or batches < 1:
        raise ValueError(
            f"batch_size must be in [1, {task.train_size}] and batches at least 1, got "
            f"{batch_size} and {batches}"
        )
    with evaluation_mode(task.model):
        target = full_gradient(task)
        squared_norm = float(target.square().sum())
        rows: list[tuple[str, int, int, float, float, float, float]] = []
        for number in range(batches):
            order = stream(seed, "order", number)
            indices = torch.randperm(task.train_size, generator=order)[:batch_size]
            whole = _gradient(task, task.losses(task.batch(indices)).mean())
            for name, selector in strategies.items():
                # The same draws for every strategy and batch, whatever ran before.
                generator = stream(seed, "selection", number, device=task.device)
                chosen, gradient = _estimate(
                    task, selector, indices, max(1, round(keep * batch_size)), number, generator
                )
                if gradient is not None:
                    error = float((gradient - target).square().sum())
                    relative = error / squared_norm
                    rows.append(
                        (name, number, chosen, error, relative, *agreement(gradient, whole))
                    )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def agreement(estimate: Tensor, whole: Tensor) -> tuple[float, float]:
    """Cosine and share of equal signs of two gradients (Jiang et al. 2019, Fig. 5).

    Args:
        estimate: The gradient of the chosen examples, (parameters,).
        whole: The gradient of the mini-batch that they were chosen from, (parameters,).

    Returns:
        The cosine, in [-1, 1], NaN where either is zero; and the share of those components that
        are not zero in ``whole`` (units that no example reached say nothing) whose signs agree, in
        [0, 1], NaN where there are none.
    """
    norms = float(estimate.norm() * whole.norm())
    cosine = float(estimate @ whole) / norms if norms > 0 else float("nan")
    reached = whole != 0
    return cosine, float((estimate.sign() == whole.sign())[reached].float().mean())


def full_gradient(task: Task) -> Tensor:
    """Gradient (parameters,) of the mean loss over all training examples, on the device."""
    total: Tensor | None = None
    for indices in index_batches(task.train_size, task.eval_batch_size):
        gradient = _gradient(task, task.losses(task.batch(indices)).sum())
        total = gradient if total is None else total.add_(gradient)
    assert total is not None
    return total / task.train_size


def summarised(errors: pd.DataFrame) -> pd.DataFrame:
    """Per strategy: mini-batches, mean, standard deviation and quartiles of the squared error.

    Where there are several epochs, for each of them: errors relative to gradients of different
    lengths have no common mean.
    """
    several = "epoch" in errors and errors["epoch"].nunique() > 1
    keys = ["strategy", "epoch"] if several else ["strategy"]
    groups = errors.groupby(keys, sort=False)["squared_error"]
    return groups.describe(percentiles=[0.25, 0.5, 0.75]).reset_index()


def histogram(errors: pd.DataFrame, bins: int = 30) -> pd.DataFrame:
    """Counts of squared errors in bins that all strategies share, logarithmically spaced.

    Returns:
        ``strategy``, ``low`` and ``high`` (edges of the bin) and ``count``.
    """
    values = errors["squared_error"].to_numpy()
    positive = values[values > 0]
    if len(positive) == 0:
        raise ValueError("all squared errors are zero: a histogram needs keep below 1")
    edges = np.geomspace(positive.min(), positive.max() * (1 + 1e-9), bins + 1)
    frames = [
        pd.DataFrame(
            {
                "strategy": name,
                "low": edges[:-1],
                "high": edges[1:],
                "count": np.histogram(group.to_numpy().clip(edges[0], edges[-1]), edges)[0],
            }
        )
        for name, group in errors.groupby("strategy", sort=False)["squared_error"]
    ]
    return pd.concat(frames, ignore_index=True)


def measure_sweep(
    sweep: SweepConfig, *, batches: int = 100, epochs: Sequence[int] = (0,)
) -> pd.DataFrame:
    """``gradient_errors`` for the mini-batch arms of a sweep, once per training seed and epoch.

    Args:
        sweep: Its ``trainable``, ``data``, ``train``, ``selection``, ``arms`` and ``tune.seeds``
            are used; its space is not.
        batches: Mini-batches per seed and epoch.
        epochs: The numbers of epochs of full training after which to measure; 0 is the
            initialisation.

    Returns:
        As ``gradient_errors``, with the columns ``seed`` and ``epoch``.

    Raises:
        ValueError: No arm selects inside the mini-batch, an epoch is beyond the training's last, or
            a setting is wrong.
    """
    trainable = import_string(sweep.trainable, "trainable")
    base = {
        **sweep.train,
        "data": dict(sweep.data),
        "selection": sweep.selection.model_dump(),
    }
    arms = [sweep.arm(name) for name in sweep.arm_names()]
    frames = []
    for seed in sweep.tune.seeds:
        settings = parse_settings(base | {"seed": seed}, trainable.defaults)
        wanted = _checked(epochs, settings.max_epochs)
        looks_once = {"every": settings.max_epochs}
        trial = trainable({**base, "seed": seed, "arm": "full", "evaluation": looks_once})
        try:
            for epoch in range(wanted[-1] + 1):
                if epoch > 0:
                    trial.train()
                if epoch in wanted:
                    errors = gradient_errors(
                        trial.task,
                        _strategies(arms, base, trainable.defaults),
                        batch_size=settings.batch_size,
                        keep=settings.selection.fraction,
                        batches=batches,
                        seed=seed,
                    )
                    frames.append(errors.assign(seed=seed, epoch=epoch))
        finally:
            trial.stop()
    return pd.concat(frames, ignore_index=True)


def _checked(epochs: Sequence[int], most: int) -> list[int]:
    if not epochs or min(epochs) < 0 or max(epochs) > most:
        raise ValueError(
            f"epochs must be between 0 and train.max_epochs={most}, got "
            f"{','.join(map(str, epochs)) or 'none'}"
        )
    return sorted(set(epochs))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure a sweep's strategies and write the errors as CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sweep", type=Path, help="YAML of a sweep with arms inside the mini-batch")
    parser.add_argument("out", type=Path, help="CSV to write, a row per strategy and mini-batch")
    parser.add_argument("--batches", type=int, default=100, help="mini-batches per seed (100)")
    parser.add_argument(
        "--epochs", type=_numbers, default=[0], help="measure after so many epochs (0)"
    )
    parser.add_argument(
        "-o", dest="overrides", action="append", default=[], help="key.path=value, as of a sweep"
    )
    chosen = parser.parse_args(arguments)
    sweep = load_sweep(chosen.sweep, chosen.overrides)
    errors = measure_sweep(sweep, batches=chosen.batches, epochs=chosen.epochs)
    errors.to_csv(chosen.out, index=False)
    print(summarised(errors).to_string(index=False))


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _estimate(
    task: Task,
    selector: MiniBatchSelector,
    indices: Tensor,
    budget: int,
    number: int,
    generator: torch.Generator,
) -> tuple[int, Tensor | None]:
    """How many examples a strategy chose, and their weighted mean gradient."""
    batch = task.batch(indices)
    plan = selector.plan(Progress(epoch=0, max_epochs=1, batch=number))
    if plan is Plan.WHOLE:
        choice = Choice.unweighted(torch.arange(len(indices), device=task.device))
    else:
        signals = (
            SelectionPass(selector.needs_gradients, batch_norm="running")(task, batch)
            if plan is Plan.MEASURE
            else BatchSignals.unmeasured(indices, task.device)
        )
        choice = selector.choose(signals, budget, generator)
    if len(choice) == 0:
        return 0, None
    losses = task.losses(take(batch, choice.positions))
    return len(choice), _gradient(task, weighted_mean(losses, choice.weights))


def _gradient(task: Task, loss: Tensor) -> Tensor:
    parameters = [p for p in task.model.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
    return torch.cat([gradient.flatten() for gradient in gradients])


def _strategies(
    arms: Sequence[Arm], base: Mapping[str, Any], defaults: Mapping[str, Any]
) -> dict[str, MiniBatchSelector]:
    """Fresh selectors of the arms that select inside the mini-batch."""
    strategies = {}
    for arm in arms:
        plan = plan_arm(parse_settings(arm.on(base), defaults))
        if plan.kind == "mini_batch":
            strategies[arm.name] = parse_stage(plan)[0]
    if not strategies:
        names = [arm.name for arm in arms]
        raise ValueError(f"none of the arms {names} selects inside the mini-batch")
    return strategies


if __name__ == "__main__":
    main()
