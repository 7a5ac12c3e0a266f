"""Seeded synthetic results folders whose true answers are known."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import yaml


@dataclass(frozen=True)
class Arm:
    """How a synthetic arm behaves.

    Attributes:
        penalty: How much lower its final test accuracy is than full training's.
        ranking_noise: Standard deviation of what it adds to a configuration's quality.
        train_s: Training seconds per epoch.
        select_s: Selection seconds per epoch.
        joules: Per epoch; ``None`` reports no energy.
    """

    penalty: float = 0.0
    ranking_noise: float = 0.0
    train_s: float = 1.0
    select_s: float = 0.0
    joules: float | None = None


ARMS: Mapping[str, Arm] = {
    "seed": Arm(0.02, 0.0, 1.0, 0.4),
    "cached": Arm(0.03, 0.005, 1.0, 0.01),
    "gradmatch": Arm(0.02, 0.003, 1.0, 0.4),
    "random_pb": Arm(0.05, 0.01, 1.0, 0.005),
    "full": Arm(0.0, 0.0, 10.0, 0.0),
}

GRID = [
    {"learning_rate": rate, "optimizer": optimizer}
    for rate in (0.001, 0.01, 0.1)
    for optimizer in ("sgd", "adam")
]


@dataclass
class Sweep:
    """A synthetic sweep; :meth:`write` makes its folder."""

    arms: Mapping[str, Arm] = field(default_factory=lambda: dict(ARMS))
    grid: Sequence[Mapping[str, Any]] = field(default_factory=lambda: list(GRID))
    seeds: Sequence[int] = (0, 1, 2)
    epochs: int = 12
    noise: float = 0.002
    generator_seed: int = 0
    fraction: float = 0.1
    dataset: str = "synthetic"
    model: str = "small_cnn"
    promote: bool = True
    histories: int = 1
    name: str = "synthetic"
    sweep: Mapping[str, Any] = field(default_factory=dict)

    def quality(self) -> np.ndarray:
        """True final accuracy of each configuration under full training, (C,)."""
        return np.linspace(0.7, 0.95, len(self.grid))

    def frames(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """``trials`` and ``epochs`` as the sweep writes them."""
        rng = np.random.default_rng(self.generator_seed)
        trials: list[dict[str, Any]] = []
        epochs: list[dict[str, Any]] = []
        for arm, how in self.arms.items():
            shift = rng.normal(0, how.ranking_noise, len(self.grid))
            cells = [(c, s) for c in range(len(self.grid)) for s in self.seeds]
            for c, s in [(len(self.grid) // 2, self.seeds[0])] if arm == "seed" else cells:
                final = self.quality()[c] - how.penalty + shift[c] + rng.normal(0, self.noise)
                self._trial(trials, epochs, arm, how, c, s, float(min(final, 0.999)))
        if self.promote:
            best = len(self.grid) - 1
            how = ARMS["full"]
            self._trial(trials, epochs, "full", how, best, self.seeds[0], 0.96, phase="promotion")
        return pd.DataFrame(trials), pd.DataFrame(epochs)

    def _trial(self, trials, epochs, arm, how, c, s, final, phase="search"):  # type: ignore[no-untyped-def]
        trial_id = f"{phase[0]}{len(trials):04d}"
        progress = np.arange(1, self.epochs + 1) / self.epochs
        curve = final * (1 - np.exp(-4 * progress)) / (1 - np.exp(-4))
        rows = [
            {
                "trial_id": trial_id,
                "arm": arm,
                "epoch": e,
                "train_loss": 2.0 - float(accuracy),
                "val_loss": 2.1 - float(accuracy),
                "val_accuracy": float(accuracy),
                "test_loss": 2.1 - float(accuracy),
                "test_accuracy": float(accuracy),
                "learning_rate": self.grid[c].get("learning_rate", 0.01),
                "subset_size": 1000 if arm == "full" else int(1000 * self.fraction),
                "examples_seen": e * 100,
                "train_s": how.train_s * e,
                "select_s": how.select_s * e,
                "eval_s": 0.2 * e,
                "wait_s": 0.1 if arm == "cached" else 0.0,
                "gradient_error": 0.1 if how.select_s > 0.1 and e % 3 == 1 else np.nan,
                "random_gradient_error": 0.5 if how.select_s > 0.1 and e % 3 == 1 else np.nan,
                "points_never_used": 0.0 if arm == "full" else max(0.0, 1 - self.fraction * e),
                "energy_j": np.nan if how.joules is None else how.joules * e,
                "waiting_for_interval": -1,
            }
            for e, accuracy in enumerate(curve, start=1)
        ]
        epochs.extend(rows)
        last = {k: v for k, v in rows[-1].items() if k not in ("trial_id", "arm")}
        trials.append(
            {
                "trial_id": trial_id,
                "arm": arm,
                "selector": "gradmatch" if arm == "seed" else arm,
                "phase": phase,
                "status": "finished",
                "error": None,
                "configuration": c,
                "seed": s,
                "config/arm": arm,
                "config/max_epochs": self.epochs,
                "config/data/name": self.dataset,
                **({} if "model" in self.grid[c] else {"config/model": self.model}),
                "config/selection/fraction": self.fraction,
                **{f"config/{k}": v for k, v in self.grid[c].items()},
                **last,
                "best_val_accuracy": final,
                "best_epoch": self.epochs,
                "test_accuracy_at_best": final,
            }
        )

    def write(self, folder: Path) -> Path:
        """Write ``sweep.yaml``, the two tables and the histories."""
        folder.mkdir(parents=True, exist_ok=True)
        space = {key: sorted({g[key] for g in self.grid}, key=str) for key in self.grid[0]}
        sweep = {
            "name": self.name,
            "data": {"name": self.dataset},
            "train": {"model": self.model, "max_epochs": self.epochs},
            "selection": {"algorithm": "gradmatch", "fraction": self.fraction, "select_every": 3},
            "space": space,
            "arms": [arm for arm in self.arms if arm != "seed"],
            "resources": {"cpu": 1.0, "gpu": 0.0},
            **self.sweep,
        }
        (folder / "sweep.yaml").write_text(yaml.safe_dump(sweep), encoding="utf-8")
        trials, epochs = self.frames()
        write_frames(folder, trials, epochs)
        for i in range(self.histories):
            write_history(folder / "history" / f"seed{i}", seed=i, config={"optimizer": f"o{i}"})
        return folder


def write_frames(folder: Path, trials: pd.DataFrame, epochs: pd.DataFrame) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    trials.to_parquet(folder / "trials.parquet")
    epochs.to_parquet(folder / "epochs.parquet")


def write_history(
    folder: Path,
    *,
    n: int = 200,
    k: int = 20,
    intervals: Sequence[tuple[Sequence[int], Sequence[float]]] | None = None,
    every: int = 3,
    warm: int = 0,
    seed: int = 0,
    config: Mapping[str, Any] | None = None,
) -> Path:
    """A history folder: given subsets, or random ones that prefer small indices."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    if intervals is None:
        chance = np.exp(-np.arange(n) / (n / 3))
        chance /= chance.sum()
        drawn = [rng.choice(n, k, replace=False, p=chance) for _ in range(4)]
        intervals = [(d.tolist(), rng.gamma(2.0, 0.5, k).tolist()) for d in drawn]
    rows = []
    for i, (examples, weights) in enumerate(intervals):
        name = f"interval-{i:06d}.parquet"
        table = pa.table(
            {
                "example": pa.array(examples, pa.int64()),
                "weight": pa.array(weights, pa.float32()),
            }
        )
        pq.write_table(table, folder / name, write_page_checksum=True)
        digest = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        rows.append(
            {
                "number": i,
                "start": warm + i * every,
                "end": warm + (i + 1) * every,
                "file": name,
                "rows": len(examples),
                "sha256": digest,
                "gradient_error": 0.1 + 0.01 * i,
                "random_gradient_error": 0.5,
                "select_s": 0.5,
                "filled": 0,
            }
        )
    manifest = {
        "format": 1,
        "dataset": {"name": "synthetic", "size": n, "fingerprint": "f"},
        "fraction": k / n,
        "select_every": every,
        "max_epochs": warm + every * len(rows),
        "warm_start_epochs": warm,
        "seed_config": dict(config or {}),
        "selector": {"algorithm": "gradmatch", "settings": {}},
        "versions": {"python": "3.11"},
        "complete": True,
        "intervals": rows,
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder
