"""A full training run that records what static selectors need: forgetting events.

``python -m trainables.proxy SWEEP.yaml RECORD.npz`` trains the model of a sweep on all its data and
writes the record that the selector ``forgetting`` reads (Toneva et al. 2019; Coleman et al. 2020
train a smaller proxy model: ``-o train.model=small_cnn -o train.max_epochs=50``).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainables.task import Batch, Task
from tune_select.config import load_sweep
from tune_select.imports import import_string
from tune_select.selection.forgetting import ForgettingEvents


@contextmanager
def recording_forgetting(task: Task) -> Iterator[ForgettingEvents]:
    """Count forgetting events in every training step inside (Toneva et al. 2019, Algorithm 1).

    Each example is judged when it is trained on, by the prediction of that very step, so the record
    costs no pass of its own. Evaluation is not counted.

    Args:
        task: A classification whose head's outputs are the logits and whose targets are classes.

    Yields:
        The record, which grows while the block runs.

    Raises:
        ValueError: On the first step, when targets are not one class per example.
    """
    record = ForgettingEvents(task.train_size)
    logits: list[Tensor] = []
    original = task.losses

    def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
        logits[:] = [output.detach()]

    def losses(batch: Batch) -> Tensor:
        values = original(batch)
        if task.model.training:
            targets = batch.targets
            if not isinstance(targets, Tensor) or targets.shape != logits[0].shape[:1]:
                raise ValueError(
                    "forgetting events need one class per example, which the targets of "
                    f"{type(task).__name__} are not"
                )
            if targets.is_floating_point():
                raise ValueError("forgetting events need classes as targets, got real numbers")
            record.update(batch.indices, logits[0].argmax(1) == targets)
        return values

    handle = task.head().register_forward_hook(keep)
    task.losses = losses  # type: ignore[method-assign]
    try:
        yield record
    finally:
        handle.remove()
        del task.losses  # the class's own shows again


def record_proxy_run(
    trainable_class: type[Any], config: Mapping[str, Any], path: Path
) -> dict[str, Any]:
    """Train on all the data and write the record of forgetting events.

    Args:
        trainable_class: A ``SelectionTrainable``.
        config: A trial's configuration; its arm is set to ``full``.
        path: File to write, ending in ``.npz``.

    Returns:
        The last epoch's metrics.

    Raises:
        ValueError: The configuration is wrong, or the task has no classes.
    """
    trainable = trainable_class({**config, "arm": "full"})
    try:
        with recording_forgetting(trainable.task) as record:
            result: dict[str, Any] = trainable.train()
            while not result["done"]:
                result = trainable.train()
    finally:
        trainable.stop()
    path.parent.mkdir(parents=True, exist_ok=True)
    record.save(path)
    return result


def main(arguments: Sequence[str] | None = None) -> None:
    """Record the proxy run of a sweep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sweep", type=Path, help="YAML of a sweep, whose data and train are used")
    parser.add_argument("record", type=Path, help="file to write, ending in .npz")
    parser.add_argument(
        "-o", dest="overrides", action="append", default=[], help="key.path=value, as of a sweep"
    )
    chosen = parser.parse_args(arguments)
    sweep = load_sweep(chosen.sweep, chosen.overrides)
    torch.set_num_threads(max(1, int(sweep.resources.get("cpu", 1))))
    result = record_proxy_run(
        import_string(sweep.trainable, "trainable"),
        {**sweep.train, "data": dict(sweep.data)},
        chosen.record.expanduser(),
    )
    shown = {key: value for key, value in result.items() if key.startswith(("val_", "test_"))}
    print(f"{chosen.record}: {result['epoch']} epochs, {shown}")


if __name__ == "__main__":
    main()
