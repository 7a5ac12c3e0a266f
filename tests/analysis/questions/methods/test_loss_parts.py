from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from analysis import load, write_report
from analysis.figures.losses import plot_loss_curves
from analysis.questions.methods.loss_parts import loss_curves, loss_parts
from tests.analysis.synthetic import Sweep, write_frames

EPOCHS = pd.DataFrame(
    {
        "trial_id": ["a", "a", "b", "b", "c", "c"],
        "arm": ["full", "full", "full", "full", "sb2", "sb2"],
        "epoch": [1, 2, 1, 2, 1, 2],
        "train_loss": [5.0] * 6,
        "train_loss_conf": [4.0, 2.0, 6.0, 4.0, 5.0, None],
        "train_loss_loc": [1.0, 0.5, 1.0, 0.5, 2.0, 1.0],
    }
)


def test_parts_are_found_and_named() -> None:
    parts = loss_parts(EPOCHS)
    assert parts == {"train_loss_conf": "classification", "train_loss_loc": "localisation"}
    assert loss_parts(EPOCHS[["trial_id", "train_loss"]]) == {}


def test_means_and_quartiles_by_arm_and_epoch() -> None:
    frame = loss_curves(EPOCHS, "train_loss_conf", ["a", "b", "c"]).set_index(["arm", "epoch"])
    assert frame.at[("full", 1), "loss"] == 5.0
    assert (frame.at[("full", 1), "low"], frame.at[("full", 1), "high"]) == (4.5, 5.5)
    assert frame.at[("full", 2), "trials"] == 2
    # A missing value is no curve point, and trials that do not count are left out.
    assert ("sb2", 2) not in frame.index
    assert set(loss_curves(EPOCHS, "train_loss_loc", ["c"])["arm"]) == {"sb2"}


def test_every_arm_is_drawn() -> None:
    frame = loss_curves(EPOCHS, "train_loss_loc", ["a", "b", "c"])
    ax = plot_loss_curves(frame, part="Localisation loss")
    assert [line.get_ydata().tolist() for line in ax.lines] == [[1.0, 0.5], [2.0, 1.0]]
    assert ax.get_ylabel() == "Localisation loss"
    plt.close("all")


@pytest.mark.parametrize("with_parts", [True, False])
def test_the_report_shows_parts_only_where_there_are_some(tmp_path: Path, with_parts: bool) -> None:
    folder = Sweep().write(tmp_path)
    trials, epochs = (pd.read_parquet(folder / f"{n}.parquet") for n in ("trials", "epochs"))
    if with_parts:
        epochs = epochs.assign(train_loss_conf=epochs["train_loss"], train_loss_loc=0.5)
    write_frames(folder, trials, epochs)
    assert bool(loss_parts(load(folder).epochs)) == with_parts
    page = write_report(folder).read_text(encoding="utf-8")
    assert ("Training: localisation loss" in page) == with_parts
    assert (folder / "figures" / "train_loss_conf.svg").exists() == with_parts
