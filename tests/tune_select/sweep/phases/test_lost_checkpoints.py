import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from ray.train import Checkpoint, CheckpointConfig
from ray.train._internal.session import _TrainingResult
from ray.tune.experiment import Trial

from tests.tune_select.command_line import Sweep
from tune_select.sweep.phases.lost_checkpoints import GoOnWithoutLost


def trial_with(folders: list[Path]) -> Trial:
    """A trial that was saved into these folders, one after the other."""
    trial = Trial("t", stub=True, checkpoint_config=CheckpointConfig(num_to_keep=2))
    for number, folder in enumerate(folders):
        folder.mkdir()
        (folder / "trial.pt").write_bytes(b"x")
        saved = _TrainingResult(Checkpoint(folder), {"training_iteration": number})
        trial.run_metadata.checkpoint_manager.register_checkpoint(saved)
    return trial


@pytest.mark.parametrize("empty", [True, False])
def test_a_trial_goes_on_from_the_newest_checkpoint_that_is_there(
    tmp_path: Path, empty: bool
) -> None:
    older, newer = tmp_path / "older", tmp_path / "newer"
    trial, whole = trial_with([older, newer]), trial_with([tmp_path / "whole"])
    assert trial.checkpoint is not None
    assert Path(trial.checkpoint.path) == newer
    shutil.rmtree(newer)
    if empty:  # as storage leaves it that knows no folders
        newer.mkdir()
    look = GoOnWithoutLost()
    look.on_step_begin(1, [trial, whole])
    assert Path(trial.checkpoint.path) == older
    assert Path(whole.checkpoint.path) == tmp_path / "whole"  # type: ignore[union-attr]
    shutil.rmtree(older)
    look.on_step_begin(2, [trial])  # it looks once: later on Tune itself deletes what is old
    assert trial.checkpoint is not None
    GoOnWithoutLost().on_step_begin(1, [trial])
    assert trial.checkpoint is None
    assert not trial.has_checkpoint()


@pytest.fixture
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="lc", dir="/tmp"))
    yield path / "f"
    shutil.rmtree(path)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_sweep_whose_checkpoints_are_gone_is_finished_all_the_same(folder: Path) -> None:
    sweep = Sweep(folder, tracking=False, keys={"checkpoint": {"every": 1}}, epoch_s=0.4)
    driver = sweep.start()
    sweep.wait_for(lambda: len(sweep.epochs("cached")) >= 3, driver)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    time.sleep(3)
    saved = list(sweep.results.glob("*/checkpoint_*"))
    assert saved
    for checkpoint in saved:
        shutil.rmtree(checkpoint)
    sweep.resume()
    trials = pd.read_parquet(sweep.results / "trials.parquet")
    assert set(trials["status"]) == {"finished"}, sweep.output()
    epochs = pd.read_parquet(sweep.results / "epochs.parquet")
    assert epochs.groupby("trial_id")["epoch"].nunique().eq(6).all()
