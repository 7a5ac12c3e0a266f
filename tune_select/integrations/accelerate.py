"""Accelerate: it shares the sampler's examples out, and casts the loss as the training's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accelerate import Accelerator
from torch import Tensor, nn

from tune_select.loops.sampler import SubsetSampler
from tune_select.selection.heads.losses import Loss, loss_of_batch


def subset_sampler(
    config: Mapping[str, Any],
    dataset: Any,
    *,
    accelerator: Accelerator,
    model: nn.Module,
    loss: Loss,
    **given: Any,
) -> SubsetSampler:
    """The sampler of a DataLoader that ``accelerator.prepare`` is given.

    Args:
        config: A trial's configuration, see ``SubsetSampler.from_config``.
        dataset: The training set.
        accelerator: The loop's.
        model: The model before or after ``prepare``.
        loss: See ``SubsetSampler``; computed in the accelerator's precision.
        **given: Further arguments of ``SubsetSampler``.
    """
    plain = accelerator.unwrap_model(model)
    loss_of = loss_of_batch(loss, plain)

    def cast(batch: Any) -> Tensor:
        with accelerator.autocast():
            return loss_of(batch)

    return SubsetSampler.from_config(config, dataset, model=plain, loss=cast, **given)
