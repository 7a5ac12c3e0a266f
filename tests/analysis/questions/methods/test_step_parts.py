"""Seconds of the passes, by hand."""

from pathlib import Path

import pandas as pd
import pytest

from analysis import load
from analysis.options import ReportOptions
from analysis.questions.methods.step_parts import long_parts, step_parts
from analysis.sections.methods import step_parts as section_of
from tests.analysis.hand_sweep import write_hand_sweep
from tests.analysis.synthetic import write_frames


def with_passes(folder: Path, without: str = "") -> Path:
    """The hand sweep where a third of training is forward and half of it backward."""
    write_hand_sweep(folder, ("gradmatch", "random_pb", "full"))
    trials, epochs = (pd.read_parquet(folder / f"{n}.parquet") for n in ("trials", "epochs"))
    known = epochs["train_s"].where(epochs["arm"] != without)
    epochs = epochs.assign(forward_s=known / 3, backward_s=known / 2)
    epochs["examples_seen"] = 100 * epochs["epoch"]
    write_frames(folder, trials, epochs)
    return folder


def test_whole_trials(tmp_path: Path) -> None:
    parts = step_parts(load(with_passes(tmp_path))).set_index("arm")
    # random_pb diverged at configuration 1, so all means are over configuration 0; four epochs.
    assert parts["trials"].tolist() == [1, 1, 1]
    assert parts.loc["full", ["select", "forward", "backward", "other"]].tolist() == pytest.approx(
        [0, 40 / 3, 20, 40 / 6]
    )
    assert parts.loc["gradmatch", ["select", "forward", "backward", "other"]].tolist() == (
        pytest.approx([2, 4 / 3, 2, 4 / 6])
    )
    assert parts["examples"].tolist() == [400, 400, 400]


def test_until_an_error_is_reached(tmp_path: Path) -> None:
    parts = step_parts(load(with_passes(tmp_path)), factor=1.75).set_index("arm")
    # Targets 0.35 and 0.175: full gets there in epochs 2 and 3, gradmatch in 3 and 4; random_pb,
    # which ends at 0.40, never does and is left out.
    assert [*parts.index] == ["gradmatch", "full"]
    assert parts["trials"].tolist() == [2, 2]
    assert parts.loc["full", "backward"] == pytest.approx((10 + 15) / 2)
    assert parts.loc["gradmatch", "select"] == pytest.approx((1.5 + 2) / 2)
    assert parts.loc["gradmatch", "examples"] == pytest.approx(350)


def test_what_trials_did_not_tell_apart_is_not_shown(tmp_path: Path) -> None:
    folder = with_passes(tmp_path, without="gradmatch")
    assert step_parts(load(folder))["arm"].tolist() == ["random_pb", "full"]
    old = load(write_hand_sweep(tmp_path / "old"))
    assert step_parts(old).empty
    assert section_of.section(old, ReportOptions()) is None


def test_the_section_says_the_ratio(tmp_path: Path) -> None:
    shown = section_of.section(load(with_passes(tmp_path)), ReportOptions())
    assert shown is not None
    table, whole, to_target = shown.items
    assert table.frame["ratio"].tolist() == pytest.approx([1.5, 1.5, 1.5])
    full = table.frame.set_index("arm").loc["full"]
    assert full["backward_each"] == pytest.approx(1000 * 20 / 0.4)  # ms of 1,000 examples
    assert whole.frame["seconds"].sum() == pytest.approx(40 + 4 + 2 + 4)
    assert set(to_target.frame["arm"]) == {"gradmatch", "full"}
    assert len(long_parts(step_parts(load(tmp_path)))) == 3 * 4
