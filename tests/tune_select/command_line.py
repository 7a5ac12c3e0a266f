"""Sweeps of the command line on real digits, in processes of their own, to be disturbed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from tests.tune_select.sweeps import read_lines

ROOT = Path(__file__).parents[2]
RATES, EPOCHS = [0.01, 0.02, 0.05], 6
SWEEP: dict[str, Any] = {
    "name": "s",
    "trainable": "tests.tune_select.fragile.Fragile",
    "train": {"model": "small_cnn", "learning_rate": 0.02, "batch_size": 64, "max_epochs": EPOCHS},
    "selection": {"algorithm": "gradmatch_pb", "fraction": 0.1, "select_every": 2},
    "space": {"learning_rate": RATES},
    "arms": ["cached"],
    "tune": {"max_failures": 8},
    "cluster": {"num_cpus": 2},
    "promote": 0,
}


class Sweep:
    """One run of the command line and what came of it.

    Attributes:
        results: The results folder.
        log: Where the trials log.
    """

    def __init__(
        self,
        folder: Path,
        storage: Path | None = None,
        tracking: bool = True,
        keys: Mapping[str, Any] | None = None,
        **train: Any,
    ) -> None:
        self.folder, self.log, self.tracking = folder, folder / "log", tracking
        self.log.mkdir(parents=True)
        self.results = (storage or folder) / "s"
        settings = {**SWEEP, "storage_path": str(self.results.parent), **(keys or {})}
        settings["train"] = {**SWEEP["train"], "log": str(self.log), **train}
        settings |= {} if tracking else {"tracking": False}
        (folder / "sweep.yaml").write_text(yaml.safe_dump(settings))

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """The command line, in a process of its own; its output goes to a file."""
        with (self.folder / "output").open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-m", "tune_select", "run", *(arguments or ["sweep.yaml"])],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
                stdout=output,
                stderr=output,
                start_new_session=True,  # a terminal's Ctrl-C goes to all of its processes
            )

    def run(self) -> None:
        """From the first trial to the report."""
        assert self.start().wait(900) == 0, self.output()

    def resume(self) -> None:
        """``--resume``."""
        assert self.start("--resume", str(self.results)).wait(900) == 0, self.output()

    def output(self) -> str:
        return (self.folder / "output").read_text()[-6000:]

    def wait_for(self, ready: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 300
        while not ready():
            assert process.poll() is None, self.output()
            assert time.monotonic() < deadline, self.output()
            time.sleep(0.1)

    def epochs(self, arm: str) -> list[int]:
        """Epochs in the order in which trials of an arm finished them."""
        lines = read_lines(self.log)
        return [line["value"] for line in lines if (line["arm"], line["what"]) == (arm, "epoch")]

    def metrics(self) -> pd.DataFrame:
        """What training computed, without ids and seconds, in a fixed order."""
        epochs = pd.read_parquet(self.results / "epochs.parquet")
        trials = pd.read_parquet(self.results / "trials.parquet")
        found = epochs.merge(trials[["trial_id", "config/learning_rate"]], on="trial_id")
        order = ["arm", "config/learning_rate", "epoch"]
        columns = ["train_loss", "val_loss", "val_accuracy", "test_accuracy", "subset_size"]
        return found.sort_values(order)[order + columns].reset_index(drop=True)

    def history_bytes(self) -> dict[str, bytes]:
        files = (self.results / "history" / "seed").glob("interval-*.parquet")
        return {file.name: file.read_bytes() for file in files}
