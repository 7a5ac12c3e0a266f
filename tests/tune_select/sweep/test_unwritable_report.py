"""A report that cannot be written fails the sweep, in words, and loses nothing of its ending."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from tune_select.sweep.ending import Ending, How
from tune_select.sweep.folder.results_folder import ResultsFolder
from tune_select.sweep.folder.state import SweepState
from tune_select.sweep.run import _Sweep


class Unwritable(_Sweep):
    """All but the report is left out."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state = ResultsFolder(str(folder)), SweepState({})

    def _report(self, ending: Ending) -> Any:
        raise OSError(errno.EDQUOT, "Disk quota exceeded", f"{self.folder.location}/report.html")


@pytest.mark.parametrize("ending", [Ending.finished(), Ending.interrupted(2)])
def test_the_file_what_helps_and_how_it_goes_on_are_said(ending: Ending, tmp_path: Path) -> None:
    sweep = Unwritable(tmp_path)
    ended = sweep._reported(ending)
    assert ended.how is (How.FAILED if ending.is_finished else ending.how)
    assert ended.exit_status == (1 if ending.is_finished else 130)
    assert f"{tmp_path}/report.html: Disk quota exceeded; make room" in sweep.state.said
    assert f"tune-select run --resume {tmp_path}" in sweep.state.said
    assert sweep.state.said.count("quota") == 1
