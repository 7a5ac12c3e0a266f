from pathlib import Path

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
import pytest

from trainables.loop import epoch_records
from trainables.loop.epoch_records import EpochRecords
from tune_select.storage import Folder

NAME = "rows.parquet"


def rows(epoch: int, value: float) -> pa.Table:
    return pa.table({"epoch": [epoch, epoch], "value": [value, -value]})


def records(folder: Path) -> EpochRecords:
    return EpochRecords(pyarrow.fs.LocalFileSystem(), str(folder), NAME)


def test_epochs_are_appended_and_repeated_ones_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "when needed"
    first = records(folder)
    for epoch in (1, 2, 3):
        first.append(rows(epoch, float(epoch)))
    first.flush()
    # Restored after epoch 1 in a new process: epochs 2 and 3 did not happen.
    records(folder).append(rows(2, 20.0))
    assert pq.read_table(folder / NAME).to_pydict() == {
        "epoch": [1, 1, 2, 2],
        "value": [1.0, -1.0, 20.0, -20.0],
    }
    assert [path.name for path in folder.iterdir()] == [NAME]


def test_any_filesystem_will_do(tmp_path: Path) -> None:
    inner = pyarrow.fs.SubTreeFileSystem(str(tmp_path), pyarrow.fs.LocalFileSystem())
    EpochRecords(inner, "trial/", NAME).append(rows(1, 1.0))
    assert (tmp_path / "trial" / NAME).exists()


def test_writes_take_a_small_share_of_the_time_and_a_flush_leaves_nothing_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(epoch_records.time, "monotonic", lambda: now)
    written: list[int] = []

    class Slow(Folder):
        def write(self, name: str, content: bytes) -> None:
            nonlocal now
            now += 1.0  # second for each write, ten for each epoch
            written.append(epoch)
            super().write(name, content)

    monkeypatch.setattr(epoch_records, "Folder", Slow)
    kept = records(tmp_path)
    for epoch in range(1, 13):
        now += 10.0
        kept.append(rows(epoch, float(epoch)))
    assert written == [1, 6, 11]
    kept.flush()
    kept.flush()
    assert written == [1, 6, 11, 12]
    assert pq.read_table(tmp_path / NAME)["epoch"].to_pylist()[::2] == list(range(1, 13))
