from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.tune_select.histories import identity, interval
from tune_select.history import SubsetHistory
from tune_select.sweep.config import SweepError
from tune_select.sweep.folder.kept import check_histories_kept


@dataclass
class Trial:
    config: dict[str, Any]
    last_result: dict[str, Any] | None


def test_a_history_that_has_gone_is_refused_and_one_that_was_never_begun_is_not(
    tmp_path: Path,
) -> None:
    of, root = identity(rungs=(0.01,)), tmp_path / "history"
    place = {"root": str(root), "store": "s", "seed_by": []}
    seed = Trial({"arm": "seed", "history": place}, {"epoch": 4})
    check_histories_kept([Trial(seed.config, None), Trial({"arm": "full"}, {"epoch": 4})])
    SubsetHistory(of, [interval(i, of) for i in range(of.interval_count)], True).save(root / "seed")
    check_histories_kept([seed])
    rung = next((root / "seed").glob("interval-000001-*.parquet"))
    rung.unlink()
    with pytest.raises(SweepError, match=rf"{rung.name} of it is gone. Put it back"):
        check_histories_kept([seed])
    (root / "seed" / "manifest.json").write_bytes(b"")
    with pytest.raises(SweepError, match=r"but .*is not a history's manifest"):
        check_histories_kept([seed])
    shutil.rmtree(root)
    with pytest.raises(SweepError, match=r"history/seed is the history .* but it is gone"):
        check_histories_kept([seed])
