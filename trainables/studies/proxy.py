"""The full proxy run behind the static selector ``forgetting``, as a command.

``python -m trainables.studies.proxy SWEEP.yaml RECORD.npz`` trains the model of a sweep on all its
data and writes the record of forgetting events (Toneva et al. 2019). Coleman et al. 2020 train a
smaller proxy model: ``-o train.model=small_cnn -o train.max_epochs=50``. The sweep's arms and
intervals do not matter here.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tune_select.imports import import_string
from tune_select.sweep.config import SweepConfig
from tune_select.sweep.yaml_file import load_sweep


def record_proxy_run(sweep: SweepConfig, path: Path) -> dict[str, Any]:
    """Train on all the data and write the record of forgetting events.

    Args:
        sweep: Its ``trainable``, ``data`` and ``train`` are used.
        path: File to write, ending in ``.npz``; its folder is made where it is missing.

    Returns:
        The last epoch's metrics.

    Raises:
        ValueError: The configuration is wrong, or the task has no classes.
    """
    path = path.expanduser().absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    trainable = import_string(sweep.trainable, "trainable")(
        {**sweep.train, "data": dict(sweep.data), "arm": "full", "forgetting_record": str(path)}
    )
    try:
        result: dict[str, Any] = trainable.train()
        while not result["done"]:
            result = trainable.train()
    finally:
        trainable.stop()
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
    # The proxy selects nothing: intervals of the sweep's arms need not fit its number of epochs.
    alone = ["selection.select_every=1", "selection.warm_start_epochs=0", "arms=[full]"]
    result = record_proxy_run(load_sweep(chosen.sweep, [*chosen.overrides, *alone]), chosen.record)
    shown = {key: value for key, value in result.items() if key.startswith(("val_", "test_"))}
    print(f"{chosen.record}: {result['epoch']} epochs, {shown}")


if __name__ == "__main__":
    main()
