"""A history of several fractions: one selection's subsets for all rungs of a ladder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.tune_select.histories import DATASET, identity, interval
from tune_select.history import HistoryConflictError, HistoryMismatchError, SubsetHistory
from tune_select.history.folder import FolderHistory
from tune_select.history.manifest import MANIFEST

OF = identity(rungs=(0.01, 0.2))


def finished(path: Path) -> FolderHistory:
    SubsetHistory(OF, [interval(i, OF) for i in range(3)], True).save(path)
    return FolderHistory(str(path))


def test_each_rung_reads_its_own_subsets(tmp_path: Path) -> None:
    history = finished(tmp_path)
    assert history.identity() == OF
    assert OF.fractions == (0.01, 0.05, 0.2)
    for number in range(3):
        whole = interval(number, OF)
        for fraction, size in [(None, 50), (0.05, 50), (0.01, 10), (0.2, 200)]:
            read = history.read(number, 0, fraction)
            assert read is not None
            assert len(read) == size
            assert not read.rungs
            assert (read.start, read.end, read.select_s) == (whole.start, whole.end, 0.25)
            source = whole if fraction in (None, 0.05) else whole.rungs[fraction]
            assert read.indices.tolist() == source.indices.tolist()
            assert read.weights.tolist() == source.weights.tolist()
    with pytest.raises(HistoryMismatchError, match=r"fraction 0.3, only at 0.01, 0.05, 0.2"):
        history.read(0, 0, 0.3)


def test_a_rung_alone_is_a_history_like_any_other(tmp_path: Path) -> None:
    finished(tmp_path / "all")
    rung = SubsetHistory.load(tmp_path / "all").rung(0.01)
    assert (rung.identity.fraction, rung.identity.rungs) == (0.01, ())
    rung.save(tmp_path / "one")
    read = SubsetHistory.load(tmp_path / "one")
    assert read.complete
    assert [len(subset) for subset in read.intervals] == [10, 10, 10]
    assert read.to_frame()["example"].tolist()[:10] == interval(0, OF).rungs[0.01].indices.tolist()


def test_a_history_of_one_fraction_is_written_as_it_always_was(tmp_path: Path) -> None:
    SubsetHistory(identity(), [interval(i) for i in range(3)], True).save(tmp_path / "one")
    manifest = json.loads((tmp_path / "one" / MANIFEST).read_text())
    assert manifest["format"] == 1
    assert "rungs" not in {*manifest, *manifest["intervals"][0]}
    finished(tmp_path / "several")
    manifest = json.loads((tmp_path / "several" / MANIFEST).read_text())
    assert manifest["format"] == 2  # which older versions refuse by name
    assert [rung["fraction"] for rung in manifest["intervals"][0]["rungs"]] == [0.01, 0.2]
    assert len(list((tmp_path / "several").glob("*.parquet"))) == 9


def test_publishing_again_compares_all_rungs(tmp_path: Path) -> None:
    history = FolderHistory(str(tmp_path))
    assert history.begin(OF) == 0
    assert history.publish(interval(0, OF))
    assert not history.publish(interval(0, OF))
    other = interval(0, OF)
    rung = replace(other.rungs[0.01], weights=np.ones(10, np.float32))
    with pytest.raises(HistoryConflictError, match="other content"):
        history.publish(replace(other, rungs={**other.rungs, 0.01: rung}))
    with pytest.raises(HistoryConflictError, match=r"rungs: \(0.01, 0.2\) != \(0.01,\)"):
        history.begin(identity(rungs=(0.01,)))


def test_an_interval_that_lacks_a_rung_or_has_a_wrong_one_is_refused(tmp_path: Path) -> None:
    history = FolderHistory(str(tmp_path))
    history.begin(OF)
    whole = interval(0, OF)
    short = whole.rungs[0.2]
    for rungs, named in [
        ({}, r"subsets at the rungs \[\], but its history has \[0.01, 0.2\]"),
        ({0.01: whole.rungs[0.01]}, r"subsets at the rungs \[0.01\]"),
        ({0.01: short, 0.2: short}, "at fraction 0.01 has 200 examples"),
        ({0.01: interval(1, OF).rungs[0.01], 0.2: short}, "holds another interval at rung 0.01"),
        (
            {0.01: replace(whole.rungs[0.01], batches=np.zeros(10, np.int32)), 0.2: short},
            "whole batches at some rungs only",
        ),
    ]:
        with pytest.raises(ValueError, match=named):
            history.publish(replace(whole, rungs=rungs))
    assert not history.manifest().intervals


@pytest.mark.parametrize("rungs", [(0.2, 0.1), (0.1, 0.1), (0.05,), (0.0,), (1.5,)])
def test_rungs_of_an_identity_are_fractions_that_grow_beside_its_own(
    rungs: tuple[float, ...],
) -> None:
    with pytest.raises(ValueError, match=r"rungs must be fractions in .0, 1. that grow and differ"):
        identity(rungs=rungs)


def test_a_trial_fits_at_any_of_the_fractions() -> None:
    for fraction in OF.fractions:
        OF.check_fits(DATASET, fraction=fraction)
    with pytest.raises(HistoryMismatchError, match="fraction: trial 0.3, history 0.01, 0.05, 0.2"):
        OF.check_fits(DATASET, fraction=0.3)
