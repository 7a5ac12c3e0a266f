"""What an experiment has left is read whatever a full disk has done to Tune's state of it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray import tune
from ray.tune.experiment import Trial

from tune_select.storage import Folder
from tune_select.sweep.folder.snapshot import SNAPSHOT, pack
from tune_select.sweep.phases.experiments import Experiments
from tune_select.sweep.phases.follow_up import SEARCH

STATE = "experiment_state-2026-11-29_01-12-33.json"
WHOLE = json.dumps({"trial_data": [["{}", "{}"]]}).encode()


class Analysis:
    """Reads the state as Ray's does, and nothing of the trials."""

    def __init__(self, path: str) -> None:
        self.state = json.loads((Path(path) / STATE).read_text())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    monkeypatch.setattr(tune, "ExperimentAnalysis", Analysis)
    return Folder.at(str(tmp_path / "sweep"))


def found(place: Folder) -> Any:
    path = Path(place.path)
    folder: Any = SimpleNamespace(storage_path=str(path.parent), name=path.name)
    nothing: Any = None
    return Experiments(nothing, folder, None, nothing, resume=False).found(SEARCH)


@pytest.mark.parametrize("left", [b"", WHOLE[: len(WHOLE) // 2]], ids=["emptied", "halved"])
def test_a_state_that_a_full_disk_cut_off_is_put_back(place: Folder, left: bytes) -> None:
    place.write(STATE, left)
    place.write(SNAPSHOT, pack({STATE: WHOLE}))
    assert found(place).state == json.loads(WHOLE)
    assert place.read(STATE) == WHOLE, "a report later reads it there"


def test_nothing_was_begun(place: Folder) -> None:
    assert found(place) is None


@pytest.mark.parametrize("ended", [True, False])
def test_what_hyperband_dropped_while_it_was_paused_is_over_once_its_search_is(
    place: Folder, ended: bool
) -> None:
    statuses = [Trial.PAUSED, Trial.ERROR, Trial.TERMINATED, Trial.PAUSED]

    class Read(Analysis):
        def __init__(self, path: str) -> None:
            self.trials = [Trial("trainable", stub=True) for _ in statuses]
            for trial, status in zip(self.trials, statuses, strict=True):
                trial.set_status(status)

    place.write(STATE, WHOLE)
    path = Path(place.path)
    folder: Any = SimpleNamespace(storage_path=str(path.parent), name=path.name)
    nothing: Any = None
    experiments = Experiments(nothing, folder, None, nothing, resume=False)
    if ended:
        experiments._ended.add(SEARCH)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(tune, "ExperimentAnalysis", Read)
        analysis = experiments.found(SEARCH)
    assert analysis is not None
    kept = [Trial.PAUSED if not ended else Trial.TERMINATED, Trial.ERROR, Trial.TERMINATED]
    assert [trial.status for trial in analysis.trials] == [*kept, kept[0]]
