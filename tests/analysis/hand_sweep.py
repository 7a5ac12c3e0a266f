"""A sweep small enough to work out on paper.

Two learning rates, one seed, four epochs; test accuracy after each epoch, and the train + select
seconds of one epoch (select in brackets). Validation accuracy equals test accuracy.

| arm       | configuration 0 (0.01)    | configuration 1 (0.1)     | seconds per epoch |
| --------- | ------------------------- | ------------------------- | ----------------- |
| seed      | 0.50, 0.60, 0.65, 0.70    | -                         | 1.0 + 0.5         |
| cached    | 0.40, 0.50, 0.60, 0.68    | 0.50, 0.70, 0.75, 0.80    | 1.0               |
| gradmatch | 0.50, 0.60, 0.65, 0.70    | 0.60, 0.75, 0.82, 0.90    | 1.0 + 0.5         |
| random_pb | 0.30, 0.40, 0.50, 0.60    | NaN from epoch 2          | 1.0               |
| full      | 0.60, 0.70, 0.80, 0.80    | 0.60, 0.80, 0.85, 0.90    | 10.0              |

Fixed-accuracy speed-ups (the full run's seconds when it first surpassed the arm's final value, over
the arm's 4 epochs):

- cached, 0.01: full passes 0.68 in epoch 2 (20 s); 20 / 4 = 5
- cached, 0.1: full equals 0.80 in epoch 2 and passes it in epoch 3 (30 s); 30 / 4 = 7.5
- gradmatch and seed, 0.01: full equals 0.70 in epoch 2 and passes it in epoch 3 (30 s); 30 / 6 = 5
- gradmatch, 0.1: full only equals 0.90, never passes it
- random_pb, 0.01: full equals 0.60 in epoch 1 and passes it in epoch 2 (20 s); 20 / 4 = 5
- random_pb, 0.1: diverged

Whole-sweep speed-ups over full training on shared pairs: cached 80 / 8 = 10, with the seed's 6 s
80 / 14; gradmatch 80 / 12; random_pb 40 / 4 = 10 (one pair: the diverged one does not count).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from tests.analysis.synthetic import write_frames

NAN = float("nan")
CURVES: dict[tuple[str, int], tuple[float, ...]] = {
    ("seed", 0): (0.50, 0.60, 0.65, 0.70),
    ("cached", 0): (0.40, 0.50, 0.60, 0.68),
    ("cached", 1): (0.50, 0.70, 0.75, 0.80),
    ("gradmatch", 0): (0.50, 0.60, 0.65, 0.70),
    ("gradmatch", 1): (0.60, 0.75, 0.82, 0.90),
    ("random_pb", 0): (0.30, 0.40, 0.50, 0.60),
    ("random_pb", 1): (0.30, NAN, NAN, NAN),
    ("full", 0): (0.60, 0.70, 0.80, 0.80),
    ("full", 1): (0.60, 0.80, 0.85, 0.90),
}
SECONDS = {
    "seed": (1.0, 0.5),
    "cached": (1.0, 0.0),
    "gradmatch": (1.0, 0.5),
    "random_pb": (1.0, 0.0),
    "full": (10.0, 0.0),
}
RATES = (0.01, 0.1)


def write_hand_sweep(folder: Path, arms: tuple[str, ...] = tuple(SECONDS)) -> Path:
    """Write the sweep above, or some of its arms."""
    trials, epochs = [], []
    for (arm, c), curve in CURVES.items():
        if arm not in arms:
            continue
        train_s, select_s = SECONDS[arm]
        rows = [
            {
                "trial_id": f"{arm}-{c}",
                "arm": arm,
                "epoch": e,
                "train_loss": 1 - value,
                "val_accuracy": value,
                "test_accuracy": value,
                "train_s": train_s * e,
                "select_s": select_s * e,
                "eval_s": 0.25 * e,
                "wait_s": 0.0,
            }
            for e, value in enumerate(curve, start=1)
        ]
        epochs.extend(rows)
        trials.append(
            {
                "trial_id": f"{arm}-{c}",
                "arm": arm,
                "selector": "gradmatch" if arm == "seed" else arm,
                "phase": "search",
                "status": "TERMINATED",
                "error": None,
                "configuration": c,
                "seed": 0,
                "config/arm": arm,
                "config/learning_rate": RATES[c],
                "config/max_epochs": 4,
                **{k: v for k, v in rows[-1].items() if k not in ("trial_id", "arm")},
                "best_val_accuracy": float(np.nanmax(curve)),
            }
        )
    write_frames(folder, pd.DataFrame(trials), pd.DataFrame(epochs))
    sweep = {"name": "by hand", "space": {"learning_rate": list(RATES)}, "arms": list(arms)[1:]}
    (folder / "sweep.yaml").write_text(yaml.safe_dump(sweep), encoding="utf-8")
    return folder
